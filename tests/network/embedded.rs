//! The embedded way out, between a namespace that stands for a container, one
//! for the host with the poll loop of a monitor in it, and one behind that for
//! the world.

use super::exhausted::{Server, exhaust, ran_with_few_descriptors};
use super::{ip, namespace, ran_in_user_namespace, within};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wherry::network::uplink::embedded::{Embedded, Local, Sockets};

const WORLD: &str = "198.51.100.1";
const WORLD6: &str = "2001:db8:1::1";
const HOST: &str = "198.51.100.2";
const GATEWAY: &str = "10.0.2.2";
/// In the world's subnet: nobody; and one whose packets vanish.
const NOBODY: &str = "198.51.100.77";
const HOLE: &str = "198.51.100.99";
const LIMIT: Duration = Duration::from_secs(20);
const BRIEFLY: Duration = Duration::from_millis(500);

struct Fixture {
    world: OwnedFd,
    host: OwnedFd,
    container: OwnedFd,
    stop: Arc<AtomicBool>,
    turns: Arc<AtomicUsize>,
    monitor: Option<JoinHandle<()>>,
}

impl Fixture {
    fn new() -> Self {
        let world = namespace(|| ());
        let host = namespace(|| ());
        let container = namespace(inside);
        let peer = world.try_clone().unwrap();
        within(&host, move || {
            let path = format!("/proc/{}/fd/{}", std::process::id(), peer.as_raw_fd());
            ip(&format!(
                "link add out0 type veth peer name world0 netns {path}"
            ));
            ip(&format!("address add {HOST}/24 dev out0"));
            ip("address add 2001:db8:1::2/64 dev out0 nodad");
            ip("link set out0 up");
            within(&peer, || {
                ip(&format!("address add {WORLD}/24 dev world0"));
                ip(&format!("address add {WORLD6}/64 dev world0 nodad"));
                ip("link set world0 up");
            })
            .join()
            .unwrap();
            ip(&format!(
                "neighbour add {HOLE} lladdr 02:00:00:00:00:99 dev out0"
            ));
            // What has no route is so at once; this one is for host_address().
            ip(&format!("route add 203.0.113.1/32 via {WORLD}"));
        })
        .join()
        .unwrap();
        let local = Local {
            subnets: vec![
                "10.0.2.0/24".parse().unwrap(),
                "fd00:2::/64".parse().unwrap(),
            ],
            gateways: vec![GATEWAY.parse().unwrap()],
        };
        let stop = Arc::new(AtomicBool::new(false));
        let turns = Arc::new(AtomicUsize::new(0));
        let monitor = monitor(&host, &container, local, stop.clone(), turns.clone());
        Self {
            world,
            host,
            container,
            stop,
            turns,
            monitor: Some(monitor),
        }
    }

    /// A TCP server in a namespace: `serve` gets each connection.
    fn serve(netns: &OwnedFd, address: &str, serve: fn(TcpStream)) {
        let address: SocketAddr = address.parse().unwrap();
        let listener = within(netns, move || TcpListener::bind(address).unwrap());
        let listener = listener.join().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                std::thread::spawn(move || serve(stream));
            }
        });
    }

    /// What the container's program does.
    fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        within(&self.container, work).join().unwrap()
    }

    fn connect(&self, address: &str) -> std::io::Result<TcpStream> {
        self.connect_within(address, LIMIT)
    }

    fn connect_within(&self, address: &str, limit: Duration) -> std::io::Result<TcpStream> {
        let address: SocketAddr = address.parse().unwrap();
        self.inside(move || {
            let stream = TcpStream::connect_timeout(&address, limit)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.set_write_timeout(Some(LIMIT))?;
            Ok(stream)
        })
    }

    fn udp(&self) -> UdpSocket {
        let socket = self.inside(|| UdpSocket::bind("10.0.2.100:0").unwrap());
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.monitor.take().unwrap().join();
        assert!(
            ended.is_ok() || std::thread::panicking(),
            "the monitor panicked"
        );
    }
}

/// What a container has: an interface, and routes by it.
fn inside() {
    ip("link add eth0 type bridge");
    ip("address add 10.0.2.100/24 dev eth0");
    ip("address add fd00:2::100/64 dev eth0 nodad");
    ip("link set eth0 up");
    ip(&format!("route add default via {GATEWAY}"));
    ip("route add default via fd00:2::2");
}

fn monitor(
    host: &OwnedFd,
    container: &OwnedFd,
    local: Local,
    stop: Arc<AtomicBool>,
    turns: Arc<AtomicUsize>,
) -> JoinHandle<()> {
    let known = local.clone();
    let sockets = within(container, move || Sockets::open(&known).unwrap());
    let sockets = sockets.join().unwrap();
    let netns = container.try_clone().unwrap();
    within(host, move || {
        let mut uplink = Embedded::new(sockets, netns, local).unwrap();
        while !stop.load(Ordering::Relaxed) {
            let mut fds = [PollFd::new(uplink.fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::from(20u8)).unwrap() > 0 {
                let start = Instant::now();
                uplink.turn();
                turns.fetch_add(1, Ordering::Relaxed);
                assert!(start.elapsed() < Duration::from_secs(1), "a turn blocked");
            }
        }
    })
}

/// Sends all back after the end has come, and a trailer.
fn echo_after_end(mut stream: TcpStream) {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    stream.write_all(&all).unwrap();
    stream.write_all(b".").unwrap();
}

fn greet(mut stream: TcpStream) {
    let _ = stream.write_all(b"hello");
}

/// Bytes that are different everywhere.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn ask(mut stream: TcpStream, text: &[u8]) -> Vec<u8> {
    let mut writer = stream.try_clone().unwrap();
    let text = text.to_vec();
    let sent = std::thread::spawn(move || {
        writer.write_all(&text).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    sent.join().unwrap();
    answer
}

/// A UDP server that sends everything back.
fn echo_datagrams(netns: &OwnedFd, address: &str) {
    let address: SocketAddr = address.parse().unwrap();
    let socket = within(netns, move || UdpSocket::bind(address).unwrap());
    let socket = socket.join().unwrap();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&buffer[..length], from).unwrap();
        }
    });
}

/// Runs a test, as an ordinary user in a user namespace.
macro_rules! test {
    ($name:ident, $fixture:ident, $body:block) => {
        #[test]
        fn $name() {
            let name = concat!("network::embedded::", stringify!($name));
            if ran_in_user_namespace(name) {
                return;
            }
            let $fixture = Fixture::new();
            $body
        }
    };
}

test!(connections_get_out_and_end_half_by_half, fixture, {
    for world in [format!("{WORLD}:80"), format!("[{WORLD6}]:80")] {
        Fixture::serve(&fixture.world, &world, echo_after_end);
        for _ in 0..20 {
            assert_eq!(ask(fixture.connect(&world).unwrap(), b"hello"), b"hello.");
        }
        let stream = fixture.connect(&world).unwrap();
        assert_eq!(stream.peer_addr().unwrap().to_string(), world);
        assert_eq!(ask(stream, b""), b".");
    }
});

test!(one_that_speaks_first_is_heard, fixture, {
    Fixture::serve(&fixture.world, "198.51.100.1:81", greet);
    let mut text = String::new();
    let mut stream = fixture.connect("198.51.100.1:81").unwrap();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
});

test!(much_arrives_as_it_was_sent, fixture, {
    let world = format!("{WORLD}:80");
    Fixture::serve(&fixture.world, &world, |stream| {
        let mut reader = stream.try_clone().unwrap();
        std::io::copy(&mut reader, &mut &stream).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    });
    let sent = pattern(48 << 20);
    let several: Vec<_> = (0..3).map(|_| fixture.connect(&world).unwrap()).collect();
    std::thread::scope(|scope| {
        for stream in several {
            scope.spawn(|| assert!(ask(stream, &sent) == sent, "bytes were changed"));
        }
    });
});

test!(what_is_refused_is_refused, fixture, {
    // The first one has to find the neighbour.
    assert!(fixture.connect(&format!("[{WORLD6}]:9")).is_err());
    for address in [format!("{WORLD}:9"), format!("[{WORLD6}]:9")] {
        for i in 0..20 {
            let start = Instant::now();
            let error = fixture.connect(&address).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{address}");
            let took = start.elapsed();
            assert!(took < BRIEFLY, "{address}: {took:?} at try {i}");
        }
    }
});

test!(what_has_no_route_is_unreachable, fixture, {
    for address in ["203.0.113.2:80", "[2001:db8:2::1]:80"] {
        let error = fixture.connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{address}");
    }
    let error = fixture.connect(&format!("{NOBODY}:80")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
});

test!(silence_is_silence, fixture, {
    let start = Instant::now();
    let error = fixture
        .connect_within(&format!("{HOLE}:80"), Duration::from_secs(2))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= Duration::from_secs(2));
});

test!(resets_go_both_ways, fixture, {
    Fixture::serve(&fixture.world, "198.51.100.1:80", |mut stream| {
        let mut byte = [0];
        let end = stream.read(&mut byte);
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        std::fs::write(mark_file(), "reset").unwrap();
    });
    Fixture::serve(&fixture.world, "198.51.100.1:81", |stream| reset(&stream));
    let stream = fixture.connect("198.51.100.1:80").unwrap();
    reset(&stream);
    drop(stream);
    let deadline = Instant::now() + LIMIT;
    while !mark_file().exists() {
        assert!(Instant::now() < deadline, "the world heard of no reset");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::remove_file(mark_file()).unwrap();
    assert_reset(fixture.connect("198.51.100.1:81"));
});

/// Now, or before this was looked at.
fn assert_reset(stream: std::io::Result<TcpStream>) {
    let error = stream
        .and_then(|mut stream| stream.read(&mut [0]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

fn mark_file() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("wherry-reset-{}", std::process::id()))
}

/// Has the socket closed with a reset.
fn reset(stream: &TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::Linger, &linger).unwrap();
}

test!(a_reader_that_stops_stops_the_writer, fixture, {
    let world = format!("{WORLD}:80");
    Fixture::serve(&fixture.world, &world, |mut stream| {
        std::thread::sleep(Duration::from_secs(1));
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&(all.len() as u64).to_be_bytes()).unwrap();
    });
    let mut stream = fixture.connect(&world).unwrap();
    stream.set_nonblocking(true).unwrap();
    let piece = vec![7; 1 << 16];
    let mut sent = 0;
    let start = Instant::now();
    while start.elapsed() < BRIEFLY {
        match stream.write(&piece) {
            Ok(length) => sent += length,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    assert!(sent < 64 << 20, "{sent} bytes are kept by nobody");
    stream.set_nonblocking(false).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut count = [0; 8];
    stream.read_exact(&mut count).unwrap();
    assert_eq!(u64::from_be_bytes(count), sent as u64);
});

test!(many_connections_at_once, fixture, {
    let world = format!("{WORLD}:80");
    Fixture::serve(&fixture.world, &world, |mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream.write_all(&byte).unwrap();
    });
    let streams: Vec<_> = (0..200).map(|_| fixture.connect(&world).unwrap()).collect();
    for (i, mut stream) in streams.into_iter().enumerate().rev() {
        stream.write_all(&[i as u8]).unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(byte[0], i as u8);
    }
});

test!(datagrams_get_out_and_back, fixture, {
    echo_datagrams(&fixture.world, &format!("{WORLD}:9"));
    echo_datagrams(&fixture.world, &format!("[{WORLD6}]:9"));
    let (one, two) = (fixture.udp(), fixture.udp());
    let to: SocketAddr = format!("{WORLD}:9").parse().unwrap();
    let sent = pattern(40_000);
    let mut buffer = vec![0; 1 << 16];
    for length in [0, 1, 1_000, 1_472, 1_473, 9_000, 40_000] {
        for socket in [&one, &two, &one] {
            socket.send_to(&sent[..length], to).unwrap();
            let (got, from) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..got], from), (&sent[..length], to));
        }
    }
    let six = fixture.inside(|| UdpSocket::bind("[fd00:2::100]:0").unwrap());
    six.set_read_timeout(Some(LIMIT)).unwrap();
    for _ in 0..3 {
        six.send_to(b"six", (WORLD6, 9)).unwrap();
        assert_eq!(six.recv(&mut buffer).unwrap(), 3);
    }
    // A connected one, as resolvers use.
    one.connect(to).unwrap();
    one.send(b"x").unwrap();
    assert_eq!(one.recv(&mut buffer).unwrap(), 1);
});

test!(datagrams_that_nobody_takes_are_refused, fixture, {
    let socket = fixture.udp();
    socket.connect((WORLD, 10)).unwrap();
    for _ in 0..3 {
        socket.send(b"x").unwrap();
        let error = socket.recv(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
    let socket = fixture.udp();
    socket.connect("203.0.113.2:10").unwrap();
    socket.send(b"x").unwrap();
    // Linux tells an ordinary socket of fatal errors alone.
    socket.set_read_timeout(Some(BRIEFLY)).unwrap();
    assert!(socket.recv(&mut [0]).is_err());
});

/// Sends an echo request, and gets the ICMP message that comes back.
fn ping(fixture: &Fixture, to: &'static str, hops: u8) -> std::io::Result<Vec<u8>> {
    fixture.inside(move || {
        use nix::sys::socket::{
            AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, setsockopt,
            socket, sockopt,
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let raw = socket(
            AddressFamily::Inet,
            SockType::Raw,
            flags,
            SockProtocol::Icmp,
        )?;
        setsockopt(&raw, sockopt::Ipv4Ttl, &hops.into())?;
        let address = SockaddrStorage::from(SocketAddr::new(to.parse().unwrap(), 0));
        let mut request = vec![8, 0, 0, 0, 0x12, 0x34, 0, 7];
        request.extend_from_slice(b"payload!");
        let sum: u32 = request
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        let sum = !((sum >> 16) + (sum & 0xffff)) as u16;
        request[2..4].copy_from_slice(&sum.to_be_bytes());
        sendto(
            raw.as_raw_fd(),
            &request,
            &address,
            nix::sys::socket::MsgFlags::empty(),
        )?;
        let socket = UdpSocket::from(raw);
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut buffer = vec![0; 200];
        let length = socket.recv(&mut buffer)?;
        Ok(buffer[..length].to_vec())
    })
}

test!(
    echo_requests_are_answered_by_those_who_are_asked,
    fixture,
    {
        within(&fixture.host, || {
            std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0").unwrap();
        })
        .join()
        .unwrap();
        for to in [WORLD, HOST] {
            let answer = ping(&fixture, to, 64).unwrap();
            let from: Ipv4Addr = to.parse().unwrap();
            assert_eq!(answer[12..16], from.octets());
            assert_eq!(answer[20..22], [0, 0]);
            assert_eq!(answer[24..], *b"\x12\x34\0\x07payload!");
        }
        // Nobody there: the host says so.
        let answer = ping(&fixture, NOBODY, 64).unwrap();
        assert_eq!(answer[20..22], [3, 1]);
        assert_eq!(answer[52..56], *b"\x12\x34\0\x07");
    }
);

test!(
    echo_requests_that_the_host_may_not_send_are_prohibited,
    fixture,
    {
        let answer = ping(&fixture, WORLD, 64).unwrap();
        assert_eq!(answer[20..22], [3, 13]);
    }
);

// Row S77: what the host has on its loopback is its own.
test!(the_hosts_loopback_stays_the_hosts, fixture, {
    for own in ["127.0.0.1:8001", "127.5.5.5:8001", "[::1]:8001"] {
        Fixture::serve(&fixture.host, own, greet);
    }
    for address in [
        "127.0.0.1:8001",
        "127.5.5.5:8001",
        "[::1]:8001",
        "0.0.0.0:8001",
        "[::]:8001",
        "[::ffff:127.0.0.1]:8001",
        "[::127.0.0.1]:8001",
        "10.0.2.2:8001",
        "10.0.2.3:8001",
        "198.51.100.2:8001",
        "[2001:db8:1::2]:8001",
    ] {
        let answer = fixture.connect_within(address, BRIEFLY);
        assert!(answer.is_err(), "{address}");
    }
    // As a container with CAP_NET_ADMIN can: as if it had left.
    for own in ["127.0.0.1:8001", "127.5.5.5:8001", "[::1]:8001"] {
        let to: SocketAddr = own.parse().unwrap();
        let error = fixture.inside(move || marked_connect(to)).unwrap_err();
        assert_eq!(error, nix::Error::ENETUNREACH, "{own}");
    }
    // A service on all addresses is reached by the host's, as with Docker.
    Fixture::serve(&fixture.host, "0.0.0.0:8002", greet);
    for address in ["198.51.100.2:8002", "10.0.2.2:8002"] {
        let mut text = String::new();
        let mut stream = fixture.connect(address).unwrap();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello", "{address}");
    }
});

/// With the mark of packets that leave.
fn marked_connect(to: SocketAddr) -> nix::Result<()> {
    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
    };
    let family = match to.ip() {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::Mark, &0x7765_7279)?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to))
}

test!(our_listener_takes_nobody_else, fixture, {
    let listening =
        fixture.inside(|| std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap());
    // Local address, state 0A.
    let ports = listening.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words.get(3) == Some(&"0A")).then(|| words[1].split_once(':').unwrap().1)
    });
    let ports: Vec<u16> = ports.map(|p| u16::from_str_radix(p, 16).unwrap()).collect();
    assert_eq!(ports.len(), 1);
    assert_reset(fixture.connect(&format!("127.0.0.1:{}", ports[0])));
});

test!(without_a_monitor_there_is_no_way_out, fixture, {
    let mut fixture = fixture;
    let world = format!("{WORLD}:80");
    Fixture::serve(&fixture.world, &world, greet);
    assert!(fixture.connect(&world).is_ok());
    fixture.stop.store(true, Ordering::Relaxed);
    fixture.monitor.take().unwrap().join().unwrap();
    assert!(fixture.connect_within(&world, BRIEFLY).is_err());
    // It is on its own, and its loopback works.
    Fixture::serve(&fixture.container, "127.0.0.1:80", greet);
    assert!(fixture.connect("127.0.0.1:80").is_ok());
    fixture.monitor = Some(std::thread::spawn(|| ()));
});

/// Descriptors run out: who asks for more waits, nothing spins, and when there
/// are some again all goes on.
#[test]
fn running_out_of_descriptors_is_survived() {
    const TEST: &str = "network::embedded::running_out_of_descriptors_is_survived";
    if ran_with_few_descriptors(TEST) || ran_in_user_namespace(TEST) {
        return;
    }
    let fixture = Fixture::new();
    let server = Server::start(&fixture.world, WORLD);
    let address = format!("{WORLD}/80");
    let _server = exhaust(Some(&fixture.container), &address, server, &fixture.turns);
    let mut heard = String::new();
    let mut stream = fixture.connect(&format!("{WORLD}:80")).unwrap();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "again");
}
