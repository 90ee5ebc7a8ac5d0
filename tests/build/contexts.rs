//! Where a build's files come from, and which of them there are.

use super::{Site, cached};
use crate::support::env::run;
use crate::support::fault_registry::FaultRegistry;
use crate::support::process::Running;
use crate::support::tree::Tree;
use std::os::unix::fs::symlink;
use std::path::Path;

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

/// What git says to these words in a repository.
#[track_caller]
fn git(site: &Site, repository: &Path, words: &[&str]) -> String {
    let mut command = site.env.command("git");
    command
        .arg("-C")
        .arg(repository)
        .args(["-c", "user.name=x", "-c", "user.email=x@x"])
        .args(words);
    run(command, b"", 20).ok().text()
}

/// The first commit of a new repository, on `main`.
#[track_caller]
fn commit_all(site: &Site, repository: &Path) {
    git(site, repository, &["init", "-q", "-b", "main", "."]);
    git(site, repository, &["add", "."]);
    git(site, repository, &["commit", "-qm", "x"]);
}

/// Serves the repositories below `root`; the URL of `r.git`.
fn daemon(site: &Site, root: &Path) -> (Running, String) {
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
    assert!(crate::support::eventually(10, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    }));
    (daemon, format!("git://127.0.0.1:{port}/r.git"))
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
    let git = |words: &[&str]| git(&site, &repository, words);
    commit_all(&site, &repository);
    git(&["branch", "other"]);
    let (daemon, url) = daemon(&site, &root);
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
    outputs.0.ok();
    outputs.1.ok();
    assert_eq!(site.shows("cat /f"), "from git");
    outputs.2.status(1).says("failed to fetch");
    outputs.3.status(1).says("has no directory");
    outputs.4.status(1).says("has no directory");
    site.is_tidy();
}

#[test]
fn repositories_that_are_added() {
    let site = Site::new();
    let root = site.env.path("home/repos");
    let repository = root.join("r.git");
    std::fs::create_dir_all(repository.join("sub")).unwrap();
    std::fs::write(repository.join("top"), "one").unwrap();
    std::fs::write(repository.join("sub/f"), "from git").unwrap();
    symlink("/etc/passwd", repository.join("sub/link")).unwrap();
    let git = |words: &[&str]| git(&site, &repository, words);
    commit_all(&site, &repository);
    let commit = git(&["rev-parse", "HEAD"]);
    let (daemon, url) = daemon(&site, &root);
    let text = format!(
        "FROM busybox\nADD {url} /all\nADD --keep-git-dir=true --checksum={} {url}#main /whole\n\
         ADD --chown=3:4 {url}#main:sub /sub/\n",
        &commit.trim()[..12]
    );
    site.ok(&text);
    assert_eq!(
        site.shows("cat /all/top /all/sub/f; ls -a /all; ls -d /whole/.git; ls /sub; readlink /sub/link; stat -c %u:%g /sub/f"),
        "onefrom git.\n..\nsub\ntop\n/whole/.git\nf\nlink\n/etc/passwd\n3:4"
    );
    // The same again is known, but for the index, which has times in it.
    let again = site.ok(&format!(
        "FROM busybox\nADD {url} /all\nADD {url}#main:sub /x\n"
    ));
    assert_eq!(cached(&again), 1);
    std::fs::write(repository.join("top"), "two").unwrap();
    git(&["commit", "-qam", "y"]);
    let changed = site.ok(&format!("FROM busybox\nADD {url} /all\n"));
    assert_eq!(
        (cached(&changed), site.shows("cat /all/top").as_str()),
        (0, "two")
    );
    for (line, says) in [
        (format!("ADD {url}#nope /x"), "failed to fetch"),
        (format!("ADD {url}#main:nope /x"), "has no directory"),
        (
            format!("ADD --checksum={commit} {url} /x").replace('\n', ""),
            "expected checksum to match",
        ),
        (
            format!("ADD --checksum=zz {url} /x"),
            "expected checksum to match",
        ),
        (format!("ADD {url} Dockerfile /x/"), "beside other sources"),
    ] {
        let out = site.fails(&format!("FROM busybox\n{line}\n"));
        assert!(out.errors().contains("Dockerfile:2"), "{}", out.errors());
        out.says(says);
    }
    // One that is not needed is not fetched.
    drop(daemon);
    site.ok(&format!(
        "FROM busybox AS other\nADD {url} /x\nFROM busybox\nRUN true\n"
    ));
    site.is_tidy();
}

#[test]
fn named_contexts_of_all_kinds() {
    let (site, server) = (Site::new(), FaultRegistry::start());
    site.file("extra/d/f", "of a directory")
        .file("extra/.dot", "x");
    std::fs::set_permissions(
        site.dir.join("extra/d/f"),
        std::os::unix::fs::PermissionsExt::from_mode(0o640),
    )
    .unwrap();
    let root = site.env.path("home/repos");
    let repository = root.join("r.git");
    std::fs::create_dir_all(repository.join("sub")).unwrap();
    std::fs::write(repository.join("sub/f"), "of a repository").unwrap();
    commit_all(&site, &repository);
    let (_daemon, url) = daemon(&site, &root);
    let mut tree = Tree::default();
    tree.file("f", "of an archive", 0o644).owner(7, 8);
    server.put("/files/x.tar", &tree.tar(), "application/x-tar");
    server.put("/files/x.txt", b"hello", "text/plain");
    let contexts = [
        "--build-context=dir=EXTRA".replace("EXTRA", site.dir.join("extra").to_str().unwrap()),
        format!("--build-context=repo={url}#main:sub"),
        format!("--build-context=tar=http://{}/files/x.tar", server.host()),
        "--build-context=busybox:renamed=docker-image://busybox".into(),
    ];
    let options: Vec<&str> = contexts
        .iter()
        .map(String::as_str)
        .chain(["-t", "t"])
        .collect();
    site.dockerfile(
        "FROM dir AS base\nFROM busybox:renamed\nCOPY --from=base / /dir/\nCOPY --from=repo f /repo\n\
         COPY --from=tar f /tar\nRUN --mount=from=tar,target=/m cat /m/f > /mounted\n",
    );
    let first = site.build(&options).ok();
    assert_eq!(cached(&first), 0);
    assert_eq!(
        site.shows(
            "cat /dir/d/f /repo /tar /mounted; ls -a /dir; stat -c '%a %u:%g' /dir/d/f /tar"
        ),
        "of a directoryof a repositoryof an archiveof an archive.\n..\n.dot\nd\n640 0:0\n644 0:0"
    );
    assert_eq!(cached(&site.build(&options).ok()), 5);
    // A stage that begins with files is an image as well.
    site.dockerfile("FROM dir\nENV A=1\n");
    site.build(&[&options[..], &["-o", "type=tar,dest=-"]].concat())
        .ok();
    site.dockerfile("FROM busybox\n");
    let bad = format!("--build-context=bad=http://{}/files/x.txt", server.host());
    site.build(&[&bad]).status(1).says("is not an archive");
    let gone = format!("--build-context=bad=http://{}/files/nope", server.host());
    site.build(&[&gone]).status(1).says("404");
    site.is_tidy();
}
