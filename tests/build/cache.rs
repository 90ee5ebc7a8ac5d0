//! What is done again, and what is not.

use super::{Site, cached};
use crate::support::env::{Output, run};
use std::time::Duration;

#[test]
fn as_user_nothing_is_done_twice() {
    let site = Site::new();
    site.file("f", "1").file("g", "1");
    let text = "FROM busybox\nWORKDIR /w\nCOPY f .\nRUN cat /proc/sys/kernel/random/uuid > stamp\nENV A=1\nCOPY g .\nRUN cat /proc/sys/kernel/random/uuid > stamp2\n";
    assert_eq!(cached(&site.ok(text)), 0);
    let (id, stamp) = (site.id(), site.shows("cat stamp"));
    assert_eq!(cached(&site.ok(text)), 5);
    assert_eq!(site.id(), id);
    // Times of files are nothing to it, their content and modes are.
    let file = std::fs::File::options()
        .write(true)
        .open(site.dir.join("f"))
        .unwrap();
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1))
        .unwrap();
    assert_eq!(cached(&site.ok(text)), 5);
    site.file("g", "2");
    assert_eq!(cached(&site.ok(text)), 3);
    assert_eq!(site.shows("cat stamp; cat g"), format!("{stamp}\n2"));
    let options = ["-t", "t", "--no-cache"];
    assert_eq!(cached(&site.build(&options).ok()), 0);
    assert_ne!(site.shows("cat stamp"), stamp);
}

#[test]
fn as_user_a_file_known_of_old_is_changed_and_built_at_once() {
    let site = Site::new();
    site.file("f", "1");
    let text = "FROM busybox\nCOPY f /f\n";
    // After two seconds its digest is kept with its times.
    std::thread::sleep(Duration::from_millis(2100));
    site.ok(text);
    site.file("f", "2");
    site.ok(text);
    assert_eq!(site.shows("cat /f"), "2");
}

#[test]
fn as_user_every_input_of_a_run_counts() {
    let site = Site::new();
    let of = |head: &str| {
        format!("FROM busybox\n{head}\nRUN cat /proc/sys/kernel/random/uuid > /stamp\n")
    };
    site.ok(&of(""));
    for (head, again) in [
        ("LABEL x=1", true),
        ("HEALTHCHECK NONE", true),
        ("EXPOSE 80", true),
        ("ENV X=1", false),
        ("ARG X=1", false),
        ("USER 5", false),
        ("WORKDIR /tmp", false),
        ("SHELL [\"/bin/sh\", \"-e\", \"-c\"]", false),
    ] {
        // /stamp can be written by root alone.
        let text = of(head).replace("/stamp", "/tmp/stamp");
        let before = of("").replace("/stamp", "/tmp/stamp");
        site.ok(&before);
        assert_eq!(cached(&site.ok(&text)) > 0 && again, again, "{head}");
        let last = site.ok(&text);
        assert!(cached(&last) > 0, "{head}");
    }
    // An image that only looks like another is another (S68).
    site.ok("FROM busybox\nLABEL x=2\n");
    assert_eq!(site.config()["Labels"]["x"], "2");
}

#[test]
fn as_user_files_of_a_stage_count_by_content() {
    let site = Site::new();
    let of = |n: u32| {
        format!(
            "FROM busybox AS b\nRUN echo {n} > /other; echo same > /f\nFROM busybox\nCOPY --from=b /f /f\nRUN cat /proc/sys/kernel/random/uuid > /stamp\n"
        )
    };
    site.ok(&of(1));
    let stamp = site.shows("cat /stamp");
    let output = site.ok(&of(2));
    assert_eq!((cached(&output), site.shows("cat /stamp")), (2, stamp));
}

#[test]
fn as_user_arguments_and_filters() {
    let site = Site::new();
    site.dockerfile("FROM busybox AS a\nARG V\nRUN echo $V $http_proxy > /v; cat /proc/sys/kernel/random/uuid > /stamp\nFROM a AS b\nRUN cat /proc/sys/kernel/random/uuid > /stamp2\n");
    let build = |options: &[&str]| cached(&site.build(&[&["-t", "t"], options].concat()).ok());
    assert_eq!(build(&["--build-arg", "V=1"]), 0);
    assert_eq!(
        build(&["--build-arg", "V=1", "--build-arg", "http_proxy=x"]),
        2
    );
    assert_eq!(build(&["--build-arg", "V=2"]), 0);
    assert_eq!(site.shows("cat /v").trim(), "2");
    assert_eq!(build(&["--build-arg", "V=2", "--no-cache-filter", "b"]), 1);
    let history = site.env.ok(["history", "--no-trunc", "t"]);
    assert!(history.contains("|1 V=2"), "{history}");
}

#[test]
fn as_user_stages_run_side_by_side() {
    let site = Site::new();
    // Each waits for the other: one after the other they would never end. Both
    // make the cache when they begin, so it takes some rounds to see them meet.
    for round in 0..6 {
        let stage = |me: &str, other: &str| {
            format!(
                "FROM busybox AS {me}\nRUN --mount=type=cache,id=r{round},target=/c touch /c/{me}; for i in $(seq 300); do [ -e /c/{other} ] && exit 0; sleep 0.1; done; exit 1\nRUN touch /{me}\n"
            )
        };
        let text = format!(
            "{}{}FROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n",
            stage("a", "b"),
            stage("b", "a")
        );
        site.ok(&text);
        assert_eq!(site.shows("ls /a /b"), "/a\n/b");
    }
}

/// In one build, and in two at the same time.
#[test]
fn steps_that_are_alike_are_done_once() {
    let site = Site::new();
    let step =
        "RUN --mount=type=cache,id=log,target=/c sleep 1; echo x >>/c/log; wc -l </c/log >/n";
    let text = format!(
        "FROM busybox AS a\n{step}\nRUN touch /a\nFROM busybox AS b\n{step}\nRUN touch /b\n\
         FROM busybox\nCOPY --from=a /n /a /\nCOPY --from=b /n /m\nCOPY --from=b /b /\n"
    );
    site.dockerfile(&text);
    let build = |tag: &str| {
        let mut command = site.env.wherry_command(["build", "--network", "none"]);
        command
            .args(["--progress", "plain", "-t", tag])
            .arg(&site.dir);
        command
    };
    let (first, second) = (build("t"), build("u"));
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(second, b"", 120).ok());
        (run(first, b"", 120).ok(), other.join().unwrap())
    });
    let times = |out: &Output| out.errors().matches("CACHED").count();
    // Of eleven steps or so each has found some; the long one was done once.
    assert!(times(&first) + times(&second) >= 3, "{first}{second}");
    assert_eq!(site.shows("cat /n /m; ls /a /b"), "1\n1\n/a\n/b");
    assert_eq!(
        site.env.ok(["inspect", "-f", "{{.Id}}", "t"]),
        site.env.ok(["inspect", "-f", "{{.Id}}", "u"])
    );
    // Who wants nothing from the cache waits for nobody.
    let out = site.build(&["--no-cache", "-t", "t"]).ok();
    assert!(!out.errors().contains("CACHED"), "{out}");
}

#[test]
fn as_user_the_same_inputs_give_the_same_digest() {
    let (one, two) = (Site::new(), Site::new());
    let mut ids = Vec::new();
    for site in [&one, &two] {
        site.file("d/f", "x").file("d/g", "y");
        site.dockerfile("FROM busybox\nWORKDIR /new\nCOPY d .\nENV A=1\nCOPY <<E /h\nx\nE\n");
        let id = site
            .build(&[
                "-q",
                "-t",
                "t",
                "--build-arg",
                "SOURCE_DATE_EPOCH=1000000000",
            ])
            .ok()
            .text();
        ids.push(id);
        std::thread::sleep(Duration::from_millis(1100));
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(
        one.shows("stat -c %Y /new /new/f /h"),
        "1000000000\n1000000000\n1000000000"
    );
    assert_eq!(
        one.env.ok(["image", "inspect", "-f", "{{.Created}}", "t"]),
        "2001-09-09T01:46:40Z"
    );
}

#[test]
fn as_user_prune_frees_what_no_image_has() {
    let site = Site::new();
    site.ok("FROM busybox\nRUN --mount=type=cache,target=/c dd if=/dev/zero of=/c/f bs=1M count=3; dd if=/dev/zero of=/f bs=1M count=2\n");
    let text = site.env.ok(["buildx", "du"]);
    assert!(
        text.contains("RUN --mount") && text.contains("cached mount /c"),
        "{text}"
    );
    // The image has the step's layer: only the cache goes.
    let pruned = site.env.ok(["builder", "prune", "-f"]);
    assert!(
        pruned.contains("cached mount") && !pruned.contains("RUN"),
        "{pruned}"
    );
    assert_eq!(cached(&site.build(&["-t", "t"]).ok()), 1);
    site.env.ok(["rmi", "t"]);
    site.env.ok(["builder", "prune", "-af"]);
    assert_eq!(cached(&site.build(&["-t", "t"]).ok()), 0);
    site.env.ok(["rmi", "t"]);
    site.env.ok(["builder", "prune", "-af"]);
    let left = std::fs::read_dir(site.env.path("data/wherry/layers"))
        .unwrap()
        .count();
    assert_eq!(left, 1, "the base's layer alone");
}
