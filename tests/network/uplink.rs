//! The uplink with real helpers (packages passt and slirp4netns), between a
//! namespace that stands for the host, one behind it that stands for the
//! world, and a container's.

use super::{ip, namespace, ran_in_user_namespace, within};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wherry::network::uplink::{self, Helper, Target, Uplink};

const WORLD: &str = "198.51.100.1";
const HOST: &str = "198.51.100.2";
/// For connections that must not succeed.
const PATIENCE: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(5);

/// Runs `test` in a namespace that stands for the host's, with or without a
/// way to the world.
fn on_host(routed: bool, test: impl FnOnce() + Send + 'static) {
    let tun = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    assert!(
        tun.is_ok(),
        "as root: modprobe tun; chmod 0666 /dev/net/tun"
    );
    let world = namespace(|| ());
    let host = namespace(|| ());
    let ours = world.try_clone().unwrap();
    let prepare = move || {
        let path = format!("/proc/{}/fd/{}", std::process::id(), ours.as_raw_fd());
        ip(&format!(
            "link add out0 type veth peer name world0 netns {path}"
        ));
        ip(&format!("address add {HOST}/24 dev out0"));
        ip("link set out0 up");
        within(&ours, || {
            ip(&format!("address add {WORLD}/24 dev world0"));
            ip("link set world0 up");
        })
        .join()
        .unwrap();
        if routed {
            ip(&format!("route add default via {WORLD}"));
        }
        greet(&ours, WORLD, 8000);
        test();
    };
    within(&host, prepare).join().unwrap();
}

/// A server in a namespace that says hello.
fn greet(netns: &OwnedFd, address: &'static str, port: u16) {
    let listener = within(netns, move || TcpListener::bind((address, port)).unwrap())
        .join()
        .unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"hello");
        }
    });
}

/// A process with a network namespace of its own, and the run directory.
struct Container {
    init: Child,
    dir: PathBuf,
    own_user_namespace: bool,
}

impl Container {
    fn new(name: &str, own_user_namespace: bool) -> Self {
        let dir = std::env::temp_dir().join(format!("wherry-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let user = ["--user", "--map-root-user"];
        let init = Command::new("unshare")
            .args(if own_user_namespace { &user[..] } else { &[] })
            .args(["--net", "sleep", "60"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let container = Self {
            init,
            dir,
            own_user_namespace,
        };
        let started =
            || std::fs::read_to_string(format!("/proc/{}/comm", container.init.id())).unwrap();
        let deadline = Instant::now() + LIMIT;
        while started() != "sleep\n" {
            assert!(Instant::now() < deadline, "the container did not start");
            std::thread::sleep(Duration::from_millis(2));
        }
        container
    }

    fn target(&self) -> Target {
        let path = |name| PathBuf::from(format!("/proc/{}/ns/{name}", self.init.id()));
        Target {
            userns: self.own_user_namespace.then(|| path("user")),
            netns: path("net"),
            dir: self.dir.clone(),
        }
    }

    fn netns(&self) -> OwnedFd {
        std::fs::File::open(self.target().netns).unwrap().into()
    }

    /// What a server says to the container.
    fn hear(&self, address: &str) -> std::io::Result<String> {
        let address: SocketAddr = address.parse().unwrap();
        let work = move || {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        within(&self.netns(), work).join().unwrap()
    }

    fn addresses(&self) -> String {
        let output = || {
            Command::new("ip")
                .args(["-brief", "-4", "address"])
                .output()
                .unwrap()
                .stdout
        };
        String::from_utf8(within(&self.netns(), output).join().unwrap()).unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        uplink::stop(&self.dir);
        let _ = self.init.kill();
        let _ = self.init.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn name_of(helper: Helper) -> String {
    std::fs::read_to_string(format!("/proc/{}/comm", helper.pid))
        .unwrap()
        .trim()
        .to_string()
}

/// Everything that an uplink promises, with whatever helper it chose (pasta may
/// run under the name passt.avx2).
fn check(container: &Container, expected: &[&str]) {
    let helper = Uplink::find()
        .start(container.target())
        .unwrap()
        .finish(LIMIT)
        .unwrap();
    assert!(
        expected
            .iter()
            .any(|name| name_of(helper).starts_with(name)),
        "{}",
        name_of(helper)
    );
    assert_eq!(Helper::load(&container.dir), Some(helper));
    let addresses = container.addresses();
    assert!(
        addresses.contains("uplink0") && addresses.contains("10.0.2.100/24"),
        "{addresses}"
    );
    assert!(addresses.contains("127.0.0.1/8"), "{addresses}");
    assert_eq!(container.hear(&format!("{WORLD}:8000")).unwrap(), "hello");
    // Services on the host's loopback stay the host's (row S77).
    let loopback = TcpListener::bind("127.0.0.1:8001").unwrap();
    std::thread::spawn(move || {
        loopback
            .incoming()
            .for_each(|s| drop(s.unwrap().write_all(b"secret")))
    });
    for address in [
        "127.0.0.1",
        &uplink::GATEWAY.to_string(),
        &uplink::DNS.to_string(),
        HOST,
    ] {
        let answer = container.hear(&format!("{address}:8001"));
        assert!(
            !matches!(&answer, Ok(text) if text == "secret"),
            "{address}: {answer:?}"
        );
    }
    uplink::stop(&container.dir);
    gone(helper);
    assert_eq!(std::fs::read_dir(&container.dir).unwrap().count(), 0);
}

fn gone(helper: Helper) {
    let deadline = Instant::now() + Duration::from_secs(2);
    while wherry::sys::procfs::start_time(helper.pid) == Some(helper.start_time) {
        assert!(Instant::now() < deadline, "the helper is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_container_with_its_own_user_namespace_gets_out() {
    if ran_in_user_namespace("network::uplink::a_container_with_its_own_user_namespace_gets_out") {
        return;
    }
    on_host(true, || check(&Container::new("userns", true), &["pas"]));
}

/// Root mode. pasta of 2023 cannot do this, so slirp4netns takes over.
#[test]
fn a_container_without_its_own_user_namespace_gets_out() {
    if ran_in_user_namespace("network::uplink::a_container_without_its_own_user_namespace_gets_out")
    {
        return;
    }
    on_host(true, || {
        check(&Container::new("root", false), &["pas", "slirp4netns"])
    });
}

/// pasta of 2023 gives up without a default route; slirp4netns does not mind.
#[test]
fn a_host_without_a_default_route_gives_what_it_can() {
    if ran_in_user_namespace("network::uplink::a_host_without_a_default_route_gives_what_it_can") {
        return;
    }
    on_host(false, || {
        check(&Container::new("noroute", true), &["pas", "slirp4netns"])
    });
}

#[test]
fn a_namespace_that_is_gone_is_an_error_and_leaves_nothing() {
    if ran_in_user_namespace(
        "network::uplink::a_namespace_that_is_gone_is_an_error_and_leaves_nothing",
    ) {
        return;
    }
    on_host(true, || {
        let container = Container::new("gone", true);
        let target = Target {
            netns: PathBuf::from("/proc/self/ns/nothing"),
            ..container.target()
        };
        let error = Uplink::find()
            .start(target)
            .unwrap()
            .finish(LIMIT)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the container has no way out (pasta: "),
            "{error}"
        );
        assert!(error.to_string().contains("; slirp4netns: "), "{error}");
        assert!(error.hint_text().unwrap().contains("default route"));
        assert_eq!(std::fs::read_dir(&container.dir).unwrap().count(), 0);
    });
}

/// The monitor was killed and so was the container: the next command finds
/// the helper by the run directory alone.
#[test]
fn a_helper_is_found_and_ended_by_another_process() {
    if ran_in_user_namespace("network::uplink::a_helper_is_found_and_ended_by_another_process") {
        return;
    }
    on_host(true, || {
        let mut container = Container::new("orphan", true);
        let start = Instant::now();
        let starting = Uplink::find().start(container.target()).unwrap();
        let spawned = start.elapsed();
        let helper = starting.finish(LIMIT).unwrap();
        eprintln!(
            "uplink: spawned after {spawned:?}, ready after {:?}",
            start.elapsed()
        );
        container.init.kill().unwrap();
        container.init.wait().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(Helper::load(&container.dir), Some(helper));
        uplink::stop(&container.dir);
        gone(helper);
        assert_eq!(Helper::load(&container.dir), None);
    });
}

#[test]
fn the_hosts_address_is_not_loopback() {
    if ran_in_user_namespace("network::uplink::the_hosts_address_is_not_loopback") {
        return;
    }
    let expected: IpAddr = HOST.parse().unwrap();
    on_host(true, move || {
        assert_eq!(wherry::network::etc::host_address(), Some(expected))
    });
    on_host(false, || {
        assert_eq!(wherry::network::etc::host_address(), None)
    });
}
