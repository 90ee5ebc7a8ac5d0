//! Inputs: the corpus, what is generated beside it, and changes of them by a
//! seed. The same seed gives the same inputs everywhere.

use crate::evil_tar;
use crate::targets::Target;
use crate::targets::place::Place;
use std::path::Path;

/// Longer ones are no better, only slower.
const LONGEST: usize = 64 << 10;
const BLOCK: usize = 512;

/// A row of random numbers (SplitMix64).
pub struct Row(pub u64);

impl Row {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// The files of `corpus/NAME` by name, and hostile archives where archives are read.
pub fn seeds(target: &Target, corpus: &Path) -> Vec<Vec<u8>> {
    let dir = corpus.join(target.name);
    let entries = std::fs::read_dir(&dir);
    let entries = entries.unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut paths: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    let mut seeds: Vec<Vec<u8>> = paths.iter().map(|p| std::fs::read(p).unwrap()).collect();
    match target.name {
        "layer" => seeds.extend(layers()),
        "archive" => seeds.extend(archives()),
        _ => {}
    }
    assert!(seeds.len() > 3, "the corpus of {} is missing", target.name);
    seeds
}

fn layers() -> Vec<Vec<u8>> {
    let all = evil_tar::archives(Place::ours().canary());
    let tars = all.into_iter().map(|archive| archive.tar);
    tars.filter(|tar| tar.len() <= LONGEST).collect()
}

/// What `docker save` has written in its time, in small.
fn archives() -> Vec<Vec<u8>> {
    use wherry::image::Digest;
    let tar = |files: &[(&str, &[u8])]| {
        let parts: Vec<_> = files
            .iter()
            .map(|(name, data)| evil_tar::file(name, data))
            .collect();
        evil_tar::tar(evil_tar::Spelling::Plain, &parts)
    };
    let layer = tar(&[("etc/motd", b"hello"), (".wh.gone", b"")]);
    let id = Digest::of(&layer);
    let config =
        serde_json::json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [id]}})
        .to_string();
    let old = r#"[{"Config":"c.json","RepoTags":["a:1","b/c:2"],"Layers":["l/layer.tar"]}]"#;
    let name = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let descriptor = |kind: &str, bytes: &[u8]| {
        serde_json::json!({"mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": Digest::of(bytes), "size": bytes.len()})
    };
    let manifest = serde_json::json!({"schemaVersion": 2,
        "config": descriptor("config.v1+json", config.as_bytes()),
        "layers": [descriptor("layer.v1.tar", &layer)]})
    .to_string();
    let mut entry = descriptor("manifest.v1+json", manifest.as_bytes());
    entry["annotations"] = serde_json::json!({"io.containerd.image.name": "docker.io/library/a:1"});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    let both = serde_json::json!([{"Config": name(config.as_bytes()), "RepoTags": ["a:1"],
        "Layers": [name(&layer)]}])
    .to_string();
    let names = [
        name(config.as_bytes()),
        name(&layer),
        name(manifest.as_bytes()),
    ];
    let blobs: [(&str, &[u8]); 3] = [
        (&names[0], config.as_bytes()),
        (&names[1], &layer),
        (&names[2], manifest.as_bytes()),
    ];
    let layout: (&str, &[u8]) = ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    let with = |more: &[(&str, &[u8])]| tar(&[&blobs[..], &[layout], more].concat());
    vec![
        tar(&[
            ("l/layer.tar", &layer),
            ("c.json", config.as_bytes()),
            ("manifest.json", old.as_bytes()),
        ]),
        with(&[("index.json", index.as_bytes())]),
        with(&[
            ("index.json", index.as_bytes()),
            ("manifest.json", both.as_bytes()),
        ]),
        tar(&[("repositories", b"{}")]),
    ]
}

/// A new input from the seeds.
pub fn mutated(seeds: &[Vec<u8>], words: &[&str], row: &mut Row) -> Vec<u8> {
    let mut data = seeds[row.below(seeds.len())].clone();
    for _ in 0..1 + row.below(6) {
        change(&mut data, seeds, words, row);
    }
    data.truncate(LONGEST);
    // Most headers of archives are to be looked at, not refused for their sum.
    if row.below(4) > 0 {
        mend_sums(&mut data);
    }
    data
}

fn change(data: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str], row: &mut Row) {
    let at = row.below(data.len() + 1);
    let end = (at + 1 + row.below(16)).min(data.len());
    match row.below(9) {
        0 if at < data.len() => data[at] ^= 1 << row.below(8),
        1 if at < data.len() => data[at] = row.next() as u8,
        2 if at < data.len() => {
            const TELLING: &[u8] = b"\0\xff\x80 \n\t\"'\\/.#$0-";
            data[at] = TELLING[row.below(TELLING.len())];
        }
        3 if at < end => drop(data.drain(at..end)),
        4 if at < end => {
            let twice = data[at..end].to_vec();
            data.splice(at..at, twice);
        }
        5 => {
            let word = words[row.below(words.len())];
            data.splice(at..at, word.bytes());
        }
        6 => {
            // Over what is there: lengths and offsets stay right.
            let word = words[row.below(words.len())].as_bytes();
            for (to, from) in data[at..].iter_mut().zip(word) {
                *to = *from;
            }
        }
        7 => {
            let other = &seeds[row.below(seeds.len())];
            let from = row.below(other.len() + 1);
            let to = (from + 1 + row.below(2 * BLOCK)).min(other.len());
            data.splice(at..at, other[from.min(to)..to].iter().copied());
        }
        8 if data.len() > BLOCK => {
            // Headers as a whole: another order, one twice, one less.
            let blocks = data.len() / BLOCK;
            let (a, b) = (row.below(blocks) * BLOCK, row.below(blocks) * BLOCK);
            let block = data[a..a + BLOCK].to_vec();
            match row.below(3) {
                0 => data[b..b + BLOCK].copy_from_slice(&block),
                1 => drop(data.splice(b..b, block)),
                _ => drop(data.drain(a..a + BLOCK)),
            }
        }
        _ => data.truncate(at),
    }
}

/// Right checksums for what looks like a header (ustar, POSIX.1-1988).
fn mend_sums(data: &mut [u8]) {
    for header in data
        .chunks_exact_mut(BLOCK)
        .filter(|h| &h[257..262] == b"ustar")
    {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
