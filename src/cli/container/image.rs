//! The image that `run` and `create` name: from the store, or pulled first.

use crate::cli::Front;
use crate::cli::image::pull::pull_missing;
use crate::container::create::{CreateRequest, Pull};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::image::config::ImageConfig;
use crate::image::platform::Platform;
use crate::image::reference::Reference;
use crate::store::Image;

/// The image and its settings; `None` with `--rootfs`.
pub type Found = Option<(Image, ImageConfig)>;

/// Looks in the store, or pulls.
pub fn obtain(
    engine: &Engine,
    front: &Front,
    request: &CreateRequest,
    quiet: bool,
) -> Result<Found> {
    if request.rootfs.is_some() {
        return Ok(None);
    }
    let name = &request.config.image;
    if request.pull != Pull::Always {
        match local(engine, request) {
            Err(e) if e.kind() == Kind::NotFound && request.pull == Pull::Missing => {}
            found => return found.map(Some),
        }
        let reference = Reference::parse(name)?;
        front.note(&format!(
            "Unable to find image '{}' locally",
            reference.familiar()
        ));
    }
    pull_missing(engine, front, name, request.platform.as_deref(), quiet)?;
    local(engine, request).map(Some)
}

/// What the store has. An image for another platform than asked for is as if
/// it was not there.
fn local(engine: &Engine, request: &CreateRequest) -> Result<(Image, ImageConfig)> {
    let store = engine.store()?;
    let image = store.resolve(&request.config.image)?;
    let settings = store.config(&image)?;
    if let Some(wanted) = &request.platform {
        let wanted = Platform::parse(wanted)?;
        if !wanted.runs(&settings.platform) {
            return Err(Error::not_found(format!(
                "image with reference {} was found but does not provide the specified platform ({wanted})",
                request.config.image
            )));
        }
    }
    Ok((image, settings))
}

/// Warns of an image that this host cannot run by itself.
pub fn warn_of_platform(front: &Front, request: &CreateRequest, settings: &ImageConfig) {
    let host = Platform::host();
    if request.platform.is_none() && !host.runs(&settings.platform) {
        front.warn(&format!(
            "The requested image's platform ({}) does not match the detected host platform ({host}) and no specific platform was requested",
            settings.platform
        ));
    }
}
