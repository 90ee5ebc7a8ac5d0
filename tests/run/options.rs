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
