"""What becomes of targets of Rust: command lines to the letter, what dependents learn, and what is refused."""

import subprocess

import pytest

from bldr.api import CcInfo, Configuration, Executable, Files, TargetError, TestInfo
from bldr.testing import FakeContext, analyze, fake_toolchain
from bldr_rust.build_script import SAID_TO_FILES
from bldr_rust.handler import RustHandler
from bldr_rust.providers import RustInfo

CC = fake_toolchain("cc", "gcc", "g++", cc="gcc", cxx="g++", compiler="gcc")
RUST = fake_toolchain("rust", "rustc", host="x86_64-unknown-linux-gnu", version="1.63.0")


@pytest.fixture(name="analyze")
def _analyze():
    def analyze_rust(label, table, **given):
        context = FakeContext(label, toolchains=(CC, RUST), **given)
        return analyze(RustHandler(), {"language": "rust", **table}, context)

    return analyze_rust


@pytest.fixture
def words(analyze):
    return analyze(
        "//lib:words",
        {"type": "library", "features": ["std"], "cfg": ["fast"], "flags": ["-Awarnings"], "rustc_env": {"A": "b"}},
        files={"sources": ["lib/src/lib.rs", "lib/src/more.rs"], "data": ["lib/list.txt"]},
    )


def test_a_crate(words):
    (action,) = words.actions
    assert action.argv == (
        "rustc",
        "--crate-name=words",
        "--edition=2021",
        "--crate-type=lib",
        "--emit=link=lib/libwords-8d12e27e373cb90d.rlib",
        "-Cmetadata=8d12e27e373cb90d",
        "-Ccodegen-units=16",
        "--remap-path-prefix=${BLDR_ROOT}=.",
        "--color=never",
        *("--cfg", 'feature="std"', "--cfg", "fast"),
        "-Awarnings",
        "lib/src/lib.rs",
    )
    assert action.toolchains == ("rust",)
    assert action.env == {"CARGO_MANIFEST_DIR": "${BLDR_ROOT}/lib", "CARGO_CRATE_NAME": "words", "A": "b"}
    assert [item.path for item in action.inputs] == ["lib/src/lib.rs", "lib/src/more.rs"]
    info = words.get(RustInfo)
    assert info.crates == (info.library,) == words.get(Files).files
    assert [item.path for item in info.runtime] == ["lib/list.txt"]


def test_a_program_links_crates_and_c(analyze, words, dep, made):
    middle = analyze(
        "//mid:mid-dle", {"type": "library"}, files={"sources": ["mid/m.rs"]}, deps={"deps": [words.as_dep()]}
    )
    native = CcInfo(static_libraries=(made("c/liba.a"),), shared_libraries=(made("c/so/libb.so"),), link_flags=("-lm",))
    program = analyze(
        "//app:run",
        {"type": "executable", "edition": "2018", "aliases": {"//mid:mid-dle": "m"}},
        files={"sources": ["app/main.rs"]},
        deps={"deps": [middle.as_dep(), dep("//c:c", native)]},
    )
    (action,) = program.actions
    library = middle.get(RustInfo).library.path
    assert library.startswith("mid/libmid_dle-")
    assert action.argv[8:] == (
        "--color=never",
        *("-Ldependency=mid", "-Ldependency=lib", "--extern", f"m={library}"),
        "-Clinker=gcc",
        "-Clink-arg=-Wl,--enable-new-dtags",
        "-Clink-arg=-Wl,-rpath,$ORIGIN/../c/so",
        *("-Clink-arg=c/liba.a", "-Clink-arg=c/so/libb.so", "-Clink-arg=-lm"),
        "app/main.rs",
    )
    assert action.toolchains == ("rust", "cc")
    executable = program.get(Executable)
    assert [item.path for item in executable.runtime] == ["c/so/libb.so", "lib/list.txt"]
    assert (executable.program.path, executable.toolchains) == ("app/run", ("cc-runtime",))


def test_the_mode_and_flags_of_a_configuration(analyze):
    configuration = Configuration(name="fast", mode="release", flags={"rust": ("-Cpanic=abort",), "c": ("-O2",)})
    table = {"type": "library", "flags": ["-Copt-level=2"]}
    (action,) = analyze("//:a", table, files={"sources": ["a.rs"]}, configuration=configuration).actions
    assert action.argv[-4:] == ("-Copt-level=3", "-Cpanic=abort", "-Copt-level=2", "a.rs")


@pytest.mark.parametrize("flags", [("-Ctarget-cpu=native",), ("-C", "target-cpu=native"), ("-Ztune_cpu=native",)])
def test_a_configuration_does_not_ask_for_the_processor_of_this_machine(analyze, flags):
    configuration = Configuration(name="fast", flags={"rust": flags})
    with pytest.raises(TargetError, match="depend on the machine"):
        analyze("//:a", {"type": "library"}, files={"sources": ["a.rs"]}, configuration=configuration)


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("-l one -L  native=two", "-l\none\n-L\nnative=two\n"),
        ("-lone -Lnative=two", "-lone\n-Lnative=two\n"),
        ("-l one -Ctarget-cpu=native", None),
        ("-C target-cpu=native", None),
        ("-l", None),
    ],
)
def test_flags_of_a_build_script_name_libraries_only(tmp_path, said, arguments):
    """As with cargo: all else is for whoever writes the target."""
    (tmp_path / "said").write_text(f"cargo:rustc-flags={said}\n")
    words = ("-v", "arguments=arguments", "-v", "environment=environment", SAID_TO_FILES, "said")
    done = subprocess.run(["awk", *words], cwd=tmp_path, capture_output=True, text=True)
    if arguments is None:
        assert done.returncode == 1 and "error: rustc-flags may say -l and -L only, and not: -" in done.stderr
    else:
        assert (done.returncode, (tmp_path / "arguments").read_text()) == (0, arguments), done


def test_a_macro_ends_what_it_was_made_of(analyze, words):
    macro = analyze(
        "//:shout",
        {"type": "library", "crate_type": "proc-macro"},
        files={"sources": ["shout.rs"]},
        deps={"deps": [words.as_dep()]},
    )
    (action,) = macro.actions
    assert "--crate-type=proc-macro" in action.argv
    assert action.argv[action.argv.index("proc_macro") - 1] == "--extern"
    info = macro.get(RustInfo)
    assert info.crates == (info.library,)
    assert info.library.path.endswith(".so")


@pytest.mark.parametrize(("kind", "name"), [("cdylib", "libw.so"), ("staticlib", "libw.a")])
def test_libraries_for_c(analyze, words, kind, name):
    library = analyze(
        "//:w", {"type": "library", "crate_type": kind}, files={"sources": ["w.rs"]}, deps={"deps": [words.as_dep()]}
    )
    info = library.get(CcInfo)
    made = info.shared_libraries if kind == "cdylib" else info.static_libraries
    assert [item.path for item in made] == [name]
    assert [item.path for item in info.runtime] == ["lib/list.txt"]
    assert library.get(RustInfo) is None


def test_a_build_script_is_compiled_and_run_before(analyze):
    crate = analyze(
        "//lib:words",
        {"type": "library", "build_script": "build.rs", "features": ["a-b"], "crate_root": "src/lib.rs"},
        files={"sources": ["lib/build.rs", "lib/src/lib.rs"]},
    )
    compiled, run, used = crate.actions
    assert compiled.outputs[0].path == "lib/words.build/script"
    assert run.argv[-3:] == ("lib/words.build/script", "lib/words.build/arguments", "lib/words.build/environment")
    assert run.env["CARGO_FEATURE_A_B"] == "1"
    assert run.env["OUT_DIR"] == used.env["OUT_DIR"] == "${BLDR_ROOT}/lib/words.build/out"
    assert used.argv[:2] == ("sh", "-euc") and "@lib/words.build/arguments" in used.argv
    assert set(run.outputs) < set(used.inputs)


def test_a_test_has_the_harness_and_takes_a_filter(analyze, words):
    test = analyze(
        "//lib:unit", {"type": "test", "args": ["x"]}, files={"sources": ["lib/t.rs"]}, deps={"deps": [words.as_dep()]}
    )
    (action,) = test.actions
    assert "--test" in action.argv and not any(word.startswith("--crate-type") for word in action.argv)
    info = test.get(TestInfo)
    assert info.argv[-1] == "./lib/unit"
    assert info.toolchains == ("shell", "cc-runtime")


def test_long_command_lines_go_through_a_file(analyze, words):
    crate = analyze(
        "//:big", {"type": "library", "cfg": [f"c{number:05}" for number in range(3000)]}, files={"sources": ["b.rs"]}
    )
    (action,) = crate.actions
    ((path, text),) = action.files
    assert action.argv[-1] == f"@{path}"
    assert "--remap-path-prefix=${BLDR_ROOT}=." in action.argv
    assert text.splitlines()[:2] == ["--cfg", "c00000"] and text.endswith("\nb.rs\n")


@pytest.mark.parametrize(
    ("table", "sources", "message"),
    [
        ({"flags": ["-Ctarget-cpu=native"]}, ["a.rs"], "depend on the machine"),
        ({"crate_root": "b.rs"}, ["a.rs"], '"b.rs" is none of the sources'),
        ({}, ["a.rs", "b.rs"], "which source the crate begins with is not said"),
        ({}, ["a.txt"], "there is no source of Rust"),
        ({"crate_name": "a-b"}, ["a.rs"], '"a-b" cannot be the name of a crate'),
        ({"aliases": {"//x:x": "y"}}, ["a.rs"], "//x:x has an alias and is no crate among the deps"),
    ],
)
def test_what_is_refused(analyze, table, sources, message):
    with pytest.raises(TargetError, match=message):
        analyze("//:lib", {"type": "library", **table}, files={"sources": sources})


def test_two_deps_of_one_name(analyze):
    one = analyze("//a:same", {"type": "library"}, files={"sources": ["a/x.rs"]})
    two = analyze("//b:same", {"type": "library"}, files={"sources": ["b/x.rs"]})
    deps = {"deps": [one.as_dep(), two.as_dep()]}
    with pytest.raises(TargetError, match='two deps are called "same": //a:same and //b:same'):
        analyze("//:app", {"type": "executable"}, files={"sources": ["m.rs"]}, deps=deps)
    table = {"type": "executable", "aliases": {"//b:same": "other"}}
    (action,) = analyze("//:app", table, files={"sources": ["m.rs"]}, deps=deps).actions
    assert sum(word.startswith(("same=a/", "other=b/")) for word in action.argv) == 2
