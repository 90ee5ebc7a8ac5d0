//! Many commands at once that fill the store and free it: what is in use is never
//! taken away, whatever is missing is missing as a whole, and in the end nothing
//! is left over. `WHERRY_ROUNDS` is the number of commands of each worker,
//! `WHERRY_SEED` repeats their choice (not their moments).

use crate::support::env::{Env, Output, run};
use crate::support::image::Image;
use crate::support::kill::Dice;
use crate::support::registry::Registry;
use crate::support::tree::Tree;
use std::path::Path;

const WORKERS: u64 = 4;
const IMAGES: u64 = 3;

fn rounds() -> usize {
    let text = std::env::var("WHERRY_ROUNDS");
    text.map_or(24, |text| text.parse().expect("WHERRY_ROUNDS is a number"))
}

/// Images over one base: /base in all of them, /stamp in each its own.
fn push_images(env: &Env, registry: &Registry) {
    for n in 0..IMAGES {
        let (mut base, mut own) = (Tree::default(), Tree::default());
        base.file("base", vec![b'b'; 200_000], 0o644).owner(3, 4);
        own.file("stamp", format!("{n}\n"), 0o644);
        registry.push(
            env,
            &Image::busybox().layer(base).layer(own),
            &format!("library/i{n}:1"),
        );
    }
}

/// Fails unless the command did its work, or says one of `excuses`.
fn may(out: &Output, excuses: &[&str]) -> bool {
    let said = out.errors();
    assert!(
        out.status == 0 || excuses.iter().any(|excuse| said.contains(excuse)),
        "{out}"
    );
    out.status == 0
}

/// Somebody else has just removed it.
const NO_IMAGE: &str = "No such image";
/// Somebody else makes a container of it, or has given it another name.
const IN_USE: &str = "conflict: unable to";

/// One of the processes: its names are its own, images are everybody's.
struct Worker<'a> {
    env: &'a Env,
    number: u64,
    dice: Dice,
    context: &'a Path,
    done: Done,
}

/// What came about, and was not just excused: a race that was not run proves
/// nothing.
#[derive(Debug, Default)]
struct Done {
    runs: u32,
    used: u32,
    commits: u32,
    builds: u32,
    removals: u32,
    loads: u32,
}

impl Done {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.used += other.used;
        self.commits += other.commits;
        self.builds += other.builds;
        self.removals += other.removals;
        self.loads += other.loads;
    }
}

impl Worker<'_> {
    fn image(&mut self) -> String {
        format!("i{}:1", self.dice.below(IMAGES))
    }

    fn own(&mut self, what: &str) -> String {
        format!("{what}{}:{}", self.number, self.dice.below(3))
    }

    /// Each kind once in every so many turns, in an order by chance.
    fn turns(&mut self, count: usize) {
        let mut kinds = Vec::new();
        for _ in 0..count {
            if kinds.is_empty() {
                kinds = (0..12).collect();
            }
            let at = self.dice.below(kinds.len() as u64) as usize;
            self.turn(kinds.swap_remove(at));
        }
    }

    fn turn(&mut self, kind: u64) {
        match kind {
            0..2 => self.pull_and_run(),
            2..4 => self.use_one(),
            4 => self.commit(),
            5..7 => self.build(),
            7 => self.remove_image(),
            8 => drop(may(&self.env.wherry(["image", "prune", "-af"]), &[])),
            9 => drop(may(&self.env.wherry(["system", "prune", "-af"]), &[])),
            10 => drop(may(&self.env.wherry(["builder", "prune", "-af"]), &[])),
            _ => self.save_and_load(),
        }
    }

    fn pull_and_run(&mut self) {
        let image = self.image();
        may(&self.env.wherry(["pull", "-q", &image]), &[]);
        let out = self
            .env
            .wherry(["run", "--rm", "--network", "none", &image, "cat", "/stamp"]);
        if may(&out, &[NO_IMAGE]) {
            assert_eq!(out.stdout, [&image.as_bytes()[1..2], b"\n"].concat());
            self.done.runs += 1;
        }
    }

    /// Starts a container; false when its image is not there.
    fn begin(&self, name: &str, image: &str, command: &[&str]) -> bool {
        let words = ["run", "-d", "--network", "none", "--name", name, image];
        may(
            &self.env.wherry([&words[..], command].concat()),
            &[NO_IMAGE],
        )
    }

    /// What an image that is here has in these files.
    fn shows(&self, image: &str, files: &[&str]) -> Output {
        let words = ["run", "--rm", "--network", "none", "--pull", "never", image];
        self.env.wherry([&words[..], &["cat"], files].concat())
    }

    /// A running container keeps its files and its image whatever is pruned.
    fn use_one(&mut self) {
        let (image, name) = (self.image(), format!("c{}", self.number));
        if !self.begin(&name, &image, &["sleep", "600"]) {
            return;
        }
        for _ in 0..3 {
            let want = format!("{}\n", &image[1..2]);
            let out = self.env.wherry(["exec", &name, "cat", "/stamp"]).ok();
            assert_eq!(out.text(), want);
            let sum = self
                .env
                .ok(["exec", &name, "stat", "-c", "%s %u %g", "/base"]);
            assert_eq!(sum, "200000 3 4");
            if self.dice.below(2) == 0 {
                may(&self.env.wherry(["image", "prune", "-af"]), &[]);
            }
        }
        let id = self.env.ok(["inspect", "-f", "{{.Image}}", &name]);
        self.env.wherry(["image", "inspect", &id]).ok();
        self.env.ok(["rm", "-f", &name]);
        self.done.used += 1;
    }

    /// A container of an image that nobody names any more can become one.
    fn commit(&mut self) {
        let (image, name, made) = (self.image(), format!("m{}", self.number), self.own("made"));
        may(&self.env.wherry(["pull", "-q", &image]), &[]);
        let command = ["sh", "-c", "echo mine >/mine; exec sleep 600"];
        if !self.begin(&name, &image, &command) {
            return;
        }
        may(&self.env.wherry(["rmi", "-f", &image]), &[NO_IMAGE, IN_USE]);
        assert!(crate::support::eventually(20, || {
            self.env.wherry(["exec", &name, "cat", "/mine"]).status == 0
        }));
        may(&self.env.wherry(["commit", &name, &made]), &[]);
        self.env.ok(["rm", "-f", &name]);
        let out = self.shows(&made, &["/stamp", "/mine", "/base"]);
        if may(&out, &[NO_IMAGE]) {
            assert_eq!(out.stdout.len(), 2 + 5 + 200_000);
            self.done.commits += 1;
        }
    }

    fn build(&mut self) {
        let (image, built) = (self.image(), self.own("built"));
        let dockerfile = format!(
            "FROM {image}\nCOPY data /data\nRUN cat /stamp /data >/both && echo {} >>/both\n",
            self.dice.below(3)
        );
        let context = self.context.to_str().unwrap();
        let words = [
            "build",
            "-q",
            "--network",
            "none",
            "-t",
            &built,
            "-f",
            "-",
            context,
        ];
        let out = run(self.env.wherry_command(words), dockerfile.as_bytes(), 120);
        may(&out, &[]);
        self.done.builds += 1;
        let out = self.shows(&built, &["/both"]);
        if may(&out, &[NO_IMAGE]) {
            assert!(
                out.stdout
                    .starts_with(&[&image.as_bytes()[1..2], b"\ndata\n"].concat()),
                "{out}"
            );
        }
    }

    fn remove_image(&mut self) {
        let words = [self.image(), self.own("made"), self.own("built")];
        let image = &words[self.dice.below(3) as usize];
        let force: &[&str] = if self.dice.below(2) == 0 {
            &["-f"]
        } else {
            &[]
        };
        let words = [&["rmi"][..], force, &[image]].concat();
        let gone = may(&self.env.wherry(words), &[NO_IMAGE, IN_USE]);
        self.done.removals += u32::from(gone);
    }

    /// An archive is all of its image, or there is none.
    fn save_and_load(&mut self) {
        let image = self.image();
        may(&self.env.wherry(["pull", "-q", &image]), &[]);
        let file = self.env.path(&format!("tmp/saved-{}", self.number));
        let path = file.to_str().unwrap();
        if may(
            &self.env.wherry(["save", "-o", path, &image]),
            &[NO_IMAGE, "is not there"],
        ) {
            may(&self.env.wherry(["load", "-qi", path]), &[]);
            self.done.loads += 1;
        }
    }
}

/// What the store has is whole, by its own word and by that of others.
fn sound(env: &Env) {
    let ids = env.ok(["images", "-aq", "--no-trunc"]);
    for id in ids.lines() {
        env.wherry(["run", "--rm", "--network", "none", id, "cat", "/stamp"])
            .ok();
    }
    let layout = env.path("data/wherry/images");
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    for entry in index["manifests"].as_array().unwrap() {
        let name = &entry["annotations"]["org.opencontainers.image.ref.name"];
        let Some(name) = name.as_str().filter(|name| !name.contains('@')) else {
            continue;
        };
        let mut skopeo = env.command("skopeo");
        skopeo.args([
            "inspect",
            "--raw",
            &format!("oci:{}:{name}", layout.display()),
        ]);
        run(skopeo, b"", 60).ok();
    }
    let mut umoci = env.command("umoci");
    umoci.args(["list", "--layout"]).arg(&layout);
    run(umoci, b"", 60).ok();
}

fn nothing_left(env: &Env) {
    assert_eq!(env.ok(["ps", "-aq"]), "");
    env.ok(["system", "prune", "-af"]);
    assert_eq!(env.ok(["images", "-aq"]), "");
    for dir in [
        "layers",
        "images/blobs/sha256",
        "images/partial",
        "containers",
        "build/cache",
    ] {
        let dir = env.path("data/wherry").join(dir);
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        let left: Vec<_> = entries.map(|e| e.file_name()).collect();
        assert!(left.is_empty(), "{}: {left:?}", dir.display());
    }
}

#[test]
fn what_is_in_use_stays_while_everything_goes() {
    let (registry, mut dice) = (Registry::plain(), Dice::new());
    let env = Env::with(&registry);
    push_images(&env, &registry);
    let context = env.path("tmp/context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("data"), "data\n").unwrap();
    let mut all = Done::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                let mut worker = Worker {
                    env: &env,
                    number,
                    dice: dice.branch(),
                    context: &context,
                    done: Done::default(),
                };
                scope.spawn(move || {
                    worker.turns(rounds());
                    worker.done
                })
            })
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(done) => all.add(&done),
                Err(cause) => std::panic::resume_unwind(cause),
            }
        }
    });
    println!("{all:?}");
    assert!(
        all.runs > 0 && all.used > 0 && all.builds > 0,
        "nothing came about: {all:?}"
    );
    sound(&env);
    nothing_left(&env);
}
