//! Whole files through all passes but the last.

use super::Dockerfile;
use super::instruction::{Command, Kind};
use super::place::Fault;

fn parse(text: &str) -> Dockerfile {
    Dockerfile::parse(text.as_bytes()).unwrap()
}

fn fails(text: &str) -> Fault {
    Dockerfile::parse(text.as_bytes()).unwrap_err()
}

/// The one instruction of a stage.
fn one(text: &str) -> Kind {
    let file = parse(&format!("FROM a\n{text}\n"));
    file.stages[0].body[0].kind.clone()
}

#[test]
fn stages_and_global_arguments() {
    let file = parse(
        "ARG V=1 W\nFROM --platform=$BUILDPLATFORM a:$V AS Base\nRUN x\nFROM base as two\nFROM scratch\nCOPY --from=two /a /b\n",
    );
    assert_eq!((file.global.len(), file.stages.len()), (1, 3));
    let first = &file.stages[0];
    assert_eq!(first.name.as_deref(), Some("base"));
    assert_eq!(first.from.platform.as_deref(), Some("$BUILDPLATFORM"));
    assert_eq!(first.head.place.first, 2);
    for (target, want) in [
        ("", Some(2)),
        ("BASE", Some(0)),
        ("two", Some(1)),
        ("1", Some(1)),
        ("3", None),
        ("x", None),
    ] {
        assert_eq!(file.target(target), want, "{target}");
    }
}

#[test]
fn commands() {
    let shell = |text: &str| Command::Shell(text.into());
    let exec = |words: &[&str]| Command::Exec(words.iter().map(ToString::to_string).collect());
    for (text, want) in [
        ("CMD a  b", Kind::Cmd(shell("a  b"))),
        ("CMD [\"a\", \"b\"]", Kind::Cmd(exec(&["a", "b"]))),
        ("CMD [ -f x ]", Kind::Cmd(shell("[ -f x ]"))),
        ("CMD", Kind::Cmd(shell(""))),
        ("CMD []", Kind::Cmd(exec(&[]))),
        ("ENTRYPOINT [\"a\"]", Kind::Entrypoint(exec(&["a"]))),
        (
            "SHELL [\"/bin/sh\",\"-ec\"]",
            Kind::Shell(vec!["/bin/sh".into(), "-ec".into()]),
        ),
        (
            "EXPOSE 80 $P/udp",
            Kind::Expose(vec!["80".into(), "$P/udp".into()]),
        ),
        ("VOLUME [\"/a b\"]", Kind::Volume(vec!["/a b".into()])),
        ("VOLUME /a /b", Kind::Volume(vec!["/a".into(), "/b".into()])),
        ("WORKDIR /a b", Kind::Workdir("/a b".into())),
        ("USER $U:$G", Kind::User("$U:$G".into())),
        ("STOPSIGNAL SIGINT", Kind::StopSignal("SIGINT".into())),
        (
            "MAINTAINER Some One <x@y>",
            Kind::Maintainer("Some One <x@y>".into()),
        ),
        ("ONBUILD RUN a && b", Kind::OnBuild("RUN a && b".into())),
    ] {
        assert_eq!(one(text), want, "{text}");
    }
}

#[test]
fn pairs_and_arguments() {
    let pairs = |text: &str| match one(text) {
        Kind::Env(pairs) | Kind::Label(pairs) => pairs
            .into_iter()
            .map(|p| (p.name, p.value, p.legacy))
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let of = |name: &str, value: &str, legacy| (name.to_string(), value.to_string(), legacy);
    assert_eq!(
        pairs("ENV a=1 b=\"2 3\" c=4\\ 5"),
        [
            of("a", "1", false),
            of("b", "\"2 3\"", false),
            of("c", "4\\ 5", false)
        ]
    );
    assert_eq!(pairs("ENV a b = c  d"), [of("a", "b = c  d", true)]);
    assert_eq!(
        pairs("LABEL \"a b\"=c d="),
        [of("\"a b\"", "c", false), of("d", "", false)]
    );
    let Kind::Arg(arguments) = one("ARG a b=1 c=") else {
        panic!()
    };
    let all: Vec<_> = arguments
        .iter()
        .map(|a| (a.name.as_str(), a.default.as_deref()))
        .collect();
    assert_eq!(all, [("a", None), ("b", Some("1")), ("c", Some(""))]);
}

#[test]
fn runs_and_copies() {
    let Kind::Run(run) =
        one("RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t --network=none a b")
    else {
        panic!()
    };
    assert_eq!(run.mounts, ["type=cache,target=/c", "type=tmpfs,target=/t"]);
    assert_eq!(run.network.as_deref(), Some("none"));
    assert_eq!(run.command, Command::Shell("a b".into()));
    let Kind::Copy(copy) = one(
        "COPY --from=x --chown=1:2 --chmod=0644 --link --parents --exclude=*.o --exclude=t a b /c/",
    ) else {
        panic!()
    };
    assert_eq!(
        (copy.from.as_deref(), copy.link, copy.parents),
        (Some("x"), true, true)
    );
    assert_eq!(
        (
            copy.sources.len(),
            copy.target.as_str(),
            copy.excludes.len()
        ),
        (2, "/c/", 2)
    );
    let Kind::Copy(copy) =
        one("ADD --checksum=sha256:0 --keep-git-dir=false --unpack=true https://x/y /z")
    else {
        panic!()
    };
    assert_eq!((copy.keep_git_dir, copy.unpack), (Some(false), Some(true)));
    let Kind::Copy(copy) = one("COPY [\"a b\", \"/c d\"]") else {
        panic!()
    };
    assert_eq!(
        (copy.sources, copy.target),
        (vec!["a b".to_string()], "/c d".to_string())
    );
    let Kind::Copy(copy) = one("COPY a <<X <<'Y' b /c\n1\nX\n2\nY") else {
        panic!()
    };
    let names: Vec<_> = copy
        .contents
        .iter()
        .map(|h| (h.name.as_str(), h.data.as_str()))
        .collect();
    assert_eq!(
        (copy.sources.len(), names),
        (2, vec![("X", "1\n"), ("Y", "2\n")])
    );
}

#[test]
fn health() {
    let of = |text: &str| match one(text) {
        Kind::Healthcheck(check) => check,
        other => panic!("{other:?}"),
    };
    let check = of(
        "HEALTHCHECK --interval=5m --timeout=3s --start-period=1.5s --start-interval=1s --retries=2 CMD curl -f x",
    );
    assert_eq!(check.test, ["CMD-SHELL", "curl -f x"]);
    assert_eq!(
        (check.interval, check.timeout, check.retries),
        (300_000_000_000, 3_000_000_000, 2)
    );
    assert_eq!(check.start_period, 1_500_000_000);
    assert_eq!(of("HEALTHCHECK cmd [\"a\"]").test, ["CMD", "a"]);
    assert_eq!(of("HEALTHCHECK NONE").test, ["NONE"]);
}

/// A Dockerfile, what is said of it, and the line and column.
const WRONG: &[(&str, &str, usize, usize)] = &[
    ("FROM a\nFOO b", "unknown instruction: FOO", 2, 1),
    (
        "FROM a\n  rnu b",
        "unknown instruction: rnu (did you mean RUN?)",
        2,
        3,
    ),
    ("RUN a", "no build stage in current context", 1, 1),
    ("FROM", "FROM requires either one or three arguments", 1, 1),
    (
        "FROM a b",
        "FROM requires either one or three arguments",
        1,
        1,
    ),
    ("FROM a AS 1x", "invalid name for build stage: \"1x\"", 1, 1),
    ("FROM --x a", "unknown flag: --x", 1, 6),
    ("FROM --platfrom=x a", "unknown flag: --platfrom", 1, 6),
    (
        "FROM --platform=x --platform=y a",
        "duplicate flag specified: --platform",
        1,
        1,
    ),
    (
        "FROM a\nCOPY b",
        "COPY requires at least two arguments, but only 1 was provided",
        2,
        1,
    ),
    (
        "FROM a\nCOPY --from=x \\\n  --chwon=y b c",
        "unknown flag: --chwon",
        3,
        3,
    ),
    (
        "FROM a\nCOPY --link=maybe b c",
        "expecting boolean value for flag link",
        2,
        1,
    ),
    (
        "FROM a\nCOPY --chown b c",
        "missing a value on flag: chown",
        2,
        6,
    ),
    ("FROM a\nADD --from=x b c", "unknown flag: --from", 2, 5),
    (
        "FROM a\nCOPY x <<E\n1\nE",
        "COPY cannot accept a heredoc as a destination",
        2,
        1,
    ),
    (
        "FROM a\nCOPY [\"\", \"x\"]",
        "source must not be an empty string",
        2,
        1,
    ),
    ("FROM a\nRUN", "RUN requires at least one argument", 2, 1),
    (
        "FROM a\nRUN [1]",
        "arrays must be comprised of strings only",
        2,
        1,
    ),
    ("FROM a\nENV", "ENV requires at least one argument", 2, 1),
    ("FROM a\nENV a", "ENV must have two arguments", 2, 1),
    ("FROM a\nENV a=1 \\\n  b", "can't find = in \"b\"", 3, 3),
    ("FROM a\nENV =1", "ENV names can not be blank", 2, 1),
    ("FROM a\nARG", "ARG requires at least one argument", 2, 1),
    ("FROM a\nARG =1", "ARG names can not be blank", 2, 1),
    (
        "FROM a\nEXPOSE",
        "EXPOSE requires at least one argument",
        2,
        1,
    ),
    (
        "FROM a\nVOLUME [\"\"]",
        "VOLUME specified can not be an empty string",
        2,
        1,
    ),
    (
        "FROM a\nWORKDIR",
        "WORKDIR requires exactly one argument",
        2,
        1,
    ),
    (
        "FROM a\nSHELL sh -c",
        "SHELL requires the arguments to be in JSON form",
        2,
        1,
    ),
    (
        "FROM a\nSHELL []",
        "SHELL requires at least one argument",
        2,
        1,
    ),
    (
        "FROM a\nHEALTHCHECK",
        "HEALTHCHECK requires at least one argument",
        2,
        1,
    ),
    (
        "FROM a\nHEALTHCHECK NONE x",
        "HEALTHCHECK NONE takes no arguments",
        2,
        1,
    ),
    (
        "FROM a\nHEALTHCHECK FOO",
        "unknown type \"FOO\" in HEALTHCHECK (try CMD)",
        2,
        1,
    ),
    (
        "FROM a\nHEALTHCHECK CMD",
        "missing command after HEALTHCHECK CMD",
        2,
        1,
    ),
    (
        "FROM a\nHEALTHCHECK --interval=1ns CMD x",
        "cannot be less than 1ms",
        2,
        1,
    ),
    (
        "FROM a\nHEALTHCHECK --retries=-1 CMD x",
        "--retries cannot be negative",
        2,
        1,
    ),
    ("FROM a\nONBUILD ONBUILD RUN a", "chaining ONBUILD", 2, 1),
    (
        "FROM a\nONBUILD FROM b",
        "FROM isn't allowed as an ONBUILD trigger",
        2,
        1,
    ),
    ("FROM a\nONBUILD X", "unknown instruction: X", 2, 1),
];

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for &(text, want, line, column) in WRONG {
        let fault = fails(text);
        let message = fault.error.message();
        assert!(message.contains(want), "{text:?}: {message}");
        assert!(message.contains(&format!("on line {line}")), "{message}");
        let place = fault.place.unwrap();
        assert_eq!((place.first, place.column), (line, column), "{text:?}");
    }
    assert!(fails("ARG a").error.message().contains("no build stage"));
}

proptest::proptest! {
    #[test]
    fn never_panics(text in "(?s)(FROM a\n)?((RUN|COPY|ADD|ENV|ARG|LABEL|CMD|SHELL|HEALTHCHECK|ONBUILD|EXPOSE|VOLUME) [-a-z=\\[\\]\", <'\\\\E\n$]{0,30}\n){0,4}") {
        if let Ok(file) = Dockerfile::parse(text.as_bytes()) {
            for one in file.stages.iter().flat_map(|s| &s.body) {
                // Read again, an instruction says the same.
                if one.place.first == one.place.last {
                    let again = Dockerfile::parse(format!("FROM a\n{}\n", one.text).as_bytes());
                    if file.directives.escape == '\\' && !one.text.ends_with('\\') {
                        proptest::prop_assert_eq!(&again.unwrap().stages[0].body[0].kind, &one.kind);
                    }
                }
            }
        }
    }
}
