//! `make install` into a directory of its own.

use crate::support::Env;
use crate::support::env::{Output, run, wherry_path};
use std::path::Path;

#[test]
fn puts_program_pages_and_completions_where_they_are_looked_for() {
    let env = Env::new();
    let dest = env.path("tmp/a root");
    let mut make = env.command("make");
    make.current_dir(std::env::current_dir().unwrap())
        .arg("install")
        .arg(format!("BINARY={}", wherry_path()))
        .arg(format!("DESTDIR={}", dest.display()))
        .arg("PREFIX=/opt/w");
    run(make, b"", 60).ok();
    let at = |below: &str| dest.join("opt/w").join(below);

    let version = run(
        {
            let mut wherry = env.command(at("bin/wherry"));
            wherry.arg("--version");
            wherry
        },
        b"",
        20,
    );
    assert!(version.ok().text().starts_with("wherry version "));
    for file in [
        "share/bash-completion/completions/wherry",
        "share/zsh/site-functions/_wherry",
        "share/fish/vendor_completions.d/wherry.fish",
    ] {
        let source = Path::new("completions").join(match Path::new(file).file_name() {
            Some(name) if name == "wherry" => "wherry.bash".as_ref(),
            name => name.unwrap(),
        });
        assert_eq!(
            std::fs::read(at(file)).unwrap(),
            std::fs::read(source).unwrap(),
            "{file}"
        );
    }

    let man = |page: &str| -> Output {
        let mut man = env.command("man");
        man.arg("-M").arg(at("share/man")).arg(page);
        run(man, b"", 20)
    };
    // A page by either of the command's names.
    for page in ["wherry", "wherry-ps", "wherry-container-ls"] {
        let text = man(page).ok().text();
        assert!(text.contains("wherry ps") || page == "wherry", "{text}");
    }
    let pages = |dir: &Path| std::fs::read_dir(dir).unwrap().count();
    assert_eq!(pages(&at("share/man/man1")), pages(Path::new("man")) - 1);
}
