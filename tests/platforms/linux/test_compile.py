"""Plans: the same launch gives the same plan on every system; what cannot be done is refused before anything starts.

The plans of `golden/` are written anew by `BLDR_UPDATE_GOLDEN=1 pytest tests/platforms/linux/test_compile.py`.
"""

import marshal
import os
import pprint
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr.api import (
    TREE_ROOT,
    Input,
    Launch,
    Level,
    Link,
    MadeFile,
    NetworkPolicy,
    Output,
    ProcessPolicy,
    ResourceLimits,
    SandboxSpec,
    StagedTree,
    Temp,
)
from bldr_linux.compile import Host, RefusedError, compile_launch, compile_probe, reached
from bldr_linux.reuse import Compiler

GOLDEN = Path(__file__).parent / "golden"
STORE = "/home/u/.cache/bldr/v1"
USR_LINKS = (("/bin", "usr/bin"), ("/lib", "usr/lib"), ("/lib64", "usr/lib64"), ("/sbin", "usr/sbin"))
ROOT = Host(root=STORE, relative=True, is_root=False, usr_links=USR_LINKS)
USER = Host(root=STORE, relative=False, is_root=False, usr_links=USR_LINKS)
MAPPED_ROOT = Host(root=STORE, relative=False, is_root=True, limits_processes=False, usr_links=USR_LINKS)

STAGE = f"{STORE}/staging/17"
ACTION = Launch(
    launch_id=1,
    argv=("gcc", "-c", "pkg/a.c", "-o", f"{TREE_ROOT}/pkg/a.o"),
    cwd=TREE_ROOT,
    stdin=0,
    stdout=1,
    stderr=2,
    tree=StagedTree(path="/build", lower=f"{STAGE}/lower", upper=f"{STAGE}/upper", work=f"{STAGE}/work"),
    spec=SandboxSpec(
        inputs=(
            Input("/usr", f"{STORE}/sysroots/5f3a/usr"),
            Input("/usr/include"),
            Input("/toolchain", f"{STORE}/sysroots/5f3a/toolchain"),
            Input("/tools", f"{STAGE}/tools"),
        ),
        temps=(Temp("/tmp", 1 << 30),),
        env=(("PATH", "/toolchain/cc/bin"), ("HOME", "/tmp"), ("ROOT", TREE_ROOT)),
        links=(Link("/bin", "usr/bin"), Link("/lib64", "usr/lib64")),
        files=(MadeFile("/etc/passwd", b"builder:x:1000:1000::/tmp:/bin/sh\n"),),
        resources=ResourceLimits(cpu_time_s=3600.0, wall_time_s=60.0, processes=128, output_bytes=1 << 30),
    ),
)
LIBRARY = Launch(
    launch_id=2,
    argv=("make",),
    cwd="/home/u/project",
    stdin=0,
    stdout=1,
    stderr=2,
    spec=SandboxSpec(
        inputs=(Input("/usr"), Input("/home/u/project")),
        outputs=(Output("/home/u/project/out"), Output("/log", "/home/u/log")),
        temps=(Temp("/tmp"), Temp("/home/u/project/.cache")),
        files=(MadeFile("/home/u/project/config", b"x"), MadeFile("/etc/hosts", b"127.0.0.1 localhost\n", 0o400)),
        env=(("PATH", "/usr/bin"),),
        network=NetworkPolicy(host=True),
        process=ProcessPolicy(uid=0, gid=0, hostname="h", umask=0o077, max_children=7, map_caller=True),
    ),
)


def launch(argv=("true",), cwd="/", tree=None, **spec):
    return Launch(launch_id=1, spec=SandboxSpec(**spec), argv=argv, cwd=cwd, stdin=0, stdout=1, stderr=2, tree=tree)


def operations(found, host=USER):
    """What the plan does besides /proc and /dev."""
    system = compile_launch(launch(), host)["operations"][:-1]
    made = compile_launch(found, host)["operations"]
    assert made[: len(system)] == system
    assert made[-1] == ("seal", "/")
    return list(made[len(system) : -1])


@pytest.mark.parametrize(
    ("name", "found", "host"),
    [
        ("action-root", ACTION, ROOT),
        ("action-user", ACTION, USER),
        ("library", LIBRARY, USER),
        ("library-mapped-root", LIBRARY, MAPPED_ROOT),
    ],
)
def test_plans_are_as_reviewed(name, found, host):
    text = pprint.pformat(compile_launch(found, host), width=120, sort_dicts=False) + "\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("BLDR_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_plans_are_plain_data():
    for found, host in ((ACTION, ROOT), (LIBRARY, MAPPED_ROOT)):
        plan = compile_launch(found, host)
        assert marshal.loads(marshal.dumps(plan)) == plan
    assert compile_probe(USER)["argv"] == ()


def test_the_tree_s_root_is_put_in_everywhere():
    tree = StagedTree(path="/build", lower="/l", upper="/u", work="/w")
    found = launch((f"{TREE_ROOT}/x", f"-I{TREE_ROOT}:{TREE_ROOT}"), f"{TREE_ROOT}/sub", tree, env=(("A", TREE_ROOT),))
    plan = compile_launch(found, USER)
    assert plan["argv"] == ("/build/x", "-I/build:/build")
    assert plan["cwd"] == "/build/sub"
    assert plan["env"] == (("A", "/build"), ("BLDR_ROOT", "/build"))


def test_a_tree_without_a_lower_layer_is_shown_itself():
    tree = StagedTree(path="/build", lower="", upper="/u", work="")
    plan = compile_launch(launch(("/build/x",), "/build", tree), USER)
    assert [operation for operation in plan["operations"] if operation[1] == "/build"] == [
        ("bind", "/build", "/u", "rw")
    ]
    assert ("/build", "write") in plan["landlock"]


def test_sources_below_the_root_are_relative_only_where_they_must_be():
    inputs = (Input("/a", f"{STORE}/x"), Input("/b", f"{STORE}x"), Input("/c", STORE))
    assert [op[2] for op in operations(launch(inputs=inputs), ROOT)] == ["x", f"{STORE}x", "."]
    assert [op[2] for op in operations(launch(inputs=inputs), USER)] == [f"{STORE}/x", f"{STORE}x", STORE]


def test_links_of_the_sandbox_are_resolved_in_destinations():
    links = (Link("/lib", "usr/lib"), Link("/usr/lib/up", "../share"), Link("/abs", "/lib/up"))
    inputs = (Input("/lib/x", "/1"), Input("/lib/up/y", "/2"), Input("/abs/z", "/3"))
    places = {op[2]: op[1] for op in operations(launch(inputs=inputs, links=links)) if op[0] == "bind"}
    assert places == {"/1": "/usr/lib/x", "/2": "/usr/share/y", "/3": "/usr/share/z"}


def test_the_same_thing_twice_is_one_thing():
    found = launch(inputs=(Input("/a", "/x"), Input("/a", "/x")))
    assert operations(found) == [("bind", "/a", "/x", "ro")]


def test_usr_of_another_place_brings_no_links():
    assert operations(launch(inputs=(Input("/usr", "/sysroot/usr"),))) == [("bind", "/usr", "/sysroot/usr", "ro")]
    own = operations(launch(inputs=(Input("/usr"),), links=(Link("/bin", "elsewhere"),)))
    assert ("link", "/bin", "elsewhere") in own
    assert ("link", "/sbin", "usr/sbin") in own


REFUSED = {
    "the whole file system": launch(inputs=(Input("/"),)),
    '"/proc/x" cannot be given': launch(temps=(Temp("/proc/x"),)),
    '"/alias/x" cannot be given: /dev': launch(temps=(Temp("/alias/x"),), links=(Link("/alias", "dev"),)),
    '"/proc/1/root" cannot be shown': launch(inputs=(Input("/x", "/proc/1/root"),)),
    'two things are to stand at "/a": a host path (/x) and a temporary directory': launch(
        inputs=(Input("/a", "/x"),), temps=(Temp("/a"),)
    ),
    "lead round in circles": launch(temps=(Temp("/a/x"),), links=(Link("/a", "b"), Link("/b", "a"))),
    "NUL character": launch(("a\0b",)),
    "limited to hosts yet (example.org:443)": launch(network=NetworkPolicy(hosts=("example.org:443",))),
    'the link "/out/x" would be made in the output "/out"': launch(
        outputs=(Output("/out", "/o"),), links=(Link("/out/x", "y"),)
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_done_is_refused(message):
    with pytest.raises(RefusedError) as caught:
        compile_launch(REFUSED[message], USER)
    assert message in caught.value.failure.message


def test_isolation_is_what_is_enforced():
    limits = ResourceLimits(cpu_time_s=1.0, processes=5, output_bytes=5, memory_bytes=5 << 20)
    spec = SandboxSpec(resources=limits)
    assert reached(spec, USER)["processes"] is Level.KERNEL
    # The kernel lets its own root have as many as it likes, and older ones count all processes of the user.
    assert reached(spec, MAPPED_ROOT)["processes"] is Level.NONE
    assert not [limit for limit in compile_launch(launch(resources=limits), MAPPED_ROOT)["limits"] if limit[0] == 6]
    assert reached(spec, USER)["memory"] is Level.SUPERVISED
    alone = msgspec.structs.replace(spec, process=ProcessPolicy(as_pid_1=True))
    assert reached(alone, USER)["memory"] is Level.NONE
    grouped = USER._replace(groups=frozenset({"memory", "processes"}))
    assert reached(spec, grouped)["memory"] is Level.KERNEL
    plan = compile_launch(launch(resources=limits), grouped)
    assert plan["control"] == {"memory": 5 << 20, "processes": 5}
    # One of the two refuses, and it must be the one that tells.
    assert not [limit for limit in plan["limits"] if limit[0] == 6]
    assert "processes" not in plan["bounds"]
    assert reached(SandboxSpec(network=NetworkPolicy(host=True)), USER)["network"] is Level.NONE


names = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.lists(names, unique=True, max_size=8), st.randoms())
def test_whatever_the_order_parents_come_first(paths, random):
    kinds = [random.choice([Input, Temp, MadeFile]) for _ in paths]
    spec = {
        "inputs": tuple(Input(path, "/s") for path, kind in zip(paths, kinds, strict=True) if kind is Input),
        "temps": tuple(Temp(path) for path, kind in zip(paths, kinds, strict=True) if kind is Temp),
        "files": tuple(MadeFile(path, b"") for path, kind in zip(paths, kinds, strict=True) if kind is MadeFile),
    }
    found = operations(launch(**spec))
    shuffled = {name: tuple(random.sample(values, len(values))) for name, values in spec.items()}
    assert operations(launch(**shuffled)) == found
    order = [operation[1] for operation in found]
    assert sorted(order) == sorted(paths)
    for path in order:
        parents = [other for other in order if path.startswith(other + "/")]
        assert all(order.index(parent) < order.index(path) for parent in parents)


@pytest.mark.parametrize("host", [ROOT, USER], ids=["root", "user"])
def test_what_is_kept_and_what_is_made_anew_are_the_whole_plan(host):
    whole = compile_launch(ACTION, host)
    compiler = Compiler(host)
    for _ in range(2):  # the second one is remembered
        compiled = compiler.compile(ACTION, host)
        base, plan = compiled.base, compiled.plan
        parts = [*base["kept"], *base["fresh"], *plan["operations"]]
        assert sorted(part for part in parts if part[0] not in ("point", "freeze")) == sorted(whole["operations"][:-1])
        assert {place for place, _ in (*base["landlock"], *plan["landlock"])} >= {p for p, _ in whole["landlock"]}
        same = whole.keys() - {"operations", "landlock"}
        assert {key: plan[key] for key in same} == {key: whole[key] for key in same}
    assert {name for name, *_ in base["kept"]} <= {"dir", "bind", "device", "link", "file", "point", "freeze"}
    assert {access for name, *_, access in base["kept"] if name == "bind"} == {"ro"}
    assert [operation[:2] for operation in plan["operations"]] == [("overlay", "/build"), ("bind", "/tools")]


@pytest.mark.parametrize(("found", "host"), [(LIBRARY, USER), (LIBRARY, MAPPED_ROOT), (launch(), MAPPED_ROOT)])
def test_nothing_is_kept_of_these(found, host):
    compiled = Compiler(host).compile(found, host)
    assert (compiled.base, compiled.key) == (None, b"")
    assert compiled.plan == compile_launch(found, host)
