"""Python run by a real interpreter in real sandboxes."""

import hashlib
import os
import subprocess
import sys
import sysconfig
import zipfile

import pytest

from bldr.testing import Edit, HandlerContract
from bldr_python.handler import PythonHandler

pytestmark = pytest.mark.full


class TestContract(HandlerContract):
    handler = PythonHandler
    files = {
        "Builderfile": """
            [target.words]
            type = "library"
            language = "python"
            imports = ["src"]
            sources = ["src/**/*.py"]
            data = ["src/words/common.txt"]

            [target.other]
            type = "library"
            language = "python"
            sources = ["other.py"]

            [target.app]
            type = "executable"
            language = "python"
            sources = ["main.py"]
            deps = [":words", ":other"]

            [target.made]
            type = "command"
            outputs = ["made.txt"]
            tools = [":app"]
            command = "app > $OUT"

            [target.words_test]
            type = "test"
            language = "python"
            sources = ["test_words.py"]
            deps = [":words"]
        """,
        "src/words/__init__.py": """
            from importlib.resources import files

            COMMON = files(__name__).joinpath("common.txt").read_text().split()
            TWICE = {"a", None, frozenset({"b", "c"})}

            def count(text):
                return len([word for word in text.split() if word not in COMMON])
        """,
        "src/words/common.txt": "the\n",
        "other.py": "GREETING = 'words: '\n",
        "main.py": "from other import GREETING\nfrom words import count\n\nprint(GREETING, count('the rain'))\n",
        "test_words.py": """
            import unittest
            from words import count

            class Words(unittest.TestCase):
                def test_count(self):
                    self.assertEqual(count("the rain"), 1)
        """,
    }
    edits = (
        Edit(file="other.py", old="words: ", new="count: ", reruns=(
            "PythonCompile //:other", "PythonPack //:app", "Command //:made")),
        Edit(file="src/words/common.txt", old="the", new="the\nof", reruns=(
            "PythonPack //:app", "Command //:made", "Test //:words_test")),
        Edit(file="test_words.py", old="test_count", new="test_counts", reruns=("Test //:words_test",)),
    )  # fmt: skip


def test_a_syntax_error_is_a_mistake_of_the_library(project):
    project.write(
        {
            "Builderfile": '[workspace]\nname = "w"\n[target.a]\ntype = "library"\nlanguage = "python"\n'
            'sources = ["a.py"]\n',
            "a.py": "def f(:\n    pass\n",
        }
    )
    ran = project.bldr("build", "--hermetic", "//:a")
    assert ran.exit_code == 1
    assert "a.py:1:7: error: invalid syntax" in ran.output
    project.write({"a.py": "def f():\n    pass\n"})
    assert project.bldr("build", "--hermetic", "//:a").exit_code == 0


def test_a_shared_library_of_c_through_ctypes(project):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "w"

                [target.sum]
                type = "library"
                language = "c"
                linkage = "shared"
                sources = ["sum.c"]

                [target.summing]
                type = "library"
                language = "python"
                sources = ["summing.py"]
                deps = [":sum"]

                [target.app]
                type = "executable"
                language = "python"
                sources = ["app.py"]
                deps = [":summing"]

                [target.made]
                type = "command"
                tools = [":app"]
                outputs = ["made.txt"]
                command = "app > $OUT"

                [target.sum_test]
                type = "test"
                language = "python"
                sources = ["test_sum.py"]
                deps = [":summing"]
            """,
            "sum.c": "int sum(int a, int b) { return a + b; }\n",
            "summing.py": """
                import ctypes
                from pathlib import Path

                sum = ctypes.CDLL(str(Path(__file__).parent / "libsum.so")).sum
            """,
            "app.py": "from summing import sum\nprint(sum(40, 2))\n",
            "test_sum.py": """
                import unittest
                from summing import sum

                class Sum(unittest.TestCase):
                    def test_sum(self):
                        self.assertEqual(sum(1, 2), 3)
            """,
        }
    )
    ran = project.bldr("test", "--hermetic", "//...")
    assert ran.tests == {"//:sum_test": "passed"}, ran
    ran = project.bldr("build", "--hermetic", "//...")
    assert ran.exit_code == 0, ran
    assert project.out("made.txt").read_text() == "42\n"
    # Outside the sandbox, alone, by this Python.
    alone = project.root.parent / "alone"
    project.out("app").rename(alone)
    env = {**os.environ, "BLDR_ZIPAPP_CACHE": str(project.root.parent / "zipapps")}
    done = subprocess.run([sys.executable, alone], capture_output=True, text=True, env=env)
    assert done.stdout == "42\n", done.stderr


FAST = """
/* What Python.h declares of the stable ABI: headers are not installed everywhere. */
typedef struct object PyObject;
extern PyObject *PyLong_FromLong(long);
extern PyObject *PyModule_Create2(void *, int);
static PyObject *four(PyObject *self, PyObject *none) { return PyLong_FromLong(4); }
static struct { const char *name; void *call; int flags; const char *doc; } methods[] = {{"four", four, 4, 0}, {0}};
static struct { long count; void *head[4]; const char *name, *doc; long size; void *methods, *rest[4]; }
    module = {1, {0}, "fast", 0, -1, methods, {0}};
PyObject *PyInit_fast(void) { return PyModule_Create2(&module, 1013); }
"""


def native_wheel(directory):
    """A wheel with an extension module of its own, made by the compiler."""
    source = directory / "fast.c"
    source.write_text(FAST)
    name = f"fast{sysconfig.get_config_var('EXT_SUFFIX')}"
    made = directory / name
    subprocess.run(["cc", "-shared", "-fPIC", source, "-o", made], check=True)
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    wheel = directory / f"fast-1.0-{tag}-{tag}-linux_{os.uname().machine}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(made, name)
        archive.writestr("fast-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: fast\nVersion: 1.0\n")
        archive.writestr("fast-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}-{tag}-linux\n")
        archive.writestr("fast-1.0.dist-info/entry_points.txt", "[console_scripts]\nfour = fast:four\n")
    return wheel


def test_a_native_wheel_from_a_lock_file(project, tmp_path):
    """Found beside the lock file, so that no index is needed; for the Python that runs the tests."""
    wheel = native_wheel(tmp_path)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    project.write(
        {
            "Builderfile": f"""
                [workspace]
                name = "w"

                [external.pypi]
                lock = "pylock.toml"
                options = {{ python = "{version}" }}

                [target.app]
                type = "executable"
                language = "python"
                sources = ["app.py"]
                deps = ["@pypi//:fast"]

                [target.made]
                type = "command"
                tools = [":app", "@pypi//:bin/four"]
                outputs = ["made.txt"]
                command = "app > $OUT; four || echo $? >> $OUT"
            """,
            "app.py": "import fast\nfrom importlib.metadata import version\nprint(fast.four(), version('fast'))\n",
            f"wheels/{wheel.name}": wheel.read_bytes(),
            "pylock.toml": f"""
                lock-version = "1.0"
                created-by = "test"

                [[packages]]
                name = "fast"
                version = "1.0"
                wheels = [{{ path = "wheels/{wheel.name}", hashes = {{ sha256 = "{digest}" }} }}]
            """,
        }
    )
    python = os.path.realpath(sys._base_executable)
    ran = project.bldr("build", "--hermetic", "//...", PYTHON=python)
    assert ran.exit_code == 0, ran
    assert project.out("made.txt").read_text() == "4 1.0\n4\n"
    assert project.bldr("build", "--hermetic", "//...", PYTHON=python).ran == []
    builderfile = project.root / "Builderfile"
    builderfile.write_text(builderfile.read_text().replace(f'"{version}"', '"3.9"'))
    ran = project.bldr("build", "//...", PYTHON=python)
    assert "no wheel found matching the provided tags for package 'fast'" in ran.output
