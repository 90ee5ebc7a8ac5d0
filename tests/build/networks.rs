//! The network that the steps of a stage share.

use super::Site;
use crate::support::env::run;
use crate::support::eventually;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Command, Stdio};

/// `wherry build` on the default network.
fn build(site: &Site, dockerfile: &str) -> Command {
    site.dockerfile(dockerfile);
    let mut command = site.env.wherry_command(["build", "-t", "t"]);
    command.arg(&site.dir);
    command
}

/// Names of the addresses that are taken in the default network.
fn addresses(site: &Site) -> Vec<String> {
    let id = site
        .env
        .ok(["network", "inspect", "-f", "{{.Id}}", "bridge"]);
    let taken = site
        .env
        .run_dir()
        .join("wherry/networks")
        .join(id)
        .join("a");
    let mut names: Vec<String> = std::fs::read_dir(taken)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn steps_of_a_stage_share_one_that_they_cannot_change() {
    let site = Site::new();
    let text = "FROM busybox AS other\n\
        RUN ip -4 -o addr show eth0 > /address\n\
        FROM busybox\n\
        RUN ip -4 -o addr show eth0 > /first; cp /etc/hosts /hosts; nc -l -p 7777 & sleep 0.2\n\
        RUN ip -4 -o addr show eth0 > /second; cmp /hosts /etc/hosts && \
            ! nc -w 1 127.0.0.1 7777 </dev/null && nc -l -p 7777 & sleep 0.2; kill $!\n\
        RUN ! ip link set lo down && ! ip addr add 10.9.9.9/8 dev eth0 && ! ip route del default\n\
        RUN ping -c 1 -w 5 127.0.0.1 && ip route | grep -c default > /routes\n\
        RUN --network=none ip -o link | wc -l > /links\n\
        COPY --from=other /address /other\n";
    run(build(&site, text), b"", 120).ok();
    site.is_tidy();
    let shown = |script: &str| site.shows(script);
    assert_eq!(shown("cmp /first /second && cat /routes /links"), "1\n1");
    assert_eq!(shown("cmp -s /first /other || echo differ"), "differ");
    assert!(eventually(10, || addresses(&site).is_empty()));
}

/// Others keep off the addresses of a build's steps, also when they look for
/// what killed monitors have left.
#[test]
fn an_address_of_a_step_is_its_own() {
    let site = Site::new();
    let mut command = build(&site, "FROM busybox\nRUN exec sleep 600\n");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut building = command.spawn().unwrap();
    assert!(eventually(30, || addresses(&site).len() == 1));
    let taken = addresses(&site);
    let id = site
        .env
        .ok(["run", "-d", "--name", "box", "busybox", "sleep", "600"]);
    assert_eq!(addresses(&site).len(), 2);
    let monitor = site.env.record(&id, "state")["Monitor"]["Pid"].as_i64();
    kill(
        Pid::from_raw(monitor.unwrap().try_into().unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    // Commands see that a monitor is gone, and sweep.
    site.env.ok(["rm", "-f", "box"]);
    site.env.ok(["ps", "-aq"]);
    assert_eq!(addresses(&site), taken);
    kill(Pid::from_raw(building.id().cast_signed()), Signal::SIGKILL).unwrap();
    building.wait().unwrap();
    let next = run(build(&site, "FROM busybox\nRUN echo next\n"), b"", 60);
    next.ok();
    assert!(eventually(10, || addresses(&site).is_empty()));
    assert!(eventually(10, || {
        let work = std::fs::read_dir(site.env.path("data/wherry/build/work"));
        work.map_or(true, |entries| entries.count() == 0)
    }));
}
