//! Attached on a terminal: detach and attach again, sizes, keys, modes.

use super::detached;
use crate::resilience::{field, state};
use crate::support::pty::Pty;
use crate::support::{Env, eventually};
use nix::sys::termios::LocalFlags;

fn shell(env: &Env) -> Pty {
    let head = ["run", "-it", "--name", "box", "--network", "none"];
    let command = env.wherry_command([&head[..], &["busybox", "sh"]].concat());
    let mut pty = Pty::spawn(&command, 24, 80);
    pty.expect("# ");
    pty
}

/// `wherry` with these words on a terminal, once it has that for itself.
fn attached(env: &Env, words: &[&str], rows: u16, columns: u16) -> Pty {
    let pty = Pty::spawn(&env.wherry_command(words.iter().copied()), rows, columns);
    assert!(eventually(20, || is_raw(&pty)), "{}", pty.text());
    pty
}

fn is_raw(pty: &Pty) -> bool {
    !pty.modes().local_flags.contains(LocalFlags::ICANON)
}

#[test]
fn detach_and_attach_again() {
    let env = Env::busybox();
    let mut pty = shell(&env);
    pty.send("word=kept\r");
    pty.expect("# ");
    pty.send([16, 17]);
    assert_eq!(pty.wait(), 0);
    assert!(!is_raw(&pty));
    for (rows, columns) in [(24, 80), (24, 80), (50, 132)] {
        let mut pty = attached(&env, &["attach", "box"], rows, columns);
        pty.send("echo $word; stty size\r");
        pty.expect("kept\r\n");
        pty.expect(&format!("{rows} {columns}"));
        pty.expect("# ");
        assert!(is_raw(&pty));
        pty.resize(rows + 1, columns + 1);
        pty.send("sleep 0.3; stty size\r");
        pty.expect(&format!("{} {}", rows + 1, columns + 1));
        pty.send([16, 17]);
        pty.expect("read escape sequence");
        assert_eq!(pty.wait(), 1);
        assert!(!is_raw(&pty));
    }
    assert_eq!(state(&env, "box"), "running");
    // `start -a` of one that runs attaches as well; detaching is no error.
    let words = ["start", "-ai", "--detach-keys", "ctrl-x,q", "box"];
    let mut pty = attached(&env, &words, 24, 80);
    pty.send("echo $word\r");
    pty.expect("kept\r\n");
    pty.send([16, 17, 24, b'q']);
    assert_eq!(pty.wait(), 0);
    let mut pty = attached(&env, &["attach", "box"], 24, 80);
    // Ctrl-U: the keys above have called an old line back.
    pty.send("\u{15}exit 9\r");
    assert_eq!(pty.wait(), 9);
    assert_eq!(field(&env, "box", "{{.State.ExitCode}}"), "9");
}

/// A program that draws its screen when the size changes does so for everybody
/// who attaches, also when his terminal has the size of the last one.
#[test]
fn the_screen_is_drawn_again() {
    let env = Env::busybox();
    let script = "trap 'echo drawn' WINCH; echo ready; while :; do sleep 0.05; done";
    let head = ["run", "-it", "--name", "box", "--network", "none"];
    let command = env.wherry_command([&head[..], &["busybox", "sh", "-c", script]].concat());
    let mut pty = Pty::spawn(&command, 24, 80);
    pty.expect("ready");
    pty.send([16, 17]);
    assert_eq!(pty.wait(), 0);
    for _ in 0..3 {
        let mut pty = attached(&env, &["attach", "box"], 24, 80);
        pty.expect("drawn");
        pty.send([16, 17]);
        assert_eq!(pty.wait(), 1);
    }
}

#[test]
fn keys_from_the_settings() {
    let env = Env::busybox();
    std::fs::create_dir(env.path("home/.docker")).unwrap();
    let settings = r#"{"detachKeys": "ctrl-e,e"}"#;
    std::fs::write(env.path("home/.docker/config.json"), settings).unwrap();
    let mut pty = shell(&env);
    pty.send([16, 17]);
    pty.send("echo still\\ here\r");
    pty.expect("still here");
    pty.send([5, b'e']);
    assert_eq!(pty.wait(), 0);
    let exec = env.wherry_command(["exec", "-it", "box", "sh"]);
    let mut pty = Pty::spawn(&exec, 24, 80);
    pty.expect("# ");
    pty.send([5, b'e']);
    pty.expect("read escape sequence");
    assert_eq!(pty.wait(), 1);
    // What is given goes before what is set.
    let mut pty = attached(&env, &["attach", "--detach-keys", "Q", "box"], 24, 80);
    pty.send("echo attached\\ again\r");
    pty.expect("attached again");
    pty.send("Q");
    assert_eq!(pty.wait(), 1);
}

/// Each sees what the other types, and both leave.
#[test]
fn two_terminals() {
    let env = Env::busybox();
    let mut first = shell(&env);
    let mut second = attached(&env, &["attach", "box"], 24, 80);
    second.send("echo by\\ the\\ second\r");
    second.expect("by the second\r\n");
    first.expect("by the second\r\n");
    first.send("echo by\\ the\\ first\r");
    second.expect("by the first\r\n");
    second.send([16, 17]);
    assert_eq!(second.wait(), 1);
    first.send("exit 3\r");
    assert_eq!(first.wait(), 3);
}

#[test]
fn wide_characters_pass_whole() {
    let env = Env::busybox();
    detached(&env, &["-i", "-t"], &["cat"]);
    let mut pty = attached(&env, &["attach", "box"], 24, 80);
    for text in ["日本語のテキスト", "naïve 🎉 👩‍👩‍👧", "\u{1b}[31mrot\u{1b}[0m"]
    {
        pty.send(format!("{text}\r"));
        // Once as the echo of the container's terminal (which shows an escape
        // as ^[), once by cat.
        pty.expect(&format!("\r\n{text}\r\n"));
    }
    pty.send([16, 17]);
    assert_eq!(pty.wait(), 1);
}

#[test]
fn without_a_terminal_of_ones_own() {
    let env = Env::busybox();
    detached(&env, &["-i", "-t"], &["sh"]);
    env.wherry(["attach", "box"])
        .status(1)
        .says("the input device is not a TTY");
    assert_eq!(state(&env, "box"), "running");
    // Only to look.
    let mut watching = env.spawn(["attach", "--no-stdin", "box"]);
    env.ok(["kill", "box"]);
    assert!([Some(137), Some(1)].contains(&crate::support::env::wait(&mut watching, 20)));
    // `start -a` asks for no terminal.
    let mut attached = env.spawn(["start", "-a", "box"]);
    assert!(eventually(10, || state(&env, "box") == "running"));
    env.ok(["kill", "box"]);
    assert_eq!(crate::support::env::wait(&mut attached, 20), Some(137));
}
