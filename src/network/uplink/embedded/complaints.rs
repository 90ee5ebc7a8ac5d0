//! What the outside says about packets of ours that it could not deliver
//! (ip(7), IP_RECVERR), to be passed on to the container.

use super::packet::Complaint;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

/// What was said, by whom when that is known, and how much of the data that
/// was sent came back.
pub struct Heard {
    pub what: Complaint,
    pub by: Option<IpAddr>,
    pub length: usize,
}

/// Has the kernel keep them for a socket.
pub fn keep(socket: impl AsFd, of: IpAddr) -> nix::Result<()> {
    let fd = socket.as_fd();
    match of {
        IpAddr::V4(_) => setsockopt(&fd, sockopt::Ipv4RecvErr, &true),
        IpAddr::V6(_) => setsockopt(&fd, sockopt::Ipv6RecvErr, &true),
    }
}

/// The next one that came by ICMP; `None` when there is no more.
pub fn next(socket: impl AsFd, data: &mut [u8]) -> Option<Heard> {
    let mut control = nix::cmsg_space!([u8; 128]);
    for _ in 0..8 {
        let mut parts = [IoSliceMut::new(data)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<SockaddrStorage>(
            socket.as_fd().as_raw_fd(),
            &mut parts,
            Some(&mut control),
            flags,
        )
        .ok()?;
        let length = message.bytes;
        for control in message.cmsgs().ok()? {
            let (error, by) = match control {
                ControlMessageOwned::Ipv4RecvErr(error, by) => {
                    let ip = |a: libc::sockaddr_in| IpAddr::from(a.sin_addr.s_addr.to_ne_bytes());
                    (error, by.map(ip))
                }
                ControlMessageOwned::Ipv6RecvErr(error, by) => {
                    let ip = |a: libc::sockaddr_in6| IpAddr::from(a.sin6_addr.s6_addr);
                    (error, by.map(ip))
                }
                _ => continue,
            };
            if [libc::SO_EE_ORIGIN_ICMP, libc::SO_EE_ORIGIN_ICMP6].contains(&error.ee_origin) {
                let what = Complaint {
                    kind: error.ee_type,
                    code: error.ee_code,
                    info: error.ee_info,
                };
                return Some(Heard { what, by, length });
            }
        }
    }
    None
}
