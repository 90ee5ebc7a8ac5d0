//! Dockerfiles to plans, with images that are made up.

use super::*;
use crate::build::parse::Dockerfile;
use crate::build::parse::place::{Fault, Parsed};
use crate::error::Error;
use serde_json::json;

struct Made {
    asked: Vec<String>,
}

impl Images for Made {
    fn image(&mut self, name: &str, platform: &Platform) -> Result<Base> {
        self.asked.push(format!("{name} {platform}"));
        if name == "missing" {
            return Err(Error::not_found("pull access denied for missing"));
        }
        let mut document = json!({
            "architecture": platform.architecture, "os": "linux",
            "config": {"Env": ["PATH=/bin", "BASE=b"], "Cmd": ["sh"], "WorkingDir": "/base", "Labels": null},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(name.as_bytes()).as_str()]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "base"}]});
        if name == "triggers" {
            document["config"]["OnBuild"] = json!(["RUN a $BASE", "COPY <<X /x\n1\nX"]);
        }
        Ok(Base {
            name: name.into(),
            manifest: Digest::of(name.as_bytes()),
            config: ImageConfig::parse(document.to_string().as_bytes())?,
            document,
            blobs: Vec::new(),
        })
    }
}

fn request(words: &[&str]) -> Request {
    let arguments = words.iter().filter_map(|w| w.split_once('='));
    Request {
        arguments: arguments.map(|(n, v)| (n.into(), v.into())).collect(),
        platforms: vec![Platform::parse("linux/amd64").unwrap()],
        ..Request::default()
    }
}

fn plan_with(text: &str, request: &Request) -> Parsed<(Plan, Vec<String>)> {
    let mut images = Made { asked: Vec::new() };
    let plan = plans(&Dockerfile::parse(text.as_bytes())?, request, &mut images)?;
    Ok((plan, images.asked))
}

fn result(plan: &Plan) -> &Stage {
    &plan.stages[plan.targets[0].place]
}

fn planned(text: &str) -> Plan {
    plan_with(text, &request(&[])).unwrap().0
}

fn fails(text: &str) -> Fault {
    plan_with(text, &request(&[])).unwrap_err()
}

fn runs(plan: &Plan) -> Vec<&Run> {
    let steps = plan.stages.iter().flat_map(|s| &s.steps);
    steps
        .filter_map(|step| match &step.action {
            Action::Run(run) => Some(&**run),
            _ => None,
        })
        .collect()
}

#[test]
fn only_what_the_target_needs_is_planned() {
    let text = "FROM a AS one\nRUN 1\nFROM missing AS unused\nRUN x\nFROM b AS two\nCOPY --from=one /a /b\nRUN --mount=from=0,target=/m y\nFROM two\n";
    let (plan, asked) = plan_with(text, &request(&[])).unwrap();
    let titles: Vec<_> = plan.stages.iter().map(|s| s.title.as_str()).collect();
    assert_eq!(titles, ["one", "two", "stage-3"]);
    assert_eq!(asked, ["b linux/amd64", "a linux/amd64"]);
    let target = Request {
        target: "one".into(),
        ..request(&[])
    };
    assert_eq!(plan_with(text, &target).unwrap().0.stages.len(), 1);
    let unknown = Request {
        target: "x".into(),
        ..request(&[])
    };
    let error = plan_with(text, &unknown).unwrap_err().error;
    assert_eq!(error.message(), "target stage \"x\" could not be found");
}

/// A compiler's stage on BUILDPLATFORM is done once for all of them.
#[test]
fn several_platforms_share_what_is_alike() {
    let text = "FROM --platform=$BUILDPLATFORM a AS tools\nRUN t\n\
        FROM --platform=$BUILDPLATFORM tools AS make\nARG TARGETARCH\nRUN make $TARGETARCH\n\
        FROM b\nCOPY --from=make /out /\nCOPY --from=c /x /\nRUN --mount=from=tools,target=/m y\n";
    let host = Platform::host();
    let other = match host.architecture.as_str() {
        "s390x" => "riscv64",
        _ => "s390x",
    };
    let foreign = Platform::new("linux", other, None);
    let several = Request {
        platforms: vec![foreign.clone(), host.clone()],
        ..request(&[])
    };
    let (plan, asked) = plan_with(text, &several).unwrap();
    let labels: Vec<String> = (0..plan.stages.len())
        .map(|place| plan.label(place))
        .collect();
    assert_eq!(
        labels,
        [
            format!("{host} tools "),
            format!("{host} make "),
            format!("{host} stage-2 "),
            format!("{host} make "),
            format!("{foreign} stage-2 ")
        ]
    );
    assert_eq!(asked[0], format!("b {host}"));
    let targets: Vec<_> = plan
        .targets
        .iter()
        .map(|t| (t.place, &t.platform))
        .collect();
    assert_eq!(targets, [(4, &foreign), (2, &host)]);
    let from = |place: usize| {
        let steps = plan.stages[place].steps.iter();
        let all = steps.flat_map(|step| match &step.action {
            Action::Copy(copy) => vec![copy.from.clone()],
            Action::Run(run) => match &run.mounts[..] {
                [
                    Mount {
                        what: mount::What::Bind { from, .. },
                        ..
                    },
                ] => vec![from.clone()],
                _ => vec![],
            },
            _ => vec![],
        });
        all.collect::<Vec<_>>()
    };
    assert_eq!(
        from(2),
        [Source::Stage(1), Source::Image(0), Source::Stage(0)]
    );
    assert_eq!(from(4)[..1], [Source::Stage(3)]);
    assert_eq!(from(4)[2..], [Source::Stage(0)]);
    assert!(plan.unused_arguments.is_empty());
}

#[test]
fn stages_cannot_go_in_circles() {
    let fault =
        fails("FROM a AS one\nCOPY --from=two /x /x\nFROM a AS two\nCOPY --from=one /x /x\n");
    assert!(
        fault
            .error
            .message()
            .contains("circular dependency detected on stage: two"),
        "{:?}",
        fault.error
    );
    let own = fails("FROM a AS one\nCOPY --from=one /x /x\n");
    assert!(own.error.message().contains("circular"), "{:?}", own.error);
    let number = fails("FROM a\nCOPY --from=0 /x /x\n");
    assert!(number.error.message().contains("does not come before"));
    // A later stage is fine as long as there is no circle.
    let plan = planned("FROM a AS one\nCOPY --from=two /x /x\nFROM a AS two\nFROM one\n");
    assert_eq!(plan.stages[0].title, "two");
}

#[test]
fn arguments_have_scopes() {
    let text = "ARG G=g H=${G}h\nFROM $G AS one\nARG G\nARG L=$G-l\nENV E=$L\nRUN a\nFROM one\nRUN b\nFROM x\nARG TARGETARCH\nRUN c $H\n";
    let target = Request {
        target: "1".into(),
        ..request(&["H=z", "no=1"])
    };
    let (plan, asked) = plan_with(text, &target).unwrap();
    assert_eq!(asked, ["g linux/amd64"]);
    let env = &runs(&plan)[1].env;
    assert_eq!(env, &["PATH=/bin", "BASE=b", "E=g-l", "G=g", "L=g-l"]);
    assert_eq!(plan.unused_arguments, ["no"]);
    let (plan, _) = plan_with(text, &request(&["G=q"])).unwrap();
    assert_eq!(runs(&plan)[0].env.last().unwrap(), "TARGETARCH=amd64");
    // Global values are not there unless they are asked for.
    assert!(!runs(&plan)[0].env.iter().any(|v| v.starts_with("G=")));
    assert!(
        result(&plan)
            .settings
            .history
            .iter()
            .any(|h| h.created_by == "RUN |1 TARGETARCH=amd64 /bin/sh -c c $H # buildkit")
    );
}

#[test]
fn proxies_are_silent() {
    let (plan, _) = plan_with(
        "FROM a\nARG A=1\nENV A=2\nRUN x\n",
        &request(&["A=3", "http_proxy=http://p"]),
    )
    .unwrap();
    let run = runs(&plan)[0];
    assert!(
        run.env.contains(&"A=2".to_string())
            && run.env.contains(&"http_proxy=http://p".to_string())
    );
    assert!(run.unkeyed.contains("http_proxy"));
    let history = format!("{:?}", result(&plan).settings.history);
    assert!(!history.contains("http://p") && plan.unused_arguments.is_empty());
}

#[test]
fn of_arg_and_env_the_later_one_counts() {
    let env = |text: &str| {
        let (plan, _) = plan_with(text, &request(&["A=given"])).unwrap();
        let found = runs(&plan)[0].env.iter().find(|v| v.starts_with("A="));
        found.cloned().unwrap()
    };
    assert_eq!(env("FROM a\nENV A=env\nARG A\nRUN x\n"), "A=given");
    assert_eq!(env("FROM a\nARG A\nENV A=$A-env\nRUN x\n"), "A=given-env");
    assert_eq!(env("FROM a\nARG A\nENV A=env\nARG A=x\nRUN x\n"), "A=given");
}

#[test]
fn settings_follow_the_instructions() {
    let plan = planned(
        "FROM a\nENV X=1 Y=\"a b\"\nENV X=2 Z=$X\nLABEL l=\"$Y\"\nWORKDIR app\nWORKDIR ../$X\nUSER $X:3\nEXPOSE 80 90/udp\nVOLUME /v\nSTOPSIGNAL SIGINT\nSHELL [\"/bin/b\", \"-c\"]\nCMD x y\nENTRYPOINT [\"e\"]\nHEALTHCHECK --retries=3 CMD h\nONBUILD RUN z\nMAINTAINER me\n",
    );
    let settings = &result(&plan).settings;
    let config = serde_json::to_value(&settings.config).unwrap();
    assert_eq!(
        config,
        json!({"User": "2:3", "ExposedPorts": {"80/tcp": {}, "90/udp": {}},
            "Env": ["PATH=/bin", "BASE=b", "X=2", "Y=a b", "Z=1"], "Entrypoint": ["e"],
            "Cmd": ["/bin/b", "-c", "x y"], "Healthcheck": {"Test": ["CMD-SHELL", "h"], "Retries": 3},
            "ArgsEscaped": true, "Volumes": {"/v": {}}, "WorkingDir": "/base/2", "OnBuild": ["RUN z"],
            "Labels": {"l": "a b"}, "StopSignal": "SIGINT", "Shell": ["/bin/b", "-c"]})
    );
    assert_eq!(settings.author, "me");
    let steps = &result(&plan).steps;
    let layers: Vec<_> = steps
        .iter()
        .filter(|s| !matches!(s.action, Action::Settings))
        .map(|s| (s.number, s.text.as_str()))
        .collect();
    assert_eq!(layers, [(2, "WORKDIR app"), (3, "WORKDIR ../$X")]);
    assert_eq!(result(&plan).count, 3);
}

#[test]
fn an_entrypoint_drops_the_base_command() {
    let cmd = |text: &str| result(&planned(text)).settings.config.cmd.clone();
    assert_eq!(cmd("FROM a\n"), Some(vec!["sh".into()]));
    assert_eq!(cmd("FROM a\nENTRYPOINT [\"e\"]\n"), None);
    assert_eq!(
        cmd("FROM a\nCMD [\"c\"]\nENTRYPOINT [\"e\"]\n"),
        Some(vec!["c".into()])
    );
}

#[test]
fn triggers_run_first_and_are_gone() {
    let plan = planned("FROM triggers\nRUN b\n");
    let texts: Vec<_> = result(&plan)
        .steps
        .iter()
        .map(|s| s.text.as_str())
        .collect();
    assert_eq!(texts, ["RUN a $BASE", "COPY <<X /x (1)", "RUN b"]);
    assert!(result(&plan).settings.config.on_build.is_empty());
    let inner = planned("FROM a AS one\nONBUILD RUN t\nFROM one\nRUN b\n");
    assert_eq!(runs(&inner).len(), 2);
}

#[test]
fn heredocs_become_scripts() {
    let words = |text: &str| runs(&planned(text))[0].words.clone();
    let shell = |script: &str| vec!["/bin/sh".to_string(), "-c".into(), script.into()];
    assert_eq!(words("FROM a\nRUN <<E\nx\ny\nE\n"), shell("x\ny\n"));
    assert_eq!(words("FROM a\nRUN <<-E\n\tx\nE\n"), shell("x\n"));
    assert_eq!(
        words("FROM a\nRUN cat <<E >f\nx\nE\n"),
        shell("cat <<E >f\nx\nE")
    );
    let plan = planned("FROM a\nRUN <<E\n#!/usr/bin/env python3\nprint(1)\nE\n");
    assert_eq!(runs(&plan)[0].words, ["/dev/pipes/E"]);
    assert!(runs(&plan)[0].script.is_some());
    let bad = fails("FROM a\nRUN <<\"../E\"\n#!/bin/sh\n../E\n");
    assert!(bad.error.message().contains("slash"));
}

#[test]
fn copies_know_their_targets() {
    let text = "FROM a\nENV D=/dst N=name\nCOPY --chown=$N --exclude=*.$N x-$N $D/\nCOPY a b ./\nCOPY <<X <<'Y' /h/\n$N\nX\n$N\nY\n";
    let plan = planned(text);
    let copies: Vec<&Copy> = result(&plan)
        .steps
        .iter()
        .filter_map(|s| match &s.action {
            Action::Copy(copy) => Some(&**copy),
            _ => None,
        })
        .collect();
    assert_eq!(
        (copies[0].sources[0].as_str(), copies[0].target.as_str()),
        ("x-name", "/dst/")
    );
    assert_eq!(copies[0].chown.as_deref(), Some("name"));
    assert_eq!(copies[0].excludes, ["*.name"]);
    assert_eq!(copies[1].target, "/base/");
    let data: Vec<_> = copies[2].contents.iter().map(|h| h.data.as_str()).collect();
    assert_eq!(data, ["name\n", "$N\n"]);
    assert!(
        fails("FROM a\nCOPY x y /z\n")
            .error
            .message()
            .contains("end with a /")
    );
}

#[test]
fn what_is_refused_has_its_place() {
    for (text, want) in [
        (
            "FROM a\nRUN --security=insecure x",
            "--security=insecure is not supported",
        ),
        ("FROM a\nRUN --device=x y", "--device is not supported"),
        (
            "FROM a\nRUN --network=host x",
            "network.host is not allowed",
        ),
        ("FROM a\nRUN --network=x y", "invalid network mode"),
        ("FROM a\nRUN --mount=x y", "unexpected key 'x'"),
        ("FROM a\nENV a=\"${b:?need b}\"", "need b"),
        ("FROM a\nENV a=${b", "missing '}'"),
        ("FROM a\nEXPOSE x", "invalid containerPort"),
        ("FROM a\nSTOPSIGNAL NOPE", "NOPE"),
        ("FROM a\nCOPY --from=$X a b", "variables are not expanded"),
        ("FROM a\nFROM missing", "pull access denied"),
        ("FROM a\nFROM ${NOPE}", "should not be blank"),
        ("FROM a\nFROM --platform=/ a", "failed to parse platform"),
    ] {
        let fault = fails(text);
        assert!(
            fault.error.message().contains(want),
            "{text}: {}",
            fault.error.message()
        );
        assert_eq!(fault.place.map(|p| p.first), Some(2), "{text}");
    }
}

#[test]
fn named_contexts_come_before_stages_and_images() {
    let mut with = request(&[]);
    with.contexts.insert("one".into(), Context::Files);
    with.contexts
        .insert("b".into(), Context::Image("other:1".into()));
    let (plan, asked) = plan_with("FROM a AS one\nFROM b\nCOPY --from=one x y\n", &with).unwrap();
    assert_eq!(
        (plan.stages.len(), asked.as_slice()),
        (1, &["other:1 linux/amd64".to_string()][..])
    );
}

#[test]
fn variables_without_a_value_are_noted() {
    let plan = planned("FROM a\nARG known\nENV AB=1\nRUN x\nCOPY x$known x$AC /y/\n");
    assert_eq!(plan.notes.len(), 1);
    assert!(
        matches!(&plan.notes[0], Note::Unset { name, near, .. } if name == "AC" && near.as_deref() == Some("AB"))
    );
}

#[test]
fn values_do_not_grow_without_end() {
    let double = "ENV a=0123456789abcdef\n".to_string() + &"ENV a=$a$a$a$a\n".repeat(8);
    let keep: String = (0..40).map(|n| format!("ENV b{n}=$a\nRUN x\n")).collect();
    let doubled = "ARG a=0123456789abcdef\n".to_string() + &"ARG a=$a$a$a$a\n".repeat(8);
    let global: String = (0..200).map(|n| format!("ARG b{n}=$a\n")).collect();
    let ports = "EXPOSE 1-65535\n".repeat(500);
    for text in [
        format!("FROM a\n{double}{keep}"),
        format!("{doubled}{global}FROM a\nRUN x\n"),
        format!("FROM a\n{ports}"),
    ] {
        let message = fails(&text).error.message().to_string();
        assert!(message.contains("larger than 32 MiB together"), "{message}");
    }
}
