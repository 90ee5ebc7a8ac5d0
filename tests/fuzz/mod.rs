//! Fuzz targets, in a short run whose inputs are the same every time
//! (`WHERRY_SEED` chooses others). docs/testing.md says how to run them longer.

use super::support::env::{Env, run};
use std::path::PathBuf;

fn probe() -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let probe = me
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/fuzz_probe");
    assert!(
        probe.exists(),
        "{} is missing: cargo build --examples",
        probe.display()
    );
    probe
}

/// The corpus and some thousand changes of it: nothing that must hold is broken,
/// no input takes long or much memory.
fn holds(target: &str) {
    let seed = std::env::var("WHERRY_SEED").unwrap_or_else(|_| "1".into());
    let env = Env::new();
    let mut command = env.command(probe());
    command.current_dir(std::env::current_dir().unwrap());
    command.args([target, "--seed", &seed]);
    let out = run(command, b"", 300);
    if out.status != 0 {
        let input = std::fs::read(env.path("tmp").join(format!("{target}.input")));
        let input = input.unwrap_or_default();
        panic!("{out}\nthe last input: {}", input.escape_ascii());
    }
    assert!(out.stdout.starts_with(target.as_bytes()), "{out}");
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { holds(stringify!($name)); })*
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

targets!(reference challenge manifest config login layer archive dockerfile heredoc ignore bake);

/// All of them are run here, by libFuzzer, and have a corpus.
#[test]
fn no_target_is_left_out() {
    let none = run(Env::new().command(probe()), b"", 10);
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    let said = said.trim().rsplit_once("one of ").expect("the list").1;
    assert_eq!(said.split(' ').collect::<Vec<_>>(), NAMES);
    let manifest = std::fs::read_to_string("tests/fuzz/Cargo.toml").unwrap();
    for name in NAMES {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let call = std::fs::read_to_string(format!("tests/fuzz/fuzz_targets/{name}.rs")).unwrap();
        assert!(call.contains(&format!("::{name}(")), "{name}");
        assert!(
            std::fs::read_dir(format!("tests/fuzz/corpus/{name}"))
                .unwrap()
                .count()
                > 0
        );
    }
}
