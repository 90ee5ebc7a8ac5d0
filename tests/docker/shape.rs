//! What differs between any two runs, and between any client with a daemon
//! and a program without one, taken out of both sides alike. It is all here.

use regex_lite::Regex;
use std::sync::LazyLock;

/// Replaced one after the other, before an answer is written down.
static CHANGING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\b[0-9a-f]{64}\b", "<id>"),
        (r"\b[0-9a-f]{12}\b", "<id12>"),
        (
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
            "<time>",
        ),
        (
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} [A-Z]+",
            "<time>",
        ),
        (
            r"(Less than a|About an?|\d+) (second|minute|hour|day|week|month|year)s?( ago)?",
            "<span>$3",
        ),
        // Columns are as wide as what is in them.
        (r"(\S)   +", "$1  "),
        // The registry of the tests.
        (r"127\.0\.0\.1:\d{4,5}", "$$HOST"),
    ]
    .map(|(pattern, with)| (Regex::new(pattern).expect("a pattern"), with))
    .into()
});

/// Normal form of an output; `dir` is where the command ran.
pub fn normal(bytes: &[u8], dir: &str) -> String {
    let mut text = String::from_utf8_lossy(bytes).replace(dir, "$DIR");
    for (pattern, with) in CHANGING.iter() {
        text = pattern.replace_all(&text, *with).into_owned();
    }
    let lines = text.lines().map(str::trim_end);
    let text = lines.fold(String::new(), |all, line| all + line + "\n");
    match text.trim_end() {
        "" => String::new(),
        text => format!("{text}\n"),
    }
}

/// The sentences of standard error, in lower case: without the name of who
/// says them (`docker:`, `Error response from daemon:`, `Error:`), without
/// hints, the usage and pointers to the help, and without the names of the
/// layers that a daemon's error came through.
pub fn sentences(stderr: &str) -> String {
    let mut out = String::new();
    for line in stderr.lines() {
        let mut line = line.trim();
        // "Run", "See" or even "SRun 'docker x --help' for …".
        let pointer = line.ends_with("--help' for more information");
        if line.is_empty() || pointer || ["hint: ", "Usage: "].iter().any(|a| line.starts_with(a)) {
            continue;
        }
        for layer in [
            "docker: ",
            "Error response from daemon: ",
            "Error: ",
            "error: ",
            "ERROR: ",
            "OCI runtime exec failed: exec failed: ",
            "failed to create task for container: ",
            "failed to create shim task: ",
            "OCI runtime create failed: ",
            "runc create failed: ",
            "unable to start container process: ",
        ] {
            line = line.strip_prefix(layer).unwrap_or(line);
        }
        line = line.strip_suffix(": unknown").unwrap_or(line);
        line = line.strip_suffix('.').unwrap_or(line);
        out += &format!("{}\n", line.to_lowercase());
    }
    out
}

/// How many columns each line has; columns are two blanks apart.
pub fn columns(stdout: &str) -> Vec<usize> {
    let count = |line: &str| line.split("  ").filter(|c| !c.trim().is_empty()).count();
    stdout.lines().map(count).collect()
}

#[test]
fn normal_forms() {
    let id = "0123456789abcdef".repeat(4);
    let text = format!(
        "{id} at /d/x,\n{}   Up 2 seconds\n2026-01-02T03:04:05.6Z\n\n",
        &id[..12]
    );
    assert_eq!(
        normal(text.as_bytes(), "/d"),
        "<id> at $DIR/x,\n<id12>  Up <span>\n<time>\n"
    );
    assert_eq!(normal(b"\n", "/d"), "");
    let docker = "docker: Error response from daemon: failed to create task for container: \
                  exec: \"x\": not found: unknown\n\nRun 'docker run --help' for more information\n";
    assert_eq!(
        sentences(docker),
        sentences("Error: exec: \"x\": not found\nhint: y\n")
    );
    assert_eq!(columns("A  B C\nd\n"), [2, 1]);
}
