"""Commands on a Windows, Wine's or Microsoft's: what they get, how they end, and that nothing of them remains."""

import os
import sys
import time

import psutil
import pytest

from bldr.api import GUARANTEES, Level, ResourceLimits, covers
from bldr_windows.sandbox import WindowsSandbox

pytestmark = pytest.mark.wine

FAMILY = """
import os, subprocess, sys, time
line = [sys.executable, "-c", "import time; time.sleep(600)"]
children = [subprocess.Popen(line), subprocess.Popen(line)]
with open("pids", "w") as file:
    file.write(" ".join(str(n) for n in [os.getpid(), *[child.pid for child in children]]))
os.replace("pids", "all-pids")
time.sleep(600)
"""


TOKEN = """
import win32api, win32security as s
token = s.OpenProcessToken(win32api.GetCurrentProcess(), s.TOKEN_QUERY)
sid, _ = s.GetTokenInformation(token, s.TokenIntegrityLevel)
print(sid.GetSubAuthority(sid.GetSubAuthorityCount() - 1), int(bool(s.GetTokenInformation(token, s.TokenElevation))))
for luid, flags in s.GetTokenInformation(token, s.TokenPrivileges):
    if flags & 2:
        print(s.LookupPrivilegeName("", luid))
"""

SMILES = (("FACE", "a \U0001f600 b"), ("LAST", "\U0001f600" * 9))


def wait_for(path):
    until_s = time.monotonic() + 60
    while not os.path.exists(path):
        assert time.monotonic() < until_s, f"{path} does not come"
        time.sleep(0.02)
    with open(path) as file:
        return [int(word) for word in file.read().split()]


def alive(pids):
    return [pid for pid in pids if psutil.pid_exists(pid)]


def test_exit_codes_are_the_command_s_own(box):
    for code in (0, 3, 255, 256, 0xC0000005):
        ended, _, err = box.run(f"import ctypes; ctypes.windll.kernel32.ExitProcess({code})")
        assert (ended.exit_code, ended.signal, ended.failure) == (code, 0, None), err


def test_what_is_printed_arrives_apart(box):
    _, out, err = box.run("import sys; print('out', flush=True); print('err', file=sys.stderr)")
    assert (out, err) == ("out\n", "err\n")


def test_words_arrive_as_they_are(box):
    words = (
        "",
        "a b",
        'say "hi"',
        "back\\slash\\",
        'both\\"',
        "tab\there",
        "ümlaut",
        "%PATH%",
        "^&|<>",
        "*.c",
        "line\nend",
    )
    _, out, err = box.run("import sys; print(ascii(sys.argv[1:]))", *words)
    assert out == ascii(list(words)) + "\n", err


def test_the_environment_is_the_spec_s_and_what_windows_needs(box, monkeypatch):
    monkeypatch.setenv("BLDR_SECRET", "1")
    _, out, err = box.run("import os; print(sorted(os.environ)); print(os.environ['GREETING'], os.environ['TEMP'])")
    names, values = out.splitlines()
    seen = {name for name in eval(names) if not name.startswith("WINE")}
    expected = {"GREETING", "TMPDIR", "APPDATA", "COMSPEC", "LOCALAPPDATA", "NUMBER_OF_PROCESSORS", "OS", "PATHEXT"}
    expected |= {"PROCESSOR_ARCHITECTURE", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERPROFILE", "WINDIR"}
    assert seen == expected, err
    assert values.startswith("a b " + box.root)


def test_a_value_may_have_any_character(box):
    _, out, err = box.run("import os; print(ascii(os.environ['FACE']), ascii(os.environ['LAST']))", env=SMILES)
    assert out == ascii(SMILES[0][1]) + " " + ascii(SMILES[1][1]) + "\n", err


def test_the_tree_is_where_the_command_starts(box):
    tree = box.tree(words="two words\n")
    program = "text = open('words').read(); import os; os.mkdir('out'); open('out/upper', 'w').write(text.upper())"
    ended, _, err = box.run(program, tree=tree)
    assert ended.exit_code == 0, err
    with open(os.path.join(tree.upper, "out", "upper")) as file:
        assert file.read() == "TWO WORDS\n"


def test_changing_an_input_changes_the_action_s_copy_only(box):
    tree = box.tree(words="two words\n")
    ended, _, err = box.run("import os; os.chmod('words', 0o600); open('words', 'w').write('mine')", tree=tree)
    assert ended.exit_code == 0, err
    texts = []
    for part in (tree.lower, tree.upper):
        with open(os.path.join(part, "words")) as file:
            texts.append(file.read())
    assert texts == ["two words\n", "mine"]


def test_an_input_is_read_only(box):
    """For Wine's root that keeps nobody out."""
    tree = box.tree(words="two words\n")
    _, out, err = box.run("import os; print(os.stat('words').st_file_attributes & 1)", tree=tree)
    assert out == "1\n", err


def test_temporary_directories_are_empty_and_of_one_run(box):
    program = "import os; print(os.listdir(os.environ['TEMP'])); open(os.environ['TEMP'] + '/left', 'w').close()"
    assert [box.run(program)[1] for _ in range(2)] == ["[]\n", "[]\n"]


def test_a_program_that_is_missing_ends_with_127(box):
    for name in ("no-such-program", "C:\\no\\such\\program.exe"):
        ended, _, err = box.run(argv=(name, "word"))
        assert (ended.exit_code, ended.failure) == (127, None)
        assert name in err


def test_what_is_no_program_ends_with_126(box):
    for name in ("words", "words.exe", "words.bat"):
        ended, _, err = box.run(argv=(f"./{name}",), tree=box.tree(**{name: "two words\n"}))
        assert (ended.exit_code, ended.failure) == (126, None), err
        assert name in err


def test_programs_are_found_in_the_command_s_own_path(box):
    folder, name = os.path.split(sys.executable)
    command = (os.path.splitext(name)[0], "-c", "print(1)")
    assert box.run(argv=command, env=(("PATH", f"C:\\nowhere;{folder}"),))[1] == "1\n"
    assert box.run(argv=command)[0].exit_code == 127


def test_only_the_three_handles_are_inherited(box):
    import msvcrt

    reading, writing = os.pipe()
    os.set_handle_inheritable(msvcrt.get_osfhandle(writing), True)
    try:
        handle = msvcrt.get_osfhandle(writing)
        program = f"import msvcrt, os; os.write(msvcrt.open_osfhandle({handle}, 0), b'x')"
        ended, _, err = box.run(program)
        assert ended.exit_code == 1, "a handle of ours was written to"
        assert "OSError" in err
    finally:
        os.close(reading)
        os.close(writing)


def test_killing_ends_all_processes(box):
    tree = box.tree()
    launch = box.start(FAMILY, tree=tree)
    pids = wait_for(os.path.join(tree.upper, "all-pids"))
    assert alive(pids) == pids
    box.launcher.kill(launch + 1000)
    box.launcher.kill(launch)
    ended, _, _ = box.wait(launch)
    assert (ended.exit_code, ended.signal, ended.verdict) == (137, 9, None)
    assert alive(pids) == []


def test_what_a_command_leaves_behind_ends_with_it(box):
    tree = box.tree()
    ended, _, err = box.run(FAMILY.removesuffix("time.sleep(600)\n") + "sys.exit(4)\n", tree=tree)
    assert ended.exit_code == 4, err
    assert alive(wait_for(os.path.join(tree.upper, "all-pids"))) == []


def test_closing_ends_what_runs(box):
    tree = box.tree()
    box.start(FAMILY, tree=tree)
    pids = wait_for(os.path.join(tree.upper, "all-pids"))
    box.launcher.close()
    assert alive(pids) == []


def test_nothing_breaks_away(box):
    """CREATE_BREAKAWAY_FROM_JOB."""
    program = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', ''], creationflags=0x1000000).wait()"
    ended, _, err = box.run(program)
    assert ended.exit_code == 1
    assert "PermissionError" in err


def test_a_job_inside_a_job_is_ended_with_it(box):
    tree = box.tree()
    nested = "import win32job, win32api\nmine = win32job.CreateJobObject(None, '')\n"
    nested += "win32job.AssignProcessToJobObject(mine, win32api.GetCurrentProcess())\n"
    launch = box.start(nested + FAMILY, tree=tree)
    pids = wait_for(os.path.join(tree.upper, "all-pids"))
    box.launcher.kill(launch)
    box.wait(launch)
    assert alive(pids) == []


def test_bldr_may_be_in_a_job_itself(tmp_path):
    """A process that puts itself into a job, and launches from there."""
    import subprocess

    program = """
import os, select, sys, win32api, win32job
mine = win32job.CreateJobObject(None, "")
win32job.AssignProcessToJobObject(mine, win32api.GetCurrentProcess())
from bldr.api import Launch, SandboxSpec
from bldr_windows.sandbox import WindowsSandbox
launcher = WindowsSandbox().open(sys.argv[1])
argv = (sys.executable, "-c", "raise SystemExit(7)")
launcher.start(Launch(launch_id=1, spec=SandboxSpec(), argv=argv, cwd=sys.argv[1], stdin=0, stdout=1, stderr=2))
exits = ()
while not exits:
    select.select([launcher.fileno()], [], [], 1)
    exits = launcher.reap()
launcher.close()
sys.exit(exits[0].exit_code)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    ran = subprocess.run(command, input=b"", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100)
    assert ran.returncode == 7, ran.stdout.decode()


def test_wall_time_ends_it_with_a_verdict(box):
    ended, _, _ = box.run("while True: pass", limits=ResourceLimits(wall_time_s=0.5))
    assert (ended.verdict.limit, ended.verdict.value, ended.verdict.unit) == ("wall-time", 0.5, "s")
    assert (ended.exit_code, ended.signal) == (137, 9)


def test_more_processes_than_allowed_end_it_with_a_verdict(box):
    tree = box.tree()
    ended, _, err = box.run(FAMILY, tree=tree, limits=ResourceLimits(processes=2, wall_time_s=50))
    assert ended.verdict is not None, err
    assert (ended.verdict.limit, ended.verdict.value) == ("processes", 2)


def test_as_many_processes_as_allowed_are_no_violation(box):
    program = "import subprocess, sys; sys.exit(subprocess.Popen([sys.executable, '-c', 'exit(5)']).wait())"
    ended, _, err = box.run(program, limits=ResourceLimits(processes=2))
    assert (ended.exit_code, ended.verdict) == (5, None), err


def test_what_is_promised_is_reached(box):
    promised = {name: level for name, level in WindowsSandbox().probe().isolation.items() if name in GUARANTEES}
    ended, _, _ = box.run()
    assert covers(ended.isolation, promised)
    assert promised["env"] == promised["wall-time"] == Level.SUPERVISED


def test_what_is_reached_is_what_an_action_says_of_its_own_token(box):
    """Wine gives high integrity and privileges, and there nothing may be claimed of them."""
    ended, out, err = box.run(TOKEN)
    assert ended.exit_code == 0, err
    integrity, is_elevated, *privileges = out.split()
    is_harmless = int(integrity) <= 0x1000 and is_elevated == "0" and set(privileges) <= {"SeChangeNotifyPrivilege"}
    assert ("privileges" in ended.isolation) == is_harmless, out


def test_use_is_measured(box):
    ended, _, _ = box.run("import time; time.sleep(0.2)")
    assert ended.usage.wall_s >= 0.2
    assert ended.usage.processes >= 1


def test_several_run_at_once_and_each_ends_once(box):
    started = [box.start(f"import sys; sys.exit({code})") for code in range(4)]
    assert [box.wait(launch)[0].exit_code for launch in reversed(started)] == [3, 2, 1, 0]


def test_started_is_told_with_the_process(box):
    launch = box.start("import time; time.sleep(600)", announce=True)
    ((told),) = box.launcher.started()
    assert told.launch_id == launch
    assert alive([told.pid])
    box.launcher.kill(launch)
    box.wait(launch)
