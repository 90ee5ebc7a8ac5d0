//! `images --filter`: which images, and which of their names, are shown.
//! Values of one key are joined by or (labels by and), keys by and.

use super::Store;
use super::image::{Image, find};
use crate::error::{Error, Result};
use crate::image::reference::Reference;
use crate::text::glob::Glob;
use crate::text::{moment, time};
use serde_json::Value;

/// The filters as given: key and value of each.
#[derive(Debug, Default)]
pub struct Filters(Vec<(String, String)>);

enum Test {
    Dangling(bool),
    /// Name, the value wanted, and whether the image must not have it.
    Label(String, Option<String>, bool),
    /// Created before, or after, this time (RFC 3339).
    Before(Option<jiff::Timestamp>),
    Since(Option<jiff::Timestamp>),
    /// Created before this moment.
    Until(jiff::Timestamp),
    Reference(Glob),
}

impl Filters {
    pub fn new(list: Vec<(String, String)>) -> Self {
        Self(list)
    }

    /// Those of `image prune`, which takes fewer keys. Gives the rest and
    /// what `dangling` says.
    pub fn of_prune(list: Vec<(String, String)>) -> Result<(Self, Option<bool>)> {
        let mut dangling = None;
        let mut rest = Vec::new();
        for (key, value) in list {
            match key.as_str() {
                "dangling" => match test(&[], &key, &value)? {
                    Test::Dangling(wanted) if dangling.is_none_or(|known| known == wanted) => {
                        dangling = Some(wanted);
                    }
                    _ => return Err(invalid(&key, &value)),
                },
                "label" | "label!" | "until" => rest.push((key, value)),
                _ => return Err(unknown(&key)),
            }
        }
        Ok((Self(rest), dangling))
    }

    fn resolve(&self, images: &[Image]) -> Result<Vec<(String, Vec<Test>)>> {
        let mut tests: Vec<(String, Vec<Test>)> = Vec::new();
        for (key, value) in &self.0 {
            let test = test(images, key, value)?;
            match tests.iter_mut().find(|(known, _)| known == key) {
                Some((_, list)) if key == "dangling" => {
                    let Some(Test::Dangling(before)) = list.first() else {
                        continue;
                    };
                    if !matches!(test, Test::Dangling(now) if now == *before) {
                        return Err(invalid(key, value));
                    }
                }
                Some((_, list)) => list.push(test),
                None => tests.push((key.clone(), vec![test])),
            }
        }
        Ok(tests)
    }
}

fn invalid(key: &str, value: &str) -> Error {
    Error::invalid(format!("invalid filter '{key}=[{value}]'"))
}

fn unknown(key: &str) -> Error {
    Error::invalid(format!("invalid filter '{key}'"))
}

fn test(images: &[Image], key: &str, value: &str) -> Result<Test> {
    let label = |not| match value.split_once('=') {
        Some((name, wanted)) => Test::Label(name.into(), Some(wanted.into()), not),
        None => Test::Label(value.into(), None, not),
    };
    let created = || {
        Ok::<_, Error>(time::parse(
            find(images, value)?.created.as_deref().unwrap_or_default(),
        ))
    };
    Ok(match key {
        "dangling" => match value {
            "true" | "1" => Test::Dangling(true),
            "false" | "0" => Test::Dangling(false),
            _ => return Err(invalid(key, value)),
        },
        "label" => label(false),
        "label!" => label(true),
        "before" => Test::Before(created()?),
        "since" => Test::Since(created()?),
        "until" => Test::Until(moment(value).ok_or_else(|| invalid(key, value))?),
        "reference" => Test::Reference(Glob::parse(value)?),
        _ => return Err(unknown(key)),
    })
}

fn moment(text: &str) -> Option<jiff::Timestamp> {
    moment::parse(text, jiff::Timestamp::now(), &jiff::tz::TimeZone::system())
}

impl Store {
    /// The images that pass, newest first. With a `reference` filter an image
    /// keeps only the names that it describes.
    pub fn list(&self, filters: &Filters) -> Result<Vec<Image>> {
        let all = self.images()?;
        let tests = filters.resolve(&all)?;
        let mut shown: Vec<Image> = Vec::new();
        for mut image in all {
            if self.passes(&mut image, &tests)? {
                shown.push(image);
            }
        }
        shown.sort_by_cached_key(|image| {
            std::cmp::Reverse(image.created.as_deref().and_then(time::parse))
        });
        Ok(shown)
    }

    fn passes(&self, image: &mut Image, tests: &[(String, Vec<Test>)]) -> Result<bool> {
        for (key, list) in tests {
            let passes = match key.as_str() {
                "reference" => keep_names(image, list),
                "label" | "label!" => {
                    let labels = self.labels(image)?;
                    list.iter().all(|test| has_label(&labels, test))
                }
                _ => list.iter().any(|test| test.passes(image)),
            };
            if !passes {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn labels(&self, image: &Image) -> Result<Value> {
        Ok(self
            .config(image)?
            .raw
            .get("Labels")
            .cloned()
            .unwrap_or_default())
    }
}

impl Test {
    fn passes(&self, image: &Image) -> bool {
        let created = image.created.as_deref().and_then(time::parse);
        match self {
            Self::Dangling(wanted) => {
                (image.names.is_empty() && image.digests.is_empty()) == *wanted
            }
            Self::Before(than) => created < *than,
            Self::Since(than) => created > *than,
            Self::Until(than) => created.is_some_and(|c| c < *than),
            Self::Label(..) | Self::Reference(_) => true,
        }
    }
}

fn has_label(labels: &Value, test: &Test) -> bool {
    let Test::Label(name, wanted, not) = test else {
        return true;
    };
    let value = labels.get(name).and_then(Value::as_str);
    let has = value.is_some_and(|value| wanted.as_deref().is_none_or(|wanted| wanted == value));
    has != *not
}

fn keep_names(image: &mut Image, tests: &[Test]) -> bool {
    let described = |name: &Reference| {
        let spellings = [
            name.familiar(),
            name.familiar_name(),
            name.canonical(),
            name.name(),
        ];
        tests.iter().any(|test| match test {
            Test::Reference(glob) => spellings.iter().any(|s| glob.matches(s)),
            _ => true,
        })
    };
    image.names.retain(described);
    image.digests.retain(described);
    !image.names.is_empty() || !image.digests.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Scratch;

    #[test]
    fn filters_are_dockers() {
        let scratch = Scratch::new("filter");
        let store = scratch.store();
        scratch.image("alpine", "one");
        scratch.image("quay.io/x/y:1", "two");
        scratch.image("gone", "three");
        scratch.image("gone", "four");
        store.remove("gone", false, || Ok(Vec::new())).unwrap();
        let count = |filters: &[(&str, &str)]| {
            let list = filters
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect();
            store
                .list(&Filters::new(list))
                .map(|l| l.len())
                .map_err(|e| e.message().to_owned())
        };
        let invalid = |text: &str| Err(text.to_owned());
        for (filters, want) in [
            (&[][..], Ok(3)),
            (&[("dangling", "true")], Ok(1)),
            (&[("dangling", "false")], Ok(2)),
            (
                &[("dangling", "maybe")],
                invalid("invalid filter 'dangling=[maybe]'"),
            ),
            (
                &[("dangling", "true"), ("dangling", "false")],
                invalid("invalid filter 'dangling=[false]'"),
            ),
            (&[("reference", "alpine")], Ok(1)),
            (&[("reference", "al*:latest")], Ok(1)),
            (&[("reference", "docker.io/library/alpine")], Ok(1)),
            (&[("reference", "*")], Ok(1)),
            (&[("reference", "*/*/*")], Ok(2)),
            (
                &[("reference", "alpine"), ("reference", "quay.io/x/y:1")],
                Ok(2),
            ),
            (&[("reference", "alpine"), ("dangling", "true")], Ok(0)),
            (&[("label", "a")], Ok(0)),
            (&[("label!", "a")], Ok(3)),
            (&[("before", "alpine")], Ok(0)),
            (&[("since", "x")], invalid("No such image: x:latest")),
            (&[("until", "2026-06-01")], Ok(3)),
            (&[("until", "1h")], Ok(3)),
            (&[("until", "2025-06-01")], Ok(0)),
            (
                &[("until", "soon")],
                invalid("invalid filter 'until=[soon]'"),
            ),
            (&[("nope", "x")], invalid("invalid filter 'nope'")),
        ] {
            assert_eq!(count(filters), want, "{filters:?}");
        }
    }
}
