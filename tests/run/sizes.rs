//! `ps -s` and `inspect -s`: what a container has written, and with its image.

use crate::support::Env;

/// A file with two names, a link, and a directory that only user 1000 enters.
const WRITES: &str = "cd / && head -c 4000 /dev/zero > plain && ln plain again && \
ln -s /plain link && mkdir closed && head -c 345 /dev/zero > closed/file && \
chown 1000:1000 closed && chmod 700 closed";

#[test]
fn are_those_of_the_files_written() {
    let env = Env::busybox();
    env.ok(["create", "--name", "new", "busybox", "true"]);
    env.ok(["run", "--name", "wrote", "busybox", "sh", "-c", WRITES]);
    let sizes = |name: &str| {
        let text = env.ok(["inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", name]);
        let (writable, total) = text.split_once(' ').unwrap();
        (
            writable.parse::<u64>().unwrap(),
            total.parse::<u64>().unwrap(),
        )
    };
    let image = env.ok(["image", "inspect", "-f", "{{.Size}}", "busybox"]);
    let image: u64 = image.parse().unwrap();
    assert_eq!(sizes("new"), (0, image));
    // The link counts as its text, the second name not at all.
    assert_eq!(sizes("wrote"), (4351, 4351 + image));
    let all = env.ok(["ps", "-as", "--format", "{{.Names}}: {{.Size}}"]);
    let shown = format!("{:.2}MB", image as f64 / 1e6);
    let lines: Vec<&str> = all.lines().collect();
    assert!(lines[0].starts_with("wrote: 4.35kB (virtual "), "{all}");
    assert_eq!(lines[1], format!("new: 0B (virtual {shown})"), "{all}");
    // A template that shows them asks for them, and -s=false forbids it.
    let last = ["ps", "-l", "--format", "{{.Size}}"];
    assert_eq!(format!("wrote: {}", env.ok(last)), lines[0]);
    assert_eq!(
        env.ok(["ps", "-l", "-s=false", "--format", "{{.Size}}"]),
        "0B"
    );
    let table = env.ok(["ps", "-l", "--size"]);
    assert!(
        table.lines().next().unwrap().ends_with("NAMES     SIZE"),
        "{table}"
    );
    let plain = env.ok(["inspect", "-f", "{{json .}}", "wrote"]);
    assert!(!plain.contains("SizeRw"), "{plain}");
}

#[test]
fn of_an_image_are_not_asked_for() {
    let env = Env::busybox();
    let out = env
        .wherry(["inspect", "-s", "-f", "{{.Os}}", "busybox"])
        .ok();
    assert_eq!(out.text(), "linux\n");
    assert_eq!(out.errors(), "WARNING: --size ignored for image\n");
}
