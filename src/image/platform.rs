//! Platforms: os/architecture[/variant], and which image of an index suits one.
//! Names, aliases and the order of preference are containerd's, as in Docker.

use crate::error::{Error, Result};
use std::fmt;

/// Normalised: `amd64` not `x86_64`; no variant where it is the default one
/// (arm64 v8, amd64 v1); arm always has one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
}

impl Platform {
    /// Puts the three parts into normal form.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let variant = variant.unwrap_or_default().to_ascii_lowercase();
        let (architecture, variant) = normalise(&architecture.to_ascii_lowercase(), &variant);
        Self {
            os,
            architecture,
            variant: Some(variant).filter(|v| !v.is_empty()),
        }
    }

    /// The machine we run on.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            other => other,
        };
        Self::new(std::env::consts::OS, architecture, None)
    }

    /// Reads `linux`, `arm64`, `linux/arm64` or `linux/arm/v7`.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::invalid(format!("{text:?}: cannot parse platform specifier"));
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(|p| is_component(p)) {
            return Err(bad());
        }
        let host = Self::host();
        match parts[..] {
            [one] if is_known_os(&one.to_ascii_lowercase()) => Ok(Self {
                os: Self::new(one, "", None).os,
                ..host
            }),
            [one] if is_known_architecture(&one.to_ascii_lowercase()) => {
                Ok(Self::new(&host.os, one, None))
            }
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(bad()),
        }
    }

    /// What this platform can run, best first.
    pub fn candidates(&self) -> Vec<Platform> {
        let other =
            |architecture: &str, variant: String| Self::new(&self.os, architecture, Some(&variant));
        let mut out = vec![self.clone()];
        let number = |v: &Option<String>, default: u32| {
            v.as_deref()
                .and_then(|v| v.strip_prefix('v'))
                .and_then(|v| v.split('.').next())
                .and_then(|v| v.parse::<u32>().ok())
                .map_or(default, |n| n.min(16))
        };
        match self.architecture.as_str() {
            "amd64" => {
                let mine = number(&self.variant, 1);
                out.extend((1..mine).rev().map(|n| other("amd64", format!("v{n}"))));
                out.push(other("386", String::new()));
            }
            "arm64" => {
                let mine = number(&self.variant, 8);
                out.extend((8..mine).rev().map(|n| other("arm64", format!("v{n}"))));
                out.extend((5..=8).rev().map(|n| other("arm", format!("v{n}"))));
            }
            "arm" => {
                let mine = number(&self.variant, 7);
                out.extend((5..mine).rev().map(|n| other("arm", format!("v{n}"))));
            }
            _ => {}
        }
        out
    }

    /// Whether an image made for `image` runs here.
    pub fn runs(&self, image: &Platform) -> bool {
        self.candidates().contains(image)
    }

    /// The position of the best of `offered` (`None`: an entry that does not
    /// say; taken only when nothing else suits).
    pub fn choose<'a>(
        &self,
        offered: impl IntoIterator<Item = Option<&'a Platform>>,
    ) -> Option<usize> {
        let candidates = self.candidates();
        let rank = |platform: Option<&Platform>| match platform {
            Some(p) => candidates.iter().position(|c| c == p),
            None => Some(candidates.len()),
        };
        offered
            .into_iter()
            .enumerate()
            .filter_map(|(i, p)| rank(p).map(|r| (r, i)))
            .min()
            .map(|(_, i)| i)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl std::str::FromStr for Platform {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl From<&oci_spec::image::Platform> for Platform {
    fn from(p: &oci_spec::image::Platform) -> Self {
        Self::new(
            &p.os().to_string(),
            &p.architecture().to_string(),
            p.variant().as_deref(),
        )
    }
}

fn normalise(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = match (architecture, variant) {
        ("i386" | "x86" | "386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", v) => ("amd64", v),
        ("aarch64" | "arm64", "" | "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64" | "arm64", v) => ("arm64", v),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    };
    (architecture.to_owned(), variant.to_owned())
}

fn is_component(part: &str) -> bool {
    part.len() <= 64
        && part.starts_with(|c: char| c.is_ascii_alphanumeric())
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn is_known_os(name: &str) -> bool {
    matches!(
        name,
        "linux"
            | "windows"
            | "darwin"
            | "macos"
            | "freebsd"
            | "openbsd"
            | "netbsd"
            | "dragonfly"
            | "solaris"
            | "illumos"
            | "aix"
            | "android"
            | "plan9"
            | "js"
            | "wasip1"
            | "zos"
    )
}

fn is_known_architecture(name: &str) -> bool {
    matches!(
        name,
        "amd64"
            | "x86_64"
            | "x86-64"
            | "386"
            | "i386"
            | "arm64"
            | "aarch64"
            | "arm"
            | "armhf"
            | "armel"
            | "ppc64"
            | "ppc64le"
            | "riscv64"
            | "s390x"
            | "loong64"
            | "mips"
            | "mipsle"
            | "mips64"
            | "mips64le"
            | "wasm"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers() {
        for (text, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("LINUX/ARM64/v8", "linux/arm64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/armhf", "linux/arm/v7"),
            ("arm64", "linux/arm64"),
            ("windows/amd64", "windows/amd64"),
            ("linux/made-up", "linux/made-up"),
        ] {
            assert_eq!(Platform::parse(text).unwrap().to_string(), shown, "{text}");
        }
        assert_eq!(Platform::parse("linux").unwrap(), Platform::host());
        for bad in [
            "",
            "/",
            "x",
            "linux/",
            "linux//v8",
            "a/b/c/d",
            "linux/../x",
            "linux/a b",
            "é",
        ] {
            let error = Platform::parse(bad).unwrap_err();
            assert!(
                error.message().ends_with("cannot parse platform specifier"),
                "{bad}"
            );
        }
    }

    #[test]
    fn choice_prefers_the_nearest() {
        let choose = |mine: &str, offered: &[&str]| {
            let offered: Vec<Option<Platform>> = offered
                .iter()
                .map(|t| (*t != "-").then(|| Platform::parse(t).unwrap()))
                .collect();
            Platform::parse(mine)
                .unwrap()
                .choose(offered.iter().map(Option::as_ref))
        };
        for (mine, offered, expected) in [
            ("linux/amd64", &["linux/arm64", "linux/amd64"][..], Some(1)),
            ("linux/amd64", &["linux/amd64/v3", "linux/amd64"], Some(1)),
            (
                "linux/amd64/v3",
                &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"],
                Some(1),
            ),
            ("linux/amd64", &["linux/386"], Some(0)),
            ("linux/386", &["linux/amd64"], None),
            ("linux/arm64", &["linux/arm/v5", "linux/arm/v7"], Some(1)),
            ("linux/arm/v6", &["linux/arm/v7", "linux/arm/v5"], Some(1)),
            ("linux/arm/v6", &["linux/arm/v7"], None),
            ("linux/amd64", &["windows/amd64"], None),
            ("linux/amd64", &["-", "linux/amd64"], Some(1)),
            ("linux/amd64", &["linux/arm64", "-"], Some(1)),
            ("linux/amd64", &["linux/amd64", "linux/amd64"], Some(0)),
            ("linux/amd64", &[], None),
        ] {
            assert_eq!(choose(mine, offered), expected, "{mine} {offered:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,40}") {
            if let Ok(p) = Platform::parse(&text) {
                proptest::prop_assert_eq!(Platform::parse(&p.to_string()).unwrap(), p.clone());
                p.candidates();
            }
        }
    }
}
