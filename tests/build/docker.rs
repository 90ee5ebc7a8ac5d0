//! Dockerfiles that were built by the real docker, by its classic builder and by
//! BuildKit; here the same files with owners, modes and times, and the same
//! settings, have to come out. tests/scripts/record-docker build::docker
//! writes the answers anew (root, Debian's docker.io).

use super::Site;
use crate::docker::daemon;
use crate::support::Env;
use crate::support::env::run;
use crate::support::image::digest;
use crate::support::registry::Registry;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

const CASES: &str = "tests/build/docker.txt";
const ANSWERS: &str = "tests/build/docker.json";
/// What all files of contexts are dated by; `T` in listings.
const TIME: u64 = 1_000_000_000;
/// Debian's own client still has BuildKit built in.
const CLIENT: &str = "/usr/bin/docker";

/// Settings that are compared.
const SETTINGS: [&str; 12] = [
    "User",
    "ExposedPorts",
    "Env",
    "Cmd",
    "Entrypoint",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "OnBuild",
    "Shell",
];

struct Case {
    name: String,
    /// What is known to differ.
    differs: Option<String>,
    options: Vec<String>,
    files: Vec<(String, u32, String)>,
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(CASES).unwrap();
    let mut all: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("=== ") {
            let (head, differs) = match head.split_once(" ? ") {
                Some((head, why)) => (head, Some(why.to_string())),
                None => (head, None),
            };
            let mut words = head.split_whitespace().map(str::to_string);
            all.push(Case {
                name: words.next().unwrap(),
                differs,
                options: words.collect(),
                files: vec![("Dockerfile".into(), 0o644, String::new())],
            });
            continue;
        }
        let Some(case) = all.last_mut() else { continue };
        if let Some(head) = line.strip_prefix("--- ") {
            let with_mode = head
                .rsplit_once(' ')
                .and_then(|(path, mode)| Some((path, u32::from_str_radix(mode, 8).ok()?)));
            let (path, mode) = with_mode.unwrap_or((head, 0o644));
            case.files.push((path.into(), mode, String::new()));
        } else {
            let content = &mut case.files.last_mut().unwrap().2;
            content.push_str(line);
            content.push('\n');
        }
    }
    all
}

fn write(case: &Case, dir: &Path) {
    let _ = std::fs::remove_dir_all(dir);
    let mut dirs = vec![dir.to_path_buf()];
    for (path, mode, content) in &case.files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        dirs.extend(
            path.ancestors()
                .skip(1)
                .take_while(|d| d.starts_with(dir))
                .map(Path::to_path_buf),
        );
        match content.strip_prefix("-> ") {
            Some(target) => std::os::unix::fs::symlink(target.trim_end(), &path).unwrap(),
            None => {
                std::fs::write(&path, content).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
                let file = std::fs::File::open(&path).unwrap();
                file.set_modified(UNIX_EPOCH + Duration::from_secs(TIME))
                    .unwrap();
            }
        }
    }
    dirs.sort();
    for dir in dirs.iter().rev() {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        let dir = std::fs::File::open(dir).unwrap();
        dir.set_modified(UNIX_EPOCH + Duration::from_secs(TIME))
            .unwrap();
    }
}

/// One builder.
struct Builder<'a> {
    env: &'a Env,
    program: String,
    buildkit: &'static str,
}

impl Builder<'_> {
    fn run(&self, args: &[&str]) -> crate::support::env::Output {
        let mut command = self.env.command(&self.program);
        command.env("DOCKER_BUILDKIT", self.buildkit).args(args);
        run(command, b"", 120)
    }

    /// Files of an image by their paths.
    fn files(&self, image: &str) -> BTreeMap<String, String> {
        let id = self
            .run(&["create", "--network", "none", image, "x"])
            .ok()
            .text();
        let id = id.trim();
        let tar = self.run(&["export", id]).ok().stdout;
        self.run(&["rm", id]).ok();
        list(&tar)
    }

    fn answer(&self, case: &Case, dir: &Path, base: &BTreeMap<String, String>) -> Value {
        let mut args = vec!["build", "-t", "t", "--network", "none"];
        args.extend(case.options.iter().map(String::as_str));
        let dir = dir.to_str().unwrap();
        args.push(dir);
        let output = self.run(&args);
        if output.status != 0 {
            return json!({"ok": false});
        }
        let files = self.files("t");
        let mut changed: BTreeMap<&String, Value> = BTreeMap::new();
        for (path, what) in &files {
            if base.get(path) != Some(what) {
                changed.insert(path, json!(what));
            }
        }
        for path in base.keys().filter(|path| !files.contains_key(*path)) {
            changed.insert(path, json!("gone"));
        }
        let inspected: Value =
            serde_json::from_str(&self.run(&["image", "inspect", "t"]).ok().text()).unwrap();
        let mut config = Map::new();
        for key in SETTINGS {
            let value = &inspected[0]["Config"][key];
            let empty = match value {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            if !empty {
                config.insert(key.into(), value.clone());
            }
        }
        json!({"ok": true, "files": changed, "config": config})
    }
}

/// `TYPE MODE UID:GID …`, without what an engine puts there itself.
fn list(tar: &[u8]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8_lossy(&entry.path_bytes())
            .trim_matches('/')
            .to_string();
        let path = path.trim_start_matches("./").to_string();
        let own = [
            "dev",
            "proc",
            "sys",
            "etc",
            ".dockerenv",
            "etc/hosts",
            "etc/hostname",
            "etc/resolv.conf",
            "etc/mtab",
            "",
            ".",
        ];
        let below = ["dev/", "proc/", "sys/"];
        if own.contains(&path.as_str()) || below.iter().any(|dir| path.starts_with(dir)) {
            continue;
        }
        let header = entry.header().clone();
        let link = entry
            .link_name_bytes()
            .map(|l| String::from_utf8_lossy(&l).into_owned());
        let kind = header.entry_type();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let mut what = format!(
            "{:?} {:o} {}:{}",
            kind,
            header.mode().unwrap() & 0o7777,
            header.uid().unwrap(),
            header.gid().unwrap()
        );
        if let Some(link) = link {
            what += &format!(" -> {link}");
        }
        if kind.is_file() {
            what += &format!(" {} {}", content.len(), &digest(&content)[7..15]);
        }
        // BuildKit dates directories by when they were written to.
        if header.mtime().unwrap() == TIME && !kind.is_dir() {
            what += " T";
        }
        found.insert(path, what);
    }
    found
}

#[test]
fn as_user_the_same_comes_out_as_from_docker() {
    match daemon::wanted() {
        Some(dir) => record(&dir),
        None => compare(),
    }
}

fn record(daemon_dir: &str) {
    let mut env = Env::with(Registry::shared());
    daemon::serve(&mut env, daemon_dir);
    let builder = |buildkit| Builder {
        env: &env,
        program: CLIENT.into(),
        buildkit,
    };
    let base = builder("0").files("busybox");
    let mut answers = BTreeMap::new();
    for case in cases() {
        // BuildKit takes files of the same name, size and time for the same.
        let dir = env.path(&format!("home/{}", case.name));
        write(&case, &dir);
        let by = |kind| builder(kind).answer(&case, &dir, &base);
        answers.insert(
            case.name.clone(),
            json!({"classic": by("0"), "buildkit": by("1")}),
        );
    }
    let with = daemon::versions(&env);
    let text = serde_json::to_string_pretty(&json!({"with": with, "answers": answers})).unwrap();
    std::fs::write(ANSWERS, text + "\n").unwrap();
}

fn compare() {
    let site = Site::new();
    let builder = Builder {
        env: &site.env,
        program: crate::support::env::wherry_path().into(),
        buildkit: "1",
    };
    let base = builder.files("busybox");
    let recorded: Value = serde_json::from_slice(&std::fs::read(ANSWERS).unwrap()).unwrap();
    let mut wrong = String::new();
    for case in cases() {
        write(&case, &site.dir);
        let mine = builder.answer(&case, &site.dir, &base);
        let theirs = &recorded["answers"][&case.name]["buildkit"];
        match (&case.differs, mine == *theirs) {
            (None, true) | (Some(_), false) => {}
            (Some(why), true) => {
                wrong += &format!("{}: does not differ any more ({why})\n", case.name)
            }
            (None, false) => {
                wrong += &format!("{}:\n  docker {theirs}\n  wherry {mine}\n", case.name)
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
