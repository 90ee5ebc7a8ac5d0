//! How long work tells what it is doing: a trait that the layers below the
//! command line report to. Drawing it is the command line's business.

/// What a layer of an image is going through. Sizes are bytes of the
/// compressed layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Queued,
    Waiting,
    Downloading {
        current: u64,
        total: u64,
    },
    /// The connection failed; the next try starts in so many seconds.
    Retrying {
        seconds: u64,
    },
    Verifying,
    DownloadComplete,
    Extracting {
        current: u64,
        total: u64,
    },
    Complete,
    AlreadyExists,
    /// From an archive.
    Loading {
        current: u64,
        total: u64,
    },
    /// Into an archive.
    Saving {
        current: u64,
        total: u64,
    },
    /// As registries have it.
    Packing {
        current: u64,
        total: u64,
    },
    Packed,
    /// Looked for at the registry.
    Preparing,
    Pushing {
        current: u64,
        total: u64,
    },
    Pushed,
    /// The registry has it.
    LayerExists,
    /// The registry had it in another repository.
    Mounted,
}

impl Phase {
    /// How many bytes of how many are done, where it moves.
    pub fn bytes(&self) -> Option<(u64, u64)> {
        match *self {
            Self::Downloading { current, total }
            | Self::Extracting { current, total }
            | Self::Loading { current, total }
            | Self::Saving { current, total }
            | Self::Packing { current, total }
            | Self::Pushing { current, total } => Some((current, total)),
            _ => None,
        }
    }

    /// Docker's words for it.
    pub fn words(&self) -> String {
        match self {
            Self::Queued => "Pulling fs layer".into(),
            Self::Waiting => "Waiting".into(),
            Self::Downloading { .. } => "Downloading".into(),
            Self::Retrying { seconds: 1 } => "Retrying in 1 second".into(),
            Self::Retrying { seconds } => format!("Retrying in {seconds} seconds"),
            Self::Verifying => "Verifying Checksum".into(),
            Self::DownloadComplete => "Download complete".into(),
            Self::Extracting { .. } => "Extracting".into(),
            Self::Complete => "Pull complete".into(),
            Self::AlreadyExists => "Already exists".into(),
            Self::Loading { .. } => "Loading layer".into(),
            Self::Saving { .. } => "Saving".into(),
            Self::Packing { .. } => "Packing".into(),
            Self::Packed => "Packed".into(),
            Self::Preparing => "Preparing".into(),
            Self::Pushing { .. } => "Pushing".into(),
            Self::Pushed => "Pushed".into(),
            Self::LayerExists => "Layer already exists".into(),
            Self::Mounted => "Mounted from another repository".into(),
        }
    }
}

/// Called from several threads at once; must not block for long.
pub trait Progress: Sync {
    /// A line about the whole operation: `latest: Pulling from library/alpine`.
    fn message(&self, text: &str);
    /// Where the layer `id` (12 hex digits) is now. Downloading and Extracting
    /// come for every few hundred KiB.
    fn layer(&self, id: &str, phase: Phase);
}

/// Tells nobody.
pub struct Silent;

impl Progress for Silent {
    fn message(&self, _: &str) {}
    fn layer(&self, _: &str, _: Phase) {}
}
