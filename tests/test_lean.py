"""msgspec is imported without what it has no need of, and nobody is kept from importing that."""

import subprocess
import sys

import pytest


def _python(program):
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_msgspec_is_there_and_the_other_is_not():
    pytest.importorskip("typing_extensions")
    found = _python(
        "import sys; from bldr.lean import import_msgspec; import_msgspec(); "
        "print('msgspec' in sys.modules, 'typing_extensions' in sys.modules, 'inspect' in sys.modules)"
    )
    assert found == ["True", "False", "False"]


def test_the_other_can_be_imported_afterwards_and_its_types_are_understood():
    pytest.importorskip("typing_extensions")
    found = _python(
        "from bldr.lean import import_msgspec; import_msgspec()\n"
        "import typing_extensions, msgspec\n"
        "class Point(typing_extensions.TypedDict):\n"
        "    x: int\n"
        "    y: typing_extensions.NotRequired[int]\n"
        "print(msgspec.json.decode(b'{\"x\": 1}', type=Point)['x'])\n"
        "try: msgspec.json.decode(b'{\"y\": 1}', type=Point)\n"
        "except msgspec.ValidationError: print('refused')\n"
    )
    assert found == ["1", "refused"]


def test_uuid_knows_the_system_without_platform():
    found = _python(
        "import sys; from bldr.lean import import_msgspec; import_msgspec(); print('platform' in sys.modules)\n"
        "import uuid; lean = [uuid._AIX, uuid._LINUX]\n"
        "del sys.modules['uuid']; import platform, uuid\n"
        "print(lean == [uuid._AIX, uuid._LINUX], platform.__name__)"
    )
    assert found == ["False", "True", "platform"]


def test_what_was_imported_before_stays():
    pytest.importorskip("typing_extensions")
    found = _python(
        "import sys, typing_extensions; from bldr.lean import import_msgspec; import_msgspec(); "
        "print(sys.modules['typing_extensions'] is typing_extensions)"
    )
    assert found == ["True"]


@pytest.mark.parametrize("name", ["build", "query", "test"])
def test_commands_do_without(name, tmp_path):
    pytest.importorskip("typing_extensions")
    program = (
        "import sys; from bldr.cli.main import main\n"
        f"main([{name!r}, '//...'])\n"  # there is no workspace, which a session finds out
        "print('bldr.session' in sys.modules, 'typing_extensions' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.stdout.split() == ["True", "False"], done.stderr
