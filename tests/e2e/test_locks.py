"""Lock files from a registry on loopback to a build: what is fetched, when, and what an action sees of it."""

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile
import textwrap

import pytest

PLUGIN = '''
import json, os
from bldr.api import Locked, LockError, hook

class Toy:
    """Each package is one line: name, version, digest. Its targets: one for each, and all of them."""

    name = "toy"
    file_names = ("toy.lock",)
    environment = ("TOY_REGISTRY",)
    version = 1
    beside = ("toy.extra",)

    def read(self, lock):
        registry = lock.env.get("TOY_REGISTRY", "https://registry.invalid")
        packages = []
        for number, line in enumerate(lock.text.splitlines(), 1):
            if line.count(" ") != 2:
                raise LockError("this is no line of a toy", "write name, version and digest", line=number)
            name, version, digest = line.split()
            kind = ".jar" if name == "jar" else ".tgz"
            packages.append(Locked(
                name=f"{name} {version}",
                urls=(f"{registry}/old/{name}{kind}", f"{registry}/{name}-{version}{kind}"),
                digest=digest,
                path=f"{name}-{version}" if kind == ".tgz" else "org/jar.jar",
                unpack=kind == ".tgz",
                strip_prefix="*" if kind == ".tgz" else "",
            ))
        return tuple(packages)

    def builderfile(self, packages, tree, lock):
        assert not lock.env and not any(package.urls for package in packages)
        targets = {}
        for package in packages:
            name = package.name.split()[0]
            sources = [f"{package.path}/**"] if package.unpack else [package.path]
            assert package.unpack == (package.path + "/" in tree.names(os.path.dirname(package.path)))
            command = "cat $SRCS > $OUT"
            if package.unpack:
                command = tree.read(package.path + "/how").decode() + lock.options.get("more", "")
            targets[name] = {
                "type": "command", "sources": sources, "outputs": (f"{name}.txt",), "command": command,
                "visibility": "public",
            }
        if "toy.extra" in lock.beside:
            targets.update(json.loads(lock.beside["toy.extra"]))
        return {"target": targets}

@hook
def bldr_locks():
    return [Toy]
'''
TARGETS = """
    [external.toys]
    lock = "toy.lock"

    [target.whole]
    type = "command"
    sources = ["@toys//:a", "@toys//:b", "@toys//:jar"]
    outputs = ["whole.txt"]
    command = "cat $SRCS > $OUT"
"""


def packed(top, **files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            header = tarfile.TarInfo(f"{top}/{name}")
            header.size = len(text)
            tar.addfile(header, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


def pinned(content, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


A = packed("odd name", text="a\n", how="cat external/toys/a-1/text > $OUT")
A2 = packed("package", text="a two\n", how="cat external/toys/a-2/text > $OUT")
B = packed("package", text="b\n", how="cat external/toys/b-1/text > $OUT")
JAR = b"a jar\n"
LOCK = f"a 1 {pinned(A)}\nb 1 {pinned(B, 'sha512')}\njar 1 {pinned(JAR)}\n"


@pytest.fixture
def toys(project, tmp_path, mirror):
    """A workspace with a lock file, the registry that has its packages, and the environment for both."""
    info = tmp_path / "site/toys-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[bldr]\ntoys = toy_locks\n")
    (info.parent / "toy_locks.py").write_text(PLUGIN)
    for path, content in {"/a-1.tgz": A, "/a-2.tgz": A2, "/b-1.tgz": B, "/jar-1.jar": JAR}.items():
        mirror.serve(path, content)
    made = project({"Builderfile": textwrap.dedent(TARGETS), "toy.lock": LOCK})
    search = os.pathsep.join([str(info.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    made.variables = {**mirror.env, "PYTHONPATH": search, "TOY_REGISTRY": mirror.url}
    made.env = lambda **more: {**type(made).env(made), **made.variables, **more}
    return made


def test_a_lock_file_and_its_change(toys, mirror):
    built = toys.build("//...")
    assert built.exit_code == 0, built
    assert toys.out("whole.txt").read_text() == "a\nb\na jar\n"
    assert sorted(mirror.requests) == [
        "/a-1.tgz", "/b-1.tgz", "/jar-1.jar", "/old/a.tgz", "/old/b.tgz", "/old/jar.jar",
    ]  # fmt: skip
    # Where it comes from is no part of what it is.
    again = toys.build("//...", env={"TOY_REGISTRY": "https://elsewhere.invalid"})
    assert (again.exit_code, again.ran) == (0, []), again
    assert len(mirror.requests) == 6
    # What is new is fetched, and what it reaches is built.
    (toys.root / "toy.lock").write_text(LOCK.replace(f"a 1 {pinned(A)}", f"a 2 {pinned(A2)}"))
    changed = toys.build("//...")
    assert changed.ran == ["Command //:whole", "Command @toys//:a"], changed
    assert toys.out("whole.txt").read_text() == "a two\nb\na jar\n"
    assert mirror.requests[6:] == ["/old/a.tgz", "/a-2.tgz"]
    (toys.root / "toy.lock").write_text(LOCK)
    mirror.stop()
    assert toys.build("//...", "--offline").ran == []


def test_queries_and_fetching_ahead(toys, mirror):
    lost = toys.bldr("query", "--offline", "@toys//...")
    assert 'external "toys": ' in lost.stderr, lost
    assert "was not fetched yet, and this build is offline" in lost.stderr
    listed = toys.bldr("fetch")
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    assert names == ["toys/a-1", "toys/b-1", "toys/org/jar.jar"], listed
    mirror.stop()
    assert toys.bldr("query", "@toys//...").stdout.split() == ["@toys//:a", "@toys//:b", "@toys//:jar"]
    assert toys.build("--offline", "@toys//...").ran == [f"Command @toys//:{name}" for name in ("a", "b", "jar")]
    assert "up to date" in toys.bldr("explain", "@toys//:a").stdout


def test_options_and_files_beside_decide(toys):
    toys.build("//...")
    target = {"type": "command", "outputs": ["extra.txt"], "command": "echo $0 > $OUT"}
    (toys.root / "toy.extra").write_text(json.dumps({"extra": target}))
    assert toys.bldr("query", "@toys//...").stdout.split()[2] == "@toys//:extra"
    text = (toys.root / "Builderfile").read_text()
    (toys.root / "Builderfile").write_text(
        text.replace('lock = "toy.lock"', 'lock = "toy.lock"\noptions = { more = "; echo more >> $OUT" }')
    )
    assert toys.build("//:whole").ran == ["Command //:whole", "Command @toys//:a", "Command @toys//:b"]
    assert toys.out("whole.txt").read_text() == "a\nmore\nb\nmore\na jar\n"


def test_a_file_that_is_not_the_pinned_one(toys, mirror):
    mirror.serve("/b-1.tgz", B + b"x")
    failed = toys.build("//...")
    assert failed.exit_code == 1, failed
    assert f'external "toys": b 1: "{mirror.url}/b-1.tgz" has not the pinned hash: expected sha512' in failed.stderr
    assert "find out why the file changed" in failed.stderr
    mirror.serve("/b-1.tgz", B)
    assert toys.build("//...").exit_code == 0


MISTAKES = [
    ("a 1\n", "{}", 'toy.lock:1:1: external "toys": this is no line of a toy\n'),
    ("a 1 md5:00\n", "{}", 'toy.lock: external "toys": a 1: "md5:00" is no digest that is known'),
    (f"../a 1 {pinned(A)}\n", "{}", 'it would stand at "../a-1", which is no path below the tree'),
    (f"a 1 {pinned(A)}\na 1 {pinned(A)}\n", "{}", 'a 1 and a 1 would both stand at "a-1"'),
    (LOCK, '{"c": {"type": "comand"}}', 'the plugin toys wrote a Builderfile with a mistake: target "c": '
                                        'unknown type "comand"'),
    (LOCK, '{"c\\u0000": {}}', 'the Builderfile that the plugin toys wrote for "toy.lock" holds a NUL'),
    (LOCK, "[1]", 'the plugin toys cannot describe "toy.lock": TypeError'),
]  # fmt: skip


def test_mistakes_of_lock_files_and_of_plugins(toys):
    toys.bldr("fetch")
    for lock, extra, message in MISTAKES:
        (toys.root / "toy.lock").write_text(lock)
        (toys.root / "toy.extra").write_text(extra)
        failed = toys.bldr("query", "@toys//...")
        assert failed.exit_code == 2, failed
        assert message in failed.stderr, failed


BREACHES = {
    "raise SystemExit(0)": 'the plugin toys cannot read "toy.lock": SystemExit: 0\n',
    "return self.read(lock)": 'the plugin toys cannot read "toy.lock": RecursionError: maximum recursion depth',
    'return [{"name": "x"}]': 'what the plugin toys read of "toy.lock" are no packages: Object missing required field',
    "return [print]": 'what the plugin toys read of "toy.lock" are no packages: ',
    'os.chdir("/"); return ()': 'the plugin toys changed the working directory when it was to read "toy.lock"\n',
}


def test_a_plugin_that_breaks_its_contract_on_a_lock_file(toys, tmp_path):
    plugin = tmp_path / "site/toy_locks.py"
    for body, message in BREACHES.items():
        plugin.write_text(PLUGIN.replace("def read(self, lock):", f"def read(self, lock):\n        {body}"))
        failed = toys.bldr("query", "@toys//...", env={"PYTHONDONTWRITEBYTECODE": "1"})
        assert failed.exit_code == 2, failed
        assert f'error: external "toys": {message}' in failed.stderr, failed
        assert "hint: report it to the authors of toys" in failed.stderr, failed
    plugin.write_text(PLUGIN.replace("def read(self, lock):", 'def read(self, lock):\n        print("noise")'))
    printed = toys.bldr("query", "@toys//...", env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert "noise" in printed.stderr, printed
    assert printed.stdout.split() == ["@toys//:a", "@toys//:b", "@toys//:jar"], printed


def test_damage_is_mended_and_death_leaves_nothing(toys, mirror, until):
    """Killed while it fetches, asked by two at once, and a tree that somebody wrote to."""
    until_here = len(mirror.requests)
    victim = subprocess.Popen(toys.command("fetch"), cwd=toys.root, env=toys.env(), stdout=subprocess.DEVNULL)
    until(lambda: len(mirror.requests) > until_here)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    two = [
        subprocess.Popen(toys.command("fetch"), cwd=toys.root, env=toys.env(), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = (process.communicate()[0] for process in two)
    assert first == second != ""
    leftovers = [path.name for path in toys.cache.rglob(".partial-*")]
    assert leftovers == []
    (line,) = [line for line in first.splitlines() if line.startswith("toys/a-1 ")]
    text = os.path.join(line.split()[1], "text")
    os.chmod(text, 0o644)
    with open(text, "w") as file:
        file.write("evil\n")
    mirror.stop()
    verified = toys.bldr("verify")
    assert (verified.exit_code, verified.stdout.splitlines()[0]) == (
        6, 'external "toys": a 1: "text" has the mode 100644 instead of 100444',
    ), verified  # fmt: skip
    built = toys.build("--offline", "//...")
    assert built.exit_code == 0, built
    assert toys.out("whole.txt").read_text() == "a\nb\na jar\n"
    assert 'external "toys": a 1 was damaged and is unpacked again' in built.stderr
    assert toys.bldr("verify").exit_code == 0
