//! The table of commands. A command is added by its row here and a module;
//! help, completion and manual pages follow.

use super::build::bake::BakeArgs;
use super::build::builders::{
    InspectArgs as BuilderInspectArgs, LsArgs as BuilderLsArgs, VersionArgs as BuilderVersionArgs,
};
use super::build::command::BuildArgs;
use super::build::prune::{DuArgs, PruneArgs as BuildPruneArgs};
use super::container::attach::AttachArgs;
use super::container::commit::CommitArgs;
use super::container::cp::CpArgs;
use super::container::create::CreateArgs;
use super::container::diff::DiffArgs;
use super::container::exec::ExecArgs;
use super::container::export::ExportArgs;
use super::container::kill::KillArgs;
use super::container::logs::LogsArgs;
use super::container::pause::{PauseArgs, UnpauseArgs};
use super::container::port::PortArgs;
use super::container::prune::PruneArgs;
use super::container::ps::PsArgs;
use super::container::rename::RenameArgs;
use super::container::restart::RestartArgs;
use super::container::rm::RmArgs;
use super::container::run::RunArgs;
use super::container::start::StartArgs;
use super::container::stop::StopArgs;
use super::container::top::TopArgs;
use super::container::wait::WaitArgs;
use super::image::history::HistoryArgs;
use super::image::import::ImportArgs;
use super::image::load::LoadArgs;
use super::image::ls::LsArgs as ImageLsArgs;
use super::image::prune::PruneArgs as ImagePruneArgs;
use super::image::pull::PullArgs;
use super::image::push::PushArgs;
use super::image::referrers::ReferrersArgs;
use super::image::rm::RmArgs as ImageRmArgs;
use super::image::save::SaveArgs;
use super::image::tag::TagArgs;
use super::image::verify::VerifyArgs;
use super::imagetools::create::CreateArgs as ImagetoolsCreateArgs;
use super::imagetools::inspect::InspectArgs as ImagetoolsInspectArgs;
use super::inspect::{ContainerInspectArgs, ImageInspectArgs, InspectArgs, NetworkInspectArgs};
use super::manifest::annotate::AnnotateArgs;
use super::manifest::create::CreateArgs as ManifestCreateArgs;
use super::manifest::inspect::InspectArgs as ManifestInspectArgs;
use super::manifest::push::PushArgs as ManifestPushArgs;
use super::manifest::rm::RmArgs as ManifestRmArgs;
use super::network::connect::{ConnectArgs, DisconnectArgs};
use super::network::create::CreateArgs as NetworkCreateArgs;
use super::network::ls::LsArgs as NetworkLsArgs;
use super::network::prune::PruneArgs as NetworkPruneArgs;
use super::network::rm::RmArgs as NetworkRmArgs;
use super::registry::login::LoginArgs;
use super::registry::logout::LogoutArgs;
use super::registry::search::SearchArgs;
use super::system::df::DfArgs;
use super::system::doctor::DoctorArgs;
use super::system::info::InfoArgs;
use super::system::prune::PruneArgs as SystemPruneArgs;
use super::system::version::VersionArgs;
use super::verb::Entry;
use super::volume::create::CreateArgs as VolumeCreateArgs;
use super::volume::inspect::InspectArgs as VolumeInspectArgs;
use super::volume::ls::LsArgs as VolumeLsArgs;
use super::volume::prune::PruneArgs as VolumePruneArgs;
use super::volume::rm::RmArgs as VolumeRmArgs;
use super::volume::update::UpdateArgs as VolumeUpdateArgs;

/// A management command.
pub struct Noun {
    pub name: &'static str,
    pub about: &'static str,
}

/// Management commands that have at least one command below them.
pub static NOUNS: &[Noun] = &[
    Noun {
        name: "builder",
        about: "Manage builds",
    },
    Noun {
        name: "buildx",
        about: "Build, under the name of Docker's plugin",
    },
    Noun {
        name: "buildx imagetools",
        about: "Work on images in registries",
    },
    Noun {
        name: "container",
        about: "Manage containers",
    },
    Noun {
        name: "image",
        about: "Manage images",
    },
    Noun {
        name: "network",
        about: "Manage networks",
    },
    Noun {
        name: "manifest",
        about: "Manage image manifests and manifest lists",
    },
    Noun {
        name: "system",
        about: "Manage wherry",
    },
    Noun {
        name: "volume",
        about: "Manage volumes",
    },
];

/// Every command. Common ones are listed in this order in the help.
pub static COMMANDS: &[Entry] = &[
    Entry::of::<RunArgs>(
        &["container run", "run"],
        &["IMAGE [COMMAND] [ARG...]"],
        "Create and run a new container from an image",
    )
    .common(),
    Entry::of::<ExecArgs>(
        &["container exec", "exec"],
        &["CONTAINER COMMAND [ARG...]"],
        "Execute a command in a running container",
    )
    .common(),
    Entry::of::<PsArgs>(
        &["container ls", "container list", "container ps", "ps"],
        &[""],
        "List containers",
    )
    .common(),
    Entry::of::<BuildArgs>(
        &[
            "image build",
            "build",
            "builder build",
            "buildx build",
            "buildx b",
        ],
        &["PATH | URL | -"],
        "Build an image from a Dockerfile",
    )
    .common(),
    Entry::of::<PullArgs>(
        &["image pull", "pull"],
        &["NAME[:TAG|@DIGEST]"],
        "Download an image from a registry",
    )
    .common(),
    Entry::of::<AttachArgs>(
        &["container attach", "attach"],
        &["CONTAINER"],
        "Attach local standard input, output, and error streams to a running container",
    ),
    Entry::of::<CommitArgs>(
        &["container commit", "commit"],
        &["CONTAINER [REPOSITORY[:TAG]]"],
        "Create a new image from a container's changes",
    ),
    Entry::of::<CpArgs>(
        &["container cp", "cp"],
        &[
            "CONTAINER:SRC_PATH DEST_PATH|-",
            "SRC_PATH|- CONTAINER:DEST_PATH",
        ],
        "Copy files/folders between a container and the local filesystem",
    ),
    Entry::of::<CreateArgs>(
        &["container create", "create"],
        &["IMAGE [COMMAND] [ARG...]"],
        "Create a new container",
    ),
    Entry::of::<DiffArgs>(
        &["container diff", "diff"],
        &["CONTAINER"],
        "Inspect changes to files or directories on a container's filesystem",
    ),
    Entry::of::<ExportArgs>(
        &["container export", "export"],
        &["CONTAINER"],
        "Export a container's filesystem as a tar archive",
    ),
    Entry::of::<KillArgs>(
        &["container kill", "kill"],
        &["CONTAINER [CONTAINER...]"],
        "Kill one or more running containers",
    ),
    Entry::of::<RmArgs>(
        &["container rm", "container remove", "rm"],
        &["CONTAINER [CONTAINER...]"],
        "Remove one or more containers",
    ),
    Entry::of::<StartArgs>(
        &["container start", "start"],
        &["CONTAINER [CONTAINER...]"],
        "Start one or more stopped containers",
    ),
    Entry::of::<StopArgs>(
        &["container stop", "stop"],
        &["CONTAINER [CONTAINER...]"],
        "Stop one or more running containers",
    ),
    Entry::of::<RestartArgs>(
        &["container restart", "restart"],
        &["CONTAINER [CONTAINER...]"],
        "Restart one or more containers",
    ),
    Entry::of::<PauseArgs>(
        &["container pause", "pause"],
        &["CONTAINER [CONTAINER...]"],
        "Pause all processes within one or more containers",
    ),
    Entry::of::<UnpauseArgs>(
        &["container unpause", "unpause"],
        &["CONTAINER [CONTAINER...]"],
        "Unpause all processes within one or more containers",
    ),
    Entry::of::<RenameArgs>(
        &["container rename", "rename"],
        &["CONTAINER NEW_NAME"],
        "Rename a container",
    ),
    Entry::of::<TopArgs>(
        &["container top", "top"],
        &["CONTAINER [ps OPTIONS]"],
        "Display the running processes of a container",
    ),
    Entry::of::<PortArgs>(
        &["container port", "port"],
        &["CONTAINER [PRIVATE_PORT[/PROTO]]"],
        "List port mappings or a specific mapping for the container",
    ),
    Entry::of::<PruneArgs>(&["container prune"], &[""], "Remove all stopped containers"),
    Entry::of::<WaitArgs>(
        &["container wait", "wait"],
        &["CONTAINER [CONTAINER...]"],
        "Block until one or more containers stop, then print their exit codes",
    ),
    Entry::of::<LogsArgs>(
        &["container logs", "logs"],
        &["CONTAINER"],
        "Fetch the logs of a container",
    ),
    Entry::of::<BuildPruneArgs>(
        &["builder prune", "buildx prune"],
        &[""],
        "Remove build cache",
    ),
    Entry::of::<BakeArgs>(
        &["buildx bake", "buildx f"],
        &["[TARGET...]"],
        "Build from a file",
    ),
    Entry::of::<BuilderLsArgs>(&["buildx ls"], &[""], "List builders"),
    Entry::of::<BuilderInspectArgs>(&["buildx inspect"], &["[NAME]"], "Inspect the builder"),
    Entry::of::<BuilderVersionArgs>(
        &["buildx version"],
        &[""],
        "Show the version of what builds",
    ),
    Entry::of::<DuArgs>(&["buildx du"], &[""], "Show how much disk builds take"),
    Entry::of::<ImagetoolsCreateArgs>(
        &["buildx imagetools create"],
        &["[SOURCE...]"],
        "Create a new image of images in a registry",
    ),
    Entry::of::<ImagetoolsInspectArgs>(
        &["buildx imagetools inspect"],
        &["NAME"],
        "Show details of an image in the registry",
    ),
    Entry::of::<ImageLsArgs>(
        &["image ls", "image list", "images"],
        &["[REPOSITORY[:TAG]]"],
        "List images",
    )
    .common(),
    Entry::of::<ImageRmArgs>(
        &["image rm", "image remove", "rmi"],
        &["IMAGE [IMAGE...]"],
        "Remove one or more images",
    ),
    Entry::of::<TagArgs>(
        &["image tag", "tag"],
        &["SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]"],
        "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    ),
    Entry::of::<HistoryArgs>(
        &["image history", "history"],
        &["IMAGE"],
        "Show the history of an image",
    ),
    Entry::of::<ImportArgs>(
        &["image import", "import"],
        &["file|URL|- [REPOSITORY[:TAG]]"],
        "Import the contents from a tarball to create a filesystem image",
    ),
    Entry::of::<LoadArgs>(
        &["image load", "load"],
        &[""],
        "Load an image from a tar archive or STDIN",
    ),
    Entry::of::<PushArgs>(
        &["image push", "push"],
        &["NAME[:TAG]"],
        "Upload an image to a registry",
    ),
    Entry::of::<SaveArgs>(
        &["image save", "save"],
        &["IMAGE [IMAGE...]"],
        "Save one or more images to a tar archive (streamed to STDOUT by default)",
    ),
    Entry::of::<ReferrersArgs>(
        &["image referrers"],
        &["IMAGE"],
        "List what a registry has about an image: signatures, SBOMs",
    ),
    Entry::of::<VerifyArgs>(
        &["image verify"],
        &["IMAGE"],
        "Verify the signature of an image",
    ),
    Entry::of::<ImagePruneArgs>(&["image prune"], &[""], "Remove unused images"),
    Entry::of::<InspectArgs>(
        &["inspect"],
        &["NAME|ID [NAME|ID...]"],
        "Return low-level information on containers, images, networks and volumes",
    ),
    Entry::of::<ContainerInspectArgs>(
        &["container inspect"],
        &["CONTAINER [CONTAINER...]"],
        "Display detailed information on one or more containers",
    ),
    Entry::of::<ImageInspectArgs>(
        &["image inspect"],
        &["IMAGE [IMAGE...]"],
        "Display detailed information on one or more images",
    ),
    Entry::of::<ConnectArgs>(
        &["network connect"],
        &["NETWORK CONTAINER"],
        "Connect a container to a network",
    ),
    Entry::of::<NetworkCreateArgs>(&["network create"], &["NETWORK"], "Create a network"),
    Entry::of::<DisconnectArgs>(
        &["network disconnect"],
        &["NETWORK CONTAINER"],
        "Disconnect a container from a network",
    ),
    Entry::of::<NetworkInspectArgs>(
        &["network inspect"],
        &["NETWORK [NETWORK...]"],
        "Display detailed information on one or more networks",
    ),
    Entry::of::<NetworkLsArgs>(&["network ls", "network list"], &[""], "List networks"),
    Entry::of::<NetworkPruneArgs>(&["network prune"], &[""], "Remove all unused networks"),
    Entry::of::<NetworkRmArgs>(
        &["network rm", "network remove"],
        &["NETWORK [NETWORK...]"],
        "Remove one or more networks",
    ),
    Entry::of::<AnnotateArgs>(
        &["manifest annotate"],
        &["MANIFEST_LIST MANIFEST"],
        "Add additional information to a local image manifest",
    ),
    Entry::of::<ManifestCreateArgs>(
        &["manifest create"],
        &["MANIFEST_LIST MANIFEST [MANIFEST...]"],
        "Create a local manifest list for annotating and pushing to a registry",
    ),
    Entry::of::<ManifestInspectArgs>(
        &["manifest inspect"],
        &["[MANIFEST_LIST] MANIFEST"],
        "Display an image manifest, or manifest list",
    ),
    Entry::of::<ManifestPushArgs>(
        &["manifest push"],
        &["MANIFEST_LIST"],
        "Push a manifest list to a repository",
    ),
    Entry::of::<ManifestRmArgs>(
        &["manifest rm"],
        &["MANIFEST_LIST [MANIFEST_LIST...]"],
        "Delete one or more manifest lists from local storage",
    ),
    Entry::of::<LoginArgs>(&["login"], &["[SERVER]"], "Authenticate to a registry"),
    Entry::of::<SearchArgs>(
        &["search"],
        &["TERM"],
        "Search Docker Hub, or a registry, for images",
    ),
    Entry::of::<LogoutArgs>(&["logout"], &["[SERVER]"], "Log out from a registry"),
    Entry::of::<DoctorArgs>(
        &["doctor"],
        &[""],
        "Check that this host has what containers need",
    ),
    Entry::of::<InfoArgs>(
        &["system info", "info"],
        &[""],
        "Display system-wide information",
    )
    .common(),
    Entry::of::<SystemPruneArgs>(&["system prune"], &[""], "Remove unused data"),
    Entry::of::<DfArgs>(&["system df"], &[""], "Show disk usage"),
    Entry::of::<VolumeCreateArgs>(&["volume create"], &["[VOLUME]"], "Create a volume"),
    Entry::of::<VolumeInspectArgs>(
        &["volume inspect"],
        &["VOLUME [VOLUME...]"],
        "Display detailed information on one or more volumes",
    ),
    Entry::of::<VolumeLsArgs>(&["volume ls", "volume list"], &[""], "List volumes"),
    Entry::of::<VolumePruneArgs>(&["volume prune"], &[""], "Remove unused local volumes"),
    Entry::of::<VolumeRmArgs>(
        &["volume rm", "volume remove"],
        &["VOLUME [VOLUME...]"],
        "Remove one or more volumes",
    ),
    Entry::of::<VolumeUpdateArgs>(
        &["volume update"],
        &["VOLUME"],
        "Update a volume (cluster volumes only)",
    ),
    Entry::of::<VersionArgs>(&["version"], &[""], "Show the version information").common(),
];
