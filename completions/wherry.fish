# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_wherry_global_optspecs
    string join \n config= D/debug l/log-level= h/help V/version
end

function __fish_wherry_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_wherry_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_wherry_using_subcommand
    set -l cmd (__fish_wherry_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c wherry -n "__fish_wherry_needs_command" -l config -d 'Directory of Docker\'s client settings and credentials' -r
complete -c wherry -n "__fish_wherry_needs_command" -s l -l log-level -d 'What to print on standard error' -r -f -a "debug\t''
info\t''
warn\t''
error\t''
fatal\t''"
complete -c wherry -n "__fish_wherry_needs_command" -s D -l debug -d 'Show what caused an error'
complete -c wherry -n "__fish_wherry_needs_command" -s h -l help -d 'Print help'
complete -c wherry -n "__fish_wherry_needs_command" -s V -l version -d 'Print version'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "container" -d 'Manage containers'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "image" -d 'Manage images'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "run" -d 'Create and run a new container from an image'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "exec" -d 'Execute a command in a running container'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "ps" -d 'List containers'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "pull" -d 'Download an image from a registry'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "attach" -d 'Attach local standard input, output, and error streams to a running container'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "create" -d 'Create a new container'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "kill" -d 'Kill one or more running containers'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "rm" -d 'Remove one or more containers'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "start" -d 'Start one or more stopped containers'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "stop" -d 'Stop one or more running containers'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "wait" -d 'Block until one or more containers stop, then print their exit codes'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "logs" -d 'Fetch the logs of a container'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "images" -d 'List images'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "rmi" -d 'Remove one or more images'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "inspect" -d 'Return low-level information on containers and images'
complete -c wherry -n "__fish_wherry_needs_command" -f -a "version" -d 'Show the version information'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -s h -l help -d 'Print help'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "run" -d 'Create and run a new container from an image'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "exec" -d 'Execute a command in a running container'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "ls" -d 'List containers'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "list" -d 'List containers'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "ps" -d 'List containers'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "attach" -d 'Attach local standard input, output, and error streams to a running container'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "create" -d 'Create a new container'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "kill" -d 'Kill one or more running containers'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "rm" -d 'Remove one or more containers'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "remove" -d 'Remove one or more containers'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "start" -d 'Start one or more stopped containers'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "stop" -d 'Stop one or more running containers'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "wait" -d 'Block until one or more containers stop, then print their exit codes'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "logs" -d 'Fetch the logs of a container'
complete -c wherry -n "__fish_wherry_using_subcommand container; and not __fish_seen_subcommand_from run exec ls list ps attach create kill rm remove start stop wait logs inspect" -f -a "inspect" -d 'Display detailed information on one or more containers'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l detach-keys -d 'Override the key sequence for detaching a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l name -d 'Assign a name to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l platform -d 'Set platform if server is multi-platform capable' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l pull -d 'Pull image before running ("always", "missing", "never")' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cidfile -d 'Write the container ID to the file' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l restart -d 'Restart policy to apply when a container exits' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l runtime -d 'Runtime to use for this container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l rootfs -d 'A directory of the host as root file system, instead of an image' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s a -l attach -d 'Attach to STDIN, STDOUT or STDERR' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s e -l env -d 'Set environment variables' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l env-file -d 'Read in a file of environment variables' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s w -l workdir -d 'Working directory inside the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s u -l user -d 'Username or UID (format: <name|uid>[:<group|gid>])' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l entrypoint -d 'Overwrite the default ENTRYPOINT of the image' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s h -l hostname -d 'Container host name' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l domainname -d 'Container NIS domain name' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s l -l label -d 'Set meta data on a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l label-file -d 'Read in a line delimited file of labels' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l annotation -d 'Add an annotation to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l stop-signal -d 'Signal to stop the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l stop-timeout -d 'Timeout (in seconds) to stop a container, -1 for no limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s v -l volume -d 'Bind mount a host directory or file (/host:/container[:ro])' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l mount -d 'Attach a filesystem mount to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l volumes-from -d 'Mount volumes from the specified container(s)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l tmpfs -d 'Mount a tmpfs directory' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l shm-size -d 'Size of /dev/shm' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l network -d 'Connect a container to a network (bridge, host, none)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s p -l publish -d 'Publish a container\'s port(s) to the host' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l expose -d 'Expose a port or a range of ports' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l add-host -d 'Add a custom host-to-IP mapping (host:ip)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l dns -d 'Set custom DNS servers' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l dns-option -d 'Set DNS options' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l dns-search -d 'Set custom DNS search domains' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cap-add -d 'Add Linux capabilities' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cap-drop -d 'Drop Linux capabilities' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l security-opt -d 'Security options' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l device -d 'Add a host device to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l device-cgroup-rule -d 'Add a rule to the cgroup allowed devices list' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l group-add -d 'Add additional groups to join' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l sysctl -d 'Sysctl options' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l pid -d 'PID namespace to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l ipc -d 'IPC mode to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l uts -d 'UTS namespace to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cgroupns -d 'Cgroup namespace to use (host|private)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s m -l memory -d 'Memory limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l memory-reservation -d 'Memory soft limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l memory-swap -d 'Swap limit equal to memory plus swap: \'-1\' to enable unlimited swap' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cpus -d 'Number of CPUs' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cpu-period -d 'Limit CPU CFS (Completely Fair Scheduler) period' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cpu-quota -d 'Limit CPU CFS (Completely Fair Scheduler) quota' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s c -l cpu-shares -d 'CPU shares (relative weight)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cpuset-cpus -d 'CPUs in which to allow execution (0-3, 0,1)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cpuset-mems -d 'MEMs in which to allow execution (0-3, 0,1)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l pids-limit -d 'Tune container pids limit (set -1 for unlimited)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cgroup-parent -d 'Optional parent cgroup for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l ulimit -d 'Ulimit options' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l oom-score-adj -d 'Tune host\'s OOM preferences (-1000 to 1000)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l blkio-weight -d 'Block IO (relative weight), between 10 and 1000, or 0 to disable' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l blkio-weight-device -d 'Block IO weight (relative device weight)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l device-read-bps -d 'Limit read rate (bytes per second) from a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l device-read-iops -d 'Limit read rate (IO per second) from a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l device-write-bps -d 'Limit write rate (bytes per second) to a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l device-write-iops -d 'Limit write rate (IO per second) to a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l log-driver -d 'Logging driver for the container (json-file, none)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l log-opt -d 'Log driver options (max-size, max-file)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l ip -d 'IPv4 address (only on networks of your own)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l ip6 -d 'IPv6 address (only on networks of your own)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l mac-address -d 'Container MAC address' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l network-alias -d 'Add network-scoped alias for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l link-local-ip -d 'Container IPv4/IPv6 link-local addresses' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l link -d 'Add link to another container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l volume-driver -d 'Optional volume driver for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l gpus -d 'GPU devices to add to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l storage-opt -d 'Storage driver options for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l memory-swappiness -d 'Tune container memory swappiness (0 to 100)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cpu-rt-period -d 'Limit CPU real-time period in microseconds' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l cpu-rt-runtime -d 'Limit CPU real-time runtime in microseconds' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s d -l detach -d 'Run container in background and print container ID'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l sig-proxy -d 'Proxy received signals to the process'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s q -l quiet -d 'Suppress the pull output'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l rm -d 'Automatically remove the container and its associated anonymous volumes when it exits'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s i -l interactive -d 'Keep STDIN open even if not attached'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s t -l tty -d 'Allocate a pseudo-TTY'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l init -d 'Run an init inside the container that forwards signals and reaps processes'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l no-healthcheck -d 'Disable any container-specified HEALTHCHECK'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l read-only -d 'Mount the container\'s root filesystem as read only'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -s P -l publish-all -d 'Publish all exposed ports to random ports'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l privileged -d 'Give extended privileges to this container'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l oom-kill-disable -d 'Disable OOM Killer'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from run" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from exec" -l detach-keys -d 'Override the key sequence for detaching a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from exec" -s e -l env -d 'Set environment variables' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from exec" -l env-file -d 'Read in a file of environment variables' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from exec" -s u -l user -d 'Username or UID (format: "<name|uid>[:<group|gid>]")' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from exec" -s w -l workdir -d 'Working directory inside the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from exec" -s d -l detach -d 'Detached mode: run command in the background'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from exec" -s i -l interactive -d 'Keep STDIN open even if not attached'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from exec" -l privileged -d 'Give extended privileges to the command'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from exec" -s t -l tty -d 'Allocate a pseudo-TTY'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from exec" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Filter output based on conditions provided' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ls" -l format -d 'Format output using a custom template: \'table\', \'table TEMPLATE\', \'json\', or a Go template' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ls" -s n -l last -d 'Show n last created containers (includes all states)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ls" -s s -l size -d 'Display total file sizes' -r -f -a "true\t''
false\t''"
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ls" -s a -l all -d 'Show all containers (default shows just running)'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ls" -s l -l latest -d 'Show the latest created container (includes all states)'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ls" -l no-trunc -d 'Don\'t truncate output'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Only display container IDs'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ls" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from list" -s f -l filter -d 'Filter output based on conditions provided' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from list" -l format -d 'Format output using a custom template: \'table\', \'table TEMPLATE\', \'json\', or a Go template' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from list" -s n -l last -d 'Show n last created containers (includes all states)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from list" -s s -l size -d 'Display total file sizes' -r -f -a "true\t''
false\t''"
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from list" -s a -l all -d 'Show all containers (default shows just running)'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from list" -s l -l latest -d 'Show the latest created container (includes all states)'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from list" -l no-trunc -d 'Don\'t truncate output'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Only display container IDs'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from list" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ps" -s f -l filter -d 'Filter output based on conditions provided' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ps" -l format -d 'Format output using a custom template: \'table\', \'table TEMPLATE\', \'json\', or a Go template' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ps" -s n -l last -d 'Show n last created containers (includes all states)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ps" -s s -l size -d 'Display total file sizes' -r -f -a "true\t''
false\t''"
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ps" -s a -l all -d 'Show all containers (default shows just running)'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ps" -s l -l latest -d 'Show the latest created container (includes all states)'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ps" -l no-trunc -d 'Don\'t truncate output'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ps" -s q -l quiet -d 'Only display container IDs'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from ps" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from attach" -l detach-keys -d 'Override the key sequence for detaching a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from attach" -l no-stdin -d 'Do not attach STDIN'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from attach" -l sig-proxy -d 'Proxy all received signals to the process'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from attach" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l name -d 'Assign a name to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l platform -d 'Set platform if server is multi-platform capable' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l pull -d 'Pull image before running ("always", "missing", "never")' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cidfile -d 'Write the container ID to the file' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l restart -d 'Restart policy to apply when a container exits' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l runtime -d 'Runtime to use for this container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l rootfs -d 'A directory of the host as root file system, instead of an image' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s a -l attach -d 'Attach to STDIN, STDOUT or STDERR' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s e -l env -d 'Set environment variables' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l env-file -d 'Read in a file of environment variables' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s w -l workdir -d 'Working directory inside the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s u -l user -d 'Username or UID (format: <name|uid>[:<group|gid>])' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l entrypoint -d 'Overwrite the default ENTRYPOINT of the image' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s h -l hostname -d 'Container host name' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l domainname -d 'Container NIS domain name' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s l -l label -d 'Set meta data on a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l label-file -d 'Read in a line delimited file of labels' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l annotation -d 'Add an annotation to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l stop-signal -d 'Signal to stop the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l stop-timeout -d 'Timeout (in seconds) to stop a container, -1 for no limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s v -l volume -d 'Bind mount a host directory or file (/host:/container[:ro])' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l mount -d 'Attach a filesystem mount to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l volumes-from -d 'Mount volumes from the specified container(s)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l tmpfs -d 'Mount a tmpfs directory' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l shm-size -d 'Size of /dev/shm' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l network -d 'Connect a container to a network (bridge, host, none)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s p -l publish -d 'Publish a container\'s port(s) to the host' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l expose -d 'Expose a port or a range of ports' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l add-host -d 'Add a custom host-to-IP mapping (host:ip)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l dns -d 'Set custom DNS servers' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l dns-option -d 'Set DNS options' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l dns-search -d 'Set custom DNS search domains' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cap-add -d 'Add Linux capabilities' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cap-drop -d 'Drop Linux capabilities' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l security-opt -d 'Security options' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l device -d 'Add a host device to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l device-cgroup-rule -d 'Add a rule to the cgroup allowed devices list' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l group-add -d 'Add additional groups to join' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l sysctl -d 'Sysctl options' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l pid -d 'PID namespace to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l ipc -d 'IPC mode to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l uts -d 'UTS namespace to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cgroupns -d 'Cgroup namespace to use (host|private)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s m -l memory -d 'Memory limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l memory-reservation -d 'Memory soft limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l memory-swap -d 'Swap limit equal to memory plus swap: \'-1\' to enable unlimited swap' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cpus -d 'Number of CPUs' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cpu-period -d 'Limit CPU CFS (Completely Fair Scheduler) period' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cpu-quota -d 'Limit CPU CFS (Completely Fair Scheduler) quota' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s c -l cpu-shares -d 'CPU shares (relative weight)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cpuset-cpus -d 'CPUs in which to allow execution (0-3, 0,1)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cpuset-mems -d 'MEMs in which to allow execution (0-3, 0,1)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l pids-limit -d 'Tune container pids limit (set -1 for unlimited)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cgroup-parent -d 'Optional parent cgroup for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l ulimit -d 'Ulimit options' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l oom-score-adj -d 'Tune host\'s OOM preferences (-1000 to 1000)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l blkio-weight -d 'Block IO (relative weight), between 10 and 1000, or 0 to disable' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l blkio-weight-device -d 'Block IO weight (relative device weight)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l device-read-bps -d 'Limit read rate (bytes per second) from a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l device-read-iops -d 'Limit read rate (IO per second) from a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l device-write-bps -d 'Limit write rate (bytes per second) to a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l device-write-iops -d 'Limit write rate (IO per second) to a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l log-driver -d 'Logging driver for the container (json-file, none)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l log-opt -d 'Log driver options (max-size, max-file)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l ip -d 'IPv4 address (only on networks of your own)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l ip6 -d 'IPv6 address (only on networks of your own)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l mac-address -d 'Container MAC address' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l network-alias -d 'Add network-scoped alias for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l link-local-ip -d 'Container IPv4/IPv6 link-local addresses' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l link -d 'Add link to another container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l volume-driver -d 'Optional volume driver for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l gpus -d 'GPU devices to add to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l storage-opt -d 'Storage driver options for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l memory-swappiness -d 'Tune container memory swappiness (0 to 100)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cpu-rt-period -d 'Limit CPU real-time period in microseconds' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l cpu-rt-runtime -d 'Limit CPU real-time runtime in microseconds' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Suppress the pull output'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l rm -d 'Automatically remove the container and its associated anonymous volumes when it exits'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s i -l interactive -d 'Keep STDIN open even if not attached'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s t -l tty -d 'Allocate a pseudo-TTY'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l init -d 'Run an init inside the container that forwards signals and reaps processes'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l no-healthcheck -d 'Disable any container-specified HEALTHCHECK'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l read-only -d 'Mount the container\'s root filesystem as read only'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -s P -l publish-all -d 'Publish all exposed ports to random ports'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l privileged -d 'Give extended privileges to this container'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l oom-kill-disable -d 'Disable OOM Killer'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from create" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from kill" -s s -l signal -d 'Signal to send to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from kill" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from rm" -s f -l force -d 'Force the removal of a running container (uses SIGKILL)'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from rm" -s l -l link -d 'Remove the specified link'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from rm" -s v -l volumes -d 'Remove anonymous volumes associated with the container'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from rm" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from remove" -s f -l force -d 'Force the removal of a running container (uses SIGKILL)'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from remove" -s l -l link -d 'Remove the specified link'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from remove" -s v -l volumes -d 'Remove anonymous volumes associated with the container'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from remove" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from start" -l detach-keys -d 'Override the key sequence for detaching a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from start" -s a -l attach -d 'Attach STDOUT/STDERR and forward signals'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from start" -s i -l interactive -d 'Attach container\'s STDIN'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from start" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from stop" -s s -l signal -d 'Signal to send to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from stop" -s t -l timeout -l time -d 'Seconds to wait before killing the container (-1: for ever)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from stop" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from wait" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from logs" -l since -d 'Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from logs" -l until -d 'Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from logs" -s n -l tail -d 'Number of lines to show from the end of the logs' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from logs" -l details -d 'Show extra details provided to logs'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from logs" -s f -l follow -d 'Follow log output'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from logs" -s t -l timestamps -d 'Show timestamps'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from logs" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from inspect" -s f -l format -d 'Format output using a custom template: \'json\', or a Go template' -r
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from inspect" -s s -l size -d 'Display total file sizes'
complete -c wherry -n "__fish_wherry_using_subcommand container; and __fish_seen_subcommand_from inspect" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand image; and not __fish_seen_subcommand_from pull ls list rm remove inspect" -s h -l help -d 'Print help'
complete -c wherry -n "__fish_wherry_using_subcommand image; and not __fish_seen_subcommand_from pull ls list rm remove inspect" -f -a "pull" -d 'Download an image from a registry'
complete -c wherry -n "__fish_wherry_using_subcommand image; and not __fish_seen_subcommand_from pull ls list rm remove inspect" -f -a "ls" -d 'List images'
complete -c wherry -n "__fish_wherry_using_subcommand image; and not __fish_seen_subcommand_from pull ls list rm remove inspect" -f -a "list" -d 'List images'
complete -c wherry -n "__fish_wherry_using_subcommand image; and not __fish_seen_subcommand_from pull ls list rm remove inspect" -f -a "rm" -d 'Remove one or more images'
complete -c wherry -n "__fish_wherry_using_subcommand image; and not __fish_seen_subcommand_from pull ls list rm remove inspect" -f -a "remove" -d 'Remove one or more images'
complete -c wherry -n "__fish_wherry_using_subcommand image; and not __fish_seen_subcommand_from pull ls list rm remove inspect" -f -a "inspect" -d 'Display detailed information on one or more images'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from pull" -l platform -d 'Set platform if server is multi-platform capable' -r
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from pull" -s a -l all-tags -d 'Download all tagged images in the repository'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from pull" -s q -l quiet -d 'Suppress verbose output'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from pull" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Filter output based on conditions provided' -r
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from ls" -l format -d 'Format output using a custom template: \'table\', \'table TEMPLATE\', \'json\', or a Go template' -r
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from ls" -s a -l all -d 'Show all images (default hides intermediate images)'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from ls" -l digests -d 'Show digests'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from ls" -l no-trunc -d 'Don\'t truncate output'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Only show image IDs'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from ls" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from list" -s f -l filter -d 'Filter output based on conditions provided' -r
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from list" -l format -d 'Format output using a custom template: \'table\', \'table TEMPLATE\', \'json\', or a Go template' -r
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from list" -s a -l all -d 'Show all images (default hides intermediate images)'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from list" -l digests -d 'Show digests'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from list" -l no-trunc -d 'Don\'t truncate output'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Only show image IDs'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from list" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from rm" -s f -l force -d 'Force removal of the image'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from rm" -l no-prune -d 'Do not delete untagged parents'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from rm" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from remove" -s f -l force -d 'Force removal of the image'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from remove" -l no-prune -d 'Do not delete untagged parents'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from remove" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from inspect" -s f -l format -d 'Format output using a custom template: \'json\', or a Go template' -r
complete -c wherry -n "__fish_wherry_using_subcommand image; and __fish_seen_subcommand_from inspect" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand run" -l detach-keys -d 'Override the key sequence for detaching a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l name -d 'Assign a name to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l platform -d 'Set platform if server is multi-platform capable' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l pull -d 'Pull image before running ("always", "missing", "never")' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cidfile -d 'Write the container ID to the file' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand run" -l restart -d 'Restart policy to apply when a container exits' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l runtime -d 'Runtime to use for this container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l rootfs -d 'A directory of the host as root file system, instead of an image' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand run" -s a -l attach -d 'Attach to STDIN, STDOUT or STDERR' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -s e -l env -d 'Set environment variables' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l env-file -d 'Read in a file of environment variables' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand run" -s w -l workdir -d 'Working directory inside the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -s u -l user -d 'Username or UID (format: <name|uid>[:<group|gid>])' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l entrypoint -d 'Overwrite the default ENTRYPOINT of the image' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -s h -l hostname -d 'Container host name' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l domainname -d 'Container NIS domain name' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -s l -l label -d 'Set meta data on a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l label-file -d 'Read in a line delimited file of labels' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand run" -l annotation -d 'Add an annotation to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l stop-signal -d 'Signal to stop the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l stop-timeout -d 'Timeout (in seconds) to stop a container, -1 for no limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -s v -l volume -d 'Bind mount a host directory or file (/host:/container[:ro])' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l mount -d 'Attach a filesystem mount to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l volumes-from -d 'Mount volumes from the specified container(s)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l tmpfs -d 'Mount a tmpfs directory' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l shm-size -d 'Size of /dev/shm' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l network -d 'Connect a container to a network (bridge, host, none)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -s p -l publish -d 'Publish a container\'s port(s) to the host' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l expose -d 'Expose a port or a range of ports' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l add-host -d 'Add a custom host-to-IP mapping (host:ip)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l dns -d 'Set custom DNS servers' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l dns-option -d 'Set DNS options' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l dns-search -d 'Set custom DNS search domains' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cap-add -d 'Add Linux capabilities' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cap-drop -d 'Drop Linux capabilities' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l security-opt -d 'Security options' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l device -d 'Add a host device to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l device-cgroup-rule -d 'Add a rule to the cgroup allowed devices list' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l group-add -d 'Add additional groups to join' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l sysctl -d 'Sysctl options' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l pid -d 'PID namespace to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l ipc -d 'IPC mode to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l uts -d 'UTS namespace to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cgroupns -d 'Cgroup namespace to use (host|private)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -s m -l memory -d 'Memory limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l memory-reservation -d 'Memory soft limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l memory-swap -d 'Swap limit equal to memory plus swap: \'-1\' to enable unlimited swap' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cpus -d 'Number of CPUs' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cpu-period -d 'Limit CPU CFS (Completely Fair Scheduler) period' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cpu-quota -d 'Limit CPU CFS (Completely Fair Scheduler) quota' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -s c -l cpu-shares -d 'CPU shares (relative weight)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cpuset-cpus -d 'CPUs in which to allow execution (0-3, 0,1)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cpuset-mems -d 'MEMs in which to allow execution (0-3, 0,1)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l pids-limit -d 'Tune container pids limit (set -1 for unlimited)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cgroup-parent -d 'Optional parent cgroup for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l ulimit -d 'Ulimit options' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l oom-score-adj -d 'Tune host\'s OOM preferences (-1000 to 1000)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l blkio-weight -d 'Block IO (relative weight), between 10 and 1000, or 0 to disable' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l blkio-weight-device -d 'Block IO weight (relative device weight)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l device-read-bps -d 'Limit read rate (bytes per second) from a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l device-read-iops -d 'Limit read rate (IO per second) from a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l device-write-bps -d 'Limit write rate (bytes per second) to a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l device-write-iops -d 'Limit write rate (IO per second) to a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l log-driver -d 'Logging driver for the container (json-file, none)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l log-opt -d 'Log driver options (max-size, max-file)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l ip -d 'IPv4 address (only on networks of your own)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l ip6 -d 'IPv6 address (only on networks of your own)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l mac-address -d 'Container MAC address' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l network-alias -d 'Add network-scoped alias for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l link-local-ip -d 'Container IPv4/IPv6 link-local addresses' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l link -d 'Add link to another container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l volume-driver -d 'Optional volume driver for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l gpus -d 'GPU devices to add to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l storage-opt -d 'Storage driver options for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l memory-swappiness -d 'Tune container memory swappiness (0 to 100)' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cpu-rt-period -d 'Limit CPU real-time period in microseconds' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -l cpu-rt-runtime -d 'Limit CPU real-time runtime in microseconds' -r
complete -c wherry -n "__fish_wherry_using_subcommand run" -s d -l detach -d 'Run container in background and print container ID'
complete -c wherry -n "__fish_wherry_using_subcommand run" -l sig-proxy -d 'Proxy received signals to the process'
complete -c wherry -n "__fish_wherry_using_subcommand run" -s q -l quiet -d 'Suppress the pull output'
complete -c wherry -n "__fish_wherry_using_subcommand run" -l rm -d 'Automatically remove the container and its associated anonymous volumes when it exits'
complete -c wherry -n "__fish_wherry_using_subcommand run" -s i -l interactive -d 'Keep STDIN open even if not attached'
complete -c wherry -n "__fish_wherry_using_subcommand run" -s t -l tty -d 'Allocate a pseudo-TTY'
complete -c wherry -n "__fish_wherry_using_subcommand run" -l init -d 'Run an init inside the container that forwards signals and reaps processes'
complete -c wherry -n "__fish_wherry_using_subcommand run" -l no-healthcheck -d 'Disable any container-specified HEALTHCHECK'
complete -c wherry -n "__fish_wherry_using_subcommand run" -l read-only -d 'Mount the container\'s root filesystem as read only'
complete -c wherry -n "__fish_wherry_using_subcommand run" -s P -l publish-all -d 'Publish all exposed ports to random ports'
complete -c wherry -n "__fish_wherry_using_subcommand run" -l privileged -d 'Give extended privileges to this container'
complete -c wherry -n "__fish_wherry_using_subcommand run" -l oom-kill-disable -d 'Disable OOM Killer'
complete -c wherry -n "__fish_wherry_using_subcommand run" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand exec" -l detach-keys -d 'Override the key sequence for detaching a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand exec" -s e -l env -d 'Set environment variables' -r
complete -c wherry -n "__fish_wherry_using_subcommand exec" -l env-file -d 'Read in a file of environment variables' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand exec" -s u -l user -d 'Username or UID (format: "<name|uid>[:<group|gid>]")' -r
complete -c wherry -n "__fish_wherry_using_subcommand exec" -s w -l workdir -d 'Working directory inside the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand exec" -s d -l detach -d 'Detached mode: run command in the background'
complete -c wherry -n "__fish_wherry_using_subcommand exec" -s i -l interactive -d 'Keep STDIN open even if not attached'
complete -c wherry -n "__fish_wherry_using_subcommand exec" -l privileged -d 'Give extended privileges to the command'
complete -c wherry -n "__fish_wherry_using_subcommand exec" -s t -l tty -d 'Allocate a pseudo-TTY'
complete -c wherry -n "__fish_wherry_using_subcommand exec" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand ps" -s f -l filter -d 'Filter output based on conditions provided' -r
complete -c wherry -n "__fish_wherry_using_subcommand ps" -l format -d 'Format output using a custom template: \'table\', \'table TEMPLATE\', \'json\', or a Go template' -r
complete -c wherry -n "__fish_wherry_using_subcommand ps" -s n -l last -d 'Show n last created containers (includes all states)' -r
complete -c wherry -n "__fish_wherry_using_subcommand ps" -s s -l size -d 'Display total file sizes' -r -f -a "true\t''
false\t''"
complete -c wherry -n "__fish_wherry_using_subcommand ps" -s a -l all -d 'Show all containers (default shows just running)'
complete -c wherry -n "__fish_wherry_using_subcommand ps" -s l -l latest -d 'Show the latest created container (includes all states)'
complete -c wherry -n "__fish_wherry_using_subcommand ps" -l no-trunc -d 'Don\'t truncate output'
complete -c wherry -n "__fish_wherry_using_subcommand ps" -s q -l quiet -d 'Only display container IDs'
complete -c wherry -n "__fish_wherry_using_subcommand ps" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand pull" -l platform -d 'Set platform if server is multi-platform capable' -r
complete -c wherry -n "__fish_wherry_using_subcommand pull" -s a -l all-tags -d 'Download all tagged images in the repository'
complete -c wherry -n "__fish_wherry_using_subcommand pull" -s q -l quiet -d 'Suppress verbose output'
complete -c wherry -n "__fish_wherry_using_subcommand pull" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand attach" -l detach-keys -d 'Override the key sequence for detaching a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand attach" -l no-stdin -d 'Do not attach STDIN'
complete -c wherry -n "__fish_wherry_using_subcommand attach" -l sig-proxy -d 'Proxy all received signals to the process'
complete -c wherry -n "__fish_wherry_using_subcommand attach" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand create" -l name -d 'Assign a name to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l platform -d 'Set platform if server is multi-platform capable' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l pull -d 'Pull image before running ("always", "missing", "never")' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cidfile -d 'Write the container ID to the file' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand create" -l restart -d 'Restart policy to apply when a container exits' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l runtime -d 'Runtime to use for this container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l rootfs -d 'A directory of the host as root file system, instead of an image' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand create" -s a -l attach -d 'Attach to STDIN, STDOUT or STDERR' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -s e -l env -d 'Set environment variables' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l env-file -d 'Read in a file of environment variables' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand create" -s w -l workdir -d 'Working directory inside the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -s u -l user -d 'Username or UID (format: <name|uid>[:<group|gid>])' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l entrypoint -d 'Overwrite the default ENTRYPOINT of the image' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -s h -l hostname -d 'Container host name' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l domainname -d 'Container NIS domain name' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -s l -l label -d 'Set meta data on a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l label-file -d 'Read in a line delimited file of labels' -r -F
complete -c wherry -n "__fish_wherry_using_subcommand create" -l annotation -d 'Add an annotation to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l stop-signal -d 'Signal to stop the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l stop-timeout -d 'Timeout (in seconds) to stop a container, -1 for no limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -s v -l volume -d 'Bind mount a host directory or file (/host:/container[:ro])' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l mount -d 'Attach a filesystem mount to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l volumes-from -d 'Mount volumes from the specified container(s)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l tmpfs -d 'Mount a tmpfs directory' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l shm-size -d 'Size of /dev/shm' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l network -d 'Connect a container to a network (bridge, host, none)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -s p -l publish -d 'Publish a container\'s port(s) to the host' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l expose -d 'Expose a port or a range of ports' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l add-host -d 'Add a custom host-to-IP mapping (host:ip)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l dns -d 'Set custom DNS servers' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l dns-option -d 'Set DNS options' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l dns-search -d 'Set custom DNS search domains' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cap-add -d 'Add Linux capabilities' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cap-drop -d 'Drop Linux capabilities' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l security-opt -d 'Security options' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l device -d 'Add a host device to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l device-cgroup-rule -d 'Add a rule to the cgroup allowed devices list' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l group-add -d 'Add additional groups to join' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l sysctl -d 'Sysctl options' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l pid -d 'PID namespace to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l ipc -d 'IPC mode to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l uts -d 'UTS namespace to use' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cgroupns -d 'Cgroup namespace to use (host|private)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -s m -l memory -d 'Memory limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l memory-reservation -d 'Memory soft limit' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l memory-swap -d 'Swap limit equal to memory plus swap: \'-1\' to enable unlimited swap' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cpus -d 'Number of CPUs' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cpu-period -d 'Limit CPU CFS (Completely Fair Scheduler) period' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cpu-quota -d 'Limit CPU CFS (Completely Fair Scheduler) quota' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -s c -l cpu-shares -d 'CPU shares (relative weight)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cpuset-cpus -d 'CPUs in which to allow execution (0-3, 0,1)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cpuset-mems -d 'MEMs in which to allow execution (0-3, 0,1)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l pids-limit -d 'Tune container pids limit (set -1 for unlimited)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cgroup-parent -d 'Optional parent cgroup for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l ulimit -d 'Ulimit options' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l oom-score-adj -d 'Tune host\'s OOM preferences (-1000 to 1000)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l blkio-weight -d 'Block IO (relative weight), between 10 and 1000, or 0 to disable' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l blkio-weight-device -d 'Block IO weight (relative device weight)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l device-read-bps -d 'Limit read rate (bytes per second) from a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l device-read-iops -d 'Limit read rate (IO per second) from a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l device-write-bps -d 'Limit write rate (bytes per second) to a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l device-write-iops -d 'Limit write rate (IO per second) to a device' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l log-driver -d 'Logging driver for the container (json-file, none)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l log-opt -d 'Log driver options (max-size, max-file)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l ip -d 'IPv4 address (only on networks of your own)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l ip6 -d 'IPv6 address (only on networks of your own)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l mac-address -d 'Container MAC address' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l network-alias -d 'Add network-scoped alias for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l link-local-ip -d 'Container IPv4/IPv6 link-local addresses' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l link -d 'Add link to another container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l volume-driver -d 'Optional volume driver for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l gpus -d 'GPU devices to add to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l storage-opt -d 'Storage driver options for the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l memory-swappiness -d 'Tune container memory swappiness (0 to 100)' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cpu-rt-period -d 'Limit CPU real-time period in microseconds' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -l cpu-rt-runtime -d 'Limit CPU real-time runtime in microseconds' -r
complete -c wherry -n "__fish_wherry_using_subcommand create" -s q -l quiet -d 'Suppress the pull output'
complete -c wherry -n "__fish_wherry_using_subcommand create" -l rm -d 'Automatically remove the container and its associated anonymous volumes when it exits'
complete -c wherry -n "__fish_wherry_using_subcommand create" -s i -l interactive -d 'Keep STDIN open even if not attached'
complete -c wherry -n "__fish_wherry_using_subcommand create" -s t -l tty -d 'Allocate a pseudo-TTY'
complete -c wherry -n "__fish_wherry_using_subcommand create" -l init -d 'Run an init inside the container that forwards signals and reaps processes'
complete -c wherry -n "__fish_wherry_using_subcommand create" -l no-healthcheck -d 'Disable any container-specified HEALTHCHECK'
complete -c wherry -n "__fish_wherry_using_subcommand create" -l read-only -d 'Mount the container\'s root filesystem as read only'
complete -c wherry -n "__fish_wherry_using_subcommand create" -s P -l publish-all -d 'Publish all exposed ports to random ports'
complete -c wherry -n "__fish_wherry_using_subcommand create" -l privileged -d 'Give extended privileges to this container'
complete -c wherry -n "__fish_wherry_using_subcommand create" -l oom-kill-disable -d 'Disable OOM Killer'
complete -c wherry -n "__fish_wherry_using_subcommand create" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand kill" -s s -l signal -d 'Signal to send to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand kill" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand rm" -s f -l force -d 'Force the removal of a running container (uses SIGKILL)'
complete -c wherry -n "__fish_wherry_using_subcommand rm" -s l -l link -d 'Remove the specified link'
complete -c wherry -n "__fish_wherry_using_subcommand rm" -s v -l volumes -d 'Remove anonymous volumes associated with the container'
complete -c wherry -n "__fish_wherry_using_subcommand rm" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand start" -l detach-keys -d 'Override the key sequence for detaching a container' -r
complete -c wherry -n "__fish_wherry_using_subcommand start" -s a -l attach -d 'Attach STDOUT/STDERR and forward signals'
complete -c wherry -n "__fish_wherry_using_subcommand start" -s i -l interactive -d 'Attach container\'s STDIN'
complete -c wherry -n "__fish_wherry_using_subcommand start" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand stop" -s s -l signal -d 'Signal to send to the container' -r
complete -c wherry -n "__fish_wherry_using_subcommand stop" -s t -l timeout -l time -d 'Seconds to wait before killing the container (-1: for ever)' -r
complete -c wherry -n "__fish_wherry_using_subcommand stop" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand wait" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand logs" -l since -d 'Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)' -r
complete -c wherry -n "__fish_wherry_using_subcommand logs" -l until -d 'Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)' -r
complete -c wherry -n "__fish_wherry_using_subcommand logs" -s n -l tail -d 'Number of lines to show from the end of the logs' -r
complete -c wherry -n "__fish_wherry_using_subcommand logs" -l details -d 'Show extra details provided to logs'
complete -c wherry -n "__fish_wherry_using_subcommand logs" -s f -l follow -d 'Follow log output'
complete -c wherry -n "__fish_wherry_using_subcommand logs" -s t -l timestamps -d 'Show timestamps'
complete -c wherry -n "__fish_wherry_using_subcommand logs" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand images" -s f -l filter -d 'Filter output based on conditions provided' -r
complete -c wherry -n "__fish_wherry_using_subcommand images" -l format -d 'Format output using a custom template: \'table\', \'table TEMPLATE\', \'json\', or a Go template' -r
complete -c wherry -n "__fish_wherry_using_subcommand images" -s a -l all -d 'Show all images (default hides intermediate images)'
complete -c wherry -n "__fish_wherry_using_subcommand images" -l digests -d 'Show digests'
complete -c wherry -n "__fish_wherry_using_subcommand images" -l no-trunc -d 'Don\'t truncate output'
complete -c wherry -n "__fish_wherry_using_subcommand images" -s q -l quiet -d 'Only show image IDs'
complete -c wherry -n "__fish_wherry_using_subcommand images" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand rmi" -s f -l force -d 'Force removal of the image'
complete -c wherry -n "__fish_wherry_using_subcommand rmi" -l no-prune -d 'Do not delete untagged parents'
complete -c wherry -n "__fish_wherry_using_subcommand rmi" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand inspect" -s f -l format -d 'Format output using a custom template: \'json\', or a Go template' -r
complete -c wherry -n "__fish_wherry_using_subcommand inspect" -l type -d 'Only inspect objects of the given type' -r
complete -c wherry -n "__fish_wherry_using_subcommand inspect" -s s -l size -d 'Display total file sizes if the type is container'
complete -c wherry -n "__fish_wherry_using_subcommand inspect" -l help -d 'Print usage'
complete -c wherry -n "__fish_wherry_using_subcommand version" -s f -l format -d 'Format output using a custom template: \'json\', or a Go template' -r
complete -c wherry -n "__fish_wherry_using_subcommand version" -l help -d 'Print usage'
