//! `push`: digests, what is not sent again, and connections that break.

use super::{raw, tool};
use crate::support::env::Env;
use crate::support::image::Image;
use crate::support::registry::{Registry, Setup};
use crate::support::tree::Tree;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Noise that does not pack.
fn noise(megabytes: usize) -> Image {
    let mut bytes = vec![0; megabytes << 20];
    getrandom::fill(&mut bytes).unwrap();
    let mut tree = Tree::busybox();
    tree.file("noise", bytes, 0o644);
    Image::new().layer(tree)
}

#[test]
fn a_pulled_image_goes_back_as_it_came() {
    let (env, registry) = (Env::new(), Registry::plain());
    let host = registry.host();
    env.without_tls(&[&host]);
    let layout = registry.push(&env, &Image::busybox(), "library/busy:1");
    let (from, to) = (
        format!("{host}/library/busy:1"),
        format!("{host}/other/place:2"),
    );
    env.ok(["pull", "-q", &from]);
    env.ok(["tag", &from, &to]);
    let said = env.ok(["push", &to]);
    let last = format!("2: digest: {} size: ", layout.manifest);
    assert!(
        said.starts_with(&format!(
            "The push refers to repository [{host}/other/place]\n"
        )),
        "{said}"
    );
    assert!(said.lines().last().unwrap().starts_with(&last), "{said}");
    assert!(said.contains("Mounted from"), "{said}");
    assert_eq!(
        wherry::image::Digest::of(raw(&env, &to).as_bytes()).to_string(),
        layout.manifest
    );
    let again = env.ok(["push", &to]);
    assert!(
        again.contains("Layer already exists") && !again.contains("Pushed"),
        "{again}"
    );
    let digests = env.ok(["inspect", "-f", "{{.RepoDigests}}", &to]);
    assert!(
        digests.contains(&format!("{host}/other/place@{}", layout.manifest)),
        "{digests}"
    );
    // Without a tag it is called latest, which does not exist.
    let bare = format!("{host}/other/place");
    env.wherry(["push", &bare]).status(1).says(&format!(
        "An image does not exist locally with the tag: {bare}"
    ));
    assert_eq!(env.ok(["push", "-q", &to]), to);
    env.ok(["tag", &to, &format!("{bare}:3")]);
    let all = env.ok(["push", "-a", &bare]);
    assert!(
        all.contains("2: digest: ") && all.contains("3: digest: "),
        "{all}"
    );
    env.wherry(["push", "-a", &to])
        .status(1)
        .says("tag can't be used with --all-tags/-a");
    env.wherry(["push", "--platform", "linux/s390x", &to])
        .status(1)
        .says("does not provide the specified platform");
}

#[test]
fn what_was_made_here_is_pulled_elsewhere() {
    let (env, there, registry) = (Env::busybox(), Env::new(), Registry::plain());
    let host = registry.host();
    env.without_tls(&[&host]);
    there.without_tls(&[&host]);
    env.ok([
        "run",
        "--name",
        "cc",
        "busybox",
        "sh",
        "-c",
        "echo made >/made; chown 7:8 /made",
    ]);
    let name = format!("{host}/made:1");
    let id = env.ok(["commit", "-c", "CMD [\"cat\", \"/made\"]", "cc", &name]);
    let said = env.ok(["push", &name]);
    assert!(said.contains("Pushed"), "{said}");
    there.ok(["pull", "-q", &name]);
    assert_eq!(there.ok(["run", "--rm", &name]), "made");
    assert_eq!(there.ok(["inspect", "-f", "{{.Id}}", &name]), id);
    let tar = env.wherry(["export", "cc"]).ok().stdout;
    let flat = format!("{host}/flat:1");
    env.wherry_with(["import", "-", &flat], &tar).ok();
    env.ok(["push", "-q", &flat]);
    there.ok(["pull", "-q", &flat]);
    assert_eq!(
        there.ok(["run", "--rm", &flat, "stat", "-c", "%u:%g", "/made"]),
        "7:8"
    );
}

#[test]
fn logins_and_tls() {
    let (env, registry) = (
        Env::busybox(),
        Registry::start(Setup {
            tls: true,
            password: true,
        }),
    );
    let host = registry.host();
    let dir = env.path("config/containers/certs.d").join(&host);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::copy(registry.ca().unwrap(), dir.join("ca.crt")).unwrap();
    let name = format!("{host}/secret:1");
    env.ok(["tag", "busybox", &name]);
    env.wherry(["push", &name])
        .status(1)
        .says("no basic auth credentials");
    env.wherry_with(
        ["login", "-u", "tester", "--password-stdin", &host],
        b"secret",
    )
    .ok();
    env.ok(["push", "-q", &name]);
    env.ok(["rmi", &name]);
    env.ok(["pull", "-q", &name]);
}

/// A way to the registry that breaks: of the first `breaks` connections each is
/// cut after `bytes` of the client's.
fn breaking(registry: &Registry, breaks: usize, bytes: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (target, cut) = (registry.host(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&cut);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&target) else {
                return;
            };
            let (mut back, mut answers) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut answers, &mut back);
                let _ = back.shutdown(Shutdown::Both);
            });
            let count = Arc::clone(&count);
            std::thread::spawn(move || forward(client, server, &count, breaks, bytes));
        }
    });
    (host, cut)
}

fn forward(
    mut client: TcpStream,
    mut server: TcpStream,
    cut: &AtomicUsize,
    breaks: usize,
    bytes: usize,
) {
    let (mut buffer, mut passed) = (vec![0; 16 << 10], 0);
    while let Ok(n) = client.read(&mut buffer) {
        if n == 0 || server.write_all(&buffer[..n]).is_err() {
            break;
        }
        passed += n;
        if passed > bytes && cut.load(Ordering::Relaxed) < breaks {
            cut.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}

#[test]
fn an_upload_that_breaks_goes_on() {
    let (env, registry) = (Env::new(), Registry::plain());
    let direct = registry.host();
    let (host, cut) = breaking(&registry, 3, 3 << 20);
    env.without_tls(&[&direct, &host]);
    let layout = registry.push(&env, &noise(16), "library/noise:1");
    let (from, to) = (
        format!("{direct}/library/noise:1"),
        format!("{host}/copy/noise:1"),
    );
    env.ok(["pull", "-q", &from]);
    env.ok(["tag", &from, &to]);
    let said = env.ok(["push", &to]);
    assert_eq!(cut.load(Ordering::Relaxed), 3);
    assert!(
        said.contains("Retrying in") && said.contains("Pushed"),
        "{said}"
    );
    let there = format!("{direct}/copy/noise:1");
    assert_eq!(
        wherry::image::Digest::of(raw(&env, &there).as_bytes()).to_string(),
        layout.manifest
    );
    let dir = format!("dir:{}", env.path("tmp/check").display());
    tool(
        &env,
        "skopeo",
        &[
            "copy",
            "--insecure-policy",
            "--src-tls-verify=false",
            "-q",
            &format!("docker://{there}"),
            &dir,
        ],
    );
}
