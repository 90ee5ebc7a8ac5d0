//! `--device HOST[:CONTAINER[:rwm]]`.

use crate::error::{Error, Result};
use crate::record::container::DeviceMapping;

pub fn parse(text: &str) -> Result<DeviceMapping> {
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, permissions) = match parts[..] {
        [host] => (host, host, "rwm"),
        [host, second] if is_permissions(second) => (host, host, second),
        [host, container] => (host, container, "rwm"),
        [host, container, permissions] => (host, container, permissions),
        _ => return Err(Error::usage(format!("bad format for path: {text}"))),
    };
    for path in [host, container] {
        if !path.starts_with('/') {
            return Err(Error::usage(format!("{path} is not an absolute path")));
        }
    }
    if !is_permissions(permissions) {
        return Err(Error::usage(format!("bad mode specified: {permissions}")));
    }
    Ok(DeviceMapping {
        path_on_host: host.into(),
        path_in_container: container.into(),
        cgroup_permissions: permissions.into(),
    })
}

/// `--device-cgroup-rule`: `TYPE MAJOR:MINOR ACCESS`, kept as it is.
pub fn rule(text: &str) -> Result<String> {
    let bad = || Error::usage(format!("invalid device cgroup format '{text}'"));
    let mut words = text.split(' ');
    let (Some(kind), Some(numbers), Some(access), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad());
    };
    let number = |n: &str| n == "*" || n.parse::<u32>().is_ok_and(|_| !n.starts_with('+'));
    let both = numbers
        .split_once(':')
        .is_some_and(|(a, b)| number(a) && number(b));
    if matches!(kind, "a" | "b" | "c") && both && is_permissions(access) {
        Ok(text.into())
    } else {
        Err(bad())
    }
}

/// Each of r, w and m at most once.
fn is_permissions(text: &str) -> bool {
    let once = |c| text.matches(c).count() <= 1;
    !text.is_empty() && text.chars().all(|c| "rwm".contains(c)) && "rwm".chars().all(once)
}

#[cfg(test)]
mod tests {
    use super::{parse, rule};

    #[test]
    fn rules() {
        for good in ["c 1:3 mr", "a *:* rwm", "b 8:* r"] {
            assert_eq!(rule(good).unwrap(), good);
        }
        for bad in [
            "",
            "c 1:3",
            "d 1:3 r",
            "c 1 r",
            "c x:3 r",
            "c 1:3 x",
            "c 1:3 r r",
            "c 1:3 rr",
            "c +1:3 r",
        ] {
            let want = format!("invalid device cgroup format '{bad}'");
            assert_eq!(rule(bad).unwrap_err().message(), want);
        }
    }

    #[test]
    fn devices() {
        for (text, want) in [
            ("/dev/fuse", ("/dev/fuse", "/dev/fuse", "rwm")),
            ("/dev/null:/dev/x:r", ("/dev/null", "/dev/x", "r")),
            ("/dev/null:/dev/x", ("/dev/null", "/dev/x", "rwm")),
            ("/dev/x:rw", ("/dev/x", "/dev/x", "rw")),
        ] {
            let d = parse(text).unwrap();
            let got = (
                &*d.path_on_host,
                &*d.path_in_container,
                &*d.cgroup_permissions,
            );
            assert_eq!(got, want);
        }
        for (text, want) in [
            ("rel", "rel is not an absolute path"),
            ("/dev/x:bad", "bad is not an absolute path"),
            ("/dev/x:/dev/y:rwmz", "bad mode specified: rwmz"),
            ("/dev/x:/dev/y:rr", "bad mode specified: rr"),
            ("a:b:c:d", "bad format for path: a:b:c:d"),
            ("", " is not an absolute path"),
        ] {
            assert_eq!(parse(text).unwrap_err().message(), want, "{text}");
        }
    }
}
