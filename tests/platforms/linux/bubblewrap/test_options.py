"""What the command line means, without running anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr_linux.bubblewrap import usage
from bldr_linux.bubblewrap.failure import FatalError
from bldr_linux.bubblewrap.options import Answer, parse
from bldr_linux.bubblewrap.values import Operation, Options

OPTIONS_BY_LINE = """
    --help --version --args --argv0 --level-prefix --unshare-all --share-net --unshare-user --unshare-user-try
    --unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup --unshare-cgroup-try --userns --userns2
    --disable-userns --assert-userns-disabled --pidns --uid --gid --hostname --chdir --setenv --unsetenv --clearenv
    --lock-file --sync-fd --bind --bind-try --dev-bind --dev-bind-try --ro-bind --ro-bind-try --bind-fd --ro-bind-fd
    --remount-ro --overlay-src --overlay --tmp-overlay --ro-overlay --exec-label --file-label --proc --dev --tmpfs
    --mqueue --dir --file --bind-data --ro-bind-data --symlink --seccomp --add-seccomp-fd --block-fd --userns-block-fd
    --info-fd --json-status-fd --new-session --die-with-parent --as-pid-1 --cap-add --cap-drop --perms --size --chmod
"""
EVERY_OPTION = OPTIONS_BY_LINE.split()


def parsed(*words, files=None, warnings=None):
    warn = (lambda _: None) if warnings is None else warnings.append
    return parse(list(words), lambda fd: files[fd], warn, lambda: None)


def refusal(*words, files=None):
    with pytest.raises(FatalError) as caught:
        parsed(*words, files=files)
    return str(caught.value)


@pytest.mark.parametrize("option", EVERY_OPTION)
def test_every_option_of_bubblewrap_is_known(option):
    try:
        parsed(option)
    except Answer:
        pass
    except FatalError as error:
        assert "Unknown option" not in str(error)


@pytest.mark.parametrize("option", EVERY_OPTION)
def test_every_option_is_in_the_help(option):
    assert option.removesuffix("-try") in usage.text("bwrap")


def test_operations_keep_their_order():
    options = parsed("--bind", "a", "/a", "--tmpfs", "/t", "--dir", "/d", "--symlink", "x", "/l", "sh", "-c", "--bind")
    assert [operation.kind for operation in options.operations] == ["bind", "tmpfs", "dir", "symlink"]
    assert options.command == ("sh", "-c", "--bind")


def test_values_do_not_change():
    options = parsed("--tmpfs", "/t")
    with pytest.raises(AttributeError):
        options.uid = 3
    with pytest.raises(AttributeError):
        options.operations[0].kind = "dir"
    with pytest.raises(TypeError):
        Operation(no_such_field=1)


def test_perms_and_size_belong_to_the_next_operation_only():
    options = parsed(
        "--perms", "0700", "--size", "4096", "--tmpfs", "/a", "--tmpfs", "/b", "--perms", "1777", "--dir", "/c"
    )
    first, second, third = options.operations
    assert (first.perms, first.size_bytes) == (0o700, 4096)
    assert (second.perms, second.size_bytes) == (0o755, None)
    assert third.perms == 0o1777


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        (("--dir", "/x"), 0o755),
        (("--tmpfs", "/x"), 0o755),
        (("--file", "3", "/x"), 0o666),
        (("--bind-data", "3", "/x"), 0o600),
        (("--ro-bind-data", "3", "/x"), 0o600),
    ],
)
def test_default_modes(words, mode):
    assert parsed(*words).operations[0].perms == mode


@pytest.mark.parametrize("text", ["1", "010", "0x10", "0X1f", "9223372036854775807"])
def test_sizes_in_c_notation(text):
    assert parsed("--size", text, "--tmpfs", "/x").operations[0].size_bytes == int(
        text, 0 if text[1:2] in "xX" else 8 if text[0] == "0" else 10
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nonsense"], "Unknown option --nonsense"),
        (["-"], "Unknown option -"),
        (["--bind"], "--bind takes two arguments"),
        (["--ro-bind-try", "a"], "--ro-bind-try takes two arguments"),
        (["--ro-bind-fd", "3"], "--bind-fd takes two arguments"),
        (["--overlay-src", "a", "--overlay", "b", "c"], "--overlay takes three arguments"),
        (["--args"], "--args takes an argument"),
        (["--argv0"], "--argv0 takes one argument"),
        (["--chdir"], "--chdir takes one argument"),
        (["--remount-ro"], "--remount-ro takes one argument"),
        (["--sync-fd", "x"], "Invalid fd: x"),
        (["--sync-fd", "-3"], "Invalid fd: -3"),
        (["--file", "", "/x"], "Invalid fd: "),
        (["--uid", "1x"], "Invalid uid: 1x"),
        (["--gid", "-1"], "Invalid gid: -1"),
        (["--cap-add", "sys_admin"], "unknown cap: sys_admin"),
        (["--exec-label", "x"], "labeling not supported on this system"),
        (["--file-label", "x"], "labeling not supported on this system"),
        (["--perms", "8"], "--perms takes an octal argument <= 07777"),
        (["--perms", "10000"], "--perms takes an octal argument <= 07777"),
        (["--chmod", "", "/x"], "--chmod takes an octal argument <= 07777"),
        (["--perms", "1", "--perms", "2"], "--perms given twice for the same action"),
        (["--perms", "1", "--bind", "a", "b"], "--perms must be followed by an option that creates a file"),
        (["--size", "1", "--size", "2"], "--size given twice for the same action"),
        (["--size", "1", "--dir", "/x"], "--size must be followed by --tmpfs"),
        (["--size", "0"], "--size takes a non-zero number of bytes"),
        (["--size", " 1"], "--size takes a non-zero number of bytes"),
        (["--size", "1_0"], "--size takes a non-zero number of bytes"),
        (["--size", "9223372036854775808"], "--size (for tmpfs) is limited to 9223372036854775807"),
        (["--overlay", "a", "b", "c"], "--overlay requires at least one --overlay-src"),
        (["--tmp-overlay", "c"], "--tmp-overlay requires at least one --overlay-src"),
        (["--overlay-src", "a", "--ro-overlay", "c"], "--ro-overlay requires at least two --overlay-src"),
        (["--argv0", "a", "--argv0", "b"], "--argv0 used multiple times"),
        (["--seccomp", "3", "--add-seccomp-fd", "4"], "--add-seccomp-fd cannot be combined with --seccomp"),
        (["--add-seccomp-fd", "3", "--seccomp", "4"], "--seccomp cannot be combined with --add-seccomp-fd"),
    ],
)
def test_refusals_are_worded_as_bubblewrap_words_them(words, message):
    assert refusal(*words) == message


@pytest.mark.parametrize("words", [["--overlay-src", "a"], ["--overlay-src", "a", "--dir", "/x"], ["--overlay-src"]])
def test_a_layer_needs_its_overlay(words):
    assert refusal(*words).startswith("--overlay-src must be followed by another --overlay-src")


def test_layers_are_listed_from_the_top():
    words = ["--overlay-src", "low", "--overlay-src", "high", "--overlay", "rw", "work", "/x"]
    (overlay,) = parsed(*words).operations
    assert (overlay.layers, overlay.upper, overlay.destination) == (("high", "low"), ("rw", "work"), "/x")


def test_the_last_of_two_is_taken_and_said():
    warnings = []
    options = parsed("--chdir", "/a", "--uid", "1", "--chdir", "/b", "--uid", "2", warnings=warnings)
    assert (options.chdir, options.uid) == ("/b", 2)
    assert warnings == ["Only the last --chdir option will take effect", "Only the last --uid option will take effect"]


def test_arguments_from_a_descriptor_come_in_place():
    options = parsed("--dir", "/a", "--args", "3", "--dir", "/d", "true", files={3: b"--dir\0/b\0--dir\0/c"})
    assert [operation.destination for operation in options.operations] == ["/a", "/b", "/c", "/d"]
    assert options.command == ("true",)


def test_arguments_from_a_descriptor_stay_bytes():
    (operation,) = parsed("--args", "3", files={3: b"--dir\0/\xff"}).operations
    assert operation.destination.encode("utf-8", "surrogateescape") == b"/\xff"


def test_arguments_from_a_descriptor_do_not_nest():
    assert refusal("--args", "3", files={3: b"--args\x004\0"}) == "--args not supported in arguments file"


def test_there_is_an_end_to_arguments():
    assert refusal(*["--clearenv"] * 9001) == "Exceeded maximum number of arguments 9000"
    assert refusal("--args", "3", files={3: b"--clearenv\0" * 9000}) == "Exceeded maximum number of arguments 9000"


def test_unshare_all_and_what_takes_the_network_back():
    everything = parsed("--unshare-all")
    assert everything.unshare_user_try and everything.unshare_cgroup_try and not everything.unshare_user
    assert everything.unshare_ipc and everything.unshare_pid and everything.unshare_net and everything.unshare_uts
    assert not parsed("--unshare-all", "--share-net").unshare_net
    assert parsed("--share-net", "--unshare-all").unshare_net


@given(st.lists(st.sampled_from([*EVERY_OPTION, "--", "a", "/b", "3", "0700", ""]), max_size=12))
def test_any_words_are_understood_or_refused(words):
    try:
        options = parsed(*words, files=dict.fromkeys(range(1000), b""))
    except (FatalError, Answer):
        return
    assert isinstance(options, Options)
    assert list(options.command) == words[len(words) - len(options.command) :]
