//! Options that people use daily, seen from inside.

use crate::support::Env;

fn sh(env: &Env, options: &[&str], script: &str) -> String {
    env.ok([&["run", "--rm"], options, &["busybox", "sh", "-c", script]].concat())
}

#[test]
fn who_where_and_with_what() {
    let env = Env::busybox();
    for (options, script, want) in [
        (&["-e", "A=b c", "-e", "D"][..], "echo \"$A-$D-\"", "b c--"),
        (&["-w", "/tmp"], "pwd", "/tmp"),
        (&["-w", "/not/yet"], "pwd", "/not/yet"),
        (
            &["-u", "alice"],
            "id -u; id -g; echo $HOME",
            "1000\n1000\n/home",
        ),
        (&["-u", "33:10"], "id -u; id -g", "33\n10"),
        (&["-u", "4321"], "id -u", "4321"),
        (&["-h", "box"], "hostname; cat /etc/hostname", "box\nbox"),
        (&["--network", "none"], "ls /sys/class/net", "lo"),
        (
            &["--add-host", "other:10.1.2.3", "--network", "none"],
            "grep other /etc/hosts | tr '\\t' ' '",
            "10.1.2.3 other",
        ),
        (&["--tmpfs", "/x"], "grep -c ' /x tmpfs ' /proc/mounts", "1"),
        (
            &["--read-only"],
            "touch /x 2>/dev/null || echo refused; echo y >/dev/null && echo ok",
            "refused\nok",
        ),
        (
            &["--ulimit", "nofile=77:99"],
            "ulimit -n; ulimit -Hn",
            "77\n99",
        ),
        (
            &["--init"],
            "cat /proc/1/comm | tr -d '\\n'; [ $$ != 1 ] && echo ' not me'",
            "wherry not me",
        ),
        (&["--entrypoint", "/bin/echo"], "x", "sh -c x"),
    ] {
        let got = sh(&env, options, script);
        if options == ["--init"] {
            assert!(got.ends_with(" not me"), "{got}");
        } else {
            assert_eq!(got, want, "{options:?} {script}");
        }
    }
}

#[test]
fn binds() {
    let env = Env::busybox();
    let dir = env.path("home/dir");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("file"), "from the host").unwrap();
    let at = |options: &str| format!("{}:/mnt{options}", dir.display());
    assert_eq!(
        sh(&env, &["-v", &at("")], "cat /mnt/file; echo new >/mnt/made"),
        "from the host"
    );
    assert_eq!(std::fs::read_to_string(dir.join("made")).unwrap(), "new\n");
    let script = "touch /mnt/x 2>/dev/null || echo refused";
    assert_eq!(sh(&env, &["-v", &at(":ro")], script), "refused");
    let mount = format!("type=bind,source={},target=/mnt,readonly", dir.display());
    assert_eq!(sh(&env, &["--mount", &mount], script), "refused");
}

#[test]
fn the_mounts_of_another_container() {
    let env = Env::busybox();
    for dir in ["one", "two"] {
        let dir = env.path("home").join(dir);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("file"), dir.to_str().unwrap()).unwrap();
    }
    let (one, two) = (env.path("home/one"), env.path("home/two"));
    let (one, two) = (one.display(), two.display());
    let mount = format!("type=bind,src={two},dst=/b");
    let bind = format!("{one}:/a:ro");
    let options = ["create", "--name", "first", "-v", &bind, "--mount", &mount];
    env.ok([&options[..], &["busybox"]].concat());
    env.ok([
        "create",
        "--name",
        "second",
        "--volumes-from",
        "first",
        "busybox",
    ]);
    let write = "echo x 2>/dev/null >/a/x || echo ro; touch /b/new 2>/dev/null || echo ro";
    let got = sh(
        &env,
        &["--volumes-from", "second"],
        &format!("cat /a/file /b/file; echo; {write}"),
    );
    assert_eq!(got, format!("{one}{two}\nro"));
    let got = sh(&env, &["--volumes-from", "first:ro"], write);
    assert_eq!(got, "ro\nro");
    // What a container has of its own wins.
    let own = format!("{one}:/b");
    let got = sh(
        &env,
        &["--volumes-from", "first", "-v", &own],
        "cat /b/file",
    );
    assert_eq!(got, one.to_string());
    let shown = env.ok([
        "inspect",
        "-f",
        "{{range .Mounts}}{{.Destination}} {{.RW}},{{end}}",
        "second",
    ]);
    assert_eq!(shown, "/a false,/b true,");
    let run = |from| env.wherry(["run", "--rm", "--volumes-from", from, "busybox", "true"]);
    run("nobody").status(125).says("No such container: nobody");
    run("first:x").status(125).says("invalid mode: x");
}

/// Without the controllers, as on this machine, or with them: never ignored.
#[test]
fn limits_that_make_no_sense() {
    let env = Env::busybox();
    for (options, says) in [
        (&["-m", "1m"][..], "Minimum memory limit allowed is 6MB"),
        (&["--cpus", "10000"], "Range of CPUs is from 0.01 to "),
        (
            &["--cpus", "1", "--cpu-quota", "5000"],
            "Nano CPUs and CPU Quota",
        ),
        (
            &["--blkio-weight", "5"],
            "Range of blkio weight is from 10 to 1000",
        ),
        (
            &["--device-read-bps", "/dev/nothing:1mb"],
            "cannot use \"/dev/nothing\": no such file",
        ),
        (
            &["--device-read-bps", "/dev/null:1mb"],
            "\"/dev/null\" is not a block device",
        ),
        (&["--cgroup-parent", "a/../.."], "invalid --cgroup-parent"),
    ] {
        let args = [&["run", "--rm"], options, &["busybox", "true"]].concat();
        env.wherry(args).status(125).says(says);
        let args = [&["create"], options, &["busybox", "true"]].concat();
        env.wherry(args).status(1).says(says);
    }
    assert_eq!(env.ok(["ps", "-aq"]), "");
}

mod as_user {
    use super::*;
    use crate::support::user;

    #[test]
    fn device_rules_need_root() {
        user::require_user();
        let env = Env::busybox();
        let args = [
            "run",
            "--rm",
            "--device-cgroup-rule",
            "c 1:* r",
            "busybox",
            "true",
        ];
        env.wherry(args)
            .status(125)
            .says("--device-cgroup-rule is not supported without root");
    }
}

mod as_root {
    use super::*;
    use crate::support::user;

    /// /dev/net/tun is 10:200 and may be opened by anybody; as often as the
    /// rule says.
    #[test]
    fn device_rules() {
        user::require_root();
        let env = Env::busybox();
        let script = "mknod /tun c 10 200; true 2>/dev/null </tun && echo read; \
                      true 2>/dev/null >/tun && echo written; true";
        assert_eq!(sh(&env, &[], script), "");
        let rule = ["--device-cgroup-rule", "c 10:200 r"];
        assert_eq!(sh(&env, &rule, script), "read");
        let rule = ["--device-cgroup-rule", "c *:* rw"];
        assert_eq!(sh(&env, &rule, script), "read\nwritten");
    }
}

#[test]
fn a_file_from_env_file_and_a_cidfile() {
    let env = Env::busybox();
    let (list, cid) = (env.path("home/list"), env.path("home/cid"));
    std::fs::write(&list, "# a comment\nONE=1\nTWO=a b\n").unwrap();
    let options = [
        "--env-file",
        list.to_str().unwrap(),
        "--cidfile",
        cid.to_str().unwrap(),
    ];
    assert_eq!(sh(&env, &options, "echo $ONE $TWO"), "1 a b");
    assert_eq!(std::fs::read_to_string(&cid).unwrap().len(), 64);
}

/// What an ordinary container sees of itself: Docker's defaults.
#[test]
fn the_inside_is_isolated() {
    let env = Env::busybox();
    let script = "echo $$; ls /proc | grep -c '^[0-9]'; grep -E '^(CapEff|CapBnd|CapInh|CapAmb|NoNewPrivs|Seccomp):' \
                  /proc/self/status | tr -d '\\t '; ls /proc/self/fd | wc -l; cat /proc/sys/kernel/hostname | wc -c; \
                  touch /proc/sys/kernel/hostname 2>/dev/null || echo ro; cat /proc/kcore | wc -c; umask";
    let got = sh(&env, &["--network", "none"], script);
    let want = "1\n4\nCapInh:0000000000000000\nCapEff:00000000a80425fb\nCapBnd:00000000a80425fb\n\
                CapAmb:0000000000000000\nNoNewPrivs:0\nSeccomp:2\n4\n13\nro\n0\n0022";
    let (got, want): (Vec<_>, Vec<_>) = (got.lines().collect(), want.lines().collect());
    // The count of processes depends on how the shell forks its pipeline.
    assert_eq!((got[0], &got[2..]), (want[0], &want[2..]));
    assert!(got[1].parse::<u32>().unwrap() <= 4, "{got:?}");
}

#[test]
fn a_directory_as_root_file_system() {
    let env = Env::new();
    let dir = env.path("home/rootfs");
    std::fs::create_dir(&dir).unwrap();
    crate::support::tree::Tree::busybox().write_to(&dir);
    let dir = dir.to_str().unwrap();
    assert_eq!(
        env.ok([
            "run",
            "--rm",
            "--network",
            "none",
            "--rootfs",
            dir,
            "echo",
            "hello"
        ]),
        "hello"
    );
}
