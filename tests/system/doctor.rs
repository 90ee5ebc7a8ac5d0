//! `doctor` on hosts that lack something, and the errors of commands there:
//! both have the same words, and what they say helps. Each host is this one
//! seen from a mount namespace where that thing is missing.

use crate::support::Env;
use serde_json::Value;

fn checks(env: &Env) -> Vec<Value> {
    let shown = env.wherry(["doctor", "--format", "json"]);
    serde_json::from_slice(&shown.stdout).unwrap()
}

#[test]
fn this_host_is_told_as_text_and_as_json() {
    let env = Env::new();
    let checks = checks(&env);
    let missing = checks.iter().any(|check| check["Status"] == "missing");
    let text = env.wherry(["doctor"]).status(i32::from(missing)).text();
    for check in &checks {
        let [status, name, found, sentence, command] =
            ["Status", "Name", "Found", "Sentence", "Command"]
                .map(|key| check[key].as_str().unwrap());
        let line = text.lines().find(|line| {
            let mut cells = line
                .split("   ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty());
            cells.next() == Some(status) && cells.next() == Some(name)
        });
        // Figures such as free space change from call to call.
        assert!(line.is_some(), "no line for {name}, {found} in {text}");
        assert_eq!(status == "ok", sentence.is_empty(), "{check}");
        if !sentence.is_empty() {
            assert!(text.contains(&format!("\n{name}: {sentence}\n")), "{text}");
            assert!(text.contains(&format!("    {command}\n")), "{text}");
        }
    }
    assert!(!env.path("data/wherry").join(".tmp-1-doctor").exists());
    env.wherry(["doctor", "--format", "xml"])
        .status(1)
        .says("unknown format \"xml\"");
}

mod as_root {
    use crate::support::env::{Output, remove, run, wherry_path};
    use crate::support::registry::Registry;
    use crate::support::user::require_root;
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::path::PathBuf;
    use std::process::Command;

    /// The user that tests/scripts/test makes.
    const TESTER: &str = "wherry-test";

    /// Runs a command that cannot open sockets of nfnetlink. As root: a filter
    /// that no_new_privs makes harmless would keep newuidmap from its rights.
    const WITHOUT_NETFILTER: &str = r#"
import ctypes, os, platform, struct, sys
socket = {"x86_64": 41, "aarch64": 198}[platform.machine()]
def step(code, jt, jf, k): return struct.pack("=HBBI", code, jt, jf, k)
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
steps = [step(LOAD, 0, 0, 0), step(EQUAL, 0, 5, socket),
         step(LOAD, 0, 0, 16), step(EQUAL, 0, 3, 16),   # AF_NETLINK
         step(LOAD, 0, 0, 32), step(EQUAL, 0, 1, 12),   # NETLINK_NETFILTER
         step(RETURN, 0, 0, 0x00050000 | 93),           # EPROTONOSUPPORT
         step(RETURN, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(steps))
program = struct.pack("=HxxxxxxQ", len(steps), ctypes.addressof(code))
if ctypes.CDLL(None, use_errno=True).prctl(22, 2, ctypes.create_string_buffer(program), 0, 0) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
"#;

    /// A place of that user's own, below which everything is that he has.
    struct Place {
        root: PathBuf,
        uid: u32,
    }

    impl Place {
        fn new(name: &str) -> Self {
            require_root();
            let user = nix::unistd::User::from_name(TESTER).unwrap();
            let user = user.unwrap_or_else(|| panic!("no user {TESTER}: run tests/scripts/test"));
            let root = std::env::temp_dir().join(format!("wd-{name}-{}", std::process::id()));
            for dir in ["", "home", "data", "run", "tmp"] {
                let dir = root.join(dir);
                std::fs::create_dir(&dir).unwrap();
                chown(&dir, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
            }
            std::fs::set_permissions(&root, PermissionsExt::from_mode(0o755)).unwrap();
            let host = Registry::shared().host();
            let conf = format!(
                "[[registry]]\nprefix = \"docker.io\"\nlocation = \"{host}\"\ninsecure = true\n"
            );
            std::fs::write(root.join("registries.conf"), conf).unwrap();
            Self {
                root,
                uid: user.uid.as_raw(),
            }
        }

        /// Runs a script as root in a mount namespace of its own. `wherry` in it
        /// is the user's.
        fn script(&self, script: &str) -> Output {
            let mut inside = Command::new("unshare");
            let all = format!("{}{script}", self.prelude());
            inside.args(["--mount", "--propagation", "private", "sh", "-c", &all]);
            run(inside, b"", 120)
        }

        /// The same in a user namespace that has all ids of the host.
        fn script_in_userns(&self, script: &str) -> Output {
            let all = format!("{}{script}", self.prelude());
            std::fs::write(self.root.join("inner.sh"), all).unwrap();
            self.script(
                "mkfifo ready go
                 unshare --user sh -c 'echo >ready; read -r _ <go; exec sh inner.sh' &
                 read -r _ <ready
                 echo '0 0 4294967295' >/proc/$!/uid_map
                 echo '0 0 4294967295' >/proc/$!/gid_map
                 echo >go
                 wait $!",
            )
        }

        /// From there on the kernel gives `wherry` no netfilter.
        fn without_netfilter(&self) -> String {
            let program = self.root.join("without_netfilter.py");
            std::fs::write(&program, WITHOUT_NETFILTER).unwrap();
            format!("VIA='python3 {}'", program.display())
        }

        fn prelude(&self) -> String {
            let root = self.root.display();
            let wherry = wherry_path();
            format!(
                r#"
set -eu
cd {root}
wherry() {{
    ${{VIA-}} setpriv --reuid {TESTER} --regid {TESTER} --init-groups env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        HOME={root}/home USER={TESTER} XDG_DATA_HOME={root}/data XDG_RUNTIME_DIR={root}/run \
        TMPDIR={root}/tmp CONTAINERS_REGISTRIES_CONF={root}/registries.conf {wherry} "$@"
}}
# What a person types after a hint.
sudo() {{ "$@"; }}
id() {{ echo {TESTER}; }}
own_etc() {{ cp -a /etc {root}/etc; mount --bind {root}/etc /etc; }}
status() {{ wherry doctor --format json | python3 -c 'import json,sys
for c in json.load(sys.stdin):
    if c["Name"] == sys.argv[1]: print(c["Status"])' "$1"; }}
advice() {{ wherry doctor --format json | python3 -c 'import json,sys
for c in json.load(sys.stdin):
    if c["Name"] == sys.argv[1]: print(c[sys.argv[2]])' "$1" "$2"; }}
"#
            )
        }

        /// With `setup` the check `name` is no good, and says `sentence`; then
        /// `wherry COMMAND` fails with the same words, unless it is empty. What
        /// they say is typed when `mends`, and then all is well.
        #[track_caller]
        fn case(&self, setup: &str, name: &str, sentence: &str, command: &str, mends: bool) {
            let mut script = format!(
                "wherry pull -q busybox >/dev/null\n{setup}\nstatus '{name}'\nadvice '{name}' Sentence\n\
                 mend=$(advice '{name}' Command)\necho \"$mend\"\n"
            );
            if !command.is_empty() {
                script += &format!("wherry {command} 2>&1 || true\n");
            }
            if mends {
                script += &format!("eval \"$mend\" >/dev/null\nstatus '{name}'\n");
            }
            let out = self.script(&script).ok();
            let text = out.text();
            let lines: Vec<&str> = text.lines().collect();
            assert!(lines.len() >= 3, "{out}");
            assert_ne!(lines[0], "ok", "{out}");
            assert_eq!(lines[1], sentence, "{out}");
            if !command.is_empty() {
                let hint = format!("hint: {sentence}: `{}`", lines[2]);
                assert!(lines.contains(&hint.as_str()), "no {hint:?} in {out}");
            }
            if mends {
                assert_eq!(*lines.last().unwrap(), "ok", "{out}");
            }
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            remove(&self.root);
        }
    }

    #[test]
    fn without_subordinate_ids() {
        let place = Place::new("subuid");
        place.case(
            &format!("own_etc; sed -i '/^{TESTER}:/d' /etc/subuid /etc/subgid"),
            "subordinate ids",
            "you have no range in /etc/subuid and /etc/subgid, so a container has user 0 alone",
            "run --rm --network none --user 5 busybox true",
            true,
        );
    }

    #[test]
    fn with_ids_of_somebody_else_or_few() {
        let place = Place::new("shared");
        place.case(
            &format!(
                "own_etc; grep ^{TESTER}: /etc/subuid | sed s/^{TESTER}/another/ >>/etc/subuid"
            ),
            "subordinate ids",
            "your range in /etc/subuid or /etc/subgid is also another user's",
            "",
            true,
        );
        drop(place);
        let place = Place::new("few");
        place.case(
            &format!("own_etc; sed -i 's/^\\({TESTER}:.*\\):.*/\\1:1000/' /etc/subuid /etc/subgid"),
            "subordinate ids",
            "your ranges in /etc/subuid and /etc/subgid have fewer than 65536 ids",
            "run --rm --network none --user 5000 busybox true",
            true,
        );
    }

    #[test]
    fn without_the_programs_that_map_ids() {
        let place = Place::new("tools");
        place.case(
            "mount --bind /dev/null /usr/bin/newuidmap",
            "newuidmap, newgidmap",
            "newuidmap and newgidmap are not both installed, so a container has user 0 alone",
            "run --rm --network none --user 5 busybox true",
            false,
        );
        drop(place);
        let place = Place::new("rights");
        place.case(
            "cp /usr/bin/newuidmap weak; chown 0:0 weak; chmod 0755 weak; mount --bind weak /usr/bin/newuidmap",
            "newuidmap, newgidmap",
            "newuidmap and newgidmap need the set-uid bit or file capabilities, which one has not",
            "run --rm --network none busybox true",
            true,
        );
    }

    #[test]
    fn without_namespaces() {
        let place = Place::new("namespaces");
        // In a user namespace with limits of its own: the machine's stay.
        let script = r#"
wherry pull -q busybox >/dev/null
echo 0 >/proc/sys/user/max_user_namespaces
status 'user namespaces'
advice 'user namespaces' Sentence
mend=$(advice 'user namespaces' Command)
echo "$mend"
wherry run --rm --network none busybox true 2>&1 || true
eval "$mend" >/dev/null
status 'user namespaces'
"#;
        let out = place.script_in_userns(script).ok();
        let text = out.text();
        let lines: Vec<&str> = text.lines().collect();
        let sentence = "a limit of namespaces is reached or 0";
        assert_eq!(lines[..2], ["missing", sentence], "{out}");
        assert!(
            lines[2].starts_with("sudo sysctl -w user.max_user_namespaces="),
            "{out}"
        );
        let hint = format!("hint: {sentence}: `{}`", lines[2]);
        assert!(lines.contains(&hint.as_str()), "{out}");
        assert_eq!(*lines.last().unwrap(), "ok", "{out}");
    }

    #[test]
    fn without_a_way_out() {
        let place = Place::new("uplink");
        let no_helpers = "for p in pasta slirp4netns; do mount --bind /dev/null /usr/bin/$p; done";
        place.case(
            &format!("{}\n{no_helpers}", place.without_netfilter()),
            "way out",
            "the kernel lacks what a way out needs, and neither pasta nor slirp4netns is installed",
            "run --rm busybox true",
            false,
        );
        drop(place);
        let place = Place::new("tun");
        place.case(
            &format!(
                "{}\nmount -t tmpfs none /dev/net",
                place.without_netfilter()
            ),
            "way out",
            "/dev/net/tun cannot be opened, so containers have no way out",
            "run --rm busybox true",
            false,
        );
    }

    /// A helper is taken then, and no helper otherwise.
    #[test]
    fn where_the_kernel_lacks_something_a_helper_is_the_way_out() {
        let place = Place::new("helper");
        let address = "wherry run --rm busybox ip -4 -o addr show uplink0 2>&1 || true";
        let script = format!(
            "wherry pull -q busybox >/dev/null; status 'way out'; wherry info -f '{{{{.WayOut}}}}'\n{address}\n{}\n
             status 'way out'; wherry info -f '{{{{.WayOut}}}}'\n{address}",
            place.without_netfilter()
        );
        let out = place.script(&script).ok();
        let text = out.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..2],
            ["ok", "built in, by sockets of the kernel"],
            "{out}"
        );
        assert!(
            lines[2].contains("uplink0") && !lines[2].contains("10.0.2.100"),
            "{out}"
        );
        assert_eq!(lines[3], "ok", "{out}");
        assert!(
            lines[4].starts_with("pasta (the kernel lacks packet queues "),
            "{out}"
        );
        assert!(lines[5].contains("10.0.2.100/24"), "{out}");
    }

    #[test]
    fn on_a_full_disk() {
        let place = Place::new("full");
        let uid = place.uid;
        place.case(
            &format!("mount -t tmpfs -o size=300k,mode=0700,uid={uid} none data"),
            "disk space",
            "the disk is full",
            "pull -q busybox",
            false,
        );
    }

    #[test]
    fn with_too_few_descriptors() {
        let place = Place::new("descriptors");
        let out = place.script("prlimit --pid $$ --nofile=7:1024\nwherry pull -q busybox");
        let out = out.status(1).says("too many open files");
        out.says("hint: the limit of open files is reached: `ulimit -n \"$(ulimit -Hn)\"`");
        let out = place.script(
            "prlimit --pid $$ --nofile=7:1024\nulimit -n \"$(ulimit -Hn)\"\nwherry pull -q busybox",
        );
        out.ok();
    }

    #[test]
    fn binds_below_a_closed_directory_name_it() {
        let place = Place::new("closed");
        let out = place.script(
            "wherry pull -q busybox >/dev/null
             mkdir -p home/closed/inner; chmod 0700 home/closed; chown 0:0 home/closed
             wherry run --rm --network none -v $PWD/home/closed/inner:/x busybox true",
        );
        let root = place.root.display();
        out.status(125)
            .says(&format!("cannot bind \"{root}/home/closed/inner\": permission denied\n"))
            .says(&format!(
                "hint: you may not enter \"{root}/home/closed\": `sudo chmod o+x \"{root}/home/closed\"`\n"
            ));
        // One's own home may be closed to everybody else.
        place
            .script(
                "mkdir -p home/closed/inner; chmod 0700 home; chown -R wherry-test home
                 wherry run --rm --network none -v $PWD/home/closed/inner:/x busybox touch /x/made
                 test -e home/closed/inner/made",
            )
            .ok();
    }

    #[test]
    fn a_data_directory_on_a_noexec_mount() {
        let place = Place::new("noexec");
        let uid = place.uid;
        place
            .script(&format!(
                "mount -t tmpfs -o noexec,nosuid,nodev,mode=0700,uid={uid} none data
                 wherry pull -q busybox >/dev/null
                 wherry run --rm --network none busybox true"
            ))
            .ok();
    }
}
