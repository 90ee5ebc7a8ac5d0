//! Who listens on a port that we cannot have, as far as /proc tells this user,
//! and which port is free instead.

use super::publish::Protocol;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

/// `PROGRAM (pid N)`; only processes of this user can be looked into.
pub fn find(protocol: Protocol, port: u16) -> Option<String> {
    let inodes: Vec<String> = ["", "6"]
        .iter()
        .filter_map(|family| std::fs::read_to_string(format!("/proc/net/{protocol}{family}")).ok())
        .flat_map(|table| sockets(&table, protocol, port))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .find_map(|entry| {
            holds(&entry.path(), &inodes).then(|| {
                let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                let pid = entry.file_name().to_string_lossy().into_owned();
                format!("{} (pid {pid})", name.trim().escape_debug())
            })
        })
}

/// The inodes of a table of /proc/net (proc_net_tcp.txt of the kernel) that
/// receive on the port.
fn sockets(table: &str, protocol: Protocol, port: u16) -> Vec<String> {
    // TCP_LISTEN; TCP_CLOSE is what sockets of UDP are in.
    let state = match protocol {
        Protocol::Tcp => "0A",
        Protocol::Udp => "07",
    };
    let ending = format!(":{port:04X}");
    let lines = table.lines().skip(1);
    lines
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let matches = words.get(1)?.ends_with(&ending) && *words.get(3)? == state;
            matches
                .then(|| words.get(9).map(ToString::to_string))
                .flatten()
        })
        .collect()
}

fn holds(process: &Path, inodes: &[String]) -> bool {
    let Ok(descriptors) = std::fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors.flatten().any(|entry| {
        let link = std::fs::read_link(entry.path()).unwrap_or_default();
        let link = link.to_string_lossy();
        let inode = link
            .strip_prefix("socket:[")
            .and_then(|l| l.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.iter().any(|known| known == inode))
    })
}

/// The nearest port from `first` on that can be had there.
pub fn free_port(protocol: Protocol, ip: IpAddr, first: u16) -> Option<u16> {
    let is_free = |port: &u16| {
        let at = SocketAddr::new(ip, *port);
        match protocol {
            Protocol::Tcp => TcpListener::bind(at).is_ok(),
            Protocol::Udp => UdpSocket::bind(at).is_ok(),
        }
    };
    (first..=u16::MAX).take(1024).find(is_free)
}

/// The first port that everybody may have.
pub fn first_open() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    text.ok()
        .and_then(|t| t.trim().parse().ok())
        .unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_sockets_are_found() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let found = find(Protocol::Tcp, port).unwrap();
        assert!(
            found.ends_with(&format!("(pid {})", std::process::id())),
            "{found}"
        );
        assert_eq!(find(Protocol::Udp, port), None);
        let free = free_port(Protocol::Tcp, [127, 0, 0, 1].into(), port).unwrap();
        assert!(free > port);
    }
}
