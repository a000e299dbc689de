"""The text of --help and --version."""

VERSION = "bubblewrap 0.11.0\n"  # what it stands in for: callers read this to know which options there are

_OPTIONS = """\
    --help                       Show this text
    --version                    Show the version of bubblewrap that this stands in for
    --args FD                    Read more arguments, separated by NUL, from FD
    --argv0 VALUE                Give the command VALUE as its argv[0]
    --level-prefix               Begin messages with their syslog level, as in <3>

    --unshare-all                All that the following make new, as far as the system has it
    --share-net                  Keep the network after --unshare-all
    --unshare-user[-try]         New user namespace (implied unless called by root)
    --unshare-ipc                New IPC namespace
    --unshare-pid                New PID namespace
    --unshare-net                New network namespace, with loopback
    --unshare-uts                New UTS namespace
    --unshare-cgroup[-try]       New cgroup namespace
    --userns FD                  Join this user namespace instead of making one
    --userns2 FD                 Join this one when all is set up
    --disable-userns             Allow no user namespaces inside
    --assert-userns-disabled     Fail if user namespaces can be made inside
    --pidns FD                   Join this PID namespace
    --uid UID, --gid GID         Who the command is inside
    --hostname NAME              Host name inside (with --unshare-uts)

    --chdir DIR                  Start the command in DIR
    --setenv VAR VALUE           Set an environment variable
    --unsetenv VAR               Remove an environment variable
    --clearenv                   Remove all environment variables

    --bind[-try] SRC DEST        Show the host's SRC at DEST, writable
    --ro-bind[-try] SRC DEST     Show the host's SRC at DEST, read-only
    --dev-bind[-try] SRC DEST    Show the host's SRC at DEST with its devices
    --bind-fd FD DEST            Show an open file or directory at DEST, writable
    --ro-bind-fd FD DEST         Show an open file or directory at DEST, read-only
    --remount-ro DEST            Make the mount at DEST read-only, none below it
    --overlay-src SRC            A lower directory of the overlay that follows
    --overlay RWSRC WORK DEST    Overlay at DEST; writes go to RWSRC
    --tmp-overlay DEST           Overlay at DEST; writes go to memory
    --ro-overlay DEST            Overlay at DEST, read-only
    --proc DEST                  Process file system
    --dev DEST                   A few harmless devices
    --tmpfs DEST                 Empty directory in memory
    --mqueue DEST                POSIX message queues
    --dir DEST                   Make a directory
    --file FD DEST               Make a file with the content of FD
    --bind-data FD DEST          Mount a file with the content of FD
    --ro-bind-data FD DEST       Mount a read-only file with the content of FD
    --symlink SRC DEST           Make a symbolic link to SRC
    --chmod OCTAL PATH           Change the mode of PATH
    --perms OCTAL                Mode of what the next option makes
    --size BYTES                 Size of the next --tmpfs

    --seccomp FD                 Install the seccomp program in FD (once)
    --add-seccomp-fd FD          Install the seccomp program in FD (as often as wanted)
    --cap-add CAP                Give the command a capability
    --cap-drop CAP               Take a capability from the command
    --new-session                Give the command a session of its own
    --die-with-parent            Kill all when the caller dies
    --as-pid-1                   Run the command as pid 1
    --lock-file DEST             Hold a lock on DEST while anything runs
    --sync-fd FD                 Hold FD open while anything runs
    --block-fd FD                Wait for FD before the command starts
    --userns-block-fd FD         Wait for FD while somebody maps users
    --info-fd FD                 Tell FD what was made
    --json-status-fd FD          Tell FD of the start and the end
    --exec-label LABEL, --file-label LABEL
                                 Refused: there is no SELinux support
"""


def text(called: str) -> str:
    """The help of the program under the name that it was called by."""
    return f"usage: {called} [OPTIONS...] [--] COMMAND [ARGS...]\n\n{_OPTIONS}"
