//! `RUN --mount`.

use super::{Site, cached};

#[test]
fn as_user_mounts_are_there_and_in_no_layer() {
    let site = Site::new();
    site.file("f", "ctx");
    site.ok("FROM busybox AS b\nRUN mkdir /o && echo stage > /o/f\nFROM busybox\nRUN --mount=target=/new/ctx cat /new/ctx/f > /a; touch /new/ctx/g 2>/dev/null || echo ro >> /a\nRUN --mount=from=b,source=/o,target=/new/o,rw cat /new/o/f >> /a; echo changed > /new/o/f; cat /new/o/f >> /a\nRUN --mount=from=b,source=/o,target=/o cat /o/f >> /a\nRUN --mount=from=b,source=/o/f,target=/file cat /file >> /a\nRUN --mount=type=tmpfs,target=/tmp/t touch /tmp/t/x; grep -c /tmp/t /proc/mounts >> /a\n");
    assert_eq!(
        site.shows("cat /a; ls -d /new /o /file /tmp/t 2>/dev/null || echo clean"),
        "ctxro\nstage\nchanged\nstage\nstage\n1\nclean"
    );
    site.is_tidy();
}

/// S62, CVE-2025-4953: what is written to a bind never reaches the context.
#[test]
fn as_user_writes_to_a_bind_are_thrown_away() {
    let site = Site::new();
    site.file("f", "ctx").file("d/g", "g");
    site.ok("FROM busybox\nRUN --mount=target=/c,rw echo evil > /c/f; rm -r /c/d; touch /c/new; cat /c/f > /seen\n");
    assert_eq!(site.shows("cat /seen"), "evil");
    assert_eq!(std::fs::read_to_string(site.dir.join("f")).unwrap(), "ctx");
    assert!(site.dir.join("d/g").exists() && !site.dir.join("new").exists());
}

#[test]
fn as_user_caches_outlive_builds() {
    let site = Site::new();
    let text = |n: u32| {
        format!(
            "FROM busybox\nRUN --mount=type=cache,target=/c,id=x,uid=5,gid=6,mode=0750 stat -c '%u:%g %a' /c > /s; echo {n} >> /c/log; cat /c/log > /l\n"
        )
    };
    site.ok(&text(1));
    site.ok(&text(2));
    assert_eq!(
        site.shows("cat /s /l; ls -d /c || echo clean"),
        "5:6 750\n1\n2\nclean"
    );
    site.ok("FROM busybox AS b\nRUN mkdir /i && touch /i/first\nFROM busybox\nRUN --mount=type=cache,target=/n,from=b,source=/i ls /n > /l\n");
    assert_eq!(site.shows("cat /l"), "first");
}

/// S66: a secret is nowhere but in the step that asks for it.
#[test]
fn as_user_secrets_leave_no_trace() {
    let site = Site::new();
    let token = "tok-5f2b9c1e-secret";
    let file = site.env.path("home/token");
    std::fs::write(&file, token).unwrap();
    site.dockerfile("FROM busybox\nRUN --mount=type=secret,id=tok cat /run/secrets/tok | wc -c > /n; stat -c %a /run/secrets/tok >> /n\nRUN --mount=type=secret,id=tok,target=/x/y,mode=0444,uid=9 stat -c '%a %u' /x/y >> /n\nRUN --mount=type=secret,id=tok,env=TOK echo ${#TOK} >> /n\nRUN ls /run/secrets /x 2>/dev/null >> /n; true\nRUN --mount=type=secret,id=none cat /run/secrets/none 2>/dev/null || echo none >> /n\n");
    let secret = format!("id=tok,src={}", file.display());
    let output = site.build(&["-t", "t", "--secret", &secret]).ok();
    assert_eq!(site.shows("cat /n"), "19\n400\n444 9\n19\nnone");
    assert!(!output.errors().contains(token));
    std::fs::remove_file(&file).unwrap();
    let mut grep = site.env.command("grep");
    grep.args(["-rlF", token])
        .arg(site.env.path("data"))
        .arg(site.env.run_dir());
    let found = crate::support::env::run(grep, b"", 60);
    assert_eq!(found.text(), "", "{found}");
    // Another secret is no other step.
    std::fs::write(&file, "other").unwrap();
    assert_eq!(cached(&site.build(&["--secret", &secret]).ok()), 5);
}

#[test]
fn as_user_agents_are_reached_by_their_socket() {
    let site = Site::new();
    let path = site.env.run_dir().join("agent");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    site.dockerfile(
        "FROM busybox\nRUN --mount=type=ssh [ -S $SSH_AUTH_SOCK ] && echo $SSH_AUTH_SOCK > /a\nRUN ls -d /run/buildkit 2>/dev/null >> /a; true\n",
    );
    let ssh = format!("default={}", path.display());
    site.build(&["-t", "t", "--ssh", &ssh]).ok();
    assert_eq!(site.shows("cat /a"), "/run/buildkit/ssh_agent.0");
    site.fails("FROM busybox\nRUN --mount=type=ssh,required true\n")
        .says("ssh agent default: not found");
}
