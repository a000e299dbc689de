"""A build on a machine that has nothing of what Linux alone has, as macOS."""

import os
import subprocess
import sys

import pytest

HIDE = """
import os, select, sys
for module, names in (
    (os, "pipe2 pidfd_open eventfd eventfd_read eventfd_write listxattr getxattr setxattr removexattr O_PATH O_TMPFILE "
         "sched_getaffinity sched_setaffinity copy_file_range splice memfd_create posix_fallocate posix_fadvise "
         "unshare setns getrandom"),
    (select, "epoll EPOLLIN"),
):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

def sendfile(*_):
    raise OSError(38, "Socket operation on non-socket")

os.sendfile = sendfile
opened = os.open

def open_outside_of_proc(path, *rest, **more):
    if str(path).startswith("/proc/"):
        raise FileNotFoundError(2, "No such file or directory", path)
    return opened(path, *rest, **more)

os.open = open_outside_of_proc
sys.argv[0] = "bldr"
from bldr.cli.main import main
raise SystemExit(main())
"""
BUILDERFILE = """
[workspace]
name = "demo"

[target.small]
type = "command"
sources = ["in.txt"]
outputs = ["small.txt", "tree/"]
command = 'mkdir -p tree/deep; cp in.txt small.txt; cp in.txt tree/deep/copy; chmod +x tree/deep/copy'

[target.large]
type = "command"
outputs = ["large.bin"]
command = 'head -c 20000000 /dev/zero > large.bin'

[target.test]
type = "test"
deps = [":small"]
command = 'grep -q text $DEPS'
"""


@pytest.mark.posix("what a Mac has")
def test_builds_tests_and_tidying_need_nothing_that_linux_alone_has(tmp_path):
    (tmp_path / "Builderfile").write_text(BUILDERFILE)
    (tmp_path / "in.txt").write_text("text\n")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("BLDR_", "BUILDER_"))}
    env["BLDR_CACHE_DIR"] = str(tmp_path / "cache")
    env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)

    def bldr(*words):
        command = [sys.executable, "-c", HIDE, *words]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    assert "3 ran, 0 cached" in bldr("test", "--isolation=none", "//...")
    assert "0 ran" in bldr("test", "--isolation=none", "//...")
    assert (tmp_path / "bldr-out/tree/deep/copy").read_text() == "text\n"
    assert os.access(tmp_path / "bldr-out/tree/deep/copy", os.X_OK)
    assert (tmp_path / "bldr-out/large.bin").stat().st_size == 20_000_000
    bldr("clean")
    assert "0 ran" in bldr("build", "--isolation=none", "//...")
    assert (tmp_path / "bldr-out/large.bin").stat().st_size == 20_000_000
    assert "all is well" in bldr("verify")
    bldr("gc")
