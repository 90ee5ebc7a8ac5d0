//! Job control: a shell stops and continues what is attached, and keeps its
//! terminal whatever happens to it.

use crate::resilience::state;
use crate::support::pty::Pty;
use crate::support::{Env, eventually};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::LocalFlags;
use nix::unistd::Pid;

/// An interactive shell of the host, and `wherry` in it.
fn shell(env: &Env) -> Pty {
    let mut bash = env.command("bash");
    bash.args(["--norc", "--noediting", "-i"])
        .env("PS1", "host> ");
    let wherry = env.wherry_command([""; 0]);
    let mut pty = Pty::spawn(&bash, 24, 80);
    pty.expect("host> ");
    let program = wherry.get_program().to_str().unwrap();
    pty.send(format!("wherry() {{ '{program}' \"$@\"; }}\r"));
    pty.expect("host> ");
    pty
}

fn is_raw(pty: &Pty) -> bool {
    !pty.modes().local_flags.contains(LocalFlags::ICANON)
}

/// Runs `words` in the shell, and tells the pid of the command.
fn run(env: &Env, pty: &mut Pty, words: &str) -> Pid {
    let wherry = env.wherry_command([""; 0]);
    let program = wherry.get_program().to_str().unwrap();
    pty.send(format!(
        "sh -c 'echo p\"id\"=$$.; exec {program} {words}'\r"
    ));
    pty.expect("pid=");
    Pid::from_raw(pty.expect(".\r\n").parse().unwrap())
}

/// `fg`, until the job is in front and goes on: keys before that are the
/// shell's, or lost.
fn foreground(pty: &mut Pty) {
    pty.send("fg\r");
    assert!(eventually(20, || {
        let group = pty.foreground().unwrap();
        group.as_raw() != pty.pid() && !is_stopped(group)
    }));
}

/// By state and group in proc_pid_stat(5).
fn is_stopped(group: Pid) -> bool {
    let group = group.to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut stats =
        processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    stats.any(|stat| {
        let fields: Vec<_> = stat
            .rsplit(") ")
            .next()
            .unwrap_or_default()
            .split(' ')
            .collect();
        fields[0] == "T" && fields.get(2) == Some(&group.as_str())
    })
}

/// Without a terminal in the container Ctrl-Z stops the command.
#[test]
fn stopped_and_continued() {
    let env = Env::busybox();
    let mut pty = shell(&env);
    let script = "trap \"echo told\" CONT; while :; do echo tick; sleep 0.1; done";
    let words = format!(
        "run --name box --network none busybox sh -c \"{}\"",
        script.replace('"', "\\\"")
    );
    let pid = run(&env, &mut pty, &words);
    pty.expect("tick");
    pty.send([26]);
    pty.expect("Stopped");
    pty.expect("host> ");
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert!(stat().contains(") T "), "{}", stat());
    assert_eq!(state(&env, "box"), "running");
    pty.send("fg\r");
    pty.expect("told");
    pty.expect("tick");
    env.ok(["kill", "box"]);
    pty.expect("host> ");
    pty.send("echo status $?.\r");
    pty.expect("status 137.");
}

/// Also while its output has no reader.
#[test]
fn stopped_in_a_pipeline() {
    let env = Env::busybox();
    let mut pty = shell(&env);
    pty.send("wherry run --name box --network none busybox yes | sleep 600\r");
    assert!(eventually(20, || state(&env, "box") == "running"));
    // The log grows until the pipe is full, then no more.
    let mut last = 0;
    let full = || {
        let now = env.wherry(["logs", "box"]).stdout.len();
        now > 65536 && std::mem::replace(&mut last, now) == now
    };
    assert!(eventually(20, full));
    for _ in 0..2 {
        pty.send([26]);
        pty.expect("Stopped");
        pty.expect("host> ");
        foreground(&mut pty);
    }
    pty.send([3]);
    pty.expect("host> ");
    assert_eq!(state(&env, "box"), "running");
}

/// With one, Ctrl-Z is a key like others.
#[test]
fn ctrl_z_goes_to_the_containers_terminal() {
    let env = Env::busybox();
    let mut pty = shell(&env);
    pty.send("wherry run -it --name box --network none busybox sh\r");
    pty.expect("# ");
    pty.send("sh -c 'echo sleeping; exec sleep 600'\r");
    pty.expect("\r\nsleeping");
    pty.send([26]);
    pty.expect("Stopped");
    pty.expect("# ");
    pty.send("jobs\r");
    pty.expect("Stopped");
    env.ok(["kill", "box"]);
    pty.expect("host> ");
}

/// Stopped from outside, the terminal is the shell's; continued, it is raw and
/// has the size that it got meanwhile.
#[test]
fn modes_follow() {
    let env = Env::busybox();
    let mut pty = shell(&env);
    let pid = run(
        &env,
        &mut pty,
        "run -it --name box --network none busybox sh",
    );
    pty.expect("# ");
    for signal in [Signal::SIGTSTP, Signal::SIGSTOP] {
        assert!(eventually(10, || is_raw(&pty)));
        kill(pid, signal).unwrap();
        pty.expect("Stopped");
        pty.expect("host> ");
        pty.send("echo still \"\"mine\r");
        pty.expect("still mine\r\n");
        assert!(!is_raw(&pty), "raw after {signal}");
        let rows = if signal == Signal::SIGSTOP { 40 } else { 30 };
        pty.resize(rows, 100);
        pty.send("fg\r");
        assert!(eventually(10, || is_raw(&pty)), "not raw again");
        pty.send("\rsleep 0.3; stty size\r");
        pty.expect(&format!("{rows} 100"));
    }
    pty.send("exit 6\r");
    pty.expect("host> ");
    pty.send("echo status $?.\r");
    pty.expect("status 6.");
}

/// By what can be caught the terminal is given back; after what cannot, the
/// shell takes it, and the container can be attached to again.
#[test]
fn modes_after_the_end() {
    let env = Env::busybox();
    let mut pty = shell(&env);
    pty.send("wherry run -dit --name box --network none busybox sh\r");
    pty.expect("host> ");
    for signal in [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGUSR1,
        Signal::SIGKILL,
    ] {
        let pid = run(&env, &mut pty, "attach box");
        pty.send("echo attached\\ now\r");
        pty.expect("attached now\r\n");
        assert!(is_raw(&pty));
        kill(pid, signal).unwrap();
        pty.expect("host> ");
        pty.send("echo status $?.\r");
        pty.expect(&format!("status {}.", 128 + signal as i32));
        assert!(!is_raw(&pty), "raw after {signal}");
    }
    assert_eq!(state(&env, "box"), "running");
}

/// In the background what wants input stops, as any job; in front it gets it.
#[test]
fn in_the_background() {
    let env = Env::busybox();
    let mut pty = shell(&env);
    pty.send("wherry run -i --name box --network none busybox cat &\r");
    pty.expect("host> ");
    assert!(eventually(20, || state(&env, "box") == "running"));
    let stopped = |pty: &mut Pty| {
        pty.send("jobs\r");
        pty.expect("host> ").contains("Stopped")
    };
    assert!(eventually(20, || stopped(&mut pty)));
    pty.send("bg; sleep 0.2\r");
    pty.expect("host> ");
    assert!(eventually(20, || stopped(&mut pty)));
    pty.send("fg\r");
    pty.expect("busybox cat\r\n");
    pty.send("to the cat\r");
    pty.expect("to the cat\r\nto the cat");
    pty.send([4]);
    pty.expect("host> ");
    pty.send("echo status $?.\r");
    pty.expect("status 0.");
}
