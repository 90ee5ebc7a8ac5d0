//! A static program to be run in a container by the tests of networks: a
//! neighbour that calls itself a router (RFC 4861), which busybox cannot.
//!
//! - `advertise`: sends a router advertisement every 100 ms to all nodes: a
//!   default route, and the prefix of PREFIX for addresses of their own.
//! - `hear SECONDS`: waits for one; prints `heard` when it has come.

use std::io::Error;
use std::net::Ipv6Addr;
use std::process::exit;
use std::time::Duration;

/// For documentation (RFC 3849): no test has it for anything else.
const PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ADVERTISEMENT: u8 = 134;
/// Seconds that the route and the prefix are good for.
const LIFETIME: u16 = 1800;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["advertise"] => advertise(),
        ["hear", seconds] => hear(seconds.parse().unwrap()),
        _ => exit(2),
    }
}

fn raw_socket() -> i32 {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6) };
    assert!(fd >= 0, "{}", Error::last_os_error());
    fd
}

fn set(fd: i32, level: i32, name: i32, value: i32) {
    // SAFETY: a live int and its size.
    let ret = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), 4) };
    assert_eq!(ret, 0, "{}", Error::last_os_error());
}

fn interface() -> u32 {
    // SAFETY: a terminated string.
    let index = unsafe { libc::if_nametoindex(c"eth0".as_ptr()) };
    assert_ne!(index, 0, "{}", Error::last_os_error());
    index
}

/// The kernel fills in the checksum.
fn message() -> Vec<u8> {
    let mut bytes = vec![ADVERTISEMENT, 0, 0, 0, 64, 0];
    bytes.extend(LIFETIME.to_be_bytes());
    bytes.extend([0; 8]);
    // Prefix information: on the link, and for addresses of one's own.
    bytes.extend([3, 4, 64, 0xc0]);
    bytes.extend(u32::from(LIFETIME).to_be_bytes());
    bytes.extend(u32::from(LIFETIME).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(PREFIX.octets());
    bytes
}

fn advertise() {
    let fd = raw_socket();
    // Others are not believed by anybody.
    set(fd, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, 255);
    // SAFETY: plain data; all-zero is valid.
    let mut to: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    to.sin6_family = libc::AF_INET6 as u16;
    to.sin6_addr.s6_addr = ALL_NODES.octets();
    to.sin6_scope_id = interface();
    let message = message();
    println!("ready");
    loop {
        // SAFETY: live buffers of the sizes given.
        let sent = unsafe {
            libc::sendto(
                fd,
                message.as_ptr().cast(),
                message.len(),
                0,
                (&raw const to).cast(),
                size_of_val(&to) as u32,
            )
        };
        // Until its own address has been found to be nobody else's.
        if sent < 0 {
            eprintln!("{}", Error::last_os_error());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn hear(seconds: u32) {
    let fd = raw_socket();
    // SAFETY: a plain number; SIGALRM ends the program.
    unsafe { libc::alarm(seconds) };
    let mut buffer = [0u8; 2048];
    loop {
        // SAFETY: a live buffer of the size given.
        let n = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        assert!(n >= 0, "{}", Error::last_os_error());
        if n > 0 && buffer[0] == ADVERTISEMENT {
            println!("heard");
            return;
        }
    }
}
