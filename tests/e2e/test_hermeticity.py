"""What an action can reach: what it declared, and nothing else."""

import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading

import pytest

AS_USER = ("setpriv", "--reuid=1234", "--regid=1234", "--clear-groups")


def command(text, **attributes):
    lines = "".join(f"{name} = {value}\n" for name, value in attributes.items())
    return f"[target.it]\ntype = \"command\"\noutputs = [\"out\"]\n{lines}command = '''{text}'''\n"


@pytest.mark.parametrize(
    "text",
    [
        "cat secret.txt > $OUT",
        "cat /build/secret.txt > $OUT",
        "grep daemon: /etc/passwd > $OUT",
        "cat /etc/hostname > $OUT",
        "ls /home > $OUT",
        "ls /sys/class > $OUT",
        "ls /proc/$PPID/root > $OUT && ls /proc/2/root > $OUT",
        "echo x > /usr/x && echo x > $OUT",
    ],
)
def test_what_is_not_declared_is_not_there(project, text):
    it = project({"Builderfile": command(text), "secret.txt": "secret\n"})
    built = it.build()
    assert built.exit_code == 1, built
    assert [event["status"] for event in built.of("action_finished")] == ["failed"], built
    assert not it.out("out").exists()


def test_what_is_declared_is_there(project):
    it = project({"Builderfile": command("cat $SRCS > $OUT", sources='["secret.txt"]'), "secret.txt": "secret\n"})
    assert it.build().exit_code == 0
    assert it.out("out").read_text() == "secret\n"


def test_the_users_home_and_environment_do_not_leak(project):
    it = project({"Builderfile": command("env | sort > $OUT; ls -A $HOME >> $OUT")})
    it.build(env={"SECRET_TOKEN": "hunter2", "LD_PRELOAD": ""})
    seen = dict(line.split("=", 1) for line in it.out("out").read_text().splitlines() if "=" in line)
    seen.pop("_", None)
    assert seen.pop("PWD") == "/build"
    assert (
        seen
        == {
            "BLDR_ROOT": "/build",
            "DEPS": "",
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
            "OUT": "out",
            "OUTS": "out",
            "PATH": "/toolchain/shell/bin",
            "SHLVL": seen.get("SHLVL", ""),
            "SOURCE_DATE_EPOCH": "315532800",
            "SRCS": "",
            "TMPDIR": "/tmp",
            "TOOLS": "",
            "TZ": "UTC",
            "USER": "builder",
        }
        or "SHLVL" not in seen
    )


def test_env_inherit_lets_one_variable_in_and_counts(project):
    it = project({"Builderfile": command('echo "$FLAVOUR" > $OUT', env_inherit='["FLAVOUR"]')})
    it.build(env={"FLAVOUR": "vanilla"})
    assert it.out("out").read_text() == "vanilla\n"
    assert it.build(env={"FLAVOUR": "vanilla"}).ran == []
    again = it.build(env={"FLAVOUR": "mint"})
    assert again.ran == ["Command //:it"]
    assert it.out("out").read_text() == "mint\n"


def test_the_network_is_not_there(project):
    """A real server on the host's loopback: the action's loopback is its own."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        port = server.server_address[1]
        it = project({"Builderfile": command(f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' && echo reached > $OUT")})
        built = it.build()
        assert built.exit_code == 1, built
        assert "refused" in built.stderr.lower()
    finally:
        server.shutdown()
        server.server_close()


def test_other_processes_are_not_there(project):
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        it = project({"Builderfile": command(f"kill -0 {sleeper.pid} && echo alive > $OUT")})
        built = it.build()
        assert [event["status"] for event in built.of("action_finished")] == ["failed"], built
        it.write({"other/Builderfile": command("ls /proc | grep -c '^[0-9]' > $OUT")})
        it.build("//other:it")
        assert int(it.out("other/out").read_text()) < 10
    finally:
        sleeper.kill()
        sleeper.wait()


def test_who_and_where_the_action_is(project):
    it = project({"Builderfile": command("{ id -u; id -un; uname -n; pwd; umask; date +%Z; } > $OUT")})
    built = it.build()
    assert built.exit_code == 0, built
    assert it.out("out").read_text().split() == ["1000", "builder", "bldr", "/build", "0022", "UTC"]


def test_what_was_hashed_is_what_was_built(project, until):
    """The source changes while the action runs: it sees the bytes that were hashed, and nothing wrong is kept."""
    it = project({"Builderfile": command("sleep 1; cat $SRCS > $OUT", sources='["in.txt"]'), "in.txt": "before\n"})
    events = it.root.parent / "events.jsonl"
    process = it.start("build", "--hermetic", "--events", str(events))
    until(lambda: events.exists() and "action_started" in events.read_text())
    it.write({"in.txt": "after\n"})
    assert process.wait(60) == 0, process.stderr.read()
    assert it.out("out").read_text() == "before\n"
    assert it.build().ran == ["Command //:it"]
    assert it.out("out").read_text() == "after\n"


@pytest.mark.parametrize(
    "text",
    [
        "echo more >> in.txt; cp in.txt $OUT",
        "rm -f in.txt; echo > $OUT",
        "mv in.txt $OUT",
        "chmod u+w in.txt; echo other > in.txt; echo > $OUT",
        "ln -sf /etc/passwd in.txt; echo > $OUT",
    ],
)
def test_an_action_that_changes_its_input_fails_by_name_and_the_blob_is_the_same(project, text):
    it = project({"Builderfile": command(text, sources='["in.txt"]'), "in.txt": "content\n"})
    built = it.build()
    assert built.exit_code == 1, built
    refused = ("Permission denied", "not permitted", "cannot move 'in.txt'")  # the blob belongs to another user
    denied = any(words in built.stderr for words in refused)
    assert denied or ('changed its own inputs: "in.txt"' in built.stderr), built
    it.write({"Builderfile": '[workspace]\nname = "workspace"\n' + command("cat in.txt > $OUT", sources='["in.txt"]')})
    assert it.build().exit_code == 0
    assert it.out("out").read_text() == "content\n"


def test_network_is_refused_under_hermetic_and_recorded_without(project):
    it = project({"Builderfile": command("echo > $OUT") + "hermetic = { network = true }\n"})
    refused = it.build()
    assert refused.exit_code == 5, refused
    assert "Builderfile:" in refused.stderr and "may use the network" in refused.stderr
    built = it.bldr("build")
    assert built.exit_code == 0, built
    (finished,) = built.of("action_finished")
    assert finished["isolation"].get("network", "none") == "none"


def test_a_weaker_result_is_never_served_to_a_stricter_build(project):
    it = project({"Builderfile": command("echo > $OUT")})
    assert it.bldr("build", "--no-hermetic").ran == ["Command //:it"]
    assert it.build().ran == ["Command //:it"]
    assert it.bldr("build", "--no-hermetic").ran == []
    assert it.build().ran == []


def test_environment_variable_turns_the_sandbox_off(project):
    it = project({"Builderfile": command("echo > $OUT")})
    built = it.bldr("build", env={"BUILDER_HERMETIC": "false"})
    assert built.exit_code == 0, built
    assert built.of("build_started")[0]["isolation"] == "none"


def test_a_limit_set_on_purpose_that_nobody_enforces_fails_closed(project):
    """Where the machine can enforce it, the build goes through instead: never a silent shortfall."""
    it = project({"Builderfile": command("echo > $OUT")})
    built = it.build("--memory", "1G")
    if built.exit_code == 0:
        assert built.of("action_finished")[0]["isolation"].get("memory", "none") != "none"
    else:
        assert built.exit_code == 5 and "memory" in built.stderr, built


def test_timeouts_end_with_a_verdict(project):
    it = project({"Builderfile": command("sleep 60") + 'hermetic = { timeout = "1s" }\n'})
    built = it.build()
    assert built.exit_code == 1
    (finished,) = built.of("action_finished")
    assert finished["verdict"]["limit"] == "wall-time"
    assert finished["status"] == "killed"
    assert "wall-time limit of 1 s" in built.stderr


def test_as_an_ordinary_user(c_project):
    """The whole build again as a user who is nobody in particular."""
    if os.geteuid() != 0:
        assert c_project.build().exit_code == 0
        return
    with tempfile.TemporaryDirectory(prefix="bldr-user-") as home:
        workspace = os.path.join(home, "workspace")
        shutil.copytree(c_project.root, workspace)
        for path in (home, *(os.path.join(top, name) for top, dirs, files in os.walk(home) for name in dirs + files)):
            os.chown(path, 1234, 1234)
        ran = subprocess.run(
            [*AS_USER, *user_python(), "-m", "bldr", "build", "--hermetic"],
            cwd=workspace,
            env={"PATH": os.environ["PATH"], "HOME": home, "PYTHONPATH": ":".join(filter(os.path.isdir, sys.path))},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        program = os.path.join(workspace, "bldr-out/app")
        assert subprocess.run([program], capture_output=True, text=True).stdout == "1.2.3\nhello\n"


def user_python():
    """An interpreter that a user other than root can run; a virtual environment below /root is out of reach."""
    version = sys.version_info[:2]  # what is installed here was built for it
    again = (
        "import subprocess, sys; subprocess.check_call([sys.executable, '-c', '']); "
        f"assert sys.version_info[:2] == {version}"
    )
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}", "/usr/bin/python3"):
        ran = subprocess.run([*AS_USER, python, "-c", again], capture_output=True)
        if ran.returncode == 0:
            return [python]
    pytest.skip("no Python interpreter that an ordinary user can run")
