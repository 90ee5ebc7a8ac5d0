//! Command lines that were run through the real docker client and dockerd,
//! and what they answered; here wherry has to answer the same. docs/testing.md
//! says what the files look like and how they are recorded.

mod cases;
pub mod daemon;
mod shape;

use crate::support::env::{Output, run};
use crate::support::registry::Registry;
use crate::support::user;
use crate::support::{Env, eventually};
use cases::{Answer, Case, Item, Stderr, Stdout};
use std::fmt::Write;
use std::path::PathBuf;

#[test]
fn options_of_run() {
    check("run");
}

#[test]
fn errors_of_run() {
    check("run-errors");
}

#[test]
fn command_lines() {
    check("command-line");
}

#[test]
fn states() {
    check("states");
}

mod as_root {
    /// The cgroup of an ordinary user's container need not be there to freeze.
    #[test]
    fn paused() {
        super::user::require_root();
        super::check("paused");
    }
}

#[test]
fn lists_and_formats() {
    check("lists");
}

#[test]
fn exec_and_logs() {
    check("exec-logs");
}

#[test]
fn images() {
    check("images");
}

/// Runs the lines of tests/docker/`name`.txt. With a daemon to record from
/// the file is written anew, else the answers have to agree with it.
fn check(name: &str) {
    let path = format!("tests/docker/{name}.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut items = cases::parse(&text);
    let mut session = Session::new();
    let mut wrong = String::new();
    for item in &mut items {
        match item {
            Item::Text(line) if line.starts_with("# Recorded with ") && session.recording() => {
                *line = format!("# Recorded with {}.", daemon::versions(&session.env));
            }
            Item::Text(_) => {}
            Item::Section(_) => session.begin(),
            Item::Host(line) => session.host(line),
            Item::Setup(line) => session.setup(line),
            Item::Case(case) => {
                let answer = session.answer(case);
                if session.recording() {
                    case.recorded = answer;
                    case.shorten();
                } else {
                    wrong += &complaints(case, &answer);
                }
            }
        }
    }
    session.clear();
    if session.recording() {
        std::fs::write(&path, cases::print(&items)).unwrap();
    }
    assert!(wrong.is_empty(), "{path}:\n{wrong}");
}

/// One file's place: wherry called by the name docker, or docker itself.
struct Session {
    env: Env,
    program: PathBuf,
    /// Number and directory of the section.
    section: u32,
    dir: PathBuf,
}

impl Session {
    fn new() -> Self {
        let mut env = Env::with(Registry::shared());
        let program = match daemon::wanted() {
            Some(dir) => {
                daemon::serve(&mut env, &dir);
                "docker".into()
            }
            None => {
                let link = env.path("docker");
                std::os::unix::fs::symlink(crate::support::env::wherry_path(), &link).unwrap();
                env.ok(["pull", "-q", "busybox"]);
                link
            }
        };
        let dir = env.path("home");
        Self {
            env,
            program,
            section: 0,
            dir,
        }
    }

    fn recording(&self) -> bool {
        daemon::wanted().is_some()
    }

    fn begin(&mut self) {
        self.clear();
        self.section += 1;
        self.dir = self.env.path(&format!("home/{}", self.section));
        std::fs::create_dir(&self.dir).unwrap();
    }

    fn clear(&self) {
        // Those of --rm may be going by themselves.
        let gone = eventually(30, || {
            let ids = self.run("ps -aq", b"").ok().text().replace('\n', " ");
            ids.is_empty() || self.run(&format!("rm -f {ids}"), b"").status < 0
        });
        assert!(gone, "containers stay");
    }

    fn host(&self, line: &str) {
        let mut shell = self.env.command("sh");
        shell.args(["-ec", line]).current_dir(&self.dir);
        run(shell, b"", 60).ok();
    }

    fn setup(&self, line: &str) {
        self.run(line, b"").ok();
    }

    fn run(&self, line: &str, stdin: &[u8]) -> Output {
        let mut command = self.env.command(&self.program);
        let dir = self.dir.to_str().expect("UTF-8");
        let words = cases::words(line).into_iter();
        command
            .args(words.map(|w| {
                w.replace("$DIR", dir)
                    .replace("$HOST", &Registry::shared().host())
            }))
            .current_dir(&self.dir);
        run(command, stdin, 60)
    }

    fn answer(&self, case: &Case) -> Answer {
        let out = self.run(&case.line, case.stdin.as_bytes());
        let dir = self.dir.to_str().expect("UTF-8");
        Answer {
            status: out.status,
            stdout: shape::normal(&out.stdout, dir),
            stderr: shape::normal(&out.stderr, dir),
        }
    }
}

/// What is wrong with wherry's answer, or with the list of known differences.
fn complaints(case: &Case, got: &Answer) -> String {
    let want = &case.recorded;
    let parts = [
        ("status", want.status == got.status),
        (
            "stdout",
            stdout_agrees(&case.stdout, &want.stdout, &got.stdout),
        ),
        (
            "stderr",
            stderr_agrees(&case.stderr, &want.stderr, &got.stderr),
        ),
    ];
    let mut wrong = String::new();
    for (part, agrees) in parts {
        let row = case
            .known
            .iter()
            .find(|(p, _)| p == part)
            .map(|(_, row)| row);
        let _ = match (agrees, row) {
            (true, None) => Ok(()),
            (false, None) => writeln!(wrong, "  {part} differs"),
            (true, Some(row)) => writeln!(wrong, "  {part} agrees; no longer different: {row}"),
            (false, Some(row)) if !explained(row) => {
                writeln!(wrong, "  docs/compat.md has no row {row:?}")
            }
            (false, Some(_)) => Ok(()),
        };
    }
    if wrong.is_empty() {
        return wrong;
    }
    format!(
        "$ {}\n{wrong}  docker: {}\n{}{}  wherry: {}\n{}{}\n",
        case.line, want.status, want.stdout, want.stderr, got.status, got.stdout, got.stderr
    )
}

fn stdout_agrees(rule: &Stdout, want: &str, got: &str) -> bool {
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    match rule {
        Stdout::Same => want == got,
        Stdout::Sorted => sorted(want) == sorted(got),
        Stdout::Columns => shape::columns(want) == shape::columns(got),
        Stdout::Any => want.is_empty() == got.is_empty(),
    }
}

fn stderr_agrees(rule: &Stderr, want: &str, got: &str) -> bool {
    let sentences = || (shape::sentences(want), shape::sentences(got));
    match rule {
        Stderr::Any => want.is_empty() == got.is_empty(),
        Stderr::Same => {
            let (want, got) = sentences();
            want == got
        }
        Stderr::Says(phrase) => {
            let phrase = phrase.to_lowercase();
            let (want, got) = sentences();
            want.contains(&phrase) && got.contains(&phrase)
        }
    }
}

/// Whether the table of differences has a row that begins with `row`.
fn explained(row: &str) -> bool {
    let table = std::fs::read_to_string("docs/compat.md").expect("docs/compat.md");
    table
        .lines()
        .any(|line| line.starts_with(&format!("| {row}")))
}

#[test]
fn a_difference_has_to_be_known_and_to_be_there() {
    let mut case = Case {
        line: "ps".into(),
        ..Case::default()
    };
    let same = Answer::default();
    let other = Answer {
        status: 1,
        ..Answer::default()
    };
    assert_eq!(complaints(&case, &same), "");
    assert!(complaints(&case, &other).contains("status differs"));
    case.known = vec![("status".into(), "daemon".into())];
    assert_eq!(complaints(&case, &other), "");
    assert!(complaints(&case, &same).contains("no longer different"));
    case.known = vec![("status".into(), "no such row".into())];
    assert!(complaints(&case, &other).contains("has no row"));
}

#[test]
fn there_are_at_least_200_cases_and_few_differences() {
    let (mut all, mut known) = (0, 0);
    for entry in std::fs::read_dir("tests/docker").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "txt") {
            continue;
        }
        for item in cases::parse(&std::fs::read_to_string(path).unwrap()) {
            if let Item::Case(case) = item {
                all += 1;
                known += i32::from(!case.known.is_empty());
            }
        }
    }
    assert!(
        all >= 200 && known * 5 <= all,
        "{all} cases, {known} differ"
    );
}
