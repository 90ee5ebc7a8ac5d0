//! Published ports: a forwarder between the namespace of the test and one that
//! stands for a container's.

use super::exhausted::{Server, exhaust, ran_with_few_descriptors};
use super::{ip, namespace, ran_in_user_namespace, within};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wherry::network::forward::Forwarder;
use wherry::network::publish::{Publication, bind};

/// A container with published ports, and the poll loop of its monitor.
struct Fixture {
    netns: OwnedFd,
    hosts: Vec<SocketAddr>,
    stop: Arc<AtomicBool>,
    turns: Arc<AtomicUsize>,
    monitor: Option<JoinHandle<()>>,
}

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);

impl Fixture {
    fn new(spec: &str) -> Self {
        let netns = namespace(|| ip("address add 10.0.2.100/24 dev lo"));
        let publications = Publication::parse(spec).unwrap();
        let listeners = bind(&publications, Vec::new(), &|_, _| None).unwrap();
        let hosts = listeners.iter().map(|l| l.host).collect();
        let mut forwarder =
            Forwarder::new(listeners, netns.try_clone().unwrap(), vec![ADDRESS.into()]).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let turns = Arc::new(AtomicUsize::new(0));
        let (stopped, counted) = (stop.clone(), turns.clone());
        let monitor = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let mut fds = [PollFd::new(forwarder.fd(), PollFlags::POLLIN)];
                if poll(&mut fds, PollTimeout::from(20u8)).unwrap() > 0 {
                    let start = Instant::now();
                    forwarder.turn();
                    counted.fetch_add(1, Ordering::Relaxed);
                    assert!(start.elapsed() < Duration::from_secs(1), "a turn blocked");
                }
            }
        });
        Self {
            netns,
            hosts,
            stop,
            turns,
            monitor: Some(monitor),
        }
    }

    /// A TCP server in the container: `serve` gets each connection.
    fn serve(&self, address: &str, serve: fn(TcpStream)) {
        let address: SocketAddr = address.parse().unwrap();
        let listener = within(&self.netns, move || TcpListener::bind(address).unwrap())
            .join()
            .unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                std::thread::spawn(move || serve(stream));
            }
        });
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.hosts[0]).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    fn ask(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
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

/// Sends all back after the end has come, and a trailer.
fn echo_after_end(mut stream: TcpStream) {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    stream.write_all(&all).unwrap();
    stream.write_all(b".").unwrap();
}

fn echo(mut stream: TcpStream) {
    let mut reader = stream.try_clone().unwrap();
    let _ = std::io::copy(&mut reader, &mut stream);
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

#[test]
fn tcp_reaches_the_containers_address_and_ends_half_by_half() {
    if ran_in_user_namespace(
        "network::forward::tcp_reaches_the_containers_address_and_ends_half_by_half",
    ) {
        return;
    }
    let fixture = Fixture::new("127.0.0.1::80");
    fixture.serve("10.0.2.100:80", echo_after_end);
    assert_eq!(fixture.ask("hello"), "hello.");
    assert_eq!(fixture.ask(""), ".");
}

#[test]
fn tcp_falls_back_to_the_containers_loopback() {
    if ran_in_user_namespace("network::forward::tcp_falls_back_to_the_containers_loopback") {
        return;
    }
    let fixture = Fixture::new("127.0.0.1::80");
    fixture.serve("127.0.0.1:80", echo_after_end);
    for _ in 0..20 {
        assert_eq!(fixture.ask("x"), "x.");
    }
}

#[test]
fn both_families_are_listened_on() {
    if ran_in_user_namespace("network::forward::both_families_are_listened_on") {
        return;
    }
    let fixture = Fixture::new("80");
    fixture.serve("0.0.0.0:80", echo_after_end);
    assert_eq!(fixture.hosts.len(), 2, "IPv6 is missing here");
    for address in ["127.0.0.1", "::1"] {
        let mut stream = TcpStream::connect((address, fixture.hosts[0].port())).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, ".", "{address}");
    }
}

#[test]
fn nobody_listening_is_told_at_once() {
    if ran_in_user_namespace("network::forward::nobody_listening_is_told_at_once") {
        return;
    }
    let fixture = Fixture::new("127.0.0.1::80");
    for _ in 0..50 {
        let error = fixture.connect().read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    fixture.serve("127.0.0.1:80", echo_after_end);
    assert_eq!(fixture.ask("now"), "now.");
}

#[test]
fn large_data_in_both_directions_arrives_unchanged() {
    if ran_in_user_namespace("network::forward::large_data_in_both_directions_arrives_unchanged") {
        return;
    }
    let fixture = Fixture::new("127.0.0.1::80");
    fixture.serve("10.0.2.100:80", echo);
    let data = pattern(32 << 20);
    let mut writer = fixture.connect();
    let mut reader = writer.try_clone().unwrap();
    let sent = data.clone();
    let sender = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    sender.join().unwrap();
    assert!(
        got == data,
        "{} of {} bytes, or others",
        got.len(),
        data.len()
    );
}

/// More than the buffers on the way hold.
static BIG: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(24 << 20));

#[test]
fn a_slow_reader_stops_only_its_own_connection() {
    if ran_in_user_namespace("network::forward::a_slow_reader_stops_only_its_own_connection") {
        return;
    }
    let fixture = Fixture::new("127.0.0.1::80");
    fixture.serve("10.0.2.100:80", |mut stream| {
        let mut first = [0];
        stream.read_exact(&mut first).unwrap();
        match first[0] {
            b'b' => stream.write_all(&BIG).unwrap(),
            _ => stream.write_all(b"quick").unwrap(),
        }
    });
    LazyLock::force(&BIG);
    let mut slow = fixture.connect();
    slow.write_all(b"b").unwrap();
    // Blocked, not spinning: a blocked connection wakes nobody.
    let turns = || fixture.turns.load(Ordering::Relaxed);
    let quiet = |_| {
        let before = turns();
        std::thread::sleep(Duration::from_millis(300));
        (turns() == before).then_some(())
    };
    (0..30).find_map(quiet).expect("the monitor comes to rest");
    assert_eq!(fixture.ask("q"), "quick");
    let mut got = Vec::new();
    slow.read_to_end(&mut got).unwrap();
    assert!(got == *BIG);
}

#[test]
fn connections_that_are_cut_off_leave_nothing_behind() {
    if ran_in_user_namespace("network::forward::connections_that_are_cut_off_leave_nothing_behind")
    {
        return;
    }
    let fixture = Fixture::new("127.0.0.1::80");
    fixture.serve("10.0.2.100:80", echo);
    let inside = sockets(&fixture);
    for round in 0..300 {
        let mut stream = fixture.connect();
        if round % 3 > 0 {
            stream.write_all(&pattern(1000 * (round % 7))).unwrap();
        }
        if round % 3 > 1 {
            let linger = libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger)
                .unwrap();
        }
    }
    assert_eq!(fixture.ask("still there"), "still there");
    let deadline = Instant::now() + Duration::from_secs(5);
    while sockets(&fixture) > inside && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(sockets(&fixture), inside);
}

/// Established TCP connections in the container.
fn sockets(fixture: &Fixture) -> usize {
    let count = || {
        let table = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
        table
            .lines()
            .filter(|line| line.split_whitespace().nth(3) == Some("01"))
            .count()
    };
    within(&fixture.netns, count).join().unwrap()
}

#[test]
fn many_connections_at_once() {
    if ran_in_user_namespace("network::forward::many_connections_at_once") {
        return;
    }
    let fixture = Fixture::new("127.0.0.1::80");
    fixture.serve("10.0.2.100:80", echo);
    let mut streams: Vec<_> = (0..120).map(|_| fixture.connect()).collect();
    for round in 0..3 {
        for (n, stream) in streams.iter_mut().enumerate() {
            stream
                .write_all(format!("{round:04}{n:04}").as_bytes())
                .unwrap();
        }
        for (n, stream) in streams.iter_mut().enumerate() {
            let mut answer = [0; 8];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, *format!("{round:04}{n:04}").as_bytes());
        }
    }
}

#[test]
fn udp_answers_find_their_clients() {
    if ran_in_user_namespace("network::forward::udp_answers_find_their_clients") {
        return;
    }
    let fixture = Fixture::new("53/udp");
    let server = within(&fixture.netns, || UdpSocket::bind("127.0.0.1:53").unwrap())
        .join()
        .unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        loop {
            let (length, client) = server.recv_from(&mut buffer).unwrap();
            buffer[..length].reverse();
            server.send_to(&buffer[..length], client).unwrap();
        }
    });
    let port = fixture.hosts[0].port();
    let clients: Vec<_> = ["127.0.0.1", "127.0.0.1", "::1"]
        .map(|address| {
            let socket = UdpSocket::bind((address, 0)).unwrap();
            socket.connect((address, port)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            socket
        })
        .into();
    for (n, client) in clients.iter().enumerate() {
        // The first datagram of a client only finds out that the container's
        // address does not answer: the client asks again, as clients do.
        let question = [b'0' + n as u8, b'?'];
        let mut answer = [0; 16];
        let length = (0..4).find_map(|_| {
            client.send(&question).unwrap();
            client.recv(&mut answer).ok()
        });
        assert_eq!(
            &answer[..length.expect("an answer")],
            [b'?', b'0' + n as u8]
        );
    }
    let large = pattern(60_000);
    clients[0].send(&large).unwrap();
    let mut answer = vec![0; 65_536];
    assert_eq!(clients[0].recv(&mut answer).unwrap(), large.len());
    assert!(answer[..large.len()].iter().rev().eq(&large));
}

/// Descriptors run out: connections wait, nothing spins, and when there are
/// some again all goes on.
#[test]
fn running_out_of_descriptors_is_survived() {
    const TEST: &str = "network::forward::running_out_of_descriptors_is_survived";
    if ran_with_few_descriptors(TEST) || ran_in_user_namespace(TEST) {
        return;
    }
    let fixture = Fixture::new("127.0.0.1::80");
    let server = Server::start(&fixture.netns, "10.0.2.100");
    let address = format!("127.0.0.1/{}", fixture.hosts[0].port());
    let _server = exhaust(None, &address, server, &fixture.turns);
    assert_eq!(fixture.ask(""), "again");
}
