//! `wherry image verify`.

use super::pull::wanted_platform;
use crate::cli::registry::server::logins;
use crate::cli::{Front, Verb, stdout};
use crate::config::policy::{Demand, read_key};
use crate::config::{Policy, Registries, Source};
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::image::signature::MAX_PAYLOAD;
use crate::image::{Digest, Identity, Platform, Reference, Signature};
use crate::registry::{Client, Options};
use crate::transfer::trust::{self, Accepted};
use base64::Engine as _;
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct VerifyArgs {
    /// The name that the signature must be for, instead of the image's own
    #[arg(long, value_name = "NAME[:TAG]")]
    identity: Option<String>,
    /// A public key; of several, one must have signed
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// The signed document in a file (with --signature)
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// Verify what the registry has for this platform (as "os[/arch[/variant]]")
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Only say by the exit status whether it is signed
    #[arg(short, long)]
    quiet: bool,
    /// The signature in a file, instead of asking the registry (with --payload)
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    #[arg(required = true, value_name = "IMAGE")]
    image: String,
}

impl Verb for VerifyArgs {
    fn run(self, front: &Front) -> Result<u8> {
        self.check()?;
        let registries = Registries::find()?;
        let engine = Engine::open()?;
        let subject = Subject::find(&engine, &registries, &self.image)?;
        let demands = self.demands(&subject)?;
        let accepted = match (&self.payload, &self.signature) {
            (Some(payload), Some(signature)) => by_files(payload, signature, &demands, &subject),
            _ => self.by_registry(front, &registries, &demands, &subject),
        };
        let accepted = accepted.map_err(|e| {
            let kind = e.kind();
            let kind = match kind {
                Kind::NotFound | Kind::Invalid => Kind::Denied,
                kind => kind,
            };
            e.with_kind(kind)
                .within(format!("cannot verify {}", subject.shown()))
        })?;
        if self.quiet {
            return Ok(0);
        }
        for found in accepted {
            stdout::line(&format!(
                "{}@{}: signed as {}",
                subject.shown(),
                found.digest,
                found.reference.escape_debug()
            ))?;
        }
        Ok(0)
    }
}

/// What is to be verified.
struct Subject {
    /// The name it was asked for by; an ID has none.
    name: Option<Reference>,
    /// Digests that the image in the store goes by; empty when it is not there.
    digests: Vec<Digest>,
    /// As it was asked for.
    text: String,
}

impl Subject {
    /// The image in the store, else the one that the registry has.
    fn find(engine: &Engine, registries: &Registries, text: &str) -> Result<Self> {
        let store = engine.store()?;
        let image = match store.resolve(text) {
            Err(e) if e.kind() == Kind::NotFound => None,
            other => Some(other?),
        };
        let Some(image) = image else {
            return Ok(Self {
                name: Some(registries.expand(text)?),
                digests: Vec::new(),
                text: text.to_owned(),
            });
        };
        let names = image.names.iter().chain(&image.digests);
        let written = Reference::parse(text).ok();
        let name = names
            .clone()
            .find(|name| written.as_ref() == Some(*name))
            .or_else(|| {
                let repository = written.as_ref().map(Reference::name);
                names.clone().find(|name| Some(name.name()) == repository)
            })
            .or(image.digests.first())
            .or(image.names.first())
            .cloned();
        let repository = name.as_ref().map(Reference::name);
        let known = image.digests.iter();
        let known = known.filter(|known| Some(known.name()) == repository);
        let mut digests: Vec<Digest> = known.filter_map(|known| known.digest().cloned()).collect();
        if !digests.contains(&image.manifest.digest) {
            digests.push(image.manifest.digest.clone());
        }
        Ok(Self {
            // What was named by digest keeps it.
            name: match written {
                Some(written) if written.digest().is_some() => Some(written),
                _ => name,
            },
            digests,
            text: text.to_owned(),
        })
    }

    fn shown(&self) -> String {
        self.name
            .as_ref()
            .map_or_else(|| self.text.clone(), |name| name.familiar_name())
    }
}

impl VerifyArgs {
    fn check(&self) -> Result<()> {
        if self.payload.is_some() != self.signature.is_some() {
            return Err(Error::usage("--payload and --signature are given together"));
        }
        if self.identity.is_some() && self.key.is_empty() {
            return Err(Error::usage(
                "--identity needs a --key: without one the policy says which names count",
            ));
        }
        if self.platform.is_some() && self.payload.is_some() {
            return Err(Error::usage(
                "--platform is about images that a registry has",
            ));
        }
        Ok(())
    }

    /// By the keys that were given, else by the policy.
    fn demands(&self, subject: &Subject) -> Result<Vec<Demand>> {
        if !self.key.is_empty() {
            let keys = self.key.iter().map(|path| read_key(path));
            return Ok(vec![Demand::Signed {
                keys: keys.collect::<Result<_>>()?,
                identity: self.wanted_identity()?,
            }]);
        }
        let none = || {
            Error::invalid("there is nothing to verify by: no key was given, and no policy asks for a signature of it")
                .hint("name a public key with --key")
        };
        let (Some(policy), Some(name)) = (Policy::find()?, &subject.name) else {
            return Err(none());
        };
        let demands = policy.of_registry(name)?;
        let never = demands.iter().find_map(|demand| match demand {
            Demand::Never(why) => Some(why),
            _ => None,
        });
        if let Some(why) = never {
            return Err(Error::denied(format!(
                "{} is rejected by the policy in \"{}\": {why}",
                subject.shown(),
                policy.path().display()
            )));
        }
        let signed = demands.into_iter();
        let signed: Vec<Demand> = signed.filter(|d| *d != Demand::Anything).collect();
        match signed.is_empty() {
            true => Err(none()),
            false => Ok(signed),
        }
    }

    /// cosign writes repositories into its signatures, not tags.
    fn wanted_identity(&self) -> Result<Identity> {
        let Some(text) = &self.identity else {
            return Ok(Identity::Repository);
        };
        let (_, bare) = Reference::parse_written(text)?;
        Ok(match bare {
            true => Identity::ExactRepository(text.clone()),
            false => Identity::ExactReference(text.clone()),
        })
    }

    fn by_registry(
        &self,
        front: &Front,
        registries: &Registries,
        demands: &[Demand],
        subject: &Subject,
    ) -> Result<Vec<Accepted>> {
        let name = subject.name.as_ref().ok_or_else(|| {
            Error::invalid("the image has no name, so no registry has signatures of it")
        })?;
        let sources = Source::find(registries, &logins(front), name)?;
        let options = Options::find()?;
        let client = Client::new(name, sources, &options);
        let digests = match subject.digests.is_empty() {
            true => trust::digests_of(&client, name, &wanted_platform(self.platform.as_ref()))?,
            false => subject.digests.clone(),
        };
        demands
            .iter()
            .map(|demand| trust::check(demand, &client, Some(name), &digests))
            .collect()
    }
}

/// By a signature that was kept, without any registry.
fn by_files(
    payload: &Path,
    signature: &Path,
    demands: &[Demand],
    subject: &Subject,
) -> Result<Vec<Accepted>> {
    if subject.digests.is_empty() {
        return Err(Error::not_found("there is no such image here"));
    }
    let text = read(signature)?;
    let text = text.trim_ascii();
    let engine = base64::engine::general_purpose::STANDARD;
    let signature = Signature {
        payload: read(payload)?,
        // As cosign writes it, or as it is.
        signature: engine.decode(text).unwrap_or_else(|_| text.to_vec()),
    };
    let meets = |demand: &Demand| {
        let mut why = Error::internal("nothing to verify");
        for digest in &subject.digests {
            match trust::meets(demand, &signature, subject.name.as_ref(), digest) {
                Ok(accepted) => return Ok(accepted),
                Err(e) => why = e.within("the signature does not count"),
            }
        }
        Err(why)
    };
    demands.iter().map(meets).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read \"{}\"", path.display());
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_PAYLOAD + 1).read_to_end(&mut bytes))
        .context(cannot)?;
    match bytes.len() as u64 > MAX_PAYLOAD {
        true => Err(Error::invalid(format!(
            "{}: it has more than {MAX_PAYLOAD} bytes",
            cannot()
        ))),
        false => Ok(bytes),
    }
}
