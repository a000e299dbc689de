"""The same command through the stand-in and through bubblewrap, with the same options, sees the same world."""

import os
import re

import pytest

LOOK = r"""
echo "== status"; grep -E '^(Cap|Seccomp|NoNewPrivs|Sig(Blk|Ign|Cgt)|Umask|Groups)' /proc/self/status
echo "== mounts"; cat /proc/self/mountinfo
echo "== env"; env | grep -v ^_=
echo "== fds"; ls -1 /proc/self/fd
echo "== dev"; ls -ln /dev | awk '{print $1,$3,$4,$5,$6,$NF}' | sed 's/ [0-9][0-9]:[0-9][0-9] / /'
echo "== root"; ls -lan / | awk '{print $1,$3,$4,$9,$10,$11}'
echo "== who"; id -u; id -g; hostname; pwd; umask; readlink /proc/self/ns/* | grep -c .
"""
BARE = (
    "--ro-bind /usr /usr --ro-bind /etc /etc --symlink usr/lib /lib --symlink usr/lib64 /lib64 --symlink usr/bin /bin"
)
WORLDS = {
    "the host": "--ro-bind / /",
    "the host, writable": "--bind / /",
    "the host with devices": "--dev-bind / /",
    "new devices": "--bind / / --dev /dev",
    "new devices and processes": "--bind / / --dev /dev --proc /proc",
    "processes of the host": "--ro-bind / / --proc /proc",
    "everything new": "--ro-bind / / --unshare-all --proc /proc --dev /dev",
    "everything new but the network": "--ro-bind / / --unshare-all --share-net --proc /proc",
    "another user": "--ro-bind / / --unshare-user --uid 55 --gid 66 --proc /proc --unshare-pid",
    "another user with devices": "--ro-bind / / --unshare-user --uid 55 --gid 66 --dev /dev",
    "root of a namespace": "--ro-bind / / --unshare-user --uid 0 --gid 0 --cap-add ALL",
    "one capability": "--ro-bind / / --unshare-user --cap-drop ALL --cap-add CAP_SYS_ADMIN",
    "no capability": "--ro-bind / / --cap-drop ALL",
    "other capabilities": "--ro-bind / / --cap-add cap_net_raw --cap-drop CAP_KILL",
    "no more users": "--ro-bind / / --unshare-user --disable-userns",
    "no more users, with devices": "--ro-bind / / --unshare-user --disable-userns --dev /dev",
    "pid 1": "--ro-bind / / --unshare-pid --as-pid-1 --proc /proc",
    "a host name": "--ro-bind / / --unshare-uts --hostname elsewhere",
    "a bare root": f"{BARE} --proc /proc --dev /dev --dir /x/y --tmpfs /t --perms 0700 --tmpfs /u --chmod 0711 /x",
    "memory": f"{BARE} --proc /proc --size 8192 --tmpfs /t --perms 1777 --dir /q --unshare-ipc --mqueue /mq",
    "read-only": "--bind / / --tmpfs /tmp --remount-ro /tmp --remount-ro / --chdir /usr",
    "an environment": "--ro-bind / / --setenv A b --unsetenv FOO --setenv C d --setenv A e",
    "another environment": "--ro-bind / / --clearenv --setenv PATH /usr/bin:/bin --setenv X y",
    "a session": "--ro-bind / / --new-session",
    "a lock": "--ro-bind / / --lock-file /etc/passwd",
    "nothing that is missing": "--ro-bind / / --tmpfs /tmp --bind-try /no/where /tmp/x --ro-bind-try /usr /tmp/y",
}


def normalised(text):
    """Without what differs from run to run: mount ids and which of two hidden mounts lies below."""
    lines, mounts, section = [], [], ""
    for line in text.splitlines():
        if line.startswith("== "):
            section = line
        if section == "== mounts" and not line.startswith("== "):
            mounts.append(line.split(" ", 3)[3])
        else:
            lines.append(line)
    return lines, visible(mounts)


def visible(mounts):
    """The mounts that are not covered by a later one: the flags of the others are nobody's concern."""
    kept = []
    for number, mount in enumerate(mounts):
        place = mount.split(" ")[1]
        later = [other.split(" ")[1] for other in mounts[number + 1 :]]
        if not any(place == other or place.startswith(other.rstrip("/") + "/") for other in later):
            kept.append(mount)
    return sorted(kept)


@pytest.mark.parametrize("world", WORLDS)
def test_the_same_world(bwrap, real, world):
    environment = bwrap.environment() | {"FOO": "x", "PWD": str(bwrap.directory)}
    words = [*WORLDS[world].split(), "/bin/sh", "-c", LOOK]
    theirs, ours = real.run(*words, env=environment), bwrap.run(*words, env=environment)
    assert theirs.returncode == 0, theirs.stderr
    assert normalised(ours.stdout) == normalised(theirs.stdout)
    assert (ours.returncode, ours.stderr) == (theirs.returncode, theirs.stderr)


def test_a_locale_is_not_invented(bwrap, real):
    for environment in (
        {"PATH": "/usr/bin"},
        {"PATH": "/usr/bin", "LC_CTYPE": "C.UTF-8"},
        {"LANG": "C", "PATH": "/usr/bin"},
    ):
        outputs = [program.output("--ro-bind", "/", "/", "env", env=environment) for program in (real, bwrap)]
        assert outputs[0] == outputs[1]


def test_the_same_descriptors(bwrap, real):
    """Inherited descriptors stay open, those that an option consumed do not."""
    fds = [os.memfd_create(f"file{number}") for number in range(8)]
    data, bind, status, info, block, sync, _, args = fds
    os.write(args, b"--dir\0/tmp/a")
    words = ["--ro-bind", "/", "/", "--proc", "/proc", "--tmpfs", "/tmp", "--file", data, "/tmp/f", "--args", args]
    words += ["--ro-bind-data", bind, "/tmp/g", "--json-status-fd", status, "--info-fd", info, "--block-fd", block]
    try:
        for more in (
            ["--sync-fd", sync],
            ["--sync-fd", sync, "--unshare-pid"],
            ["--unshare-pid", "--as-pid-1", "--sync-fd", sync],
            [],
        ):
            seen = []
            for program in (real, bwrap):
                for fd in fds:
                    os.lseek(fd, 0, os.SEEK_SET)
                listing = program.output(*words, *more, "sh", "-c", "ls -l /proc/self/fd", fds=tuple(fds))
                seen.append(sorted(re.findall(r"memfd:\S+", listing)))
            assert seen[0] == seen[1]
            assert "memfd:file6" in seen[1]
    finally:
        for fd in fds:
            os.close(fd)


FAILURES = [
    "",
    "--",
    "--nonsense",
    "-",
    "--bind a",
    "--uid 3 true",
    "--gid 3 true",
    "--hostname x true",
    "--as-pid-1 true",
    "--unshare-pid --as-pid-1 --lock-file x true",
    "--unshare-user --userns-block-fd 0 true",
    "--userns 0 --unshare-user true",
    "--userns 0 --unshare-user-try true",
    "--disable-userns true",
    "--unshare-user --info-fd 1 --disable-userns --userns-block-fd 0 true",
    "--ro-bind / / --chdir /nope true",
    "--ro-bind / / nope",
    "--ro-bind / / /etc/passwd",
    "--ro-bind / / /",
    "--ro-bind / / --unshare-pid nope",
    "--bind /nope /x true",
    "--ro-bind / / --bind /etc/passwd /etc true",
    "--ro-bind / / --bind /etc /etc/passwd true",
    "--ro-bind / / --remount-ro /usr true",
    "--ro-bind / / --remount-ro /nope true",
    "--ro-bind / / --tmpfs /nope true",
    "--ro-bind / / --tmpfs /nope/x true",
    "--ro-bind / / --tmpfs /etc/passwd true",
    "--ro-bind / / --tmpfs /etc/passwd/x true",
    "--ro-bind / / --dir /nope true",
    "--ro-bind / / --file 0 /nope true",
    "--ro-bind / / --file 77 /dev/null true",
    "--ro-bind / / --bind-data 0 /nope true",
    "--ro-bind / / --chmod 0700 /nope true",
    "--ro-bind / / --chmod 0 /usr true",
    "--ro-bind / / --symlink x /nope true",
    "--ro-bind / / --proc /nope true",
    "--ro-bind / / --dev /nope true",
    "--lock-file /nope --ro-bind / / true",
    "--chdir / --chdir /usr --ro-bind / / pwd",
    "--unshare-user --assert-userns-disabled --ro-bind / / true",
    "--setenv a=b c true",
    "--ro-bind / / --seccomp 0 true",
    "--ro-bind / / --seccomp 77 true",
    "true",
]


@pytest.mark.parametrize("words", FAILURES)
def test_the_same_failure(bwrap, real, words):
    ours, theirs = (program.run(*words.split()) for program in (bwrap, real))
    if "usage:" in theirs.stderr:
        assert ours.stderr.splitlines()[0].endswith(" [OPTIONS...] [--] COMMAND [ARGS...]")
        assert (ours.stdout, ours.returncode) == (theirs.stdout, theirs.returncode)
    else:
        assert (ours.stderr, ours.stdout, ours.returncode) == (theirs.stderr, theirs.stdout, theirs.returncode)


@pytest.mark.parametrize(
    "isolation", [[], ["--unshare-pid"], ["--unshare-pid", "--as-pid-1"], ["--lock-file", "/etc/passwd"]]
)
@pytest.mark.parametrize("script", ["exit 0", "exit 42", "exit 255", "kill -9 $$", "kill -TERM $$", "kill -SEGV $$"])
def test_the_same_exit_status(bwrap, real, isolation, script):
    words = ["--ro-bind", "/", "/", *isolation, "sh", "-c", script]
    assert bwrap.run(*words).returncode == real.run(*words).returncode
