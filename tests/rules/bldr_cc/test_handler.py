"""What becomes of targets of C and C++: command lines to the letter, and what dependents learn."""

import pytest

from bldr.api import CcInfo, Configuration, Executable, Files, Platform, TargetError, TestInfo, Toolchain
from bldr_cc.handler import CcHandler


@pytest.fixture
def analyze(analyze_with):
    def analyze(label, table, **given):
        return analyze_with(CcHandler(), label, {"language": "c", **table}, **given)

    return analyze


@pytest.fixture
def greet(analyze):
    """A static library with everything."""
    return analyze(
        "//lib:greet",
        {
            "type": "library",
            "include": ["include", "."],
            "defines": ["GREET=1"],
            "local_defines": ["INSIDE"],
            "flags": ["-O2"],
            "link_flags": ["-lm"],
        },
        files={
            "sources": ["lib/src/greet.c", "lib/private.h"],
            "headers": ["lib/include/greet.h"],
            "data": ["lib/names.txt"],
        },
    )


def test_a_static_library(greet):
    assert list(greet.commands) == [
        "gcc -ffile-prefix-map=${BLDR_ROOT}=. -frandom-seed=lib/greet.objects/src/greet.c.o -fPIC"
        " -DGREET=1 -DINSIDE -iquote lib -iquote . -Ilib/include -Ilib -O2"
        " -MD -MF lib/greet.objects/src/greet.c.o.d -c lib/src/greet.c -o lib/greet.objects/src/greet.c.o",
        "ar rcsD lib/libgreet.a lib/greet.objects/src/greet.c.o",
    ]
    compile, archive = greet.actions
    assert [artifact.path for artifact in compile.inputs] == ["lib/src/greet.c", "lib/include/greet.h", "lib/private.h"]
    assert compile.depfile == "lib/greet.objects/src/greet.c.o.d"
    assert compile.toolchains == archive.toolchains == ("cc",)
    assert archive.inputs == compile.outputs
    assert greet.get(Files).files == archive.outputs


def test_what_the_users_of_a_library_learn(greet):
    info = greet.get(CcInfo)
    assert [artifact.path for artifact in info.headers] == ["lib/include/greet.h", "lib/private.h"]
    assert info.include_dirs == ("lib/include", "lib")
    assert info.defines == ("GREET=1",)
    assert [artifact.path for artifact in info.static_libraries] == ["lib/libgreet.a"]
    assert info.link_flags == ("-lm",)
    assert [artifact.path for artifact in info.runtime] == ["lib/names.txt"]
    assert not info.needs_cxx_runtime


def test_a_program_over_a_library(analyze, greet):
    target = analyze(
        "//app:hello",
        {"type": "executable", "link_flags": ["-Wl,-E"]},
        files={"sources": ["app/main.c"], "data": ["app/words.txt"]},
        deps={"deps": [greet.as_dep()]},
    )
    assert list(target.commands) == [
        "gcc -ffile-prefix-map=${BLDR_ROOT}=. -frandom-seed=app/hello.objects/main.c.o"
        " -DGREET=1 -iquote app -iquote . -Ilib/include -Ilib"
        " -MD -MF app/hello.objects/main.c.o.d -c app/main.c -o app/hello.objects/main.c.o",
        "gcc -frandom-seed=app/hello -Wl,--build-id=sha1 -o app/hello"
        " app/hello.objects/main.c.o lib/libgreet.a -Wl,-E -lm",
    ]
    program = target.get(Executable)
    assert program.program.path == "app/hello"
    assert [artifact.path for artifact in program.runtime] == ["app/words.txt", "lib/names.txt"]
    assert program.toolchains == ("cc-runtime",)
    assert target.get(Files).files == (program.program,)
    assert target.get(CcInfo) is None


def test_a_test_is_a_program_with_its_data(analyze, greet):
    target = analyze(
        "//lib:greet_test",
        {"type": "test", "env": {"MODE": "x"}, "args": ["--all"]},
        files={"sources": ["lib/greet_test.c"], "data": ["lib/case.txt"]},
        deps={"deps": [greet.as_dep()]},
    )
    test = target.get(TestInfo)
    assert test.argv == ("lib/greet_test",)  # the engine adds `args`, and those of the command line
    assert [artifact.path for artifact in test.inputs] == ["lib/greet_test", "lib/case.txt", "lib/names.txt"]
    assert test.env == {"MODE": "x"}
    assert test.toolchains == ("cc-runtime",)


def test_a_shared_library_takes_its_static_ones_in_and_hands_on_the_rest(analyze, greet):
    shared = analyze(
        "//so:words",
        {"type": "library", "linkage": "shared"},
        files={"sources": ["so/words.c"], "headers": ["so/w.h"]},
        deps={"deps": [greet.as_dep()]},
    )
    assert shared.commands[-1] == (
        "gcc -shared -Wl,-soname,libwords.so -frandom-seed=so/libwords.so -Wl,--build-id=sha1 -o so/libwords.so"
        " so/words.objects/words.c.o lib/libgreet.a -lm"
    )
    info = shared.get(CcInfo)
    assert info.static_libraries == ()
    assert info.link_flags == ()
    assert [artifact.path for artifact in info.shared_libraries] == ["so/libwords.so"]
    assert [artifact.path for artifact in info.headers] == ["so/w.h", "lib/include/greet.h", "lib/private.h"]
    assert info.defines == ("GREET=1",)
    assert [artifact.path for artifact in info.runtime] == ["lib/names.txt"]


def test_programs_find_shared_libraries_relative_to_themselves(analyze):
    below = analyze("//so/deep:b", {"type": "library", "linkage": "shared"}, files={"sources": ["so/deep/b.c"]})
    above = analyze(
        "//so:a",
        {"type": "library", "linkage": "shared"},
        files={"sources": ["so/a.c"]},
        deps={"deps": [below.as_dep()]},
    )
    program = analyze(
        "//so:run", {"type": "executable"}, files={"sources": ["so/m.c"]}, deps={"deps": [above.as_dep()]}
    )
    assert program.commands[-1] == (
        "gcc -frandom-seed=so/run -Wl,--build-id=sha1 -Wl,--enable-new-dtags -Wl,-rpath,$ORIGIN"
        " -Wl,-rpath,$ORIGIN/deep -o so/run so/run.objects/m.c.o"
        " -Wl,--push-state,--as-needed so/liba.so so/deep/libb.so -Wl,--pop-state"
    )
    assert [file.path for file in program.get(Executable).runtime] == ["so/liba.so", "so/deep/libb.so"]
    top = analyze("//:run", {"type": "executable"}, files={"sources": ["m.c"]}, deps={"deps": [above.as_dep()]})
    assert "-Wl,-rpath,$ORIGIN/so " in top.commands[-1]


def test_a_diamond_is_linked_once_and_in_order(analyze):
    def library(name, *deps):
        files = {"sources": [f"l/{name}.c"]}
        return analyze(f"//l:{name}", {"type": "library"}, files=files, deps={"deps": [dep.as_dep() for dep in deps]})

    bottom = library("bottom")
    left, right = library("left", bottom), library("right", bottom)
    top = analyze(
        "//:top",
        {"type": "executable"},
        files={"sources": ["m.c"]},
        deps={"deps": [library.as_dep() for library in (bottom, left, right)]},
    )
    assert [word for word in top.actions[-1].argv if word.endswith(".a")] == [
        "l/libleft.a",
        "l/libright.a",
        "l/libbottom.a",
    ]


def test_cpp_is_compiled_and_linked_by_its_own_driver_and_users_in_c_link_like_it(analyze):
    library = analyze("//l:l", {"type": "library", "language": "c++"}, files={"sources": ["l/a.cc", "l/b.c"]})
    assert [action.argv[0] for action in library.actions] == ["gcc", "g++", "ar"]
    assert library.get(CcInfo).needs_cxx_runtime
    user = analyze("//:u", {"type": "executable"}, files={"sources": ["u.c"]}, deps={"deps": [library.as_dep()]})
    assert [action.argv[0] for action in user.actions] == ["gcc", "g++"]
    mixed = analyze("//:m", {"type": "executable"}, files={"sources": ["m.c", "n.cpp"]})
    assert [action.argv[0] for action in mixed.actions] == ["gcc", "g++", "g++"]


@pytest.mark.parametrize("language", ["c", "c++"])
def test_where_there_is_no_compiler_for_cpp_only_c_is_built(analyze, language):
    only_c = Toolchain(
        name="cc", executables={}, attributes={"compiler": "gcc", "cc": "gcc", "cxx": "", "version": "12"}
    )
    with pytest.raises(TargetError, match=r"no compiler for C\+\+"):
        analyze("//:m", {"type": "executable", "language": language}, files={"sources": ["m.cc"]}, toolchain=only_c)
    assert analyze("//:m", {"type": "executable"}, files={"sources": ["m.c"]}, toolchain=only_c).actions


def test_made_headers_and_sources_are_used_where_they_stand(analyze, dep, made):
    version = dep("//version:version", Files((made("version/version.h"), made("version/libv.a"))))
    target = analyze(
        "//app:app", {"type": "executable"}, deps={"deps": [version]},
        files={"sources": ["app/main.c", made("gen/parser.c"), made("gen/tables.h")]},
    )  # fmt: skip
    first, second, link = target.actions
    assert second.argv[-1] == "app/app.objects/gen/parser.c.o"
    headers = ["gen/tables.h", "version/version.h"]
    assert [file.path for file in first.inputs] == ["app/main.c", *headers]
    assert [file.path for file in second.inputs] == ["gen/parser.c", *headers]
    objects = ["app/app.objects/main.c.o", "app/app.objects/gen/parser.c.o"]
    assert [file.path for file in link.inputs] == [*objects, "version/libv.a"]


def test_a_header_library_has_nothing_to_build_and_is_no_file(analyze):
    target = analyze("//h:h", {"type": "library", "include": ["."]}, files={"headers": ["h/h.h"]})
    assert target.actions == ()
    assert target.get(Files) == Files(())
    assert target.get(CcInfo).include_dirs == ("h",)


def test_objects_and_archives_among_the_sources_are_linked(analyze, made):
    program = analyze("//:p", {"type": "executable"}, files={"sources": ["m.c", made("x/y.o"), "libz.a"]})
    assert program.commands[-1].endswith("-o p p.objects/m.c.o x/y.o libz.a")
    library = analyze("//:l", {"type": "library"}, files={"sources": ["l.c", "libz.a"]})
    assert [file.path for file in library.get(CcInfo).static_libraries] == ["libl.a", "libz.a"]
    wrapper = analyze("//:z", {"type": "library"}, files={"sources": ["libz.a"]})
    assert [file.path for file in wrapper.get(Files).files] == ["libz.a"]


def test_sources_of_external_trees_find_headers_from_the_root_of_theirs(analyze):
    library = analyze(
        "@zlib//src:z", {"type": "library"},
        files={"sources": ["external/zlib/src/z.c"], "headers": ["external/zlib/src/z.h"]},
    )  # fmt: skip
    assert "-iquote external/zlib/src -iquote external/zlib -iquote . " in library.commands[0]
    user = analyze("//app:u", {"type": "executable"}, files={"sources": ["app/u.c"]}, deps={"deps": [library.as_dep()]})
    assert "-iquote app -iquote . -iquote external/zlib " in user.commands[0]


@pytest.mark.parametrize(
    ("sources", "headers"),
    [(["a.S"], []), (["a.c"], ["picture.bin"]), (["a.c"], ["gen/"])],
    ids=["asm", "binary", "dir"],
)
def test_what_an_assembler_may_read_is_in_no_depfile(analyze, made, sources, headers):
    given = [made("gen", is_directory=True) if name.endswith("/") else name for name in headers]
    target = analyze("//:p", {"type": "executable"}, files={"sources": sources, "headers": given})
    assert target.actions[0].depfile == ""
    assert "-MD" not in target.actions[0].argv


def test_clocks_are_pinned_for_compilers_that_do_not_know_source_date_epoch(analyze):
    old = Toolchain(
        name="cc", executables={},
        attributes={"compiler": "clang", "cc": "clang", "cxx": "", "version": "14", "honours_source_date_epoch": "no"},
    )  # fmt: skip
    target = analyze("//:p", {"type": "executable"}, files={"sources": ["m.c"]}, toolchain=old)
    assert '-D__DATE__="Jan  1 1980"' in target.actions[0].argv
    assert target.commands[1] == "clang -Wl,--build-id=sha1 -o p p.objects/m.c.o"


def test_the_index_of_link_time_objects_is_written_by_the_compilers_archiver(analyze):
    target = analyze("//:l", {"type": "library", "flags": ["-flto=auto"]}, files={"sources": ["l.c"]})
    assert target.actions[-1].argv[0] == "gcc-ar"


def test_long_lists_go_through_a_parameter_file(analyze):
    sources = [f"src/{'x' * 80}{number} 'q'\\.c" for number in range(400)]
    program, library = (
        analyze("//:p", {"type": type}, files={"sources": sources}).actions[-1] for type in ("executable", "library")
    )
    assert program.argv[:4] == ("gcc", "-frandom-seed=p", "-Wl,--build-id=sha1", "-o")
    assert program.argv[-1] == "@p.params"
    assert library.argv == ("ar", "rcsD", "libp.a", "@libp.a.params")
    ((path, content),) = library.files
    assert path == "libp.a.params"
    assert content.count("\n") == 400
    assert content.startswith(f"p.objects/src/{'x' * 80}0\\ \\'q\\'\\\\.c.o\n")


@pytest.mark.parametrize(
    ("table", "files", "message"),
    [
        ({"flags": ["-march=native"]}, {}, "makes the result depend on the machine"),
        ({"defines": ["-DX"]}, {}, '"-DX" is no macro'),
        ({"local_defines": ["-UX"]}, {}, '"-UX" is no macro'),
        ({"include": ["../x"]}, {}, "outside the package"),
        ({"include": ["/usr/include/x"]}, {}, "outside the package"),
        ({"link_flags": ["-Xlinker", "x"]}, {}, "does not stand alone"),
        ({"link_flags": ["lib.a"]}, {}, "does not stand alone"),
        ({}, {"sources": ["notes.txt"]}, '"notes.txt" is no source'),
        ({}, {"sources": ["only.h"]}, "nothing to link"),
    ],
)
def test_what_makes_no_sense_is_refused(analyze, table, files, message):
    with pytest.raises(TargetError, match=message):
        analyze("//:p", {"type": "executable", **table}, files={"sources": ["m.c"], **files})


def test_a_shared_library_of_headers_is_refused(analyze):
    with pytest.raises(TargetError, match="needs sources"):
        analyze("//:p", {"type": "library", "linkage": "shared"}, files={"headers": ["p.h"]})


def test_a_program_is_no_dep(analyze, dep, made):
    program = made("app/app")
    for providers in ((Files((program,)), Executable(program)), ()):
        with pytest.raises(TargetError, match="neither a library nor a maker of headers"):
            analyze(
                "//:p",
                {"type": "executable"},
                files={"sources": ["m.c"]},
                deps={"deps": [dep("//app:app", *providers)]},
            )


def test_the_mode_and_the_flags_of_the_configuration_come_before_the_target_s_own(analyze):
    configuration = Configuration(
        name="x", mode="release", flags={"c": ("-fsanitize=address", "-O1"), "c++": ("-fno-rtti",), "rust": ("-C",)}
    )
    table = {"type": "executable", "flags": ["-O3"], "local_defines": ["A"]}
    made = analyze("//:a", table, files={"sources": ["a.c", "b.cc"]}, configuration=configuration)
    assert list(made.commands) == [
        "gcc -ffile-prefix-map=${BLDR_ROOT}=. -frandom-seed=a.objects/a.c.o -O2 -DNDEBUG -fsanitize=address -O1"
        " -DA -iquote . -O3 -MD -MF a.objects/a.c.o.d -c a.c -o a.objects/a.c.o",
        "g++ -ffile-prefix-map=${BLDR_ROOT}=. -frandom-seed=a.objects/b.cc.o -O2 -DNDEBUG -fno-rtti"
        " -DA -iquote . -O3 -MD -MF a.objects/b.cc.o.d -c b.cc -o a.objects/b.cc.o",
        "g++ -fno-rtti -frandom-seed=a -Wl,--build-id=sha1 -o a a.objects/a.c.o a.objects/b.cc.o",
    ]
    debug = analyze("//:a", table, files={"sources": ["a.c"]}, configuration=Configuration(name="debug", mode="debug"))
    assert " -frandom-seed=a.objects/a.c.o -O0 -g -DA " in debug.commands[0]
    with pytest.raises(TargetError, match='"-march=native" makes the result depend on the machine'):
        analyze(
            "//:a",
            table,
            files={"sources": ["a.c"]},
            configuration=Configuration(name="n", flags={"c": ("-march=native",)}),
        )


@pytest.mark.parametrize(("system", "name"), [("linux", "run"), ("macos", "run"), ("windows", "run.exe")])
def test_a_program_is_called_as_its_system_wants_it(analyze, system, name):
    made = analyze("//:run", {"type": "executable"}, files={"sources": ["m.c"]}, platform=Platform(system, "x86_64"))
    assert made.get(Executable).program.path == name
