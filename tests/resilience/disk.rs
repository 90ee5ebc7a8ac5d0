//! A disk that is full (promise C6): a sentence, nothing half done, and what
//! is there can still be removed. As root, because only root can mount a small
//! disk for all processes of a test; in a mount namespace that ends with it.

mod as_root {
    use crate::support::env::{Output, run, wherry_path};
    use crate::support::image::Image;
    use crate::support::registry::Registry;
    use crate::support::tree::Tree;
    use crate::support::{Env, user};
    use std::path::Path;

    /// Runs a script with `$W`, on a data root of that size.
    fn on_disk(env: &Env, size: &str, script: &str) -> Output {
        let data = env.path("data");
        let mount = format!(
            "mount -t tmpfs -o size={size},mode=700 tmpfs {0} && W={1} && cd {0} || exit 99\n",
            data.display(),
            wherry_path()
        );
        let mut unshare = env.command("unshare");
        // Whatever the script leaves ends with its namespace.
        unshare.args(["--mount", "--pid", "--fork", "--mount-proc"]);
        unshare.args(["sh", "-c", &(mount + script)]);
        let out = run(unshare, b"", 60);
        assert_ne!(out.status, 99, "{out}");
        assert!(!out.errors().contains("panicked"), "{out}");
        out
    }

    fn registry() -> Registry {
        let registry = Registry::plain();
        let env = Env::new();
        let mut tree = Tree::busybox();
        tree.file("noise", crate::registry::noise(3 << 20), 0o600);
        registry.push(&env, &Image::new().layer(tree), "library/app:latest");
        registry
    }

    /// Blob and layer together need about 9 MiB.
    #[test]
    fn pull_and_run() {
        user::require_root();
        let registry = registry();
        let env = Env::with(&registry);
        let script = "$W pull -q app; echo pull $?\n\
                      echo images $($W images -q | wc -l)\n\
                      $W run --name box --network none app true; echo run $?\n\
                      $W rm -f box >/dev/null 2>&1; $W rmi -f app >/dev/null 2>&1\n\
                      echo left $($W images -q | wc -l) $($W ps -aq | wc -l)\n\
                      mount -o remount,size=40m . && $W run --rm --network none app echo fits";
        let (mut fitted, mut refused) = (0, 0);
        for mib in 1..=20 {
            let out = on_disk(&env, &format!("{mib}m"), script);
            let said = out.text();
            let told = out.errors().to_lowercase();
            let lines: Vec<&str> = said.lines().collect();
            if lines.contains(&"pull 0") {
                assert!(lines.contains(&"images 1"), "{mib}: {out}");
            } else {
                assert!(
                    lines.contains(&"pull 1") && lines.contains(&"images 0"),
                    "{mib}: {out}"
                );
                assert!(told.contains("no space left"), "{mib}: {out}");
            }
            match lines.contains(&"run 0") {
                true => fitted += 1,
                false => {
                    refused += 1;
                    assert!(lines.contains(&"run 125"), "{mib}: {out}");
                    assert!(told.contains("no space left"), "{mib}: {out}");
                }
            }
            assert!(lines.contains(&"left 0 0"), "{mib}: {out}");
            assert_eq!(lines.last(), Some(&"fits"), "{mib}: {out}");
        }
        assert!(
            fitted > 3 && refused > 3,
            "{fitted} runs fitted, {refused} did not"
        );
    }

    /// At 0 bytes free: lists, logs, stop, rm, rmi, and then there is room.
    #[test]
    fn nothing_is_free() {
        user::require_root();
        let env = Env::with(Registry::shared());
        let script = "set -e\n\
            for c in one two three; do\n\
              $W run -d --name $c --network none busybox sh -c 'echo out; sleep 600' >/dev/null\n\
            done\n\
            $W create --name four --network none busybox true >/dev/null\n\
            sleep 0.5\n\
            cat /dev/zero >fill 2>/dev/null || true\n\
            test $(df --output=avail . | tail -1) = 0\n\
            $W ps -a >/dev/null; $W images >/dev/null; $W inspect one >/dev/null\n\
            test \"$($W logs one)\" = out\n\
            $W stop -t 0 one >/dev/null\n\
            test \"$($W ps -q | wc -l)\" = 2\n\
            $W kill two >/dev/null\n\
            $W wait two >/dev/null\n\
            set +e; $W start four; echo start $?; set -e\n\
            $W rm -f one two three four >/dev/null\n\
            test -z \"$($W ps -aq)\"\n\
            $W rmi -f busybox >/dev/null\n\
            test -z \"$($W images -q)\"\n\
            rm fill\n\
            $W run --rm --network none busybox echo again";
        let out = on_disk(&env, "16m", script).ok();
        assert!(out.text().ends_with("again\n"), "{out}");
        let started = out.text().contains("start 0");
        let refused = out.errors().to_lowercase().contains("no space left");
        assert!(
            started || (refused && out.text().contains("start 1")),
            "{out}"
        );
        assert!(
            Path::new(&env.path("data"))
                .read_dir()
                .unwrap()
                .next()
                .is_none()
        );
    }
}
