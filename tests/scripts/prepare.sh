# Sourced by test and demo: packages that are missing, an unprivileged user
# with subordinate IDs, and whether the kernel lets him make user namespaces.
# Nothing is changed that is already as it should be.

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# as_root COMMAND...: directly, or by sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "this needs root, and there is no sudo: $*"
    fi
}

# need_packages PROGRAM=PACKAGE...: installs the packages of missing programs.
# A name with a slash is a path.
need_packages() {
    local missing=() pair program
    for pair; do
        program=${pair%%=*}
        PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || [ -e "$program" ] ||
            missing+=("${pair#*=}")
    done
    # Debian's "busybox" is not static; its replacement is.
    if [ -x /bin/busybox ] && [ "$(head -c 4096 /bin/busybox | grep -c ld-linux || true)" != 0 ]; then
        missing+=(busybox-static)
    fi
    [ ${#missing[@]} = 0 ] && return
    command -v apt-get >/dev/null ||
        die "install what these Debian packages hold, then run this again: ${missing[*]}"
    say "installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qy --no-install-recommends "${missing[@]}" >/dev/null
    # A registry that Debian starts by itself is not wanted here.
    if [[ " ${missing[*]} " == *' docker-registry '* ]] && [ -d /run/systemd/system ]; then
        as_root systemctl disable --quiet --now docker-registry || true
    fi
}

# need_user NAME: makes the user, with 65536 subordinate user and group IDs.
need_user() {
    local name=$1 kind file first
    id "$name" >/dev/null 2>&1 || {
        say "making the user $name (remove it with: userdel -r $name)"
        as_root useradd --create-home --shell /bin/bash "$name"
    }
    for kind in uid gid; do
        file=/etc/sub$kind
        grep -q "^$name:" "$file" 2>/dev/null && continue
        first=$(awk -F: 'BEGIN { top = 100000 } $2 + $3 > top { top = $2 + $3 } END { print top }' \
            "$file" 2>/dev/null || echo 100000)
        as_root usermod "--add-sub${kind}s" "$first-$((first + 65535))" "$name"
    done
}

# as_user NAME COMMAND...: as that user, with nothing of our environment.
as_user() {
    local name=$1 home; shift
    home=$(getent passwd "$name" | cut -d: -f6)
    as_root setpriv --reuid="$name" --regid="$name" --init-groups --inh-caps=-all \
        env -i HOME="$home" USER="$name" LOGNAME="$name" LANG=C.UTF-8 SHELL=/bin/bash \
        TERM="${TERM:-dumb}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# need_namespaces NAME: the kernel must let NAME make user namespaces.
need_namespaces() {
    local knob
    as_user "$1" unshare --user true 2>/dev/null && return
    for knob in kernel.apparmor_restrict_unprivileged_userns=0 kernel.unprivileged_userns_clone=1; do
        [ -e "/proc/sys/$(tr . / <<<"${knob%%=*}")" ] || continue
        say "setting $knob until the next boot: users may not make user namespaces here"
        as_root sysctl -qw "$knob"
    done
    as_user "$1" unshare --user true ||
        die "the kernel does not let $1 make user namespaces (see user_namespaces(7), user.max_user_namespaces)"
}

# need_devices: that users may open them, as udev has it on every Debian; a
# machine without udev may differ. The helpers of rootless networks need
# /dev/net/tun, fuse-overlayfs /dev/fuse.
need_devices() {
    local device
    for device in /dev/net/tun /dev/fuse; do
        [ -c "$device" ] || continue
        [ "$(stat -c %a "$device")" = 666 ] && continue
        say "letting users open $device until the next boot"
        as_root chmod 0666 "$device"
    done
}
