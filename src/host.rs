//! What containers need of the host: for each thing one sentence that says what
//! is wrong, and the one command that mends it. Errors have these words as
//! their hints, and `doctor` tells them; they are written nowhere else.

use std::path::Path;

/// A thing that can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The kernel is too old, or has it compiled out.
    Kernel,
    UserNamespaces,
    /// Debian's switch.
    UnprivilegedNamespaces,
    /// Ubuntu's rule.
    AppArmorRule,
    /// sysctl user.max_user_namespaces.
    NamespaceLimit,
    MapTools,
    /// They are there, without the right to do their work.
    MapToolRights,
    SubordinateIds,
    MoreSubordinateIds,
    OwnSubordinateIds,
    Overlay,
    FuseDevice,
    Uplink,
    TunDevice,
    CgroupVersion2,
    /// Root's containers cannot do without one.
    RootCgroup,
    Delegation,
    Controllers,
    /// Ports from this one on should be everybody's.
    LowPorts(u16),
    ProgramsInMemory,
    Keys,
    OpenFiles,
    DiskSpace,
    DataDirectory,
    Lingering,
}

/// Who installs packages here, by the names of distributions in os-release(5).
const INSTALLERS: &[(&[&str], &str)] = &[
    (&["debian", "ubuntu"], "sudo apt-get install"),
    (&["fedora", "rhel", "centos"], "sudo dnf install"),
    (&["suse", "opensuse"], "sudo zypper install"),
    (&["arch"], "sudo pacman -S"),
    (&["alpine"], "sudo apk add"),
];
const ENOUGH_NAMESPACES: u64 = 15_000;
/// For the next login: every controller that limits need.
const DELEGATE: &str = "sudo sh -c 'mkdir -p /etc/systemd/system/user@.service.d && \
     printf \"[Service]\\nDelegate=cpu cpuset io memory pids\\n\" \
     >/etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload'";
/// Where subordinate ids are given out from, and how many a user gets.
const FIRST_ID: u32 = 100_000;
pub const IDS: u32 = 65_536;

impl Need {
    /// What is wrong.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Kernel => "Linux 5.12 or later is needed, with what it has by default",
            Self::UserNamespaces => {
                "the kernel has no user namespaces (CONFIG_USER_NS), or a container around this one forbids them"
            }
            Self::UnprivilegedNamespaces => "this host allows user namespaces to root alone",
            Self::AppArmorRule => {
                "AppArmor forbids user namespaces to programs that have no profile"
            }
            Self::NamespaceLimit => "a limit of namespaces is reached or 0",
            Self::MapTools => {
                "newuidmap and newgidmap are not both installed, so a container has user 0 alone"
            }
            Self::MapToolRights => {
                "newuidmap and newgidmap need the set-uid bit or file capabilities, which one has not"
            }
            Self::SubordinateIds => {
                "you have no range in /etc/subuid and /etc/subgid, so a container has user 0 alone"
            }
            Self::MoreSubordinateIds => {
                "your ranges in /etc/subuid and /etc/subgid have fewer than 65536 ids"
            }
            Self::OwnSubordinateIds => {
                "your range in /etc/subuid or /etc/subgid is also another user's"
            }
            Self::Overlay => {
                "the kernel's overlayfs cannot be used on the data directory, and fuse-overlayfs is not installed"
            }
            Self::FuseDevice => "/dev/fuse cannot be opened",
            Self::Uplink => {
                "the kernel lacks what a way out needs, and neither pasta nor slirp4netns is installed"
            }
            Self::TunDevice => "/dev/net/tun cannot be opened, so containers have no way out",
            Self::CgroupVersion2 => {
                "this host has no cgroup v2 with controllers, so there are no limits"
            }
            Self::RootCgroup => {
                "without a cgroup of version 2 nothing keeps root's containers from the host's devices"
            }
            Self::Delegation => "no cgroup is delegated to you, so there are no limits",
            Self::Controllers => "not all cgroup controllers are delegated to you",
            Self::LowPorts(_) => "ports below net.ipv4.ip_unprivileged_port_start are root's",
            Self::ProgramsInMemory => "sysctl vm.memfd_noexec is 2, so no container can start",
            Self::Keys => "your limit of kernel keys is reached",
            Self::OpenFiles => "the limit of open files is reached",
            Self::DiskSpace => "the disk is full",
            Self::DataDirectory => {
                "programs may not be run from the data directory (it is mounted noexec)"
            }
            Self::Lingering => "systemd may end your containers when you log out",
        }
    }

    /// The command that mends it, on this host and for this user. There is none
    /// for another kernel.
    pub fn command(self) -> Option<String> {
        Some(match self {
            Self::Kernel | Self::UserNamespaces => return None,
            Self::UnprivilegedNamespaces => {
                "sudo sysctl -w kernel.unprivileged_userns_clone=1".into()
            }
            Self::AppArmorRule => {
                "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0".into()
            }
            Self::NamespaceLimit => raise_namespaces(),
            Self::MapTools => match installer() {
                i if i.contains("apt-get") => format!("{i} uidmap"),
                i if i.contains("apk") => format!("{i} shadow-uidmap"),
                i if i.contains("dnf") => format!("{i} shadow-utils"),
                i => format!("{i} shadow"),
            },
            Self::MapToolRights => {
                "sudo chmod u+s \"$(command -v newuidmap)\" \"$(command -v newgidmap)\"".into()
            }
            Self::SubordinateIds | Self::MoreSubordinateIds => give_ids(),
            Self::OwnSubordinateIds => format!(
                "sudo sed -i \"/^$(id -un):/d\" /etc/subuid /etc/subgid && {}",
                give_ids()
            ),
            Self::Overlay => format!("{} fuse-overlayfs", installer()),
            Self::FuseDevice => "sudo modprobe fuse && sudo chmod 0666 /dev/fuse".into(),
            Self::Uplink => format!("{} passt", installer()),
            Self::TunDevice => "sudo modprobe tun && sudo chmod 0666 /dev/net/tun".into(),
            Self::CgroupVersion2 => boot_with_cgroup_v2(),
            Self::RootCgroup => mount_cgroup(),
            Self::Delegation => "systemd-run --user --scope $SHELL".into(),
            Self::Controllers => DELEGATE.into(),
            Self::LowPorts(port) => {
                format!("sudo sysctl -w net.ipv4.ip_unprivileged_port_start={port}")
            }
            Self::ProgramsInMemory => "sudo sysctl -w vm.memfd_noexec=1".into(),
            Self::Keys => {
                "sudo sysctl -w kernel.keys.maxkeys=20000 kernel.keys.maxbytes=2000000".into()
            }
            Self::OpenFiles => "ulimit -n \"$(ulimit -Hn)\"".into(),
            Self::DiskSpace => "wherry system prune -a".into(),
            Self::DataDirectory => "export WHERRY_ROOT=/var/tmp/wherry-$(id -u)".into(),
            Self::Lingering => "loginctl enable-linger".into(),
        })
    }

    /// Both, as the hint of an error.
    pub fn hint(self) -> String {
        match self.command() {
            Some(command) => format!("{}: `{command}`", self.sentence()),
            None => self.sentence().into(),
        }
    }
}

/// Of the kinds whose limit is low, or all when none is.
fn raise_namespaces() -> String {
    let kinds = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"].map(|kind| {
        let name = format!("max_{kind}_namespaces");
        let text = std::fs::read_to_string(format!("/proc/sys/user/{name}")).unwrap_or_default();
        (name, text.trim().parse().unwrap_or(0_u64))
    });
    let has_low = kinds.iter().any(|(_, limit)| *limit < ENOUGH_NAMESPACES);
    let mut command = String::from("sudo sysctl -w");
    for (name, limit) in kinds {
        if !has_low || limit < ENOUGH_NAMESPACES {
            let more = limit.saturating_mul(2).max(ENOUGH_NAMESPACES);
            command.push_str(&format!(" user.{name}={more}"));
        }
    }
    command
}

/// Beside the hierarchies of version 1, if there are any.
fn mount_cgroup() -> String {
    let dir = match Path::new("/sys/fs/cgroup/memory").exists() {
        true => "/sys/fs/cgroup/unified",
        false => "/sys/fs/cgroup",
    };
    format!("sudo mkdir -p {dir} && sudo mount -t cgroup2 none {dir}")
}

fn boot_with_cgroup_v2() -> String {
    let option = "systemd.unified_cgroup_hierarchy=1";
    match installer().contains("dnf") {
        true => format!("sudo grubby --update-kernel=ALL --args={option} && sudo reboot"),
        false => format!(
            "sudo sh -c 'echo GRUB_CMDLINE_LINUX=\\\"\\$GRUB_CMDLINE_LINUX {option}\\\" >/etc/default/grub.d/cgroup2.cfg && update-grub && reboot'"
        ),
    }
}

fn installer() -> &'static str {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    installer_of(&text)
}

fn installer_of(os_release: &str) -> &'static str {
    let words: Vec<&str> = os_release
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .flat_map(|value| value.trim_matches('"').split_whitespace())
        .collect();
    let known = INSTALLERS
        .iter()
        .find(|(names, _)| names.iter().any(|name| words.contains(name)));
    known.map_or("sudo apt-get install", |(_, command)| command)
}

/// A range that nobody has yet.
fn give_ids() -> String {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let first = free_range(&[&read("/etc/subuid"), &read("/etc/subgid")]);
    let last = first + IDS - 1;
    format!("sudo usermod --add-subuids {first}-{last} --add-subgids {first}-{last} $(id -un)")
}

/// The first of `IDS` ids that are in none of these files.
fn free_range(files: &[&str]) -> u32 {
    let taken: Vec<(u32, u32)> = files.iter().flat_map(|text| ranges(text)).collect();
    let mut first = FIRST_ID;
    while let Some((start, count)) = taken
        .iter()
        .find(|(start, count)| first < start.saturating_add(*count) && *start < first + IDS)
    {
        first = start.saturating_add(*count);
        if first > u32::MAX - IDS {
            return FIRST_ID;
        }
    }
    first
}

/// First and count of each line of subuid(5).
fn ranges(text: &str) -> Vec<(u32, u32)> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_as_the_distribution_does() {
        for (text, want) in [
            ("ID=ubuntu\nID_LIKE=debian\n", "sudo apt-get install"),
            (
                "NAME=x\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                "sudo dnf install",
            ),
            (
                "ID=opensuse-leap\nID_LIKE=\"suse opensuse\"",
                "sudo zypper install",
            ),
            ("ID=arch", "sudo pacman -S"),
            ("ID=alpine", "sudo apk add"),
            ("", "sudo apt-get install"),
        ] {
            assert_eq!(installer_of(text), want, "{text}");
        }
    }

    #[test]
    fn a_free_range_is_found() {
        for (text, want) in [
            ("", 100_000),
            ("a:100000:65536\n", 165_536),
            ("a:100000:65536\nb:165536:65536\n", 231_072),
            ("a:165536:65536\n", 100_000),
            ("a:120000:10\n", 120_010),
            ("broken\na:x:y\na:1:5\n", 100_000),
            ("a:100000:4294900000\n", 100_000),
        ] {
            assert_eq!(free_range(&[text, "z:5:5\n"]), want, "{text}");
        }
    }
}
