//! The way out as a user sees it: what the host has, seen from a container of
//! the default network.

use crate::support::{Env, eventually, limit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::time::Instant;

/// The host's address towards its default route.
fn host() -> IpAddr {
    wherry::network::etc::host_address().expect("these tests need a default route")
}

/// A server that says who it is; its port.
fn serve(address: &str, text: &'static str) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(text.as_bytes());
        }
    });
    port
}

fn nobody() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What a container hears at that address, and the status of its `nc`.
fn hear(env: &Env, name: &str, address: &str, port: u16) -> (i32, String) {
    let port = port.to_string();
    let out = env.wherry(["exec", name, "nc", "-w", "3", address, &port]);
    (out.status, format!("{}{}", out.text(), out.errors()))
}

fn started(env: &Env, options: &[&str]) -> String {
    let mut command = vec!["run", "-d", "--name", "box"];
    command.extend(options);
    command.extend(["busybox", "sleep", "1000"]);
    env.ok(command);
    let gateway = "ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'";
    env.ok(["exec", "box", "sh", "-c", gateway])
}

/// Row S77, and what Docker's containers reach.
#[test]
fn the_host_is_reached_but_for_its_loopback() {
    let env = Env::busybox();
    let gateway = started(&env, &["--add-host", "host.docker.internal:host-gateway"]);
    let (open, own) = (serve("0.0.0.0", "hello\n"), serve("127.0.0.1", "secret\n"));
    let address = host().to_string();
    for name in [&address, &gateway, "host.docker.internal"] {
        assert_eq!(
            hear(&env, "box", name, open),
            (0, "hello\n".into()),
            "{name}"
        );
        let (status, text) = hear(&env, "box", name, own);
        assert!(
            status == 1 && text.contains("Connection refused"),
            "{name}: {text}"
        );
    }
    for name in ["127.0.0.1", "0.0.0.0", "localhost"] {
        let (status, text) = hear(&env, "box", name, own);
        assert!(
            status == 1 && text.contains("Connection refused"),
            "{name}: {text}"
        );
    }
    let began = Instant::now();
    let (status, text) = hear(&env, "box", &address, nobody());
    assert!(status == 1 && text.contains("Connection refused"), "{text}");
    assert!(began.elapsed() < limit(3));
}

#[test]
fn datagrams_get_out_and_back() {
    let env = Env::busybox();
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        loop {
            // Enough of an answer for a resolver: the same, and a refusal.
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            buffer[2..4].copy_from_slice(&[0x81, 0x85]);
            socket.send_to(&buffer[..length], from).unwrap();
        }
    });
    let server = format!("{}:{port}", host());
    let out = env.wherry([
        "run",
        "--rm",
        "busybox",
        "nslookup",
        "name.invalid",
        &server,
    ]);
    let text = format!("{}{}", out.text(), out.errors());
    assert!(text.contains("REFUSED"), "{text}");
}

/// Their sockets are not kept for ever: half a minute when nobody answers.
#[test]
fn datagrams_without_an_answer_are_forgotten() {
    let env = Env::busybox();
    let silent = UdpSocket::bind("0.0.0.0:0").unwrap();
    let server = format!("{}:{}", host(), silent.local_addr().unwrap().port());
    started(&env, &[]);
    let sockets = || {
        let monitor = crate::resilience::monitors(&env)[0];
        let all = std::fs::read_dir(format!("/proc/{monitor}/fd")).unwrap();
        let targets = all.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        let is_socket =
            |target: &std::path::PathBuf| target.to_string_lossy().starts_with("socket:");
        targets.filter(is_socket).count()
    };
    let before = sockets();
    env.wherry(["exec", "box", "nslookup", "name.invalid", &server])
        .status(1);
    let mut asked = [0; 512];
    assert!(silent.recv(&mut asked).unwrap() > 12);
    assert!(sockets() >= before + 2);
    assert!(eventually(60, || sockets() == before));
}

#[test]
fn it_is_there_after_a_pause_and_after_a_restart() {
    let env = Env::busybox();
    let port = serve("0.0.0.0", "hello\n");
    started(&env, &["--restart", "always"]);
    let address = host().to_string();
    let hears = || hear(&env, "box", &address, port) == (0, "hello\n".into());
    assert!(hears());
    env.ok(["restart", "-t", "0", "box"]);
    assert!(eventually(10, hears));
    let init: i32 = env
        .ok(["inspect", "-f", "{{.State.Pid}}", "box"])
        .parse()
        .unwrap();
    kill(Pid::from_raw(init), Signal::SIGKILL).unwrap();
    assert!(eventually(20, hears));
}

#[test]
fn internal_networks_have_none() {
    let env = Env::busybox();
    let port = serve("0.0.0.0", "hello\n");
    env.ok(["network", "create", "--internal", "inner"]);
    env.ok([
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "inner",
        "busybox",
        "sleep",
        "1000",
    ]);
    let address = host().to_string();
    assert_ne!(hear(&env, "box", &address, port).0, 0);
    env.ok(["network", "connect", "bridge", "box"]);
    assert_eq!(hear(&env, "box", &address, port), (0, "hello\n".into()));
    env.ok(["network", "disconnect", "bridge", "box"]);
    assert_ne!(hear(&env, "box", &address, port).0, 0);
    env.ok(["network", "connect", "bridge", "box"]);
    assert_eq!(hear(&env, "box", &address, port), (0, "hello\n".into()));
}

/// The container is alone then, and nothing is left of the way out.
#[test]
fn without_a_monitor_there_is_none() {
    let env = Env::busybox();
    let port = serve("0.0.0.0", "hello\n");
    started(&env, &[]);
    let address = host().to_string();
    assert_eq!(hear(&env, "box", &address, port), (0, "hello\n".into()));
    let id = env.ok(["inspect", "-f", "{{.Id}}", "box"]);
    let monitor = env.record(&id, "state")["Monitor"]["Pid"].as_i64().unwrap();
    kill(Pid::from_raw(monitor as i32), Signal::SIGKILL).unwrap();
    assert!(eventually(5, || hear(&env, "box", &address, port).0 != 0));
    assert_eq!(env.ok(["exec", "box", "echo", "alive"]), "alive");
    env.ok(["rm", "-f", "box"]);
}

/// More connections than the caller may have files open, each used at its end.
#[test]
fn many_connections_of_one_container() {
    let env = Env::busybox();
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let held = std::thread::spawn(move || {
        let streams: Vec<_> = (0..300).map(|_| listener.accept().unwrap().0).collect();
        for mut stream in streams {
            let mut text = String::new();
            stream.write_all(b"go\n").unwrap();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text, "gone\n");
        }
    });
    let script = format!(
        "i=0; while [ $i -lt 300 ]; do (nc {} {port} -e sh -c 'read x; echo gone') & i=$((i + 1)); done; wait",
        host()
    );
    let wherry = crate::support::env::wherry_path();
    let command = format!("ulimit -Sn 256; exec {wherry} run --rm busybox sh -c \"$1\"");
    let mut shell = env.command("sh");
    shell.args(["-c", &command, "sh", &script]);
    crate::support::env::run(shell, b"", 60).ok();
    held.join().unwrap();
}
