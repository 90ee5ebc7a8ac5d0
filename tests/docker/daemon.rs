//! A dockerd of our own, to record what it answers: tests/scripts/record-docker
//! runs the tests where it may be started.

use crate::support::registry::Registry;
use crate::support::{Env, eventually};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

struct Daemon(#[allow(dead_code)] Child);

/// Asked for by tests/scripts/record-docker: the directory of the daemon.
pub fn wanted() -> Option<String> {
    std::env::var("WHERRY_RECORD_DOCKER").ok()
}

/// Points `env` at the daemon in `dir`, which is started once and ends with
/// the namespaces that the script made.
pub fn serve(env: &mut Env, dir: &str) {
    static DAEMON: OnceLock<Daemon> = OnceLock::new();
    let socket = format!("unix://{dir}/docker.sock");
    DAEMON.get_or_init(|| start(dir, &socket));
    env.set("DOCKER_HOST", &socket);
    let answers = || env.command("docker").args(["version"]).output();
    let up = eventually(30, || answers().is_ok_and(|out| out.status.success()));
    let log = || std::fs::read_to_string(format!("{dir}/log")).unwrap_or_default();
    assert!(up, "dockerd does not answer\n{}", log());
    let image = env
        .command("docker")
        .args(["pull", "-q", "busybox"])
        .status();
    assert!(image.is_ok_and(|status| status.success()), "no image");
}

fn start(dir: &str, socket: &str) -> Daemon {
    let log = std::fs::File::create(format!("{dir}/log")).unwrap();
    let mut dockerd = Command::new("dockerd");
    dockerd
        .args(["--host", socket])
        .arg(format!("--data-root={dir}/data"))
        .arg(format!("--exec-root={dir}/exec"))
        .arg(format!("--pidfile={dir}/pid"))
        .args(["--iptables=false", "--ip6tables=false", "--ip-masq=false"])
        .args(["--cgroup-parent", "/record-docker"])
        .arg(format!(
            "--registry-mirror=http://{}",
            Registry::shared().host()
        ));
    dockerd
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Daemon(dockerd.spawn().expect("dockerd starts"))
}

/// What the answers were recorded with.
pub fn versions(env: &Env) -> String {
    let format = "docker client {{.Client.Version}}, dockerd {{.Server.Version}}";
    let out = env
        .command("docker")
        .args(["version", "-f", format])
        .output();
    String::from_utf8_lossy(&out.unwrap().stdout).trim().into()
}
