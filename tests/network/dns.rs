//! The name server by itself, in a namespace that stands for the container's,
//! with real resolvers and ones that never answer.

use super::{namespace, ran_in_user_namespace, within};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wherry::network::dns::{self, Dns, Upstream, View};
use wherry::network::inside::Inside;

const LIMIT: Duration = Duration::from_secs(5);

/// A container's namespace, with resolvers on its loopback, and the monitor.
struct Fixture {
    netns: OwnedFd,
    stop: Arc<AtomicBool>,
    monitor: Option<JoinHandle<()>>,
}

impl Fixture {
    /// Servers at 127.0.0.`n`: `true` answers, `false` is silent.
    fn new(servers: &[bool], forwards: bool) -> (Self, Vec<Arc<AtomicUsize>>) {
        let netns = namespace(|| ());
        let mut addresses = Vec::new();
        let mut counts = Vec::new();
        for (n, answers) in (1..).zip(servers) {
            let ip = Ipv4Addr::new(127, 0, 1, n);
            addresses.push(IpAddr::V4(ip));
            counts.push(resolver(&netns, ip, *answers));
        }
        let sockets = within(&netns, || dns::listen().unwrap()).join().unwrap();
        let inside = Inside::new(netns.try_clone().unwrap(), Vec::new());
        let view = View {
            forwards,
            ..View::default()
        };
        let mut server = Dns::new(sockets, view, Upstream::container(&addresses, inside)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let monitor = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let mut fds = [PollFd::new(server.fd(), PollFlags::POLLIN)];
                let _ = poll(&mut fds, PollTimeout::from(20u8));
                server.turn();
            }
        });
        let fixture = Self {
            netns,
            stop,
            monitor: Some(monitor),
        };
        (fixture, counts)
    }

    /// Asks from within the container; the answer and how long it took.
    fn ask(&self, question: Vec<u8>) -> (Vec<u8>, Duration) {
        within(&self.netns, move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(LIMIT)).unwrap();
            let began = Instant::now();
            socket.send_to(&question, "127.0.0.11:53").unwrap();
            let mut buffer = [0; 1500];
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!(from, SocketAddr::from(([127, 0, 0, 11], 53)));
            (buffer[..length].to_vec(), began.elapsed())
        })
        .join()
        .unwrap()
    }

    fn ask_by_tcp(&self, questions: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        within(&self.netns, move || {
            let mut stream = TcpStream::connect("127.0.0.11:53").unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let mut all = Vec::new();
            for question in &questions {
                all.extend_from_slice(&(question.len() as u16).to_be_bytes());
                all.extend_from_slice(question);
            }
            stream.write_all(&all).unwrap();
            questions.iter().map(|_| message(&mut stream)).collect()
        })
        .join()
        .unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.monitor.take().unwrap().join();
    }
}

fn message(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    message
}

/// A resolver that answers every question with 192.0.2.N of its own address,
/// or with nothing; counts what it is asked.
fn resolver(netns: &OwnedFd, ip: Ipv4Addr, answers: bool) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let (udp, tcp) = within(netns, move || {
        let udp = UdpSocket::bind((ip, 53)).unwrap();
        (udp, TcpListener::bind((ip, 53)).unwrap())
    })
    .join()
    .unwrap();
    let (counted, last) = (count.clone(), ip.octets()[3]);
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            counted.fetch_add(1, Ordering::Relaxed);
            if answers {
                let _ = udp.send_to(&answer(&buffer[..length], last), from);
            }
        }
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            let question = message(&mut stream);
            if answers {
                let answer = answer(&question, last);
                let _ = stream.write_all(&(answer.len() as u16).to_be_bytes());
                let _ = stream.write_all(&answer);
            } else {
                std::mem::forget(stream);
            }
        }
    });
    count
}

fn question(id: u16, name: &str) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

fn answer(question: &[u8], last: u8) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2] = 0x81;
    message[3] = 0x80;
    message[7] = 1;
    message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, last]);
    message
}

#[test]
fn a_dead_first_resolver_costs_a_second_once() {
    if ran_in_user_namespace("network::dns::a_dead_first_resolver_costs_a_second_once") {
        return;
    }
    let (fixture, counts) = Fixture::new(&[false, true], true);
    let (first, took) = fixture.ask(question(1, "example.org"));
    assert!(first.ends_with(&[192, 0, 2, 2]), "{first:?}");
    assert_eq!(first[..2], [0, 1]);
    assert!(took < Duration::from_millis(1600), "{took:?}");
    for id in 2..12 {
        let (_, took) = fixture.ask(question(id, "example.org"));
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
    assert_eq!(counts[0].load(Ordering::Relaxed), 1, "it is asked no more");
    // By TCP, two questions at once.
    let answers = fixture.ask_by_tcp(vec![question(7, "a.example"), question(8, "b.example")]);
    assert_eq!([answers[0][1], answers[1][1]], [7, 8]);
    assert!(answers.iter().all(|a| a.ends_with(&[192, 0, 2, 2])));
}

#[test]
fn nobody_answers_is_told_in_time() {
    if ran_in_user_namespace("network::dns::nobody_answers_is_told_in_time") {
        return;
    }
    let (fixture, _) = Fixture::new(&[false], true);
    let (answer, took) = fixture.ask(question(1, "example.org"));
    assert_eq!(answer[3] & 15, 2, "SERVFAIL");
    assert!(took < LIMIT, "{took:?}");
    // Nobody is there at all: at once.
    let (fixture, _) = Fixture::new(&[], true);
    let (answer, _) = fixture.ask(question(1, "example.org"));
    assert_eq!(answer[3] & 15, 2);
}

#[test]
fn without_a_way_out_nothing_is_passed_on() {
    if ran_in_user_namespace("network::dns::without_a_way_out_nothing_is_passed_on") {
        return;
    }
    let (fixture, counts) = Fixture::new(&[true], false);
    let (answer, _) = fixture.ask(question(1, "example.org"));
    assert_eq!(answer[3] & 15, 5, "REFUSED");
    let answers = fixture.ask_by_tcp(vec![question(2, "example.org")]);
    assert_eq!(answers[0][3] & 15, 5);
    assert_eq!(counts[0].load(Ordering::Relaxed), 0);
}
