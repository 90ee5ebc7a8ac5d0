//! Networks of the driver macvlan: containers beside the host, in a host and a
//! world made of namespaces.

use crate::support::Env;

#[test]
fn without_what_it_needs() {
    let env = Env::busybox();
    let create = |options: &[&str]| {
        let words = ["network", "create", "-d", "macvlan"];
        env.wherry([&words[..], options, &["lan"]].concat())
            .status(1)
    };
    create(&[]).says("needs an interface of the host's");
    create(&["-o", "parent=lo", "-o", "macvlan_mode=x"]).says("macvlan mode 'x' is not valid");
    create(&["-o", "parent=lo", "--internal"]).says("no internal networks");
    env.wherry(["network", "inspect", "lan"]).status(1);
}

mod as_user {
    use super::*;
    use crate::support::user;

    #[test]
    fn it_is_for_root() {
        user::require_user();
        let env = Env::busybox();
        let words = [
            "network",
            "create",
            "-d",
            "macvlan",
            "-o",
            "parent=lo",
            "lan",
        ];
        env.wherry(words).status(1).says("is for root");
    }
}

mod as_root {
    use super::*;
    use crate::network::{ip, namespace, within};
    use crate::support::env::{Output, run, wherry_path};
    use crate::support::{eventually, user};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::time::Duration;

    const WORLD: &str = "198.51.100.1";
    /// Behind the world, which is the way there.
    const FAR: &str = "203.0.113.7";

    struct Site {
        env: Env,
        host: OwnedFd,
        world: OwnedFd,
    }

    impl Site {
        /// A host with the interface lan0, whose other end the world has.
        fn new() -> Self {
            let world = namespace(|| ());
            let host = namespace(|| ());
            let peer = world.try_clone().unwrap();
            let make = within(&host, move || {
                let path = format!("/proc/{}/fd/{}", std::process::id(), peer.as_raw_fd());
                ip(&format!(
                    "link add lan0 type veth peer name world0 netns {path}"
                ));
                ip("link set lan0 up");
                let make = within(&peer, || {
                    ip(&format!("address add {WORLD}/24 dev world0"));
                    ip(&format!("address add {FAR}/32 dev lo"));
                    ip("link set world0 up");
                });
                make.join().unwrap();
            });
            make.join().unwrap();
            let env = Env::busybox();
            Self { env, host, world }
        }

        fn wherry(&self, words: &[&str]) -> Output {
            let netns = format!(
                "--net=/proc/{}/fd/{}",
                std::process::id(),
                self.host.as_raw_fd()
            );
            let mut command = self.env.command("nsenter");
            command.arg(netns).arg(wherry_path()).args(words);
            run(command, b"", 60)
        }

        #[track_caller]
        fn ok(&self, words: &[&str]) -> String {
            self.wherry(words).ok().text().trim().to_string()
        }

        /// The network lan, by the interface of that end.
        fn make_network(&self) {
            let create = ["network", "create", "-d", "macvlan", "-o", "parent=lan0"];
            let rest = ["--subnet", "198.51.100.0/24", "--gateway", WORLD, "lan"];
            self.ok(&[&create[..], &rest].concat());
        }

        fn inside(&self, container: &str, script: &str) -> String {
            self.ok(&["exec", container, "sh", "-c", script])
        }

        /// What the world hears at an address.
        fn hears(&self, address: &'static str) -> Option<String> {
            let ask = within(&self.world, move || {
                let address = address.parse().unwrap();
                let mut stream =
                    TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
                let mut text = String::new();
                stream.read_to_string(&mut text).ok()?;
                Some(text)
            });
            ask.join().unwrap()
        }

        /// The world says so at a port of all its addresses.
        fn says(&self, text: &'static str) -> u16 {
            let listener = within(&self.world, || TcpListener::bind("0.0.0.0:0").unwrap());
            let listener = listener.join().unwrap();
            let port = listener.local_addr().unwrap().port();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let _ = stream.unwrap().write_all(text.as_bytes());
                }
            });
            port
        }
    }

    #[test]
    fn containers_are_neighbours_of_the_host() {
        user::require_root();
        let site = Site::new();
        site.make_network();
        let serve = "mkdir /www; echo one >/www/index.html; exec httpd -f -p 80 -h /www";
        let run = [
            "run",
            "-d",
            "--network",
            "lan",
            "--ip",
            "198.51.100.10",
            "--name",
            "one",
        ];
        site.ok(&[&run[..], &["busybox", "sh", "-c", serve]].concat());
        // From outside, with nothing published.
        let heard = || {
            site.hears("198.51.100.10:80")
                .is_some_and(|text| text.ends_with("one\n"))
        };
        assert!(eventually(20, heard));
        // To the outside, to what is behind it, and to each other by name.
        let port = site.says("world");
        site.ok(&[
            "run",
            "-d",
            "--network",
            "lan",
            "--name",
            "two",
            "busybox",
            "sleep",
            "600",
        ]);
        for address in [WORLD, FAR] {
            let hear = format!("nc -w 3 {address} {port} </dev/null");
            assert_eq!(site.inside("two", &hear), "world", "{address}");
        }
        assert_eq!(site.inside("two", "timeout 5 wget -qO- http://one/"), "one");
        let routes = site.inside("two", "ip route");
        assert!(
            routes.contains(&format!("default via {WORLD} dev eth0")),
            "{routes}"
        );
        // Nothing of it is left on the host.
        site.ok(&["rm", "-f", "one", "two"]);
        site.ok(&["network", "rm", "lan"]);
        let left = within(&site.host, || {
            std::fs::read_to_string("/proc/thread-self/net/dev")
        });
        let left = left.join().unwrap().unwrap();
        assert_eq!(left.lines().count(), 4, "{left}");
    }

    /// The way out changes between what is carried and what leads there itself.
    #[test]
    fn beside_a_bridge() {
        user::require_root();
        let site = Site::new();
        site.make_network();
        let port = site.says("world");
        let hears = || {
            let hear = format!("nc -w 3 {FAR} {port} </dev/null");
            site.wherry(&["exec", "box", "sh", "-c", &hear]).text() == "world"
        };
        site.ok(&["run", "-d", "--name", "box", "busybox", "sleep", "600"]);
        assert!(!hears(), "the host has no way there");
        let lan = [
            "network",
            "connect",
            "--ip",
            "198.51.100.20",
            "--gw-priority",
            "1",
            "lan",
            "box",
        ];
        site.ok(&lan);
        assert!(hears());
        assert!(
            site.inside("box", "ip route")
                .contains("default via 198.51.100.1 dev eth1")
        );
        site.ok(&["network", "disconnect", "lan", "box"]);
        assert!(!hears());
        site.ok(&lan);
        site.ok(&["network", "disconnect", "bridge", "box"]);
        assert!(hears());
        site.ok(&["restart", "-t", "0", "box"]);
        assert!(hears());
        site.ok(&["network", "connect", "bridge", "box"]);
        site.ok(&["network", "disconnect", "lan", "box"]);
        let gateway = "ip route | grep -c '^default via 172'";
        assert_eq!(site.inside("box", gateway), "1");
        site.ok(&["rm", "-f", "box"]);
    }
}
