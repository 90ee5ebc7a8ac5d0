//! `wherry manifest annotate`.

use crate::cli::{Front, Verb};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::Reference;
use crate::transfer::manifests::Lists;

#[derive(clap::Args)]
pub struct AnnotateArgs {
    /// Set architecture
    #[arg(long, value_name = "string")]
    arch: Option<String>,
    /// Set operating system
    #[arg(long, value_name = "string")]
    os: Option<String>,
    /// Set operating system feature
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    os_features: Vec<String>,
    /// Set operating system version
    #[arg(long, value_name = "string")]
    os_version: Option<String>,
    /// Set architecture variant
    #[arg(long, value_name = "string")]
    variant: Option<String>,
    #[arg(required = true, value_name = "MANIFEST_LIST")]
    list: String,
    #[arg(required = true, value_name = "MANIFEST")]
    manifest: String,
}

impl Verb for AnnotateArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let (name, image) = (
            Reference::parse(&self.list)?,
            Reference::parse(&self.manifest)?,
        );
        let lists = Lists::new(&Engine::open()?.paths);
        lists.find(&name)?;
        lists.change(&name, |before| {
            let mut list = before.ok_or_else(|| {
                Error::not_found(format!("No such manifest: {}", name.familiar()))
            })?;
            let entry = list.entries.iter_mut().find(|e| e.reference == image);
            let entry = entry.ok_or_else(|| {
                Error::not_found(format!(
                    "manifest for image {} does not exist in {}",
                    self.manifest, self.list
                ))
            })?;
            let platform = &mut entry.platform;
            for (field, value) in [
                (&mut platform.architecture, self.arch),
                (&mut platform.os, self.os),
                (&mut platform.os_version, self.os_version),
                (&mut platform.variant, self.variant),
            ] {
                if let Some(value) = value {
                    *field = value;
                }
            }
            for feature in self.os_features {
                if !platform.os_features.contains(&feature) {
                    platform.os_features.push(feature);
                }
            }
            if platform.os.is_empty() || platform.architecture.is_empty() {
                return Err(Error::invalid(format!(
                    "manifest entry for image has unsupported os/arch combination: {}/{}",
                    platform.os, platform.architecture
                )));
            }
            Ok(list)
        })?;
        Ok(0)
    }
}
