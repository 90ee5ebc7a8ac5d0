//! How a build says that it cannot.

use super::Site;
use crate::support::env::run;

#[test]
fn as_user_a_step_that_fails_is_shown_in_full() {
    let site = Site::new();
    let output = site
        .fails("FROM busybox\nRUN echo one\nRUN echo two; echo three >&2; exit 7\nRUN echo four\n");
    let text = output.errors();
    for part in [
        "#4 [3/4] RUN echo two; echo three >&2; exit 7\n",
        "------\n > [3/4] RUN echo two; echo three >&2; exit 7:\n",
        "three\n",
        "Dockerfile:3:1\n--------------------\n   1 |     FROM busybox\n",
        "   3 | >>> RUN echo two; echo three >&2; exit 7\n",
        "ERROR: failed to solve: process \"/bin/sh -c echo two; echo three >&2; exit 7\" did not complete successfully: exit code: 7\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(
        !text.contains("four") || text.matches("four").count() == 1,
        "{text}"
    );
    assert_eq!(output.text(), "");
    site.is_tidy();
    // What was done before it is not done again.
    assert_eq!(super::cached(&site.build(&[])), 1);
}

#[test]
fn as_user_what_is_wrong_is_told_with_its_line() {
    let site = Site::new();
    for (text, want) in [
        (
            "FROM busybox\nFOO x\n",
            "dockerfile parse error on line 2: unknown instruction: FOO",
        ),
        ("", "file with no instructions"),
        ("RUN x\n", "no build stage in current context"),
        ("FROM busybox\nCOPY nope /x\n", "\"/nope\": not found"),
        (
            "FROM busybox\nCOPY --from=busybox /nope /x\n",
            "\"/nope\": not found",
        ),
        ("FROM busybox\nRUN [\"/nope\"]\n", "/nope"),
        (
            "FROM busybox\nUSER nobody2\nRUN true\n",
            "unable to find user nobody2",
        ),
        (
            "FROM busybox\nCOPY --chown=nobody2 Dockerfile /\n",
            "unable to find user nobody2",
        ),
        (
            "FROM busybox\nCOPY --chmod=8 Dockerfile /\n",
            "invalid chmod parameter",
        ),
        (
            "FROM busybox\nCOPY Dockerfile /etc/passwd/x\n",
            "cannot copy to non-directory: /etc/passwd",
        ),
        (
            "FROM busybox\nRUN --mount=type=secret,id=no,required cat x\n",
            "secret no: not found",
        ),
        (
            "FROM 127.0.0.1:1/nope\n",
            "failed to resolve source metadata for 127.0.0.1:1/nope:latest",
        ),
    ] {
        let output = site.fails(text);
        assert!(
            output.errors().contains("ERROR: failed to solve: "),
            "{output}"
        );
        assert!(
            output.errors().contains(want),
            "{want:?} is not in {output}"
        );
    }
    site.is_tidy();
}

#[test]
fn as_user_options_that_do_not_work_are_refused_by_name() {
    let site = Site::new();
    site.dockerfile("FROM busybox\n");
    for options in [
        &["--sbom", "true"][..],
        &["--provenance", "mode=max"],
        &["--attest", "type=sbom"],
        &["--allow", "security.insecure"],
        &["--rm=false"],
    ] {
        let name = options[0].split('=').next().unwrap();
        site.build(options)
            .status(1)
            .says(name)
            .says("is not supported");
    }
    site.build(&[
        "--provenance",
        "false",
        "--sbom=false",
        "--load",
        "--rm",
        "--force-rm",
        "--attest=type=provenance,disabled=true",
        "--builder",
        "default",
    ])
    .ok();
    for push in ["--push", "--output=type=registry", "-otype=image,push=true"] {
        site.build(&[push])
            .status(125)
            .says("tag is needed when pushing to registry");
    }
    let bad = site.build(&["-t", "BAD"]).status(125);
    assert!(bad.errors().contains("must be lowercase"), "{bad}");
    site.build(&["-f", "nope"])
        .status(1)
        .says("failed to read dockerfile: open nope");
    let missing = site.env.wherry(["build", "/nope"]).status(1);
    assert!(
        missing.errors().contains("path \"/nope\" not found"),
        "{missing}"
    );
}

#[test]
fn as_user_progress_in_other_forms() {
    let site = Site::new();
    site.dockerfile("FROM busybox\nRUN echo hello\n");
    let raw = site.build(&["--progress", "rawjson"]).ok();
    for line in raw.errors().lines() {
        let value: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(
            value.get("vertexes").or(value.get("logs")).is_some(),
            "{line}"
        );
    }
    let quiet = site.build(&["-q", "--no-cache"]).ok();
    assert_eq!(quiet.errors(), "");
    assert!(quiet.text().starts_with("sha256:"), "{quiet}");
    site.dockerfile("FROM busybox\nRUN echo hello; false\n");
    let quiet = site.build(&["-q"]).status(1);
    assert!(
        quiet.errors().contains("hello\n") && quiet.text().is_empty(),
        "{quiet}"
    );
    let iid = site.env.path("tmp/iid");
    let metadata = site.env.path("tmp/meta");
    site.dockerfile("FROM busybox\n");
    site.build(&[
        "-t",
        "t",
        "--iidfile",
        iid.to_str().unwrap(),
        "--metadata-file",
        metadata.to_str().unwrap(),
    ])
    .ok();
    assert_eq!(std::fs::read_to_string(iid).unwrap(), site.id());
    let metadata: serde_json::Value =
        serde_json::from_slice(&std::fs::read(metadata).unwrap()).unwrap();
    assert_eq!(metadata["containerimage.config.digest"], site.id());
}

#[test]
fn as_user_checks() {
    let site = Site::new();
    site.dockerfile("FROM busybox AS A\nCMD true\n");
    let check = site.build(&["--check"]).status(1).text();
    for part in [
        "2 warnings have been found",
        "WARNING: StageNameCasing - https://docs.docker.com/",
        "WARNING: JSONArgsRecommended",
        "   1 | >>> FROM busybox AS A",
    ] {
        assert!(check.contains(part), "{part} is not in {check}");
    }
    site.build(&[]).ok().says("2 warnings found");
    site.dockerfile("# check=error=true\nFROM busybox AS A\n");
    site.build(&[])
        .status(1)
        .says("lint violation found for rules: StageNameCasing");
    site.dockerfile("# check=skip=all\nFROM busybox AS A\n");
    let check = site.build(&["--check"]).ok().text();
    assert_eq!(check, "Check complete, no warnings found.\n");
    let mut targets = site.env.wherry_command(["build", "--call", "targets"]);
    targets.arg(&site.dir);
    assert!(run(targets, b"", 20).ok().text().contains("a (default)"));
}
