//! What each instruction does to files and settings.

use super::{Site, cached};
use serde_json::json;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn as_user_files_arrive_as_docker_puts_them() {
    let site = Site::new();
    site.file("a.txt", "a")
        .file("d/x", "x")
        .file("d/sub/y", "y");
    std::fs::set_permissions(
        site.dir.join("a.txt"),
        std::fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    symlink("x", site.dir.join("d/link")).unwrap();
    site.ok("FROM busybox\nRUN mkdir /there && ln -s /there /link\nCOPY a.txt /one\nCOPY a.txt /two/\nCOPY a.txt /there\nCOPY a.txt /link/b\nCOPY d /dir\nCOPY d/x d/sub /many/\nCOPY --chown=5:6 --chmod=0600 d /own\nCOPY --chown=7 a.txt /seven\nCOPY --exclude=sub d /part\nCOPY --parents d/sub/y /par/\nCOPY *.txt /glob/\nWORKDIR /w/x\nCOPY a.txt .\n");
    let shown = site.shows(
        "stat -c '%n %a %u:%g %F' /one /two /two/a.txt /there/a.txt /there/b /dir/x /dir/sub/y /dir/link /many/x /many/y /own /own/sub/y /seven /par/d/sub/y /glob/a.txt /w/x/a.txt; ls /part; readlink /dir/link",
    );
    assert_eq!(
        shown,
        "/one 640 0:0 regular file\n/two 755 0:0 directory\n/two/a.txt 640 0:0 regular file\n/there/a.txt 640 0:0 regular file\n/there/b 640 0:0 regular file\n/dir/x 644 0:0 regular file\n/dir/sub/y 644 0:0 regular file\n/dir/link 777 0:0 symbolic link\n/many/x 644 0:0 regular file\n/many/y 644 0:0 regular file\n/own 600 5:6 directory\n/own/sub/y 600 5:6 regular file\n/seven 640 7:7 regular file\n/par/d/sub/y 644 0:0 regular file\n/glob/a.txt 640 0:0 regular file\n/w/x/a.txt 640 0:0 regular file\nlink\nx\nx"
    );
    site.is_tidy();
}

#[test]
fn as_user_runs_have_their_environment() {
    let site = Site::new();
    site.ok("FROM busybox\nARG ONE=1\nENV TWO=2\nSHELL [\"/bin/sh\", \"-ec\"]\nUSER 1000:1001\nWORKDIR /w\nRUN echo $ONE $TWO $(id -u):$(id -g) $PWD $(hostname) > /w/out\nRUN [\"sh\", \"-c\", \"echo exec $TWO >> /w/out\"]\nRUN <<E\necho heredoc $0\n\ntrue\nE\nRUN <<E cat >> out\nin $TWO\nE\n");
    assert_eq!(
        site.shows("cat /w/out; stat -c %u:%g /w"),
        "1 2 1000:1001 /w buildkitsandbox\nexec 2\nin 2\n1000:1001"
    );
    let names = site.shows("ls -a /");
    assert!(!names.contains("pipes"), "{names}");
}

#[test]
fn as_user_settings_are_the_images() {
    let site = Site::new();
    site.dockerfile("FROM busybox\nMAINTAINER me\nENV A=1 B=\"x y\"\nLABEL l=1\nEXPOSE 80 90/udp\nVOLUME /v\nUSER 5:6\nWORKDIR /w\nSTOPSIGNAL SIGINT\nENTRYPOINT [\"e\"]\nCMD c $A\nHEALTHCHECK --interval=5s CMD true\nONBUILD RUN x\n");
    site.build(&["-t", "t", "--label", "m=2"]).ok();
    let config = site.config();
    let path = config["Env"][0].clone();
    assert_eq!(config["Env"], json!([path, "A=1", "B=x y"]));
    for (key, want) in [
        ("Labels", json!({"l": "1", "m": "2"})),
        ("ExposedPorts", json!({"80/tcp": {}, "90/udp": {}})),
        ("Volumes", json!({"/v": {}})),
        ("User", json!("5:6")),
        ("WorkingDir", json!("/w")),
        ("StopSignal", json!("SIGINT")),
        ("Entrypoint", json!(["e"])),
        ("Cmd", json!(["/bin/sh", "-c", "c $A"])),
        (
            "Healthcheck",
            json!({"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000_u64}),
        ),
        ("OnBuild", json!(["RUN x"])),
    ] {
        assert_eq!(config[key], want, "{key}");
    }
    assert_eq!(
        site.env.ok(["image", "inspect", "-f", "{{.Author}}", "t"]),
        "me"
    );
}

#[test]
fn as_user_stages_give_files_to_each_other() {
    let site = Site::new();
    let text = "FROM busybox AS one\nRUN mkdir -p /o/p && echo 1 > /o/p/f && chown 5:6 /o/p/f && ln /o/p/f /o/p/g\nFROM busybox AS unused\nRUN false\nFROM scratch AS two\nCOPY --from=one /o /\nFROM busybox\nCOPY --from=two /p/f /f\nCOPY --from=0 /o/ /all/\nCOPY --from=busybox /bin/sh /sh2\n";
    let output = site.ok(text);
    assert!(!output.errors().contains("unused"));
    assert_eq!(
        site.shows("stat -c '%n %u:%g %h' /f /all/p/f /all/p/g; cmp /bin/sh /sh2 && echo same"),
        "/f 5:6 1\n/all/p/f 5:6 2\n/all/p/g 5:6 2\nsame"
    );
    site.build(&["--target", "unused"]).status(1);
    site.build(&["-q", "--target", "ONE"]).ok();
}

#[test]
fn as_user_deletions_and_replacements_are_in_layers() {
    let site = Site::new();
    site.ok("FROM busybox\nRUN mkdir -p /d/e && touch /d/a /d/e/b && echo x > /file\nRUN rm -r /d/e && rm /d/a && mkdir /d/e\nRUN rm /file && mkdir /file && touch /file/new\n");
    assert_eq!(
        site.shows("ls -R /d /file"),
        "/d:\ne\n\n/d/e:\n\n/file:\nnew"
    );
    // The same by another reader of layers.
    let saved = site.env.ok(["create", "t"]);
    let mut export = site.env.wherry_command(["export", "-o"]);
    export.arg(site.env.path("tmp/all.tar")).arg(&saved);
    crate::support::env::run(export, b"", 60).ok();
}

#[test]
fn as_user_add_unpacks_and_fetches() {
    let site = Site::new();
    let dir = &site.dir;
    site.file("in/hello", "hi").file("plain", "no archive");
    for (name, flag) in [("a.tar", "-c"), ("a.tgz", "-cz")] {
        let mut tar = site.env.command("tar");
        tar.args([flag, "-C"])
            .arg(dir.join("in"))
            .arg("-f")
            .arg(dir.join(name))
            .arg("hello");
        crate::support::env::run(tar, b"", 10).ok();
    }
    let server = crate::support::fault_registry::FaultRegistry::start();
    server.put("/files/data.txt", b"from the web", "text/plain");
    let url = server.url("/files/data.txt");
    let sum = crate::support::image::digest(b"from the web");
    site.ok(&format!("FROM busybox\nADD a.tar a.tgz /x/\nADD --unpack=false a.tar /kept.tar\nADD plain /plain\nADD {url} /web/\nADD --checksum={sum} {url} /named\n"));
    assert_eq!(
        site.shows(
            "cat /x/hello /web/data.txt /named; stat -c %a /named; tar -tf /kept.tar; cat /plain"
        ),
        "hifrom the webfrom the web600\nhello\nno archive"
    );
    let wrong = format!("sha256:{}", "0".repeat(64));
    site.fails(&format!("FROM busybox\nADD --checksum={wrong} {url} /x\n"))
        .says("digest mismatch");
    site.fails(&format!("FROM busybox\nADD {}x /x\n", server.url("/nope")))
        .says("Get \"");
    site.fails("FROM busybox\nADD http://user:pass@127.0.0.1/x /x\n")
        .says("user or password");
}

#[test]
fn as_user_triggers_fire_in_the_next_build() {
    let site = Site::new();
    site.ok("FROM busybox\nONBUILD COPY f /copied\nONBUILD RUN cp /copied /twice\n");
    site.env.ok(["tag", "t", "base"]);
    site.file("f", "content");
    site.ok("FROM base\n");
    assert_eq!(site.shows("cat /twice"), "content");
    assert_eq!(site.config()["OnBuild"], serde_json::Value::Null);
}

#[test]
fn as_user_link_needs_nothing_below() {
    let site = Site::new();
    site.file("f", "x");
    site.ok("FROM busybox\nRUN echo 1 > /one\nCOPY --link f /d/f\n");
    let second = site.ok("FROM busybox\nRUN echo 2 > /two\nCOPY --link f /d/f\n");
    assert_eq!(cached(&second), 1, "the layer is used again");
    assert_eq!(site.shows("cat /two /d/f"), "2\nx");
}

#[test]
fn as_user_files_can_be_the_result() {
    let site = Site::new();
    site.dockerfile("FROM busybox AS b\nRUN mkdir -p /out/d && echo x > /out/d/f && chown 7:7 /out/d/f\nFROM scratch\nCOPY --from=b /out /\n");
    let out = site.env.path("tmp/out");
    site.build(&["-o", out.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(out.join("d/f")).unwrap(), "x\n");
    let tar = site.build(&["-o", "-"]).ok().stdout;
    assert!(tar.windows(3).any(|w| w == b"d/f"));
    assert_eq!(
        site.env.ok(["images", "-q", "--filter", "dangling=true"]),
        ""
    );
}

#[test]
fn as_root_builds_like_users() {
    let site = Site::new();
    site.file("f", "x");
    site.ok("FROM busybox\nCOPY --chown=3:4 f /f\nRUN id -u > /id; mknod /tmp/null c 1 3 && rm /tmp/null; rm -r /home\nWORKDIR /w\n");
    assert_eq!(
        site.shows("cat /id; stat -c %u:%g /f; ls -d /home || echo gone"),
        "0\n3:4\ngone"
    );
    site.is_tidy();
}

#[test]
fn as_user_builds_reach_the_network_by_default() {
    let site = Site::new();
    site.dockerfile("FROM busybox\nRUN ip route | grep -c default > /addresses\n");
    let mut command = site.env.wherry_command(["build", "-t", "t"]);
    command.arg(&site.dir);
    crate::support::env::run(command, b"", 60).ok();
    assert_eq!(site.shows("cat /addresses"), "1");
}
