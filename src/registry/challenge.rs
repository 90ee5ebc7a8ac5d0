//! WWW-Authenticate (RFC 9110, 11.6.1), as far as registries use it.

/// The most of one header that is read, in bytes.
const MAX_HEADER: usize = 8 << 10;
/// The most challenges that are looked at.
const MAX_CHALLENGES: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// The challenge to answer: Bearer before Basic, first before later.
pub fn choose<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let all: Vec<Challenge> = headers
        .into_iter()
        .filter(|h| h.len() <= MAX_HEADER)
        .flat_map(parse)
        .take(MAX_CHALLENGES)
        .collect();
    let bearer = all.iter().find(|c| matches!(c, Challenge::Bearer { .. }));
    bearer.or(all.first()).cloned()
}

/// Reads `Scheme name="value", name=token, OtherScheme …`.
fn parse(header: &str) -> Vec<Challenge> {
    let mut raw: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for part in split_outside_quotes(header) {
        let part = part.trim();
        let (head, parameter) = match part.split_once([' ', '\t']) {
            // `Bearer realm="x"`, but not `realm = "x"`.
            Some((scheme, rest)) if is_token(scheme) && !rest.trim_start().starts_with('=') => {
                (Some(scheme), rest.trim())
            }
            _ if is_token(part) => (Some(part), ""),
            _ => (None, part),
        };
        if let Some(scheme) = head {
            raw.push((scheme.to_ascii_lowercase(), Vec::new()));
        }
        let Some((_, parameters)) = raw.last_mut() else {
            continue;
        };
        if let Some((name, value)) = parameter.split_once('=') {
            parameters.push((name.trim().to_ascii_lowercase(), unquote(value.trim())));
        }
    }
    raw.into_iter()
        .filter_map(|(scheme, parameters)| understood(&scheme, parameters))
        .collect()
}

fn understood(scheme: &str, parameters: Vec<(String, String)>) -> Option<Challenge> {
    let get = |name: &str| {
        let found = parameters.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.clone())
    };
    match scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: get("realm")?,
            service: get("service"),
        }),
        _ => None,
    }
}

fn split_outside_quotes(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(|c| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' if quoted && !was_escaped => escaped = true,
            '"' if !was_escaped => quoted = !quoted,
            ',' => return !quoted,
            _ => {}
        }
        false
    });
    parts.filter(|p| !p.trim().is_empty()).collect()
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
        })
    }

    #[test]
    fn challenges() {
        let long = format!("Bearer realm=\"https://{}\"", "a".repeat(100 << 10));
        for (headers, expected) in [
            (
                &[
                    r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull""#,
                ][..],
                bearer("https://auth.docker.io/token", Some("registry.docker.io")),
            ),
            (
                &[r#"bearer  realm = "https://a/t" , service=plain"#],
                bearer("https://a/t", Some("plain")),
            ),
            (
                &[r#"Bearer realm="https://a/t,x\"y",error="invalid_token""#],
                bearer("https://a/t,x\"y", None),
            ),
            (
                &[r#"Basic realm="x", Bearer realm="https://a""#],
                bearer("https://a", None),
            ),
            (
                &[r#"Basic realm="Bearer realm=https://evil""#],
                Some(Challenge::Basic),
            ),
            (&["Basic", "Negotiate"], Some(Challenge::Basic)),
            (
                &["Negotiate abc==", "Basic realm=x"],
                Some(Challenge::Basic),
            ),
            (&["Bearer"], None),
            (&["Digest realm=\"x\""], None),
            (&["", ",,,", "=", "\"", "Bearer realm"], None),
            (&[&long], None),
            (&[], None),
        ] {
            assert_eq!(choose(headers.iter().copied()), expected, "{headers:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(Bearer|Basic)?[ a-z=,\"\\\\é]{0,60}") {
            choose([text.as_str()]);
        }
    }
}
