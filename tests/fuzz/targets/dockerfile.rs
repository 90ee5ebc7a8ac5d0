//! What a build reads: Dockerfiles with their heredocs, and .dockerignore.

use serde_json::json;
use wherry::build::checks::{self, Choice};
use wherry::build::files::ignore::Ignore;
use wherry::build::parse::Dockerfile;
use wherry::build::parse::heredoc;
use wherry::build::parse::lines::{self, Lines};
use wherry::build::parse::place::{self, Place};
use wherry::build::plan::{self, Action, Base, Begin, Images, Plan, Request, Source};
use wherry::error::Result;
use wherry::image::{Digest, ImageConfig, Platform};

pub const WORDS: &[&str] = &[
    "FROM ",
    "FROM scratch AS ",
    "RUN ",
    "COPY ",
    "ADD ",
    "ARG ",
    "ENV ",
    "ONBUILD ",
    "USER ",
    "WORKDIR ",
    "LABEL ",
    "EXPOSE ",
    "HEALTHCHECK ",
    "SHELL [",
    "VOLUME ",
    "STOPSIGNAL ",
    "CMD ",
    "--from=",
    "--mount=type=",
    "cache,target=/x",
    "bind,from=0",
    "secret,id=a",
    "--chown=",
    "--chmod=",
    "--link",
    "--parents",
    "--exclude=",
    "--platform=$BUILDPLATFORM ",
    "<<EOF",
    "<<-EOF",
    "<<'E'",
    "EOF\n",
    "E\n",
    "\\\n",
    "`\n",
    "# escape=`\n",
    "# syntax=x\n",
    "# check=skip=all\n",
    "#",
    "\n",
    "\r\n",
    "$",
    "${a",
    ":-",
    ":+",
    ":?",
    "##",
    "%%",
    "//",
    "}",
    "\"",
    "'",
    "[\"",
    "\"]",
    "\u{feff}",
    "\u{a0}",
    "\t",
];

pub const PATTERNS: &[&str] = &[
    "**", "*", "?", "[", "]", "[^", "-", "\\", "!", "/", "../", "./", "#", "a", "b/c", "\n", "**/",
    "/**", "!**/", "[a-z]",
];

/// Places are in the file; what was read, written out, is read as the same; a
/// plan only looks back.
pub fn dockerfile(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let here = |place: Place| {
        assert!(place.first >= 1 && place.first <= place.last, "{place:?}");
        assert!(place.last <= text.split('\n').count(), "{place:?}");
        assert!(!place::excerpt("Dockerfile", &text, place).is_empty());
    };
    if let Ok(read) = lines::read(data) {
        let again = lines::read(written(&read).as_bytes());
        let again = again.unwrap_or_else(|e| panic!("{}: {:?}", e.error, written(&read)));
        assert_eq!(told(&again), told(&read), "{:?}", written(&read));
        assert_eq!(again.directives.escape, read.directives.escape);
        for line in &read.lines {
            here(line.place);
            for offset in [0, line.rest.len() / 2, line.rest.len()] {
                line.spot(offset);
            }
        }
    }
    let file = match Dockerfile::parse(data) {
        Ok(file) => file,
        Err(fault) => return fault.place.into_iter().for_each(here),
    };
    let request = Request {
        platforms: vec![Platform::new("linux", "amd64", None)],
        ..Request::default()
    };
    let notes = match plan::plans(&file, &request, &mut MadeUp) {
        Ok(plan) => {
            looks_back(&plan);
            plan.notes
        }
        Err(fault) => {
            fault.place.into_iter().for_each(here);
            Vec::new()
        }
    };
    for warning in checks::check(&file, &notes, &Choice::default()) {
        here(warning.place);
    }
}

/// The parts of a line that mean something: instruction, arguments, and of each
/// heredoc its name, data, and whether it is expanded and chomped.
type Told<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str, bool, bool)>);

fn told(read: &Lines) -> Vec<Told<'_>> {
    let lines = read.lines.iter();
    lines
        .map(|line| {
            let heredocs = line.heredocs.iter();
            let heredocs = heredocs.map(|h| (h.name.as_str(), h.data.as_str(), h.expand, h.chomp));
            (line.word.as_str(), line.rest.as_str(), heredocs.collect())
        })
        .collect()
}

/// The file as it would be written without continuations and comments.
fn written(read: &Lines) -> String {
    let escape = read.directives.escape;
    let mut out = format!("# escape={escape}\n");
    for line in &read.lines {
        let whole = format!("{} {}", line.word, line.rest);
        out.push_str(&whole);
        // A blank that is none for a continuation keeps this from being one.
        if whole.trim_end_matches([' ', '\t']).ends_with(escape) {
            out.push('\u{a0}');
        }
        out.push('\n');
        for heredoc in &line.heredocs {
            out.push_str(&heredoc.data);
            // One carriage return of its end belongs to no line.
            out.push_str(&format!("{}\r\n", heredoc.name));
        }
    }
    out
}

/// Any image there can be, with triggers.
struct MadeUp;

impl Images for MadeUp {
    fn image(&mut self, name: &str, platform: &Platform) -> Result<Base> {
        let document = json!({
            "architecture": platform.architecture, "os": "linux",
            "config": {"Env": ["PATH=/bin", "BASE=b"], "OnBuild": ["RUN a $BASE"]},
            "rootfs": {"type": "layers", "diff_ids": []}});
        Ok(Base {
            name: name.into(),
            manifest: Digest::of(name.as_bytes()),
            config: ImageConfig::parse(document.to_string().as_bytes())?,
            document,
            blobs: Vec::new(),
        })
    }
}

fn looks_back(plan: &Plan) {
    for (at, stage) in plan.stages.iter().enumerate() {
        let earlier = |source: &Source| match source {
            Source::Stage(n) => assert!(*n < at),
            Source::Image(n) => assert!(*n < plan.images.len()),
            _ => {}
        };
        if let Begin::Stage(n) = stage.begin {
            assert!(n < at);
        }
        for step in &stage.steps {
            if let Action::Copy(copy) = &step.action {
                earlier(&copy.from);
            }
        }
        assert!(stage.settings.config.env.iter().all(|e| e.contains('=')));
    }
}

/// A heredoc has the lines up to its end, and all of them.
pub fn heredoc(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (head, body) = text.split_once('\n').unwrap_or((&text, "a\n\tb\n"));
    for found in heredoc::in_line(head) {
        assert!(!found.name.is_empty() && !found.name.contains('\n'));
    }
    let first = format!("FROM x\nRUN {head}\n");
    let Some(found) = heredocs(&first) else {
        return;
    };
    let mut whole = first;
    let mut want = Vec::new();
    for (name, chomp) in &found {
        let is_end = |line: &str| {
            let line = line.strip_suffix('\n').unwrap_or(line);
            let line = line.strip_suffix('\r').unwrap_or(line);
            let start = if *chomp {
                line.trim_start_matches('\t')
            } else {
                line
            };
            start == name
        };
        let mut lines: String = body.split_inclusive('\n').filter(|l| !is_end(l)).collect();
        if !lines.is_empty() && !lines.ends_with('\n') {
            lines.push('\n');
        }
        // The line end may have made an end of it.
        let lines: String = lines.split_inclusive('\n').filter(|l| !is_end(l)).collect();
        whole.push_str(&format!("{lines}{name}\r\n"));
        want.push(lines);
    }
    let read = lines::read(whole.as_bytes()).unwrap_or_else(|e| panic!("{}: {whole:?}", e.error));
    let got = &read.lines[1].heredocs;
    assert_eq!(
        got.iter().map(|h| h.data.as_str()).collect::<Vec<_>>(),
        want,
        "{whole:?}"
    );
    for one in got {
        let content = one.content();
        assert_eq!(content.lines().count(), one.data.lines().count());
        assert!(!one.chomp || content.lines().all(|l| !l.starts_with('\t')));
        assert!(one.chomp || content == one.data);
    }
}

/// Names of the heredocs of `RUN …`, whose ends are still missing; `None` where
/// there are none that can be ended.
fn heredocs(text: &str) -> Option<Vec<(String, bool)>> {
    let line = text.lines().nth(1)?;
    let rest = line.strip_prefix("RUN ")?.trim();
    // Continuations would take the body's lines.
    if line.trim_end_matches([' ', '\t']).ends_with('\\') || !heredoc::may_have("RUN", rest) {
        return None;
    }
    let found = heredoc::in_line(rest);
    let ended = |h: &heredoc::Heredoc| !(h.chomp && h.name.starts_with('\t'));
    (!found.is_empty() && found.iter().all(ended))
        .then(|| found.into_iter().map(|h| (h.name, h.chomp)).collect())
}

/// What is brought back is looked for: a walk that skips what `may_bring_back`
/// denies sees all that is not excluded. The last line is the path.
pub fn ignore(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (rules, path) = text.rsplit_once('\n').unwrap_or((&text, "a/b/c"));
    let Ok(ignore) = Ignore::parse(rules.as_bytes()) else {
        return;
    };
    let parts = path
        .split('/')
        .filter(|p| !p.is_empty() && *p != "." && *p != "..");
    let parts: Vec<&str> = parts.take(20).collect();
    for path in [parts.join("/"), "a/b/c".into(), "b".into()] {
        if path.is_empty() || ignore.excludes(&path) {
            continue;
        }
        for (at, _) in path.match_indices('/') {
            let above = &path[..at];
            assert!(
                !ignore.excludes(above) || ignore.may_bring_back(above),
                "{path:?} is there, but nobody looks into {above:?}"
            );
        }
    }
}
