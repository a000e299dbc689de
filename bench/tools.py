"""Build tools: one graph of tiny actions in the language of each, and what it takes to build it clean, null or edited.

An action is `cat source dep > out`; chains are ten long, packages hold a hundred targets.
"""

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import peers
from measure import Sample, run_command

DEPTH = 10
PACKAGE_TARGETS = 100
JOBS = f"-j{os.cpu_count() or 1}"


class Node(NamedTuple):
    """One action: reads `source` and, except at the start of a chain, what the action before it made."""

    package: str
    name: str
    dep: str  # name, in the same package; "" at the start of a chain

    @property
    def source(self) -> str:
        return f"{self.package}/{self.name}.txt"


def nodes(targets: int) -> Iterator[Node]:
    """A graph of so many targets."""
    for index in range(targets):
        place = index % PACKAGE_TARGETS
        dep = f"t{place - 1}" if place % DEPTH else ""
        yield Node(f"p{index // PACKAGE_TARGETS}", f"t{place}", dep)


class Tool(ABC):
    """One tool in a directory of its own. `program` is what it needs on the machine; outputs stand under `out/`."""

    name = ""
    program = ""

    def __init__(self, directory: str, targets: int) -> None:
        self.directory = os.path.join(directory, self.name)
        self.targets = targets
        self._edits = 0
        self._put_aside = 0

    def write(self) -> None:
        """The source of every node, all of them different, and what describes the graph."""
        for node in nodes(self.targets):
            write(os.path.join(self.directory, node.source), f"{node.source}\n")
        self.describe()

    @abstractmethod
    def describe(self) -> None:
        """Write the file that tells the tool of the graph."""

    @abstractmethod
    def argv(self) -> list[str]:
        """The build; the first word is the program's path."""

    def build(self) -> Sample:
        return run_command(self.argv(), self.directory, self.output)

    @property
    def output(self) -> str:
        """The file that has what the last build printed; outside, where nobody watches."""
        return f"{self.directory}.output"

    def forget(self) -> None:
        """Before a clean build: nothing is left of the last one."""
        self.put_aside("out")

    def edit(self) -> None:
        """Before a build of one action: the last of a chain has another text, new every time."""
        self._edits += 1
        with open(os.path.join(self.directory, f"p0/t{DEPTH - 1}.txt"), "a", encoding="utf-8") as file:
            file.write(f"edit {self._edits} of process {os.getpid()}\n")

    def close(self) -> None:
        """End what outlives a build, and remove what was put aside."""
        shutil.rmtree(self._aside, ignore_errors=True)

    @property
    def _aside(self) -> str:
        return f"{self.directory}-aside"

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def put_aside(self, *names: str) -> None:
        """Files or directories, whether they are there or not, are out of the way until the race is over.

        Not removed: an ext4 without a journal looks at every inode that was removed in the last minutes before it
        takes one, and then it is that which is timed.
        """
        os.makedirs(self._aside, exist_ok=True)
        for name in names:
            if os.path.lexists(self.path(name)):
                self._put_aside += 1
                os.rename(self.path(name), os.path.join(self._aside, str(self._put_aside)))


class Ninja(Tool):
    """Runs its commands as they are, and knows what is up to date by time stamps."""

    name = program = "ninja"

    def describe(self) -> None:
        lines = ["rule cat", "  command = cat $in > $out"]
        for node in nodes(self.targets):
            dep = f" out/{node.package}/{node.dep}" if node.dep else ""
            lines.append(f"build out/{node.package}/{node.name}: cat {node.source}{dep}")
        write(self.path("build.ninja"), "\n".join([*lines, ""]))

    def argv(self) -> list[str]:
        return [peers.find("ninja"), JOBS]

    def forget(self) -> None:
        self.put_aside("out", ".ninja_log", ".ninja_deps")


class Make(Tool):
    """As ninja does. The directories of outputs are made beforehand, which ninja does by itself."""

    name = program = "make"

    def describe(self) -> None:
        lines = ["MAKEFLAGS += -rR", "all:"]
        for node in nodes(self.targets):
            output = f"out/{node.package}/{node.name}"
            dep = f" out/{node.package}/{node.dep}" if node.dep else ""
            lines += [f"all: {output}", f"{output}: {node.source}{dep}", "\t@cat $^ > $@"]
        write(self.path("Makefile"), "\n".join([*lines, ""]))
        self._make_directories()

    def argv(self) -> list[str]:
        return [peers.find("make"), "-s", JOBS]

    def forget(self) -> None:
        self.put_aside("out")
        self._make_directories()

    def _make_directories(self) -> None:
        for package in {node.package for node in nodes(self.targets)}:
            os.makedirs(self.path(f"out/{package}"), exist_ok=True)


class Tup(Tool):
    """Watches what commands read, by FUSE."""

    name = program = "tup"

    def describe(self) -> None:
        lines = []
        for node in nodes(self.targets):
            dep = f" out/{node.package}/{node.dep}" if node.dep else ""
            lines.append(f": {node.source}{dep} |> cat %f > %o |> out/{node.package}/{node.name}")
        write(self.path("Tupfile"), "\n".join([*lines, ""]))
        self.forget()

    def argv(self) -> list[str]:
        return [peers.find("tup"), JOBS]

    def forget(self) -> None:
        self.put_aside("out", ".tup")
        run_command([peers.find("tup"), "init"], self.directory)


class Doit(Tool):
    """Tasks in Python, up to date by checksums."""

    name = program = "doit"

    def describe(self) -> None:
        text = f"""\
import os
DOIT_CONFIG = {{"verbosity": 0, "reporter": "zero"}}
def task_cat():
    for index in range({self.targets}):
        package, place = f"p{{index // {PACKAGE_TARGETS}}}", index % {PACKAGE_TARGETS}
        inputs = [f"{{package}}/t{{place}}.txt"] + [f"out/{{package}}/t{{place - 1}}"] * bool(place % {DEPTH})
        output = f"out/{{package}}/t{{place}}"
        os.makedirs(os.path.dirname(output), exist_ok=True)
        yield {{"name": output, "actions": [f"cat {{' '.join(inputs)}} > {{output}}"],
               "file_dep": inputs, "targets": [output]}}
"""
        write(self.path("dodo.py"), text)

    def argv(self) -> list[str]:
        return [peers.find("doit"), "-n", JOBS[2:]]

    def forget(self) -> None:
        self.put_aside("out", *(name for name in os.listdir(self.directory) if name.startswith(".doit")))


class Scons(Tool):
    """Builders in Python, up to date by checksums."""

    name = program = "scons"

    def describe(self) -> None:
        text = f"""\
env = Environment(tools=[])
for index in range({self.targets}):
    package, place = f"p{{index // {PACKAGE_TARGETS}}}", index % {PACKAGE_TARGETS}
    inputs = [f"{{package}}/t{{place}}.txt"] + [f"out/{{package}}/t{{place - 1}}"] * bool(place % {DEPTH})
    env.Command(f"out/{{package}}/t{{place}}", inputs, "@cat $SOURCES > $TARGET")
"""
        write(self.path("SConstruct"), text)

    def argv(self) -> list[str]:
        return [peers.find("scons"), "-Q", "-s", JOBS]

    def forget(self) -> None:
        self.put_aside("out", ".sconsign.dblite")


class Bazel(Tool):
    """Sandboxed, without a network as ours, with a warm server: the clean builds of a race begin with one that is not
    timed."""

    name = program = "bazel"

    def describe(self) -> None:
        write(self.path("WORKSPACE"), "")
        packages: dict[str, list[str]] = {}
        for node in nodes(self.targets):
            dep = f', "{node.dep}.out"' if node.dep else ""
            packages.setdefault(node.package, []).append(
                f'genrule(name="{node.name}", srcs=["{node.name}.txt"{dep}], '
                f'outs=["{node.name}.out"], cmd="cat $(SRCS) > $@")'
            )
        for package, rules in packages.items():
            write(self.path(f"{package}/BUILD"), "\n".join([*rules, ""]))

    def argv(self) -> list[str]:
        sandbox = ["--spawn_strategy=linux-sandbox", "--nosandbox_default_allow_network"]
        return [*self._startup(), "build", *sandbox, f"--jobs={JOBS[2:]}", "//..."]

    def forget(self) -> None:
        run_command([*self._startup(), "clean"], self.directory)

    def close(self) -> None:
        super().close()
        run_command([*self._startup(), "shutdown"], self.directory)
        subprocess.run(
            ["chmod", "-R", "u+w", f"{self.directory}-root"], check=True
        )  # its outputs cannot be removed otherwise

    def _startup(self) -> list[str]:
        return [peers.find("bazel"), f"--output_user_root={self.directory}-root", "--max_idle_secs=600"]


class Bldr(Tool):
    """Every action in a sandbox of its own, with `--hermetic`."""

    name = "bldr"

    def __init__(self, directory: str, targets: int) -> None:
        super().__init__(directory, targets)
        self.cache = os.path.join(directory, "cache")
        self.warm = os.path.join(directory, "warm-cache")

    def write(self) -> None:
        super().write()
        self.warm_up()

    def warm_up(self) -> None:
        """Have a cache that knows the toolchains."""
        warm_up(self.warm)
        self.forget()

    def describe(self) -> None:
        write(self.path("Builderfile"), '[workspace]\nname = "bench"\n')
        tables: dict[str, list[str]] = {}
        for node in nodes(self.targets):
            table = [
                f"[target.{node.name}]",
                'type = "command"',
                f'sources = ["{node.name}.txt"]',
                f'outputs = ["{node.name}.out"]',
                'command = "cat $SRCS $DEPS > $OUT"',
                *([f'deps = [":{node.dep}"]'] if node.dep else []),
                "",
            ]
            tables.setdefault(node.package, []).extend(table)
        for package, lines in tables.items():
            write(self.path(f"{package}/Builderfile"), "\n".join(lines))

    def argv(self) -> list[str]:
        return [peers.bldr(), "build", "--hermetic", JOBS, "--cache-dir", self.cache, "//..."]

    def forget(self) -> None:
        """Every result goes, but not the toolchains: those are found once on a machine, not in every clean build."""
        self.put_aside("bldr-out", self.cache)
        subprocess.run(["cp", "-a", self.warm, self.cache], check=True)  # keeps the hard links

    def fresh(self) -> "Checkout":
        """The same sources in another directory, and the same cache."""
        return Checkout(self)


class Checkout:
    """A checkout that nobody built in: a new directory every time, so that nothing is known of its files."""

    def __init__(self, original: Bldr) -> None:
        self._original = original
        self._number = 0
        self._directory = ""

    def prepare(self) -> None:
        """Copy the sources; not timed."""
        if self._directory:
            self._original.put_aside(self._directory)
        self._number += 1
        self._directory = f"{self._original.directory}-checkout-{self._number}"
        os.mkdir(self._directory)
        names = [name for name in os.listdir(self._original.directory) if name != "bldr-out"]
        subprocess.run(["cp", "-r", *names, self._directory], cwd=self._original.directory, check=True)

    def build(self) -> Sample:
        return run_command(self._original.argv(), self._directory, self._original.output)


def warm_up(cache: str, *, c: bool = False) -> None:
    """A cache that knows the toolchains of this machine and nothing else; the compiler only with `c`."""
    workspace = f"{cache}-workspace"
    write(os.path.join(workspace, "Builderfile"), _WARM + (_WARM_C if c else ""))
    write(os.path.join(workspace, "warm.c"), "int main(void) { return 0; }\n")
    argv = [peers.bldr(), "build", "--hermetic", "--cache-dir", cache, "//..."]
    run_command(argv, workspace, f"{workspace}.output")
    shutil.rmtree(workspace)


_WARM = """\
[workspace]
name = "warm"

[target.warm]
type = "command"
outputs = ["warm"]
command = "echo > $OUT"
"""
_WARM_C = """
[target.warm-c]
type = "executable"
language = "c"
sources = ["warm.c"]
"""


def write(path: str, text: str) -> None:
    """A file, and the directories above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
