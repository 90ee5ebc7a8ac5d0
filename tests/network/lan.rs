//! Published ports as seen from another machine: a namespace beside the one
//! that stands for the host's.

use super::{ip, namespace, ran_in_user_namespace, within};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;
use wherry::network::publish::{Publication, bind};

const LAN: &str = "198.51.100.1";
const HOST: &str = "198.51.100.2";
const PATIENCE: Duration = Duration::from_secs(1);

/// S73, S74: what is published on 127.0.0.1 is for the host alone, also when
/// the neighbour sends packets to that very address.
#[test]
fn a_port_on_loopback_is_not_reached_from_the_lan() {
    if ran_in_user_namespace("network::lan::a_port_on_loopback_is_not_reached_from_the_lan") {
        return;
    }
    let lan = namespace(|| ());
    let host = namespace(|| ());
    let ours = lan.try_clone().unwrap();
    let (open, closed) = within(&host, move || {
        let path = format!("/proc/{}/fd/{}", std::process::id(), ours.as_raw_fd());
        ip(&format!(
            "link add out0 type veth peer name lan0 netns {path}"
        ));
        ip(&format!("address add {HOST}/24 dev out0"));
        ip("link set out0 up");
        within(&ours, || {
            ip(&format!("address add {LAN}/24 dev lan0"));
            ip("link set lan0 up");
            // Its own loopback is given up, to reach the host's.
            ip("address del 127.0.0.1/8 dev lo");
            ip(&format!("route add 127.0.0.0/8 via {HOST} dev lan0"));
        })
        .join()
        .unwrap();
        let publish = |spec: &str| {
            let wanted = Publication::parse(spec).unwrap();
            bind(&wanted, Vec::new(), &|_, _| None).unwrap()
        };
        (publish("0.0.0.0::80"), publish("127.0.0.1::80"))
    })
    .join()
    .unwrap();
    let ports = (open[0].host.port(), closed[0].host.port());
    within(&lan, move || {
        let connect = |address: &str, port| {
            let to: SocketAddr = format!("{address}:{port}").parse().unwrap();
            TcpStream::connect_timeout(&to, PATIENCE).is_ok()
        };
        assert!(connect(HOST, ports.0), "the open one is reached");
        assert!(!connect(HOST, ports.1));
        assert!(!connect("127.0.0.1", ports.1));
    })
    .join()
    .unwrap();
    drop((open, closed));
}
