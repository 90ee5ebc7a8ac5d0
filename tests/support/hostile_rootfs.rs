//! Root file systems that try to lead an engine astray: links where it mounts
//! or writes, special files where it reads, and configurations that lie. Each
//! is a directory for `--rootfs`, or an image. Whatever it is run with, a
//! canary outside stays untouched, the command ends within 10 s, and nobody
//! panics.

use super::image::Image;
use super::tree::{Kind, Tree};
use serde_json::{Value, json};
use std::path::Path;

/// One of them: how it differs from busybox.
pub struct Hostile {
    pub name: &'static str,
    twist: fn(&mut Tree),
    /// Fields of the image's `config`; nothing to a directory.
    config: fn() -> Vec<(&'static str, Value)>,
}

/// Where links point that an engine must not follow: tests put a canary there.
pub const CANARY: &str = "/tmp/wherry-canary";

impl Hostile {
    pub fn all() -> &'static [Self] {
        ALL
    }

    pub fn named(name: &str) -> &'static Self {
        ALL.iter()
            .find(|h| h.name == name)
            .unwrap_or_else(|| panic!("no hostile {name}"))
    }

    pub fn tree(&self) -> Tree {
        let mut tree = Tree::busybox();
        (self.twist)(&mut tree);
        tree
    }

    pub fn write_to(&self, dir: &Path) {
        self.tree().write_to(dir);
    }

    pub fn image(&self) -> Image {
        let image = Image::new().layer(self.tree());
        (self.config)()
            .into_iter()
            .fold(image, |image, (field, value)| image.set(field, value))
    }
}

fn link(tree: &mut Tree, path: &str, target: &str) {
    tree.remove(path).symlink(path, target);
}

fn plain(_: &mut Tree) {}
fn none() -> Vec<(&'static str, Value)> {
    Vec::new()
}

macro_rules! hostile {
    ($($name:literal: $twist:expr, $config:expr;)*) => {
        &[$(Hostile { name: $name, twist: $twist, config: $config }),*]
    };
}

static ALL: &[Hostile] = hostile! {
    "proc-link": |t| link(t, "proc", "/sys"), none;
    "sys-link": |t| link(t, "sys", CANARY), none;
    "dev-link": |t| link(t, "dev", CANARY), none;
    "dev-file": |t| { t.remove("dev").file("dev", "not a directory", 0o644); }, none;
    "dev-fifo": |t| { t.remove("dev").add("dev", Kind::Fifo, 0o644); }, none;
    "etc-link": |t| link(t, "etc", CANARY), none;
    "run-link": |t| link(t, "run", CANARY), none;
    "tmp-link": |t| link(t, "tmp", CANARY), none;
    "rootdir-0000": |t| { t.dir("./", 0o000); }, none;
    "rootdir-suid": |t| { t.dir("./", 0o7777); }, none;
    "passwd-fifo": |t| { t.remove("etc/passwd").add("etc/passwd", Kind::Fifo, 0o644); },
        || vec![("User", json!("alice"))];
    "passwd-zero": |t| link(t, "etc/passwd", "/dev/zero"), || vec![("User", json!("alice"))];
    "passwd-big": |t| {
        let line = format!("x:x:1:1:{}:/:/bin/sh\n", "y".repeat(1 << 16));
        t.remove("etc/passwd").file("etc/passwd", line.repeat(256), 0o644);
    }, || vec![("User", json!("alice"))];
    "passwd-numeric": |t| {
        let lines = "1000:x:0:0:numeric:/:/bin/sh\nalice:x:4294967296:-1::/:\nbob:x:99999999999999999999:0::/:\n";
        t.remove("etc/passwd").file("etc/passwd", lines, 0o644);
    }, || vec![("User", json!("1000"))];
    "group-10M": |t| {
        let members = "root,".repeat(2 << 20);
        t.remove("etc/group").file("etc/group", format!("wheel:x:10:{members}\n"), 0o644);
    }, || vec![("User", json!("root:wheel"))];
    "workdir-link": |t| { t.symlink("work", CANARY); }, || vec![("WorkingDir", json!("/work/below"))];
    "workdir-proc-fd": plain, || vec![("WorkingDir", json!("/proc/self/fd/8"))];
    "volume-dotdot": |t| { t.symlink("data", "../../../../tmp"); },
        || vec![("Volumes", json!({ "/data/../../../wherry-canary": {} }))];
    "entry-procself": plain, || vec![("Entrypoint", json!(["/proc/self/exe"]))];
    "entry-shebang-procself": |t| { t.file("entry", "#!/proc/self/exe\n", 0o755); },
        || vec![("Entrypoint", json!(["/entry"]))];
    "libc-trojan": |t| {
        t.dir("lib", 0o755);
        t.file("lib/libc.so.6", "not a library", 0o755);
        t.file("etc/ld.so.preload", "/lib/libc.so.6\n", 0o644);
    }, none;
    "nss-trojan": |t| {
        t.file("etc/nsswitch.conf", "passwd: trojan\ngroup: trojan\nhosts: trojan\n", 0o644);
        t.dir("lib", 0o755);
        t.file("lib/libnss_trojan.so.2", "not a library", 0o755);
    }, || vec![("User", json!("alice"))];
    "tools-trojan": |t| {
        t.dir("usr/sbin", 0o755);
        for tool in ["newuidmap", "newgidmap", "pasta", "slirp4netns", "nft", "ip", "mount"] {
            let script = format!("#!/bin/sh\n: >{CANARY}/{tool}\n");
            t.file(&format!("usr/bin/{tool}"), script.clone(), 0o4755);
            t.file(&format!("usr/sbin/{tool}"), script, 0o4755);
        }
    }, none;
    "label-reserved": plain, || vec![("Labels", json!({
        "wherry.privileged": "true", "io.wherry.rootfs": "/", "run.oci.handler": CANARY,
        "io.podman.annotations.privileged": "TRUE", "io.container.manager": "other",
        "org.systemd.property.ExecStart": "'/bin/sh'", "annotation.userns": "host",
    }))];
    "env-newline": plain, || vec![("Env", json!([
        "PATH=/bin", "HOME=/x\nroot2::0:0::/:/bin/sh", "HOSTNAME=a\n127.0.0.1 b", "=x", "NOVALUE", "A=\u{0}b",
    ]))];
    "user-overflow": plain, || vec![("User", json!("4294967296:4294967295"))];
    "healthcheck-flood": plain, || vec![("Healthcheck", json!({
        "Test": ["CMD-SHELL", "yes"], "Interval": 1, "Timeout": -1, "Retries": -5,
    }))];
    "stopsignal-garbage": plain, || vec![("StopSignal", json!("SIGKILL; rm -rf /\n999"))];
    "exposedports-garbage": plain, || vec![("ExposedPorts", json!({
        "": {}, "99999/tcp": {}, "80/\n": {}, "-1/udp": {}, "80-70/tcp": {}, "../x": {},
    }))];
    "mtab-link": |t| { t.symlink("etc/mtab", CANARY); }, none;
    "resolv-link": |t| {
        for name in ["resolv.conf", "hosts", "hostname"] {
            t.symlink(&format!("etc/{name}"), &format!("../../../../{CANARY}/{name}"));
        }
    }, none;
    "deep-symlinks-40": |t| {
        for n in 0..45 {
            t.symlink(&format!("l{n}"), &format!("l{}", n + 1));
        }
        t.dir("l45", 0o755);
    }, || vec![("WorkingDir", json!("/l0"))];
    "dev-nodes": |t| {
        t.add("dev/null", Kind::Char(1, 1), 0o666);
        t.add("dev/console", Kind::Block(8, 0), 0o666);
        t.add("disk", Kind::Block(254, 0), 0o666);
        t.add("dev/zero", Kind::Fifo, 0o666);
    }, none;
    "overlay-xattr": |t| {
        for space in ["user", "trusted"] {
            t.dir(&format!("redirect-{space}"), 0o755)
                .xattr(&format!("{space}.overlay.redirect"), b"/etc")
                .xattr(&format!("{space}.overlay.opaque"), b"y")
                .xattr(&format!("{space}.overlay.metacopy"), b"");
        }
    }, none;
    "whiteout-dotdot": |t| {
        for name in [".wh...", ".wh..", "tmp/.wh...", "tmp/.wh..wh..opq", ".wh.bin/../../canary"] {
            t.file(name, "", 0o644);
        }
    }, none;
};

mod tests {
    use super::*;

    /// Each can be made, as a directory where names allow it and as an image.
    #[test]
    fn all_can_be_made() {
        let env = super::super::Env::new();
        let mut names = std::collections::BTreeSet::new();
        for hostile in Hostile::all() {
            assert!(names.insert(hostile.name), "{} twice", hostile.name);
            let layout = hostile.image().write(&env.path("tmp/layout"), hostile.name);
            assert!(!layout.id.is_empty());
            if hostile.name != "whiteout-dotdot" {
                let dir = env.path("tmp").join(hostile.name);
                std::fs::create_dir(&dir).unwrap();
                hostile.write_to(&dir);
                use std::os::unix::fs::PermissionsExt;
                let open = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(&dir, open).unwrap();
            }
        }
        assert_eq!(names.len(), 35);
    }
}
