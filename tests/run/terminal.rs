//! `-it` on a real terminal.

use crate::support::Env;
use crate::support::eventually;
use crate::support::pty::Pty;
use nix::sys::termios::LocalFlags;

#[test]
fn a_shell_with_a_window_that_changes() {
    let env = Env::busybox();
    let command = env.wherry_command(["run", "-it", "--rm", "busybox", "sh"]);
    let mut pty = Pty::spawn(&command, 31, 91);
    let before = pty.modes();
    pty.expect("# ");
    pty.send("stty size; tty\r");
    pty.expect("31 91");
    pty.expect("/dev/pts/0");
    assert!(
        !pty.modes().local_flags.contains(LocalFlags::ICANON),
        "the terminal is raw"
    );
    pty.resize(41, 121);
    pty.send("sleep 0.2; stty size\r");
    pty.expect("41 121");
    pty.send("exit 5\r");
    assert_eq!(pty.wait(), 5);
    assert_eq!(pty.modes(), before, "modes are as before");
}

#[test]
fn keys_reach_the_container_as_keys() {
    let env = Env::busybox();
    let command = env.wherry_command(["run", "-it", "--rm", "busybox", "sh"]);
    let mut pty = Pty::spawn(&command, 24, 80);
    pty.expect("# ");
    // Said by the command itself: by then it has the terminal, and no key is
    // lost between the shell and it.
    pty.send("sh -c 'echo sleeping; exec sleep 60'\r");
    pty.expect("\r\nsleeping");
    pty.send([3]);
    pty.expect("# ");
    pty.send("sh -c 'echo reading; exec cat'\r");
    pty.expect("\r\nreading");
    pty.send("text\r");
    pty.expect("text\r\ntext");
    pty.send([4]);
    pty.expect("# ");
    pty.send([4]);
    pty.wait();
}

#[test]
fn modes_come_back_when_the_container_is_killed() {
    let env = Env::busybox();
    let command = env.wherry_command(["run", "-it", "--rm", "--name", "tty", "busybox", "sh"]);
    let mut pty = Pty::spawn(&command, 24, 80);
    let before = pty.modes();
    pty.expect("# ");
    env.ok(["kill", "tty"]);
    assert_eq!(pty.wait(), 137);
    assert_eq!(pty.modes(), before);
}

#[test]
fn detaches_by_its_keys_and_goes_on() {
    let env = Env::busybox();
    let command = env.wherry_command(["run", "-it", "--name", "tty", "busybox", "sh"]);
    let mut pty = Pty::spawn(&command, 24, 80);
    pty.expect("# ");
    pty.send([16, 17]);
    assert_eq!(pty.wait(), 0);
    assert!(pty.modes().local_flags.contains(LocalFlags::ICANON));
    assert_eq!(env.ok(["ps", "--format", "{{.Names}}"]), "tty");
}

#[test]
fn a_window_that_is_closed_does_not_end_a_detached_container() {
    let env = Env::busybox();
    let run = env.wherry_command(["run", "-d", "--name", "stays", "busybox", "sleep", "60"]);
    let mut command = env.command("sh");
    command.args(["-c", "\"$@\"; echo done; sleep 30", "sh"]);
    command.arg(run.get_program()).args(run.get_args());
    let mut pty = Pty::spawn(&command, 24, 80);
    pty.expect("done");
    pty.hang_up();
    pty.wait();
    assert!(eventually(5, || env.ok(["ps", "--format", "{{.Names}}"]) == "stays"));
    env.ok(["exec", "stays", "true"]);
}

#[test]
fn i_and_t_without_a_terminal_is_refused() {
    let env = Env::busybox();
    let out = env
        .wherry(["run", "--rm", "-it", "busybox", "true"])
        .says("not a TTY");
    assert_ne!(out.status, 0);
    assert_eq!(env.ok(["ps", "-aq"]), "");
}
