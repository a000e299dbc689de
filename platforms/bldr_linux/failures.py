"""What a failed step means to people: pure text, from the step's name, its path and the error."""

import errno

from bldr.api import SetupFailure

_WHAT = {
    "fork": "cannot start a process to run the action",
    "clone": "cannot create namespaces",
    "group": 'cannot use the control group "{path}"',
    "id-maps": "cannot map the user into a namespace",
    "hostname": "cannot set the host name",
    "loopback": "cannot bring the loopback interface up",
    "enter-root": "cannot make a root directory of the action's own",
    "source": 'cannot open "{path}" on the host',
    "mount-point": 'cannot mount on "{path}"',
    "directory": 'cannot make the directory "{path}"',
    "dir": 'cannot make the directory "{path}"',
    "bind": 'cannot mount "{path}"',
    "device": 'cannot use the device "{path}"',
    "node": 'cannot use the device "{path}"',
    "mask": 'cannot hide "{path}"',
    "hide": 'cannot hide "{path}"',
    "sysfs": 'cannot mount a fresh "{path}"',
    "bind-sysfs": 'cannot show the host\'s "{path}"',
    "point": 'cannot make the directory "{path}"',
    "tmpfs": 'cannot mount a temporary file system on "{path}"',
    "overlay": 'cannot mount the overlay of the tree on "{path}"',
    "link": 'cannot make the link "{path}"',
    "file": 'cannot make the file "{path}"',
    "cover": 'cannot lay a file over "{path}"',
    "proc": 'cannot mount a fresh "{path}"',
    "pts": 'cannot mount "{path}"',
    "freeze": "cannot make the root directory read-only",
    "seal": "cannot make the root directory read-only",
    "detach-old-root": "cannot take the host's root directory away",
    "cwd": 'cannot enter the working directory "{path}"',
    "limits": "cannot set the limits",
    "supervise": "cannot supervise the command",
    "capabilities": "cannot drop capabilities",
    "no-new-privileges": "cannot forbid new privileges",
    "landlock": 'cannot put up Landlock as a second wall at "{path}"',
    "seccomp": "cannot install the system call filter",
    "bug": "the sandbox failed inside ({path})",
}
_NAMESPACES_OFF = (
    "allow user namespaces: `sysctl user.max_user_namespaces=65536`, on Debian also "
    "`sysctl kernel.unprivileged_userns_clone=1`; in a container run it with `--security-opt seccomp=unconfined`"
)
_APPARMOR = (
    "on Ubuntu allow them to every program with `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; "
    "in a container run it with `--security-opt apparmor=unconfined`"
)
_TOO_MANY_PROCESSES = "raise the caller's limit of processes (`ulimit -u`), or run fewer actions at once"
_FILTERED = (
    "a system call filter, as containers have one, forbids what the sandbox needs: run the container with "
    "`--security-opt seccomp=unconfined`"
)
_OLD_KERNEL = "bldr's Linux sandbox needs Linux 5.12 or newer"
# By step and error; of any step where that is empty.
_HINTS = {
    ("clone", errno.EPERM): _NAMESPACES_OFF,
    ("clone", errno.EACCES): _APPARMOR,
    ("clone", errno.ENOSYS): _NAMESPACES_OFF,
    ("clone", errno.ENOSPC): "raise the limits `user.max_*_namespaces` with sysctl",
    ("clone", errno.EUSERS): "raise `user.max_user_namespaces` with sysctl; namespaces may also be nested too deeply",
    ("clone", errno.EINVAL): "use a kernel that is built with user, pid, network, ipc, uts and cgroup namespaces",
    ("fork", errno.EAGAIN): _TOO_MANY_PROCESSES,
    ("clone", errno.EAGAIN): _TOO_MANY_PROCESSES,
    ("id-maps", errno.EPERM): _APPARMOR,
    ("id-maps", errno.EACCES): _APPARMOR,
    ("enter-root", errno.EPERM): _APPARMOR,
    ("enter-root", errno.EACCES): _APPARMOR,
    ("seccomp", errno.EPERM): _FILTERED,
    ("seccomp", errno.ENOSYS): _FILTERED,
    ("supervise", errno.EPERM): _FILTERED,
    ("supervise", errno.ENOSYS): _FILTERED,
    ("", errno.ENOSYS): _OLD_KERNEL,
    ("", errno.EMFILE): "raise the caller's limit of open files (`ulimit -n`)",
    ("", errno.ENFILE): "raise `fs.file-max` with sysctl, or run fewer actions at once",
    ("proc", errno.EPERM): (
        "parts of /proc are hidden, as container runtimes do: run the container with "
        "`--security-opt systempaths=unconfined` (Docker) or `--security-opt unmask=ALL` (Podman)"
    ),
    ("sysfs", errno.EPERM): (
        "parts of /sys are hidden, as container runtimes do: run the container with `--security-opt "
        "systempaths=unconfined` (Docker) or `--security-opt unmask=ALL` (Podman), or do without `sysfs`"
    ),
    ("device", errno.EACCES): (
        "actions run as an unprivileged user, who may neither read nor write it: become a member of its group, or map "
        "the caller where that is root"
    ),
    ("overlay", errno.EINVAL): (
        "the cache directory must lie on a file system that an overlay can write to (ext4, xfs, btrfs, tmpfs; not NFS "
        "and not another overlay, as in a container): choose one with `--cache-dir`"
    ),
    ("overlay", errno.ENODEV): "load the kernel module `overlay`",
    ("overlay", errno.EPERM): _OLD_KERNEL,
    ("source", errno.EACCES): (
        "actions run as an unprivileged user, who must be able to enter every directory above it and to read it; "
        "move it, change its mode, or map the caller"
    ),
    ("source", errno.ENOENT): "it was declared as an input or output, but there is nothing of that name",
    ("source", errno.ELOOP): "its symbolic links lead round in circles, or through /proc",
    ("", errno.EROFS): "it lies inside a read-only input: what is mounted on must exist there",
    ("cwd", errno.ENOENT): "it must lie in the tree, an input, an output or a temporary directory",
    ("seccomp", errno.EINVAL): "use a kernel that is built with CONFIG_SECCOMP_FILTER",
}


def explain(step: str, path: str, reason: str, code: int) -> SetupFailure:
    """The failure of one step as a sentence with its remedy."""
    what = _WHAT.get(step, f"cannot do the step {step}").format(path=path)
    text = reason if code == 0 else reason[:1].lower() + reason[1:]
    hint = _HINTS.get((step, code)) or _HINTS.get(("", code), "")
    return SetupFailure(f"{what}: {text}", hint)
