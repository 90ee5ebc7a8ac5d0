//! The root by fuse-overlayfs, where the kernel's overlayfs cannot do it: on a
//! data directory that is an overlay itself (made by root), and with layers
//! whose deletions are files (anywhere).

use crate::support::env::{Output, run};
use crate::support::image::Image;
use crate::support::registry::Registry;
use crate::support::tree::Tree;
use crate::support::{Env, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// `library/marks`, with deletions of all sorts in its third layer, and
/// `library/plain`.
fn push_marks(registry: &Registry, env: &Env) {
    let (mut below, mut above) = (Tree::default(), Tree::default());
    below.dir("etc", 0o755);
    below.file("etc/gone", "x", 0o644);
    below.file("etc/of-alice", "x", 0o640).owner(1000, 1000);
    for name in ["opaque", "replaced", "late"] {
        below.dir(name, 0o755);
        below.file(&format!("{name}/lower"), "x", 0o644);
    }
    above.dir("etc", 0o755);
    above.file("etc/.wh.gone", "", 0o644);
    above.dir("opaque", 0o755);
    above.file("opaque/.wh..wh..opq", "", 0o644);
    above.file("opaque/upper", "x", 0o644);
    above.file(".wh.replaced", "", 0o644);
    above.dir("replaced", 0o755);
    above.file("replaced/upper", "x", 0o644);
    above.dir("late", 0o755);
    above.file("late/upper", "x", 0o644);
    above.file(".wh.late", "", 0o644);
    registry.push(env, &Image::busybox(), "library/plain:latest");
    let image = Image::busybox().layer(below).layer(above);
    registry.push(env, &image, "library/marks:latest");
}

/// wherry in a place of its own, perhaps as another user and below a command.
struct Place {
    env: Env,
    before: Vec<String>,
    data: PathBuf,
}

impl Place {
    /// One whose data directory is below `data/NAME`.
    fn named(env: Env, name: &str) -> Self {
        let home = env.path("data").join(name);
        std::fs::create_dir(&home).unwrap();
        Self::at(env, &home)
    }

    fn at(mut env: Env, home: &Path) -> Self {
        env.set("XDG_DATA_HOME", home.to_str().unwrap());
        Self {
            env,
            before: Vec::new(),
            data: home.join("wherry"),
        }
    }

    fn wherry(&self, args: &[&str]) -> Output {
        self.below(&[], args)
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let out = self.wherry(args).ok();
        assert_eq!(out.errors(), "", "{out}");
        out.text().trim_end().to_owned()
    }

    fn below(&self, outer: &[&str], args: &[&str]) -> Output {
        let before = self.before.iter().map(String::as_str);
        let mut words = outer
            .iter()
            .copied()
            .chain(before)
            .chain([crate::support::env::wherry_path()])
            .chain(args.iter().copied());
        let mut command = self.env.command(words.next().unwrap());
        command.args(words);
        run(command, b"", 60)
    }

    /// Starts `box`; its ID.
    fn start(&self, args: &[&str]) -> String {
        let head = ["run", "-d", "--name", "box", "--network", "none"];
        self.ok(&[&head, args].concat())
    }

    fn kill_monitor(&self, id: &str) {
        let path = self.data.join("containers").join(id).join("state.json");
        let state: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let pid = state["Monitor"]["Pid"].as_i64().unwrap();
        kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
    }

    /// Processes of fuse-overlayfs that serve this place.
    fn servers(&self) -> usize {
        let data = self
            .data
            .to_str()
            .unwrap()
            .replace('\\', "\\\\")
            .replace(',', "\\,");
        let served = |entry: std::fs::DirEntry| {
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).into_owned();
            words.contains("fuse-overlayfs") && words.contains(&data)
        };
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
            .map(served)
            .filter(|served| *served)
            .count()
    }

    #[track_caller]
    fn no_server(&self) {
        assert!(eventually(5, || self.servers() == 0), "{}", self.servers());
    }
}

/// What the layers say, what the container writes, and that it is still there
/// after a stop, and after a stop of one that had lost its monitor.
fn a_whole_life(place: &Place) {
    place.ok(&["pull", "-q", "marks"]);
    let id = place.start(&["marks", "sleep", "600"]);
    let sh = |script: &str| place.ok(&["exec", "box", "sh", "-c", script]);
    let mounts = sh("grep ' / ' /proc/mounts");
    assert!(
        mounts.starts_with("fuse-overlayfs / fuse.fuse-overlayfs rw,"),
        "{mounts}"
    );
    assert!(!mounts.contains("nosuid"), "{mounts}");
    assert_eq!(place.servers(), 1);
    let shown = place.ok(&["inspect", "-f", "{{json .GraphDriver}} {{.Driver}}", "box"]);
    assert!(
        shown.contains(r#""MountProgram":"fuse-overlayfs""#) && shown.ends_with("overlay2"),
        "{shown}"
    );
    assert_eq!(
        sh("ls /etc/gone 2>&1; ls /opaque /replaced /late"),
        "ls: /etc/gone: No such file or directory\n/late:\nupper\n\n/opaque:\nupper\n\n/replaced:\nupper"
    );
    assert_eq!(sh("find / -xdev -name '.wh.*'"), "");
    assert_eq!(sh("stat -c '%u %a' /etc/of-alice"), "1000 640");
    sh(
        "echo new >/new; echo more >>/etc/passwd; rm /etc/group; rm -r /opaque; mkdir /opaque; \
        chown 33:33 /new; ln -s new /link; ln /new /hard; mv /replaced /moved; sync",
    );
    let want = "new\nmore\n33 2\n/moved/upper\n";
    let look = "cat /link; tail -n 1 /etc/passwd; stat -c '%u %h' /new; ls /moved/*; \
        ls /opaque /replaced /etc/group 2>/dev/null | grep -v '^/opaque:$'; true";
    assert_eq!(sh(look), want.trim_end());
    place.ok(&["stop", "-t", "0", "box"]);
    assert_eq!(place.servers(), 0, "stop waits for it");
    place.ok(&["start", "box"]);
    assert_eq!(sh(look), want.trim_end());
    // What it wrote last is there, though nobody of ours saw the end.
    place.kill_monitor(&id);
    sh("dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null");
    place.ok(&["stop", "-t", "0", "box"]);
    assert_eq!(place.servers(), 0);
    place.ok(&["start", "box"]);
    assert_eq!(sh("stat -c %s /big"), "20971520");
    place.kill_monitor(&id);
    assert_eq!(sh("echo alive"), "alive");
    place.ok(&["rm", "-f", "box"]);
    place.no_server();
    let status = place.wherry(&[
        "run",
        "--rm",
        "--network",
        "none",
        "marks",
        "sh",
        "-c",
        "exit 7",
    ]);
    status.status(7);
    place.no_server();
    assert_eq!(place.ok(&["ps", "-aq"]), "");
}

/// Layers in overlayfs' own marks, served by fuse-overlayfs all the same
/// because one of them is said to have others.
fn mark_layers(place: &Place) {
    for entry in std::fs::read_dir(place.data.join("layers")).unwrap() {
        std::fs::write(entry.unwrap().path().join("deletions-as-files"), "").unwrap();
    }
}

#[test]
fn it_reads_the_marks_of_overlayfs_and_leaves_nothing() {
    let registry = Registry::plain();
    let env = Env::alone();
    env.short_names_from(&registry);
    push_marks(&registry, &env);
    // libfuse has a meaning for both.
    let place = Place::named(env, "a,b\\c");
    place.ok(&["pull", "-q", "marks"]);
    mark_layers(&place);
    // The first makes what is there for all of them.
    a_whole_life(&place);
    let before = place.env.snapshot();
    a_whole_life(&place);
    before.assert_same();
}

#[test]
fn a_path_that_it_cannot_have_is_named() {
    let registry = Registry::plain();
    let env = Env::with(&registry);
    push_marks(&registry, &env);
    let place = Place::named(env, "a:b");
    place.ok(&["pull", "-q", "marks"]);
    assert_eq!(
        place.ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            "marks",
            "cat",
            "/proc/self/comm"
        ]),
        "cat"
    );
    mark_layers(&place);
    place
        .wherry(&["run", "--rm", "--network", "none", "marks", "true"])
        .status(125)
        .says("where overlayfs does not work; by fuse-overlayfs: it cannot have the path")
        .says("because of its colon");
    assert_eq!(place.ok(&["ps", "-aq"]), "");
}

/// Ended by another, its container fails, and can be removed and started.
#[test]
fn its_end_is_no_end_for_the_record() {
    let registry = Registry::plain();
    let env = Env::with(&registry);
    push_marks(&registry, &env);
    let place = Place::named(env, "d");
    place.ok(&["pull", "-q", "marks"]);
    mark_layers(&place);
    let id = place.start(&["marks", "sleep", "600"]);
    let note = place
        .env
        .run_dir()
        .join("wherry/containers")
        .join(&id)
        .join("fuse.pid");
    let text = std::fs::read_to_string(note).unwrap();
    let pid = text.split(' ').next().unwrap().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert!(eventually(5, || place
        .wherry(&["exec", "box", "true"])
        .status
        != 0));
    place.ok(&["stop", "-t", "0", "box"]);
    place.ok(&["start", "box"]);
    place.ok(&["exec", "box", "true"]);
    place.ok(&["rm", "-f", "box"]);
    place.no_server();
}

mod as_root {
    use super::*;
    use crate::support::user::require_root;

    /// An overlay that root has mounted for a data directory.
    struct Mounted(PathBuf);

    impl Mounted {
        fn below(dir: &Path) -> Self {
            let part = |name: &str| dir.join(name);
            for name in ["lower", "upper", "work", "merged"] {
                std::fs::create_dir_all(part(name)).unwrap();
            }
            let options = format!(
                "lowerdir={},upperdir={},workdir={}",
                part("lower").display(),
                part("upper").display(),
                part("work").display()
            );
            let mut mount = std::process::Command::new("mount");
            mount.args(["-t", "overlay", "overlay", "-o", &options]);
            mount.arg(part("merged"));
            run(mount, b"", 10).ok();
            Self(part("merged"))
        }

        /// Fails when anything still uses it.
        fn unmount(&self) {
            nix::mount::umount2(&self.0, nix::mount::MntFlags::empty()).unwrap();
        }
    }

    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
        }
    }

    /// A place of `user`'s on an overlay, or of root's.
    fn on_overlay(registry: &Registry, user: Option<&str>) -> (Mounted, Place) {
        let env = Env::with(registry);
        push_marks(registry, &env);
        let mounted = Mounted::below(&env.path("tmp"));
        let mut place = Place::at(env, &mounted.0);
        if let Some(user) = user {
            let mut chown = std::process::Command::new("chown");
            chown.args(["-R", &format!("{user}:{user}")]);
            chown.args([place.env.root(), place.env.run_dir(), &mounted.0]);
            run(chown, b"", 10).ok();
            place.env.set("USER", user);
            let words =
                format!("setpriv --reuid={user} --regid={user} --init-groups --inh-caps=-all");
            place.before = words.split(' ').map(String::from).collect();
        }
        (mounted, place)
    }

    /// Without deletions the layers would do for overlayfs.
    fn the_kernel_is_asked(place: &Place) {
        place.ok(&["pull", "-q", "plain"]);
        let mark = |layer: std::fs::DirEntry| layer.path().join("deletions-as-files").exists();
        let mut layers = std::fs::read_dir(place.data.join("layers")).unwrap();
        assert!(layers.all(|layer| !mark(layer.unwrap())));
        let network = ["--network", "none"];
        let run = [
            &["run", "--rm"],
            &network[..],
            &["plain", "cat", "/proc/mounts"],
        ]
        .concat();
        let mounts = place.ok(&run);
        assert!(mounts.starts_with("fuse-overlayfs / "), "{mounts}");
        place.no_server();
    }

    const USER: &str = "wherry-test";

    #[test]
    fn a_user_s_data_on_an_overlay() {
        require_root();
        let registry = Registry::plain();
        let (mounted, place) = on_overlay(&registry, Some(USER));
        the_kernel_is_asked(&place);
        a_whole_life(&place);
        assert!(eventually(5, || {
            std::fs::read_dir(place.env.run_dir().join("wherry/containers"))
                .is_ok_and(|mut entries| entries.next().is_none())
        }));
        mounted.unmount();
    }

    #[test]
    fn root_s_data_on_an_overlay() {
        require_root();
        let registry = Registry::plain();
        let (mounted, place) = on_overlay(&registry, None);
        the_kernel_is_asked(&place);
        a_whole_life(&place);
        mounted.unmount();
    }

    #[test]
    fn where_neither_works_both_reasons_are_given() {
        require_root();
        let registry = Registry::plain();
        let (mounted, place) = on_overlay(&registry, Some(USER));
        place.ok(&["pull", "-q", "plain"]);
        let broken = place.env.path("tmp/broken");
        std::fs::write(
            &broken,
            "#!/bin/sh\necho the first >&2\necho boom >&2\nexit 1\n",
        )
        .unwrap();
        std::os::unix::fs::chown(&broken, Some(0), Some(0)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&broken, mode).unwrap();
        let program = "/usr/bin/fuse-overlayfs";
        for (source, target, reason, hint) in [
            (
                "/dev/null",
                program,
                "not installed",
                "install fuse-overlayfs`",
            ),
            (broken.to_str().unwrap(), program, "boom", ""),
            (
                "/dev/null",
                "/dev/fuse",
                "cannot mount a FUSE file system: ",
                "modprobe fuse",
            ),
        ] {
            let script = format!("mount --bind {source} {target} && exec \"$@\"");
            let outer = ["unshare", "-m", "sh", "-c", &script, "sh"];
            let args = ["run", "--rm", "--network", "none", "plain", "true"];
            place
                .below(&outer, &args)
                .status(125)
                .says("cannot mount the container's overlay: by the kernel: invalid argument; by fuse-overlayfs: ")
                .says(reason)
                .says(hint);
            place.no_server();
        }
        assert_eq!(place.ok(&["ps", "-aq"]), "");
        mounted.unmount();
    }
}
