//! Hostile tar archives by name, and the oracle that nothing outside the
//! unpacked tree was touched. Every consumer of archives is fed all of them:
//! a hole closed in one and open in another is the most common repeat.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a consumer has to make of an archive.
#[derive(Debug, Clone)]
pub enum Expect {
    Refused,
    /// Taken, and these are true of the tree.
    Holds(Vec<Fact>),
    /// Refused or taken, as long as nothing outside changes.
    Contained,
}

#[derive(Debug, Clone)]
pub enum Fact {
    File(&'static str, &'static str),
    Link(&'static str),
    Dir(&'static str),
    Absent(&'static str),
    Whiteout(&'static str),
    Opaque(&'static str),
    /// Path, permission bits, modification time.
    Meta(&'static str, u32, i64),
    NoXattr(&'static str, &'static str),
}

#[derive(Debug, Clone)]
pub struct Archive {
    pub name: String,
    pub tar: Vec<u8>,
    pub expect: Expect,
}

/// How names are written into the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    Plain,
    DotSlash,
    DoubleSlash,
    Pax,
    GnuLong,
}

const SPELLINGS: [Spelling; 5] = [
    Spelling::Plain,
    Spelling::DotSlash,
    Spelling::DoubleSlash,
    Spelling::Pax,
    Spelling::GnuLong,
];

/// One header with its data, as raw as wanted.
#[derive(Debug, Clone)]
pub struct Part {
    name: Vec<u8>,
    flag: u8,
    link: Vec<u8>,
    data: Vec<u8>,
    size: Option<u64>,
    mode: u32,
    uid: u64,
    gid: u64,
    mtime: u64,
    device: (u32, u32),
    pax: Vec<(Vec<u8>, Vec<u8>)>,
}

pub fn part(name: impl AsRef<[u8]>, flag: u8) -> Part {
    Part {
        name: name.as_ref().to_vec(),
        flag,
        link: Vec::new(),
        data: Vec::new(),
        size: None,
        mode: if flag == b'5' { 0o755 } else { 0o644 },
        uid: nix::unistd::geteuid().as_raw().into(),
        gid: nix::unistd::getegid().as_raw().into(),
        mtime: 1_600_000_000,
        device: (0, 0),
        pax: Vec::new(),
    }
}
pub fn file(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Part {
    Part {
        data: data.as_ref().to_vec(),
        ..part(name, b'0')
    }
}
pub fn dir(name: impl AsRef<[u8]>) -> Part {
    part(name, b'5')
}
pub fn sym(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Part {
    Part {
        link: target.as_ref().to_vec(),
        ..part(name, b'2')
    }
}
pub fn hard(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Part {
    Part {
        link: target.as_ref().to_vec(),
        ..part(name, b'1')
    }
}

impl Part {
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }
    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }
    pub fn mtime(mut self, mtime: u64) -> Self {
        self.mtime = mtime;
        self
    }
    pub fn size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }
    pub fn device(mut self, major: u32, minor: u32) -> Self {
        self.device = (major, minor);
        self
    }
    pub fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.push((key.into(), value.as_ref().to_vec()));
        self
    }

    fn write(&self, spelling: Spelling, out: &mut Vec<u8>) {
        let mut name = self.name.clone();
        match spelling {
            Spelling::DotSlash if !name.starts_with(b"/") && !name.is_empty() => {
                name.splice(0..0, *b"./");
            }
            Spelling::DoubleSlash => {
                let mut doubled = Vec::new();
                for &b in &name {
                    doubled.extend(std::iter::repeat_n(b, if b == b'/' { 2 } else { 1 }));
                }
                name = doubled;
            }
            _ => {}
        }
        let mut pax = self.pax.clone();
        match spelling {
            Spelling::Pax => {
                pax.push((
                    b"path".to_vec(),
                    std::mem::replace(&mut name, b"decoy".to_vec()),
                ));
                if !self.link.is_empty() {
                    pax.push((b"linkpath".to_vec(), self.link.clone()));
                }
            }
            _ if spelling == Spelling::GnuLong || name.len() > 100 || self.link.len() > 100 => {
                for (flag, text) in [(b'L', &name), (b'K', &self.link)] {
                    if !text.is_empty() {
                        let text = [text.as_slice(), b"\0"].concat();
                        put(
                            out,
                            &header(b"././@LongLink", flag, text.len() as u64),
                            &text,
                        );
                    }
                }
            }
            _ => {}
        }
        if !pax.is_empty() {
            let records: Vec<u8> = pax.iter().flat_map(|(k, v)| record(k, v)).collect();
            put(out, &header(b"pax", b'x', records.len() as u64), &records);
        }
        let mut header = header(
            &name,
            self.flag,
            self.size.unwrap_or(self.data.len() as u64),
        );
        let n = self.link.len().min(100);
        header.as_old_mut().linkname[..n].copy_from_slice(&self.link[..n]);
        header.set_mode(self.mode);
        header.set_uid(self.uid);
        header.set_gid(self.gid);
        header.set_mtime(self.mtime);
        header.set_device_major(self.device.0).unwrap();
        header.set_device_minor(self.device.1).unwrap();
        header.set_cksum();
        put(out, &header, &self.data);
    }
}

fn header(name: &[u8], flag: u8, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    let n = name.len().min(100);
    header.as_old_mut().name[..n].copy_from_slice(&name[..n]);
    header.as_old_mut().linkflag[0] = flag;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    header
}

fn put(out: &mut Vec<u8>, header: &tar::Header, data: &[u8]) {
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(512), 0);
}

/// A pax record; its length counts its own digits.
pub fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while length != body + length.to_string().len() {
        length = body + length.to_string().len();
    }
    [format!("{length} ").as_bytes(), key, b"=", value, b"\n"].concat()
}

pub fn tar(spelling: Spelling, parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        part.write(spelling, &mut out);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// Everything of sets A, B and C; the canary is what archives aim at.
pub fn archives(canary: &Canary) -> Vec<Archive> {
    let mut all = Vec::new();
    for spelling in SPELLINGS {
        for (name, parts, expect) in paths(canary) {
            all.push(Archive {
                name: format!("{name} ({spelling:?})"),
                tar: tar(spelling, &parts),
                expect,
            });
        }
    }
    for (name, parts, expect) in whiteouts().into_iter().chain(metadata()) {
        all.push(Archive {
            name: name.into(),
            tar: tar(Spelling::Plain, &parts),
            expect,
        });
    }
    all.extend(broken());
    all
}

type Case = (&'static str, Vec<Part>, Expect);

/// Set A: names and links.
fn paths(canary: &Canary) -> Vec<Case> {
    use Expect::*;
    use Fact::*;
    let out = canary.dir.to_str().unwrap().to_owned();
    let secret = format!("{out}/secret");
    let up = format!("{}{}", "../".repeat(12), secret.trim_start_matches('/'));
    let mid = format!("a/b/{}{}", "../".repeat(14), secret.trim_start_matches('/'));
    let root_of_proc = format!("proc{out}");
    let long = "n".repeat(4097);
    let deep = vec!["d"; 300].join("/");
    vec![
        ("dotdot-file", vec![file(&up, "evil")], Refused),
        (
            "dotdot-mid",
            vec![dir("a"), dir("a/b"), file(&mid, "evil")],
            Refused,
        ),
        ("dotdot-last", vec![dir("a"), dir("a/..")], Refused),
        ("abs-file", vec![file(&secret, "evil")], Contained),
        (
            "dot-entry-symlink",
            vec![sym(".", &out), file("secret", "evil")],
            Refused,
        ),
        ("dot-entry-file", vec![file("./.", "evil")], Contained),
        ("empty-name", vec![file("", "evil")], Contained),
        ("4097-long", vec![file(&long, "evil")], Refused),
        ("256-long", vec![file("n".repeat(256), "evil")], Refused),
        ("300-deep", vec![file(deep + "/f", "x")], Contained),
        ("non-utf8", vec![file(b"\xff\xfe\x80", "x")], Contained),
        (
            "newline",
            vec![file("a\nb", "x")],
            Holds(vec![File("a\nb", "x")]),
        ),
        (
            "sym-abs-then-file",
            vec![sym("l", &out), file("l/secret", "evil")],
            Refused,
        ),
        (
            "sym-rel-up-then-file",
            vec![
                sym("l", format!("{}{}", "../".repeat(12), &out[1..])),
                file("l/secret", "evil"),
            ],
            Refused,
        ),
        (
            "sym-chain",
            vec![
                sym("a", "b"),
                sym("b", "c"),
                sym("c", &out),
                file("a/secret", "evil"),
            ],
            Refused,
        ),
        (
            "sym-chain-dirs",
            vec![
                dir("d"),
                sym("d/up", "../.."),
                sym("x", "d/up/d/up"),
                file("x/inside", "x"),
            ],
            Contained,
        ),
        (
            "sym-loop",
            vec![sym("a", "b"), sym("b", "a"), file("a/x", "evil")],
            Refused,
        ),
        (
            "sym-inside",
            vec![
                dir("usr"),
                dir("usr/lib"),
                sym("lib", "usr/lib"),
                file("lib/f", "x"),
            ],
            Holds(vec![File("usr/lib/f", "x"), Link("lib")]),
        ),
        (
            "sym-abs-inside",
            vec![
                dir("usr"),
                dir("usr/lib"),
                sym("lib", "/usr/lib"),
                file("lib/f", "x"),
            ],
            Holds(vec![File("usr/lib/f", "x")]),
        ),
        (
            "sym-proc-root",
            vec![
                sym("proc", "/proc/self/root"),
                file(format!("{root_of_proc}/secret"), "evil"),
            ],
            Refused,
        ),
        (
            "sym-magic-fd",
            vec![sym("fd", "/proc/self/fd/3"), file("fd/x", "evil")],
            Refused,
        ),
        (
            "sym-cwd",
            vec![sym("cwd", "/proc/self/cwd"), file("cwd/x", "evil")],
            Refused,
        ),
        (
            "sym-then-file-same-name",
            vec![sym("f", &secret), file("f", "mine")],
            Holds(vec![File("f", "mine")]),
        ),
        (
            "sym-override-dir",
            vec![
                dir("d"),
                file("d/f", "x"),
                sym("d", &out),
                file("d/secret", "evil"),
            ],
            Refused,
        ),
        (
            "dir-override-sym",
            vec![
                sym("d", &out),
                dir("d").mode(0o777).mtime(7),
                file("d/secret", "mine"),
            ],
            Holds(vec![File("d/secret", "mine"), Meta("d", 0o777, 7)]),
        ),
        (
            "dir-over-sym-dot",
            vec![sym("d", &out), dir("d/.").mode(0o777)],
            Contained,
        ),
        (
            "file-over-dir",
            vec![dir("d"), file("d/f", "x"), file("d", "now a file")],
            Holds(vec![File("d", "now a file")]),
        ),
        (
            "dir-over-file",
            vec![file("d", "x"), dir("d"), file("d/f", "y")],
            Holds(vec![File("d/f", "y")]),
        ),
        (
            "file-below-file",
            vec![file("f", "x"), file("f/g", "evil")],
            Refused,
        ),
        (
            "hard-abs",
            vec![hard("h", &secret), file("h", "evil")],
            Refused,
        ),
        (
            "hard-rel-up",
            vec![hard("h", &up), file("h", "evil")],
            Refused,
        ),
        (
            "hard-via-sym-parent",
            vec![
                sym("l", &out),
                hard("h", "l/secret"),
                part("h", b'0').mode(0o777),
            ],
            Refused,
        ),
        (
            "hard-to-sym-then-write",
            vec![sym("l", &secret), hard("h", "l"), file("h", "mine")],
            Holds(vec![File("h", "mine"), Link("l")]),
        ),
        (
            "hard-sym-chmod",
            vec![sym("l", &secret), hard("h", "l").mode(0o777).owner(1, 1)],
            Holds(vec![Link("h")]),
        ),
        (
            "hard-to-later",
            vec![hard("h", "later"), file("later", "x")],
            Refused,
        ),
        (
            "hard-to-itself",
            vec![file("f", "x"), hard("f", "f")],
            Holds(vec![File("f", "x")]),
        ),
        ("hard-to-dir", vec![dir("d"), hard("h", "d")], Refused),
        ("hard-to-root", vec![hard("h", ".")], Refused),
        (
            "hard-to-device",
            vec![part("dev", b'3').device(1, 3), hard("h", "dev")],
            Contained,
        ),
        (
            "hard-over-file",
            vec![file("a", "x"), file("b", "y"), hard("b", "a")],
            Holds(vec![File("b", "x")]),
        ),
        (
            "twice-sym-file",
            vec![
                sym("t", &secret),
                file("t", "1"),
                sym("t", &secret),
                file("t", "2"),
            ],
            Holds(vec![File("t", "2")]),
        ),
        (
            "twice-dir-sym-child",
            vec![dir("t"), sym("t", &out), dir("t"), file("t/secret", "mine")],
            Holds(vec![File("t/secret", "mine")]),
        ),
        (
            "case-twins",
            vec![file("Twin", "1"), file("twin", "2")],
            Holds(vec![File("Twin", "1"), File("twin", "2")]),
        ),
        (
            "fifo-then-file",
            vec![part("p", b'6'), file("p", "x")],
            Holds(vec![File("p", "x")]),
        ),
        ("sym-empty-target", vec![sym("l", "")], Refused),
        (
            "implicit-parents",
            vec![file("a/b/c", "x")],
            Holds(vec![File("a/b/c", "x")]),
        ),
    ]
}

/// Set B: deletions.
fn whiteouts() -> Vec<Case> {
    use Expect::*;
    use Fact::*;
    let many: Vec<Part> = (0..20_000)
        .map(|n| file(format!("m/.wh.{n}"), ""))
        .collect();
    vec![
        ("wh-dot", vec![file(".wh..", "")], Refused),
        ("wh-dotdot", vec![file(".wh...", "")], Refused),
        ("wh-dotdot-child", vec![file(".wh.../x", "")], Refused),
        ("wh-slash", vec![dir(".wh./")], Refused),
        ("wh-alone", vec![file("a/.wh.", "")], Refused),
        ("wh-inner", vec![file("a/.wh.../../x", "")], Refused),
        ("wh-child", vec![file("a/.wh.b/c", "")], Refused),
        (
            "wh-plain",
            vec![dir("a"), file("a/.wh.b", "")],
            Holds(vec![Whiteout("a/b"), Absent("a/.wh.b")]),
        ),
        (
            "wh-with-data",
            vec![file(".wh.b", "data")],
            Holds(vec![Whiteout("b")]),
        ),
        (
            "wh-missing-dir",
            vec![file("x/y/.wh.b", "")],
            Holds(vec![Whiteout("x/y/b")]),
        ),
        (
            "wh-own-file",
            vec![file("f", "x"), file(".wh.f", "")],
            Holds(vec![File("f", "x")]),
        ),
        (
            "wh-then-file",
            vec![file(".wh.f", ""), file("f", "x")],
            Holds(vec![File("f", "x")]),
        ),
        (
            "wh-then-dir",
            vec![file(".wh.d", ""), dir("d"), file("d/f", "x")],
            Holds(vec![File("d/f", "x"), Opaque("d")]),
        ),
        (
            "wh-then-child",
            vec![file(".wh.d", ""), file("d/f", "x")],
            Holds(vec![File("d/f", "x"), Opaque("d")]),
        ),
        (
            "wh-own-dir",
            vec![dir("d"), file("d/f", "x"), file(".wh.d", "")],
            Holds(vec![File("d/f", "x"), Opaque("d")]),
        ),
        (
            "wh-own-sym",
            vec![dir("d"), sym("l", "d"), file(".wh.l", "")],
            Holds(vec![Link("l"), Dir("d")]),
        ),
        (
            "wh-as-hardlink",
            vec![hard(".wh.x", ".wh..wh.aufs")],
            Holds(vec![Whiteout("x")]),
        ),
        (
            "wh-hard-to",
            vec![file(".wh.x", ""), hard("y", "x")],
            Refused,
        ),
        (
            "opq",
            vec![dir("d"), file("d/.wh..wh..opq", ""), file("d/f", "x")],
            Holds(vec![Opaque("d"), File("d/f", "x")]),
        ),
        (
            "opq-last",
            vec![
                dir("d").mtime(9),
                file("d/f", "x"),
                file("d/.wh..wh..opq", ""),
            ],
            Holds(vec![Opaque("d"), File("d/f", "x"), Meta("d", 0o755, 9)]),
        ),
        (
            "opq-missing-dir",
            vec![file("d/e/.wh..wh..opq", "")],
            Holds(vec![Opaque("d/e")]),
        ),
        (
            "opq-in-sym",
            vec![dir("d"), sym("l", "d"), file("l/.wh..wh..opq", "")],
            Holds(vec![Opaque("d")]),
        ),
        (
            "opq-in-sym-out",
            vec![sym("l", "/tmp"), file("l/.wh..wh..opq", "")],
            Refused,
        ),
        (
            "opq-root",
            vec![file(".wh..wh..opq", ""), file("f", "x")],
            Holds(vec![File("f", "x")]),
        ),
        (
            "opq-as-dir",
            vec![dir("d"), dir("d/.wh..wh..opq")],
            Contained,
        ),
        (
            "opq-as-sym",
            vec![dir("d"), sym("d/.wh..wh..opq", "/etc")],
            Contained,
        ),
        (
            "aufs-notes",
            vec![
                dir(".wh..wh.plnk"),
                file(".wh..wh.plnk/1.2", "x"),
                file(".wh..wh.aufs", "x"),
            ],
            Holds(vec![Absent(".wh..wh.plnk"), Absent(".wh..wh.aufs")]),
        ),
        ("wh-many", many, Holds(vec![Whiteout("m/19999")])),
    ]
}

/// Set C: metadata.
fn metadata() -> Vec<Case> {
    use Expect::*;
    use Fact::*;
    let xattr = |key: &str, value: &[u8]| file("f", "x").pax(&format!("SCHILY.xattr.{key}"), value);
    let mut flood = file("f", "x");
    for n in 0..15 {
        flood = flood.pax(&format!("SCHILY.xattr.user.a{n}"), vec![b'x'; 60_000]);
    }
    let v2 = [
        1, 0, 0, 2, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    vec![
        (
            "uid-max",
            vec![file("f", "x").owner(u32::MAX.into(), 0)],
            Refused,
        ),
        (
            "uid-max-1",
            vec![file("f", "x").owner(0xffff_fffe, 0)],
            Contained,
        ),
        (
            "uid-2-31",
            vec![file("f", "x").owner(1 << 31, 1 << 31)],
            Contained,
        ),
        (
            "uid-huge",
            vec![file("f", "x").pax("uid", "18446744073709551615")],
            Refused,
        ),
        (
            "mode-07777",
            vec![file("f", "x").mode(0o7777)],
            Holds(vec![Meta("f", 0o7777, 1_600_000_000)]),
        ),
        (
            "mode-0177777",
            vec![file("f", "x").mode(0o177_777)],
            Holds(vec![Meta("f", 0o7777, 1_600_000_000)]),
        ),
        (
            "mode-0-dir",
            vec![dir("d").mode(0), file("d/f", "x")],
            Contained,
        ),
        (
            "mtime-1",
            vec![file("f", "x").pax("mtime", "-1")],
            Holds(vec![Meta("f", 0o644, -1)]),
        ),
        (
            "mtime-2-63",
            vec![file("f", "x").pax("mtime", "9223372036854775807")],
            Contained,
        ),
        (
            "mtime-nan",
            vec![file("f", "x").pax("mtime", "NaN")],
            Refused,
        ),
        (
            "xattr-overlay-user",
            vec![xattr("user.overlay.redirect", b"/../../canary")],
            Holds(vec![NoXattr("f", "user.overlay.redirect")]),
        ),
        (
            "xattr-overlay-opaque",
            vec![dir("d").pax("SCHILY.xattr.user.overlay.opaque", "y")],
            Holds(vec![NoXattr("d", "user.overlay.opaque")]),
        ),
        (
            "xattr-overlay-trusted",
            vec![xattr("trusted.overlay.metacopy", b"")],
            Holds(vec![NoXattr("f", "trusted.overlay.metacopy")]),
        ),
        (
            "xattr-selinux",
            vec![xattr("security.selinux", b"x")],
            Holds(vec![NoXattr("f", "security.selinux")]),
        ),
        ("xattr-nul-name", vec![xattr("user.a\0b", b"x")], Refused),
        (
            "cap-v2-newline",
            vec![xattr("security.capability", &v2)],
            Contained,
        ),
        (
            "cap-garbage",
            vec![xattr("security.capability", b"garbage")],
            Contained,
        ),
        ("xattr-flood", vec![flood], Contained),
        ("chr-0-0", vec![part("c", b'3')], Holds(vec![Absent("c")])),
        (
            "chr-1-3",
            vec![part("c", b'3').device(1, 3), file("f", "x")],
            Holds(vec![File("f", "x")]),
        ),
        (
            "blk-8-0",
            vec![part("b", b'4').device(8, 0), file("f", "x")],
            Holds(vec![File("f", "x")]),
        ),
        ("type-V", vec![part("v", b'V')], Refused),
        ("type-M", vec![part("m", b'M')], Refused),
        ("type-unknown", vec![part("u", b'@')], Refused),
        (
            "pax-size",
            vec![file("f", "hello").size(0).pax("size", "5"), file("g", "x")],
            Holds(vec![File("f", "hello"), File("g", "x")]),
        ),
        (
            "pax-size-twice",
            vec![file("f", "hello").pax("size", "5").pax("size", "0")],
            Refused,
        ),
        (
            "pax-size-negative",
            vec![file("f", "x").pax("size", "-1")],
            Refused,
        ),
        (
            "size-on-dir",
            vec![Part {
                data: vec![0; 512],
                ..dir("d")
            }],
            Refused,
        ),
        (
            "size-on-hardlink",
            vec![
                file("f", "x"),
                Part {
                    data: b"data".to_vec(),
                    ..hard("h", "f")
                },
            ],
            Refused,
        ),
        ("size-2-63", vec![file("f", "x").size(1 << 63)], Refused),
        ("size-2-60", vec![file("f", "x").size(1 << 60)], Refused),
        (
            "pax-path-nul",
            vec![file("f", "x").pax("path", "a\0b")],
            Refused,
        ),
        (
            "pax-sparse",
            vec![file("f", "x").pax("GNU.sparse.major", "1")],
            Refused,
        ),
    ]
}

/// Archives whose bytes are wrong.
fn broken() -> Vec<Archive> {
    let whole = tar(
        Spelling::Plain,
        &[file("a", "x".repeat(600)), file("b", "y")],
    );
    let make = |name: &str, tar: Vec<u8>, expect: Expect| Archive {
        name: name.into(),
        tar,
        expect,
    };
    let mut global = Vec::new();
    let records = record(b"path", b"../../evil");
    put(
        &mut global,
        &header(b"g", b'g', records.len() as u64),
        &records,
    );
    global.extend(&whole);
    let mut lone_extension = Vec::new();
    put(
        &mut lone_extension,
        &header(b"x", b'x', 12),
        b"12 path=abc\n",
    );
    let mut bad_sum = whole.clone();
    bad_sum[0] ^= 1;
    let mut off_by_one = Vec::new();
    put(&mut off_by_one, &header(b"x", b'x', 12), b"13 path=abc\n");
    off_by_one.extend(&whole);
    let mut nul_name = Vec::new();
    put(&mut nul_name, &header(b"././@LongLink", b'L', 4), b"a\0b\0");
    nul_name.extend(&whole);
    let mut tail = whole.clone();
    tail.extend(tar(Spelling::Plain, &[file("behind", "the end")]));
    let mut big_extension = Vec::new();
    put(&mut big_extension, &header(b"x", b'x', 1 << 33), b"");
    vec![
        make("global-path", global, Expect::Refused),
        make("extension-only", lone_extension, Expect::Refused),
        make("checksum", bad_sum, Expect::Refused),
        make("pax-length-off", off_by_one, Expect::Refused),
        make("nul-in-long-name", nul_name, Expect::Refused),
        make("extension-8-GiB", big_extension, Expect::Refused),
        make("cut-in-header", whole[..100].to_vec(), Expect::Refused),
        make("cut-in-data", whole[..700].to_vec(), Expect::Refused),
        make(
            "cut-in-padding",
            whole[..512 + 700].to_vec(),
            Expect::Refused,
        ),
        make("empty", Vec::new(), Expect::Holds(Vec::new())),
        make(
            "no-end-mark",
            whole[..whole.len() - 1024].to_vec(),
            Expect::Holds(vec![Fact::File("b", "y")]),
        ),
        make(
            "after-the-end",
            tail,
            Expect::Holds(vec![Fact::File("b", "y"), Fact::Absent("behind")]),
        ),
    ]
}

/// 10^4 gzip members that are one archive together.
pub fn many_members(tar: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in tar.chunks(tar.len().div_ceil(10_000)) {
        let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        member.write_all(piece).unwrap();
        out.extend(member.finish().unwrap());
    }
    out
}

/// A tree outside of what is unpacked, that archives try to read and change.
pub struct Canary {
    pub dir: PathBuf,
    before: BTreeMap<PathBuf, String>,
}

impl Canary {
    pub fn plant(dir: &Path) -> Self {
        std::fs::create_dir_all(dir.join("sub")).unwrap();
        std::fs::write(dir.join("secret"), "secret").unwrap();
        std::fs::write(dir.join("sub/inner"), "inner").unwrap();
        Self {
            dir: dir.to_owned(),
            before: state(dir),
        }
    }

    pub fn assert_unharmed(&self, by: &str) {
        assert_eq!(state(&self.dir), self.before, "{by} has changed the canary");
    }
}

fn state(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut below = vec![dir.to_owned()];
    while let Some(path) = below.pop() {
        let m = std::fs::symlink_metadata(&path).unwrap();
        let content = if m.is_file() {
            std::fs::read_to_string(&path).unwrap()
        } else {
            String::new()
        };
        let text = format!(
            "{:o} {}:{} {} links {} {}.{} {content:?}",
            m.mode(),
            m.uid(),
            m.gid(),
            m.mtime(),
            if m.is_file() { m.nlink() } else { 0 },
            m.ctime(),
            m.ctime_nsec()
        );
        if m.is_dir() {
            below.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
        all.insert(path, text);
    }
    all
}
