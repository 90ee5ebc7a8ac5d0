//! Published ports, with networks of the user's own.

use super::{inside, serve};
use crate::support::env::Env;
use crate::support::{eventually, limit};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

fn get(address: &str) -> String {
    let mut text = String::new();
    let got = TcpStream::connect(address).and_then(|mut stream| {
        stream.set_read_timeout(Some(limit(5)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        stream.read_to_string(&mut text)
    });
    got.map_or_else(|e| e.to_string(), |_| text)
}

fn port(env: &Env, container: &str, inner: &str) -> String {
    let text = env.ok(["port", container, inner]);
    text.lines().next().unwrap().to_string()
}

#[test]
fn published_ports_lead_into_any_network() {
    let env = Env::busybox();
    for network in ["one", "two"] {
        env.ok(["network", "create", network]);
    }
    serve(
        &env,
        "web",
        &[
            "--network",
            "one",
            "--network",
            "two",
            "-p",
            "127.0.0.1::80",
            "-p",
            "[::1]::80",
        ],
    );
    let all = env.ok(["port", "web"]);
    assert_eq!(all.lines().count(), 2, "{all}");
    for line in all.lines() {
        let (inner, outer) = line.split_once(" -> ").unwrap();
        assert_eq!(inner, "80/tcp");
        assert!(get(outer).ends_with("web\n"), "{outer}");
    }
    // The first network goes, the port still leads in.
    env.ok(["network", "disconnect", "one", "web"]);
    assert!(get(&port(&env, "web", "80")).ends_with("web\n"));
    env.wherry(["port", "web", "81"])
        .status(1)
        .says("No public port '81/tcp' published for web");
    env.wherry(["port", "nobody"])
        .status(1)
        .says("No such container: nobody");
    // UDP.
    let echo = "import socket\n\
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                s.bind((\"0.0.0.0\", 7))\n\
                while True:\n    s.sendto(*s.recvfrom(2000))";
    let mut words = vec!["run", "-d", "--name", "echo", "--network", "two"];
    words.extend(["-p", "127.0.0.1::7/udp", "-v", "/usr:/usr:ro"]);
    // What programs of the host need.
    for library in ["/lib:/lib:ro", "/lib64:/lib64:ro"] {
        if std::path::Path::new(library.split(':').next().unwrap()).exists() {
            words.extend(["-v", library]);
        }
    }
    words.extend(["busybox", "/usr/bin/python3", "-c", echo]);
    env.ok(words);
    let to = port(&env, "echo", "7/udp");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(limit(1))).unwrap();
    let mut buffer = [0; 16];
    assert!(eventually(20, || {
        socket.send_to(b"hello", &to).unwrap();
        socket
            .recv(&mut buffer)
            .is_ok_and(|n| &buffer[..n] == b"hello")
    }));
}

/// S74: what is published without an address is so on the one that the network
/// says.
#[test]
fn a_network_says_on_which_address() {
    let env = Env::busybox();
    let option = "com.docker.network.bridge.host_binding_ipv4";
    let create = |value: &str, name: &str| {
        let option = format!("{option}={value}");
        env.wherry(["network", "create", "-o", &option, name])
    };
    create("127.0.0.1", "mine").ok();
    create("0.0.0.0", "open").ok();
    create("localhost", "bad").status(1).says("invalid value");
    for (name, network, options, hosts) in [
        ("one", "mine", ["-p", "80"], &["127.0.0.1"][..]),
        ("two", "mine", ["-p", "0.0.0.0::80"], &["0.0.0.0"]),
        ("three", "open", ["-p", "80"], &["0.0.0.0", "[::]"]),
    ] {
        serve(
            &env,
            name,
            &[&["--network", network][..], &options].concat(),
        );
        let ports = env.ok(["port", name, "80"]);
        let mut found: Vec<&str> = ports
            .lines()
            .map(|line| line.rsplit_once(':').unwrap().0)
            .collect();
        found.sort_unstable();
        assert_eq!(found, hosts, "{name}");
    }
    assert!(get(&port(&env, "one", "80")).ends_with("one\n"));
    let shown = env.ok(["ps", "--filter", "name=one", "--format", "{{.Ports}}"]);
    assert!(shown.starts_with("127.0.0.1:"), "{shown}");
}

#[test]
fn a_taken_port_says_by_whom() {
    let env = Env::busybox();
    serve(&env, "web", &["-p", "127.0.0.1::80"]);
    let taken = port(&env, "web", "80");
    let spec = format!("{taken}:80");
    env.wherry(["run", "--rm", "-p", &spec, "busybox", "true"])
        .status(125)
        .says(&format!(
            "Bind for {taken} failed: port is already allocated"
        ))
        .says("container web publishes it");
    let other = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let listener = TcpListener::bind(other).unwrap();
    env.wherry([
        "run",
        "--rm",
        "-p",
        &format!("{other}:80"),
        "busybox",
        "true",
    ])
    .status(125)
    .says(&format!(
        "listen tcp4 {other}: bind: address already in use"
    ))
    .says(&format!("(pid {}) listens there", std::process::id()));
    drop(listener);
    assert_eq!(env.ok(["ps", "-aq"]).lines().count(), 1);
}

/// As systemd does it: the socket is opened by the parent.
#[test]
fn a_socket_of_the_parent_is_published() {
    let env = Env::busybox();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let program = crate::support::env::wherry_path();
    let script = format!(
        "exec 3<&{fd}; LISTEN_FDS=1 LISTEN_PID=$$ exec {program} run -d --name web -p {address}:80 busybox \
         sh -c 'mkdir /w; echo web >/w/index.html; exec httpd -f -p 80 -h /w'",
        fd = listener.as_raw_fd()
    );
    nix::fcntl::fcntl(
        &listener,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
    )
    .unwrap();
    // Other shells know descriptors of one digit only.
    let mut command = env.command("bash");
    command.args(["-c", &script]);
    crate::support::env::run(command, b"", 60).ok();
    drop(listener);
    assert!(eventually(20, || get(&address.to_string()).ends_with("web\n")));
    assert_eq!(env.ok(["port", "web"]), format!("80/tcp -> {address}"));
    assert_eq!(
        inside(&env, "web", "ls /proc/1/fd | wc -l").trim(),
        "4",
        "0, 1, 2 and its own"
    );
}
