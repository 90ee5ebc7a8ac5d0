//! Where a build's files come from, and which of them there are.

use super::Site;
use crate::support::env::run;
use crate::support::process::Running;
use std::os::unix::fs::symlink;

#[test]
fn as_user_ignored_files_are_not_there() {
    let site = Site::new();
    site.file("keep", "k")
        .file("secret", "s")
        .file("d/a.log", "l")
        .file("d/b", "b")
        .file("node_modules/x", "x");
    site.file(
        ".dockerignore",
        "secret\n**/*.log\nnode_modules\n!node_modules/keep\n",
    );
    site.ok("FROM busybox\nCOPY . /c/\nRUN --mount=target=/m find /m -type f | sort > /listed\n");
    let all = site
        .shows("cd /c; find . -type f | sort | tr '\\n' ' '; sed s,/m/,, /listed | tr '\\n' ' '");
    assert_eq!(
        all,
        "./.dockerignore ./Dockerfile ./d/b ./keep .dockerignore Dockerfile d/b keep "
    );
    site.fails("FROM busybox\nCOPY secret /\n")
        .says("\"/secret\": not found");
    // The Dockerfile's own file comes first.
    site.file("Other", "FROM busybox\nCOPY . /c/\n")
        .file("Other.dockerignore", "keep\n");
    let other = site.dir.join("Other");
    site.build(&["-t", "t", "-f", other.to_str().unwrap()]).ok();
    assert_eq!(
        site.shows("ls /c/secret; ls /c/keep || echo none"),
        "/c/secret\nnone"
    );
}

#[test]
fn as_user_standard_input() {
    let site = Site::new();
    let text = b"FROM busybox\nRUN echo x > /f\n";
    let with = |args: &[&str], input: &[u8]| {
        site.env.wherry_with(
            [&["build", "--network", "none", "-t", "t"], args].concat(),
            input,
        )
    };
    with(&["-"], text).ok();
    assert_eq!(site.shows("cat /f"), "x");
    with(
        &["-f", "-", site.dir.to_str().unwrap()],
        b"FROM busybox\nCOPY in /g\n",
    )
    .status(1)
    .says("\"/in\": not found");
    site.file("in", "y");
    with(
        &["-f", "-", site.dir.to_str().unwrap()],
        b"FROM busybox\nCOPY in /g\n",
    )
    .ok();
    assert_eq!(site.shows("cat /g"), "y");
    with(&["-"], b"FROM busybox\nCOPY in /g\n")
        .status(1)
        .says("no build context");
    site.dockerfile("FROM busybox\nCOPY in /h\n")
        .file("sub/D", "FROM busybox\nCOPY sub /s\n");
    for flags in ["-c", "-cz"] {
        let mut tar = site.env.command("tar");
        tar.args([flags, "-C"]).arg(&site.dir).arg(".");
        let archive = run(tar, b"", 10).ok().stdout;
        with(&["-"], &archive).ok();
        assert_eq!(site.shows("cat /h"), "y");
        with(&["-f", "sub/D", "-"], &archive).ok();
        assert_eq!(site.shows("ls /s"), "D");
    }
    with(&["-"], b"\x1f\x8b\x08nonsense")
        .status(1)
        .says("cannot unpack the build context");
    site.is_tidy();
}

#[test]
fn as_user_named_contexts() {
    let site = Site::new();
    let other = site.env.path("home/other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("f"), "other").unwrap();
    site.dockerfile(
        "FROM base\nCOPY --from=more f /f\nRUN --mount=from=more,target=/m cp /m/f /g\n",
    );
    let more = format!("more={}", other.display());
    site.build(&[
        "-t",
        "t",
        "--build-context",
        &more,
        "--build-context",
        "base=docker-image://busybox",
    ])
    .ok();
    assert_eq!(site.shows("cat /f /g"), "otherother");
}

/// S63: links of a context lead nowhere outside of it.
#[test]
fn as_user_links_stay_within_the_context() {
    let site = Site::new();
    let canary = site.env.path("home/canary");
    std::fs::write(&canary, "outside").unwrap();
    site.file("in/f", "inside");
    for (target, link) in [
        (canary.to_str().unwrap(), "abs"),
        ("../canary", "rel"),
        ("in", "dir"),
        ("../../..", "up"),
        ("in/f", "good"),
    ] {
        symlink(target, site.dir.join(link)).unwrap();
    }
    for bad in ["abs", "rel"] {
        site.fails(&format!("FROM busybox\nCOPY {bad} /x\n"))
            .says("not found");
    }
    // Within a directory links are copied as they are.
    site.ok("FROM busybox\nCOPY good /g\nCOPY dir /d\nCOPY . /all/\nCOPY up/in/f /u\n");
    assert_eq!(
        site.shows("cat /g /d/f /u; readlink /all/rel; cat /all/rel || echo dangling"),
        "insideinsideinside../canary\ndangling"
    );
    // Nor do its Dockerfile and ignore file.
    std::fs::remove_file(site.dir.join("Dockerfile")).unwrap();
    symlink(&canary, site.dir.join("Dockerfile")).unwrap();
    site.build(&[]).status(1).says("failed to read dockerfile");
    std::fs::remove_file(site.dir.join("Dockerfile")).unwrap();
    site.dockerfile("FROM busybox\nCOPY in /x\n");
    nix::unistd::mkfifo(
        &site.dir.join(".dockerignore"),
        nix::sys::stat::Mode::S_IRWXU,
    )
    .unwrap();
    site.build(&[]).status(1).says(".dockerignore");
}

/// S88: special files neither block nor act.
#[test]
fn as_user_special_files_are_told() {
    let site = Site::new();
    site.dockerfile("FROM busybox\nCOPY d /d\n")
        .file("d/f", "x");
    let _socket = std::os::unix::net::UnixListener::bind(site.dir.join("d/socket")).unwrap();
    site.build(&["-t", "t"]).ok();
    assert_eq!(site.shows("ls /d"), "f");
    nix::unistd::mkfifo(&site.dir.join("d/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    site.build(&[]).status(1).says("it is a device or a fifo");
}

#[test]
fn as_user_hostile_archives_stay_inside() {
    let site = Site::new();
    let canary = crate::support::evil_tar::Canary::plant(&site.env.path("home/out"));
    site.dockerfile("FROM busybox\nADD evil.tar /x/\n");
    for archive in crate::support::evil_tar::archives(&canary) {
        std::fs::write(site.dir.join("evil.tar"), &archive.tar).unwrap();
        let output = site.build(&[]);
        assert!(output.status < 2, "{}: {output}", archive.name);
        canary.assert_unharmed(&archive.name);
    }
    site.is_tidy();
}

/// S63, S64: a repository is fetched, and what it says is neither run nor
/// followed.
#[test]
fn as_user_repositories() {
    let site = Site::new();
    let root = site.env.path("home/repos");
    let repository = root.join("r.git");
    std::fs::create_dir_all(repository.join("sub")).unwrap();
    std::fs::write(repository.join("Dockerfile"), "FROM busybox\nCOPY . /c/\n").unwrap();
    std::fs::write(
        repository.join("sub/Dockerfile"),
        "FROM busybox\nCOPY f /f\n",
    )
    .unwrap();
    std::fs::write(repository.join("sub/f"), "from git").unwrap();
    std::fs::write(repository.join(".gitattributes"), "f filter=evil\n").unwrap();
    symlink("/etc", repository.join("link")).unwrap();
    let git = |words: &[&str]| {
        let mut command = site.env.command("git");
        command
            .arg("-C")
            .arg(&repository)
            .args(["-c", "user.name=x", "-c", "user.email=x@x"])
            .args(words);
        run(command, b"", 20).ok();
    };
    git(&["init", "-q", "-b", "main", "."]);
    git(&["add", "."]);
    git(&["commit", "-qm", "x"]);
    git(&["branch", "other"]);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut daemon = site.env.command("git");
    daemon.args([
        "daemon",
        "--export-all",
        "--reuseaddr",
        "--listen=127.0.0.1",
    ]);
    daemon
        .arg(format!("--port={port}"))
        .arg(format!("--base-path={}", root.display()));
    let daemon = Running::start(daemon.stderr(std::process::Stdio::null()));
    let up = crate::support::eventually(10, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let url = format!("git://127.0.0.1:{port}/r.git");
    let build = |fragment: &str| {
        let place = format!("{url}{fragment}");
        site.env
            .wherry(["build", "--network", "none", "-t", "t", &place])
    };
    let outputs = (
        build(""),
        build("#other:sub"),
        build("#nope"),
        build("#main:link"),
        build("#main:.."),
    );
    drop(daemon);
    assert!(up);
    outputs.0.ok();
    outputs.1.ok();
    assert_eq!(site.shows("cat /f"), "from git");
    outputs.2.status(1).says("failed to fetch");
    outputs.3.status(1).says("has no directory");
    outputs.4.status(1).says("has no directory");
    site.is_tidy();
}
