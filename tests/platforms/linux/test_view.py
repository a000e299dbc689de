"""What an action sees and has: exactly what the spec says, and the same on every machine."""

import os

import pytest

from bldr.api import TREE_ROOT, Input, Level, Link, MadeFile, NetworkPolicy, Output, ProcessPolicy, ResourceLimits, Temp


def test_the_root_directory_holds_what_was_declared(box):
    entries = {"bin", "build", "dev", "etc", "lib", "lib64", "proc", "sbin", "tmp", "usr"}
    ended = box.sh("ls / /etc; cat /etc/passwd", tree=box.tree(), files=(MadeFile("/etc/passwd", b"builder:x:1000\n"),))
    listed = set(ended.out.split()) - {"/:", "/etc:", "passwd", "builder:x:1000"}
    assert listed <= entries
    assert {"build", "dev", "etc", "proc", "tmp", "usr"} <= listed
    assert ended.out.endswith("builder:x:1000\n")


def test_devices(box):
    ended = box.sh(
        "ls /dev; ls /dev/pts; echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c"
    )
    names = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero ptmx 3 3"
    assert ended.out.split() == names.split()
    assert box.sh("echo x > /dev/full").exit_code != 0
    assert box.sh("echo shared > /dev/shm/x; cat /dev/shm/x").out == "shared\n"


def test_terminals_of_its_own(box):
    program = "import os, pty; a, b = pty.openpty(); os.write(a, b'x\\n'); print(os.ttyname(b), os.read(b, 9))"
    assert box.run("python3", "-c", program).out == "/dev/pts/0 b'x\\n'\n"


def test_the_environment_is_exactly_the_spec_s(box):
    ended = box.run("env", env=(("B", "two words"), ("A", ""), ("PATH", "/usr/bin")))
    assert sorted(ended.out.splitlines()) == ["A=", "B=two words", "PATH=/usr/bin"]


def test_the_tree_has_one_path_everywhere(box):
    tree = box.tree({"pkg/a.txt": "content"})
    env = (("WHERE", f"{TREE_ROOT}/pkg"), ("PATH", "/usr/bin"))
    ended = box.run(
        "sh",
        "-c",
        f'pwd; echo "$WHERE $BLDR_ROOT"; cat {TREE_ROOT}/pkg/a.txt',
        tree=tree,
        env=env,
        cwd=f"{TREE_ROOT}/pkg",
    )
    assert ended.out == "/build/pkg\n/build/pkg /build\ncontent"


def test_without_a_tree_the_token_is_ordinary_text(box):
    assert box.run("echo", TREE_ROOT).out == f"{TREE_ROOT}\n"


def test_who_the_action_is(box):
    script = "id -u; id -g; id -G; hostname; umask; cat /proc/sys/kernel/domainname"
    policy = ProcessPolicy(uid=1000, gid=1000, hostname="bldr", umask=0o022)
    assert box.sh(script, process=policy).out.split() == ["1000", "1000", "1000", "bldr", "0022", "(none)"]
    policy = ProcessPolicy(uid=0, gid=7, hostname="other", umask=0o077)
    assert box.sh(script, process=policy).out.split() == ["0", "7", "7", "other", "0077", "(none)"]


def test_processes_are_its_own(box):
    assert box.sh("for p in /proc/[0-9]*; do echo ${p##*/}; done").out.split() == ["1", "2"]
    session = box.sh("cut -d' ' -f5,6 /proc/2/stat; cut -d' ' -f7 /proc/2/stat").out.split()
    assert session == ["2", "2", "0"]


def test_signals_are_at_their_defaults(box):
    """Python ignores SIGPIPE and SIGXFSZ, and the launcher blocks two more: none of it may be inherited.

    glibc's own two signals are ignored in every process that its `posix_spawn` starts.
    """
    status = dict(line.split(":", 1) for line in box.run("cat", "/proc/self/status").out.splitlines())
    of_glibc = 0b11 << 31
    assert {int(status[name], 16) & ~of_glibc for name in ("SigBlk", "SigIgn", "SigCgt")} == {0}


def test_namespaces_are_all_its_own(box):
    names = sorted(set(os.listdir("/proc/self/ns")) - {"pid_for_children", "time", "time_for_children"})
    ended = box.sh(f"cd /proc/self/ns; for n in {' '.join(names)}; do readlink $n; done")
    assert not set(ended.out.splitlines()) & {os.readlink(f"/proc/self/ns/{name}") for name in names}


def test_the_network_is_a_loopback(box):
    assert box.sh("tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/net/route | tail -n +2").out.split() == ["lo"]


def test_the_host_s_network_on_demand(box):
    ended = box.sh("readlink /proc/self/ns/net", network=NetworkPolicy(host=True))
    assert ended.out.strip() == os.readlink("/proc/self/ns/net")
    assert ended.exit.isolation["network"] is Level.NONE


def test_inputs_are_read_only_with_all_below_them(box):
    source = box.directory("source", 0o777, own=True)
    (source / "file").write_text("kept")
    (source / "file").chmod(0o666)
    attempts = (": > /in/new", ": > /in/file", ": > /usr/new", "touch /in/file", "chmod 600 /in/file")
    script = "; ".join(f"({attempt}) 2>/dev/null && exit 7" for attempt in attempts) + "; cat /in/file"
    ended = box.sh(script, more_inputs=(Input("/in", str(source)),))
    assert (ended.exit_code, ended.out) == (0, "kept")


def test_a_single_file_as_input(box):
    source = box.root / "source"
    source.write_text("one file")
    assert box.run("cat", "/deep/down/file", more_inputs=(Input("/deep/down/file", str(source)),)).out == "one file"


def test_outputs_are_written_through(box):
    place = box.directory("output", own=True)
    (place / "file").write_text("old")
    if box.launcher.owner:
        os.chown(place / "file", *box.launcher.owner)
    outputs = (Output("/out", str(place)), Output("/single", str(place / "file")))
    ended = box.sh("echo new > /single; echo made > /out/made", outputs=outputs)
    assert ended.exit_code == 0, ended
    assert ((place / "file").read_text(), (place / "made").read_text()) == ("new\n", "made\n")


def test_temporary_directories_are_bounded_and_gone(box):
    temps = (Temp("/tmp", 1 << 20), Temp("/scratch"))
    assert box.sh("echo x > /tmp/x; echo y > /scratch/y; ls -a /tmp /scratch | wc -l", temps=temps).exit_code == 0
    assert box.sh("ls /tmp", temps=temps).out == ""
    full = box.sh("head -c 2000000 /dev/zero > /tmp/big", temps=temps)
    assert full.exit_code != 0
    assert "No space left" in full.err
    many = box.sh("i=0; while [ $i -lt 2000 ]; do : > /tmp/$i; i=$((i+1)); done", temps=temps)
    assert "No space left" in many.err
    limited = box.sh(
        "head -c 2000000 /dev/zero > /scratch/big", temps=temps, resources=ResourceLimits(disk_bytes=1 << 20)
    )
    assert "No space left" in limited.err


def test_usr_brings_the_links_of_the_root_directory_along(box):
    linked = [name for name in ("bin", "lib", "lib64", "sbin") if os.path.islink(f"/{name}")]
    if not linked:
        pytest.skip("this machine's /bin and /lib are directories of their own")
    for name in linked:
        assert box.run("readlink", f"/{name}").out.strip() == os.readlink(f"/{name}")
    assert box.run("/bin/sh", "-c", "echo ran").out == "ran\n"


def test_links_and_what_lies_behind_them(box):
    source = box.root / "source"
    source.write_text("behind")
    links = (Link("/alias", "real/place"), Link("/top", "/alias"))
    ended = box.sh(
        "readlink /alias; cat /real/place/x /top/x", links=links, more_inputs=(Input("/alias/x", str(source)),)
    )
    assert ended.out == "real/place\nbehindbehind"


def test_files_can_be_laid_over_inputs(box):
    source = box.directory("etc")
    (source / "passwd").write_text("the host's")
    (source / "other").write_text("other")
    files = (MadeFile("/etc/passwd", b"made", 0o444),)
    ended = box.sh("cat /etc/passwd /etc/other; ls /", more_inputs=(Input("/etc", str(source)),), files=files)
    assert ended.out.startswith("madeother")
    assert ".bldr" not in ended.out
    assert (source / "passwd").read_text() == "the host's"


def test_made_files_cannot_be_changed(box):
    attempts = (": > /etc/x", "chmod 666 /etc/x", "rm -f /etc/x", "mv /etc/x /etc/y")
    script = "; ".join(f"({attempt}) 2>/dev/null && exit 7" for attempt in attempts) + "; true"
    assert box.sh(script, files=(MadeFile("/etc/x", b"made"),)).exit_code == 0


def test_bytes_that_are_not_text_survive(box):
    name = os.fsdecode(b"\xff\xfe")
    tree = box.tree({name: "odd"})
    ended = box.run("cat", name, tree=tree, env=(("PATH", "/usr/bin"), ("ODD", name)))
    assert ended.out == "odd"


def test_isolation_is_recorded(box, sandbox):
    isolation = box.run("true").exit.isolation
    assert isolation.pop("wall-time") is Level.SUPERVISED
    assert set(isolation.values()) == {Level.KERNEL}
    limits = ResourceLimits(cpu_time_s=60, processes=100, output_bytes=1 << 30, memory_bytes=1 << 30)
    reached = box.run("true", resources=limits).exit.isolation
    assert (reached["cpu"], reached["output"], reached["file-size"]) == (
        Level.SUPERVISED,
        Level.SUPERVISED,
        Level.KERNEL,
    )
    assert reached["memory"] is sandbox.probe().isolation["memory"]


@pytest.mark.full
@pytest.mark.parametrize(
    ("command", "printed"),
    [
        (("gcc", "--version"), "gcc"),
        (("node", "-e", "setTimeout(() => console.log(require('os').cpus().length > 0), 10)"), "true"),
        (("java", "-Xint", "-version"), ""),
        (("python3", "-c", "import multiprocessing as m; print(m.Pool(2).map(abs, [-1]))"), "[1]"),
    ],
    ids=["gcc", "node", "java", "python3"],
)
def test_real_programs_live_with_it(box, command, printed):
    if not os.path.exists(f"/usr/bin/{command[0]}"):
        pytest.skip(f"there is no /usr/bin/{command[0]}")
    roots = [Input(path) for path in ("/etc/alternatives", "/etc/java-17-openjdk") if os.path.isdir(path)]
    ended = box.run(*command, more_inputs=tuple(roots), resources=ResourceLimits(processes=128))
    assert ended.exit_code == 0, ended
    assert printed in ended.out
