"""What a launch may do in terms of the host: every path by all of its names, and a launch's own as parameters."""

import pytest
from seatbelt import Profile

from bldr.api import (
    Bridge,
    Input,
    Launch,
    MadeFile,
    NetworkPolicy,
    Output,
    ProcessPolicy,
    SandboxSpec,
    StagedTree,
    Temp,
)
from bldr_macos.host import Resolved
from bldr_macos.permission import Permissions, refuse_clashes
from bldr_macos.profile import Place, make_profile
from bldr_macos.sbpl import Param
from bldr_unmounted.confinement import RefusedError, Scratch

ROOT = "/Users/me/Library/Caches/bldr/v1"


class Mac:
    """A host as a Mac is, with the files that a test says."""

    def __init__(self, links=(), files=()):
        self._links = {"/tmp": "/private/tmp", "/var": "/private/var", "/etc": "/private/etc", **dict(links)}
        self._files = dict.fromkeys(files, b"") if not isinstance(files, dict) else files
        self.asked = 0

    def resolve(self, path):
        links = []
        while (found := next((link for link in self._links if f"{path}/".startswith(f"{link}/")), None)) is not None:
            links.append(found)
            path = self._links[found] + path[len(found) :]
        return Resolved(path, tuple(links))

    def files_below(self, directory):
        self.asked += 1
        return sorted(path[len(directory) + 1 :] for path in self._files if path.startswith(f"{directory}/"))

    def is_copy(self, path, source):
        return path in self._files and self._files[path] == self._files.get(source)

    def user_directories(self):
        return ("/private/var/folders/zz/abc/T",)


def permissions(host=None, *, root=ROOT, loopback=False, case_insensitive=True):
    return Permissions(host or Mac(), root, f"{root}/profiles-1", loopback=loopback, case_insensitive=case_insensitive)


def launch(tree=None, **sets):
    return Launch(
        launch_id=1, spec=SandboxSpec(**sets), argv=("true",), cwd="/", stdin=0, stdout=1, stderr=2, tree=tree
    )


def staged(number, root=ROOT):
    stage = f"{root}/staging/p/{number}"
    return StagedTree("/build", f"{stage}/lower", f"{stage}/upper", f"{stage}/work")


NO_SCRATCH = Scratch("", {})


def test_paths_are_known_as_given_and_as_resolved():
    host = Mac(links={"/opt/tools": "/var/tools-2"})
    spec = {"inputs": (Input("/opt/tools/bin"), Input("/usr/share/a")), "outputs": (Output("/out", "/tmp/out"),)}
    permission, values = permissions(host).permission(launch(**spec), NO_SCRATCH)
    assert permission.reads == (
        Place(("/opt/tools/bin", "/private/var/tools-2/bin"), ("/opt/tools", "/var")),
        Place(("/usr/share/a",)),
    )
    assert permission.writes == (Place(("/tmp/out", "/private/tmp/out"), ("/tmp",)),)
    assert values == {}
    assert permission.user_directories == ("/private/var/folders/zz/abc/T",)
    assert permission.protected == (f"{ROOT}/profiles-1",)


def test_what_is_a_launch_s_own_is_a_parameter():
    tree = staged(7)
    scratch = Scratch(tree.work, {"/tmp": f"{tree.work}/tmp-0"})
    spec = {"inputs": (Input("/tools", f"{ROOT}/staging/p/7/tools"),), "outputs": (Output("/build/out"),)}
    permission, values = permissions().permission(launch(tree, temps=(Temp("/tmp"),), **spec), scratch)
    assert values == {
        "TREE": tree.upper,
        "TEMP_0": f"{tree.work}/tmp-0",
        "INPUT_0": f"{ROOT}/staging/p/7/tools",
        "ABOVE_0": f"{ROOT}/staging",
        "ABOVE_1": f"{ROOT}/staging/p",
        "ABOVE_2": f"{ROOT}/staging/p/7",
        "ABOVE_3": tree.work,
    }
    assert [place.names for place in permission.own_writes] == [(Param("TEMP_0"),), (Param("TREE"),)]
    assert [place.names for place in permission.own_reads] == [(Param("INPUT_0"),)]
    assert (permission.reads, permission.writes) == ((), ())
    profile = Profile(make_profile(permission), values)
    assert profile.answer(f"file-write-create {tree.upper}/a").action == "allow"
    assert profile.answer(f"file-read-metadata {ROOT}/staging/p").action == "allow"
    assert profile.answer(f"file-read-metadata {ROOT}/staging/p/8").action == "deny"
    assert profile.answer(f"file-read-data {tree.lower}/a").action == "deny"
    assert profile.answer(f"file-write-data {ROOT}/staging/p/7/tools/a").action == "deny"


def test_launches_that_may_do_the_same_have_equal_permissions():
    made = permissions()
    found = []
    for number in (1, 2):
        tree = staged(number)
        scratch = Scratch(tree.work, {"/tmp": f"{tree.work}/tmp-0"})
        spec = {"inputs": (Input("/usr", f"{ROOT}/sysroots/1/usr"), Input("/tools", f"{ROOT}/staging/p/{number}/t"))}
        found.append(made.permission(launch(tree, temps=(Temp("/tmp"),), **spec), scratch))
    assert found[0][0] == found[1][0]
    assert found[0][1].keys() == found[1][1].keys()
    assert found[0][1] != found[1][1]


def test_own_paths_below_a_link_have_both_names():
    tree = staged(1, "/var/cache")
    permission, values = permissions(root="/var/cache").permission(launch(tree), NO_SCRATCH)
    assert (values["TREE"], values["TREE_GIVEN"]) == (f"/private{tree.upper}", tree.upper)
    assert {"/private/var/cache/staging", "/var/cache/staging"} <= set(values.values())
    profile = Profile(make_profile(permission), values)
    assert profile.answer(f"file-write-create {tree.upper}/a").action == "allow"


def test_scripts_find_what_runs_them_under_the_names_that_they_know():
    files = [f"{ROOT}/sysroots/1/bin/sh", f"{ROOT}/sysroots/1/bin/only-here", "/bin/sh", "/bin/ls"]
    host = Mac(files=files)
    made = permissions(host)
    for _ in range(2):
        permission, _ = made.permission(launch(inputs=(Input("/bin", f"{ROOT}/sysroots/1/bin"),)), NO_SCRATCH)
    assert permission.files == (Place(("/bin/sh",)),)
    assert host.asked == 1, "what a staged directory holds does not change"


def test_the_machine_s_own_file_of_an_input_s_name_is_shown_only_where_it_is_the_same():
    files = {"/fake/home/a": b"same", "/Users/me/a": b"same", "/fake/home/b": b"input", "/Users/me/b": b"secret"}
    spec = {"inputs": (Input("/Users/me", "/fake/home"), Input("/Users/me/c", "/fake/home/c"))}
    permission, _ = permissions(Mac(files=files)).permission(launch(**spec), NO_SCRATCH)
    profile = Profile(make_profile(permission))
    asked = [f"file-read-data {path}" for path in ("/fake/home/b", "/Users/me/a", "/Users/me/b", "/Users/me/c")]
    assert [profile.answer(question).action for question in asked] == ["allow", "allow", "deny", "deny"]


def test_links_between_own_paths_are_seen():
    host = Mac(links={"/cache": "/mid/c", "/mid": "/real"})
    tree = staged(1, "/cache")
    permission, values = permissions(host, root="/cache").permission(launch(tree), NO_SCRATCH)
    profile = Profile(make_profile(permission), values)
    asked = [f"file-read-metadata {path}" for path in ("/cache", "/mid", "/real", "/real/c", "/real/c/staging/p/1")]
    assert [profile.answer(question).action for question in asked] == ["allow"] * 5
    assert values["TREE"] == "/real/c/staging/p/1/upper"


def test_directories_between_what_is_written_and_what_is_not_stay_where_they_are():
    tree = staged(1)
    spec = {
        "inputs": (Input("/build/x/y/kept", f"{tree.upper}/x/y/kept"), Input("/tmp/out/a/b")),
        "outputs": (Output("/tmp/out"),),
    }
    permission, values = permissions().permission(launch(tree, **spec), NO_SCRATCH)
    profile = Profile(make_profile(permission), values)
    for path in (f"{tree.upper}/x", f"{tree.upper}/x/y", "/private/tmp/out/a"):
        for operation in ("file-write-unlink", "file-write-create"):
            assert profile.answer(f"{operation} {path}").action == "deny", (operation, path)
    assert profile.answer("file-write-unlink /private/tmp/out").action == "deny"
    for path in ("/private/tmp/out/other", f"{tree.upper}/other", f"{tree.upper}/x/other"):
        assert profile.answer(f"file-write-unlink {path}").action == "allow", path
    again = permissions().permission(launch(staged(2), outputs=spec["outputs"]), NO_SCRATCH)[0]
    assert again.passages == ()


def test_the_network_is_none_or_what_the_spec_says():
    def network(policy, **more):
        return permissions(**more).permission(launch(network=policy), NO_SCRATCH)[0].network

    assert network(NetworkPolicy()) == "none"
    assert network(NetworkPolicy(), loopback=True) == ("*",)
    assert network(NetworkPolicy(host=True)) == "host"
    assert network(NetworkPolicy(hosts=("localhost:80", "127.0.0.1:443", "[::1]:80"))) == ("443", "80")


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"network": NetworkPolicy(bridge=Bridge())}, "bridge"),
        ({"network": NetworkPolicy(hosts=("example.org:443",))}, "example.org:443"),
        ({"filters": (b"12345678",)}, "seccomp"),
        ({"process": ProcessPolicy(as_pid_1=True)}, "first process"),
        ({"sysfs": True}, "/sys"),
        ({"env": (("DYLD_INSERT_LIBRARIES", "/build/x.dylib"),)}, "DYLD_INSERT_LIBRARIES reaches no command"),
        ({"devices": ("/etc/passwd",)}, "/etc/passwd"),
        ({"devices": ("/dev/../etc",)}, "/dev/../etc"),
    ],
)
def test_what_macos_cannot_do_is_refused(sets, message):
    with pytest.raises(RefusedError) as refused:
        permissions().permission(launch(**sets), NO_SCRATCH)
    assert message in refused.value.failure.message
    assert refused.value.failure.hint


def test_devices_are_named():
    permission, _ = permissions().permission(launch(devices=("/dev/disk9",)), NO_SCRATCH)
    assert permission.devices == (Place(("/dev/disk9",)),)


def test_made_files_are_none_of_the_host_s():
    permission, _ = permissions().permission(launch(files=(MadeFile("/etc/passwd", b""),)), NO_SCRATCH)
    assert Profile(make_profile(permission)).answer("file-read-data /etc/passwd").action == "deny"


def test_paths_that_differ_by_case_only_are_refused_by_name():
    spec = {"inputs": (Input("/src/Readme"),), "outputs": (Output("/src/README"),)}
    with pytest.raises(RefusedError) as refused:
        permissions().permission(launch(**spec), NO_SCRATCH)
    assert '"/src/README" and "/src/Readme" differ by case only' in refused.value.failure.message
    permissions(case_insensitive=False).permission(launch(**spec), NO_SCRATCH)


@pytest.mark.parametrize(
    "pair", [("/a/STRASSE", "/a/straße"), ("/caf\u00e9", "/cafe\u0301"), ("/A/b", "/a/b"), ("/\u212a", "/k")]
)
def test_names_are_one_as_the_file_system_takes_them(pair):
    with pytest.raises(RefusedError):
        refuse_clashes(pair)


def test_the_same_path_twice_is_no_clash():
    refuse_clashes(["/a", "/a", "/a/b", "/b"])


@pytest.mark.parametrize(
    "inputs", [(Input("/w/OUT/fixed"),), (Input("/w/fixed", "/w/OUT/fixed"),), (Input("/x", "/mine/fixed"),)]
)
def test_directories_that_differ_by_case_only_are_refused_where_they_are_on_the_host(inputs):
    made = permissions(Mac(links={"/mine": "/w/OUT"}))
    with pytest.raises(RefusedError) as refused:
        made.permission(launch(inputs=inputs, outputs=(Output("/w/out"),)), NO_SCRATCH)
    assert '"/w/OUT" and "/w/out" differ by case only' in refused.value.failure.message
