"""C and C++ built by real compilers, hermetically."""

import shutil
import subprocess

import pytest

pytestmark = pytest.mark.full

SHARED = {
    "lib/Builderfile": """
        [target.base]
        type = "library"
        language = "c"
        sources = ["base.c"]
        headers = ["base.h"]
        data = ["base.txt"]
        defines = ["BASE_WORD=\\"base\\""]

        [target.deep]
        type = "library"
        language = "c"
        linkage = "shared"
        sources = ["deep/deep.c"]
        deps = [":base"]

        [target.near]
        type = "library"
        language = "c"
        linkage = "shared"
        sources = ["near.c"]
        deps = [":deep"]
        visibility = "public"
        """,
    "lib/base.h": "int base(void);\n",
    "lib/base.c": '#include "base.h"\nint base(void) { return (int)sizeof BASE_WORD; }\n',
    "lib/base.txt": "a line of base\n",
    "lib/deep/deep.c": '#include "base.h"\nint deep(void) { return base() + 10; }\n',
    "lib/near.c": "int deep(void);\nint near(void) { return deep() + 100; }\n",
    "app/bin/Builderfile": """
        [target.run]
        type = "executable"
        language = "c"
        sources = ["main.c"]
        deps = ["//lib:near"]

        [target.run_test]
        type = "test"
        language = "c"
        sources = ["main.c"]
        deps = ["//lib:near"]

        [target.tool_test]
        type = "test"
        tools = [":run"]
        command = "run"
        """,
    "app/bin/main.c": """
        #include <stdio.h>
        int near(void);
        int main(void) {
            FILE *data = fopen("lib/base.txt", "r");
            printf("%d\\n", near());
            return near() != 115 || data == NULL;
        }
        """,
}


def test_shared_libraries_are_found_in_the_sandbox_as_a_tool_and_in_bldr_out(project):
    project.write(SHARED)
    ran = project.bldr("test", "--hermetic", "//...")
    assert ran.tests == {"//app/bin:run_test": "passed", "//app/bin:tool_test": "failed"}, ran
    # A tool's data stands with the tool, not in the tree: the program starts, and only its file is missing.
    assert "115" in ran.output
    assert project.bldr("build", "--hermetic", "//app/bin:run").exit_code == 0
    done = subprocess.run([project.out("app/bin/run")], cwd=project.root, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("115\n", 0)


def test_a_changed_header_recompiles_its_users_and_a_comment_stops_there(project):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "test"

                [target.app]
                type = "executable"
                language = "c"
                sources = ["user.c", "other.c", "main.c"]
                headers = ["user.h", "other.h"]
                flags = ["-O2"]
                """,
            "user.h": "#define USER 1\n",
            "other.h": "#define OTHER 2\n",
            "user.c": '#include "user.h"\nint user(void) { return USER; }\n',
            "other.c": '#include "other.h"\nint other(void) { return OTHER; }\n',
            "main.c": "int user(void), other(void);\nint main(void) { return user() + other() - 3; }\n",
        }
    )
    assert len(project.bldr("build", "--hermetic").ran) == 4
    assert project.bldr("build", "--hermetic").ran == []
    project.write({"user.h": "#define USER 1 /* said */\n"})
    assert project.bldr("build", "--hermetic").ran == ["Compile //:app"]
    project.write({"user.h": "#define USER 5\n"})
    assert project.bldr("build", "--hermetic").ran == ["Compile //:app", "Link //:app"]
    project.write({"main.c": "int user(void), other(void);\nint main(void) { return user() + other() - 7; }\n"})
    assert project.bldr("build", "--hermetic").ran == ["Compile //:app", "Link //:app"]
    assert project.output_of("app") == ""


def test_a_new_header_that_shadows_another_is_noticed(project):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "test"

                [target.app]
                type = "executable"
                language = "c"
                sources = ["main.c"]
                headers = ["*/*.h"]
                include = ["first", "second"]
                """,
            "first/none.h": "",
            "second/shadow.h": '#define WORD "second"\n',
            "main.c": "#include <stdio.h>\n#include <shadow.h>\nint main(void) { puts(WORD); }\n",
        }
    )
    assert project.bldr("build", "--hermetic").exit_code == 0
    assert project.output_of("app") == "second\n"
    project.write({"first/shadow.h": '#define WORD "first"\n'})
    assert project.bldr("build", "--hermetic").exit_code == 0
    assert project.output_of("app") == "first\n"


def test_a_file_that_only_the_assembler_reads_is_noticed(project):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "test"

                [target.app]
                type = "executable"
                language = "c"
                sources = ["main.c"]
                headers = ["word.bin"]
                """,
            "word.bin": b"first\0",
            "main.c": """
                #include <stdio.h>
                __asm__(".section .rodata\\n.globl word\\nword: .incbin \\"word.bin\\"\\n.text");
                extern const char word[];
                int main(void) { puts(word); }
                """,
        }
    )
    assert project.bldr("build", "--hermetic").exit_code == 0
    project.write({"word.bin": b"other\0"})
    assert project.bldr("build", "--hermetic").exit_code == 0
    assert project.output_of("app") == "other\n"


KINDS = {
    "Builderfile": """
        [workspace]
        name = "test"

        [target.parts]
        type = "library"
        language = "c++"
        sources = ["a/part.c", "b/part.cc", "half.S", "whole.s"]
        flags = ["-g", "-O1"]
        link_flags = ["-lm"]

        [target.headers]
        type = "command"
        outputs = ["gen/"]
        command = "mkdir gen; echo '#define SIZE 4' > gen/size.h"

        [target.source]
        type = "command"
        outputs = ["made.cpp"]
        command = "echo 'int made() { return 1000; }' > $OUT"

        [target.app]
        type = "executable"
        language = "c"
        sources = ["main.c", ":source"]
        deps = [":parts", ":headers"]
        flags = ["-g"]
        """,
    "a/part.c": "#include <math.h>\ndouble root(double x) { return sqrt(x); }\n",
    "b/part.cc": '#include <string>\nextern "C" int length(const char *s) { return std::string(s).size(); }\n',
    "half.S": "#define ANSWER 42\n.globl half\nhalf: mov $ANSWER, %eax\nret\n.section .note.GNU-stack\n",
    "whole.s": ".globl whole\nwhole: mov $100, %eax\nret\n.section .note.GNU-stack\n",
    "main.c": """
        #include <stdio.h>
        #include "gen/size.h"
        double root(double); int length(const char *), half(void), whole(void); int _Z4madev(void);
        int main(void) { printf("%g %d %d %d %d %d\\n", root(4), length("abc"), half(), whole(), _Z4madev(), SIZE); }
        """,
}


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_all_kinds_of_sources_and_bit_for_bit_the_same_elsewhere(project, tmp_path, compiler):
    if compiler == "clang" and shutil.which("clang") is None:
        pytest.skip("clang is not installed")
    project.write(KINDS)
    ran = project.bldr("build", "--hermetic", "//...", CC=compiler)
    assert ran.exit_code == 0, ran
    assert project.output_of("app") == "2 3 42 100 1000 4\n"
    first = {name: project.out(name).read_bytes() for name in ("app", "libparts.a")}
    assert str(project.root).encode() not in first["app"] and b"/build" not in first["app"]

    moved = type(project)(tmp_path / "moved", tmp_path / "cache")
    shutil.copytree(project.root, moved.root, ignore=shutil.ignore_patterns("bldr-out"), dirs_exist_ok=True)
    assert moved.bldr("build", "--hermetic", "//...", CC=compiler).exit_code == 0
    assert {name: moved.out(name).read_bytes() for name in first} == first


def test_members_of_one_name_do_not_replace_each_other(project):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "test"

                [target.l]
                type = "library"
                language = "c"
                sources = ["a/x.c", "b/x.c"]

                [target.app]
                type = "executable"
                language = "c"
                sources = ["main.c"]
                deps = [":l"]
                """,
            "a/x.c": "int a(void) { return 1; }\n",
            "b/x.c": "int b(void) { return 2; }\n",
            "main.c": "int a(void), b(void);\nint main(void) { return a() + b() - 3; }\n",
        }
    )
    assert project.bldr("build", "--hermetic").exit_code == 0
    assert project.output_of("app") == ""


def test_objects_without_machine_code_are_linked_from_archives(project):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "test"

                [target.l]
                type = "library"
                language = "c"
                sources = ["l.c"]
                flags = ["-O2", "-flto"]

                [target.app]
                type = "executable"
                language = "c"
                sources = ["main.c"]
                deps = [":l"]
                flags = ["-O2", "-flto"]
                link_flags = ["-O2", "-flto"]
                """,
            "l.c": "int l(void) { return 7; }\n",
            "main.c": "int l(void);\nint main(void) { return l() - 7; }\n",
        }
    )
    ran = project.bldr("build", "--hermetic")
    assert ran.exit_code == 0, ran
    assert project.output_of("app") == ""


def test_more_objects_than_fit_on_a_line(project):
    count = 300
    name = "n" * 120
    sources = {f"src/{name} {number}.c": f"int f{number}(void) {{ return {number}; }}\n" for number in range(count)}
    sum_of_all = " + ".join(f"f{number}()" for number in range(count))
    declared = ", ".join(f"f{number}(void)" for number in range(count))
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "test"

                [target.l]
                type = "library"
                language = "c"
                sources = ["src/*.c"]

                [target.app]
                type = "executable"
                language = "c"
                sources = ["main.c", "src/*.c"]
                """,
            **sources,
            "main.c": f"int {declared};\nint main(void) {{ return {sum_of_all} != {sum(range(count))}; }}\n",
        }
    )
    ran = project.bldr("build", "--hermetic")
    assert ran.exit_code == 0, ran
    assert project.output_of("app") == ""
    listed = subprocess.run(["ar", "t", project.out("libl.a")], capture_output=True, text=True, check=True).stdout
    assert len(listed.splitlines()) == count


def test_a_sanitizer_finds_its_runtime(project):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "test"

                [target.t]
                type = "test"
                language = "c++"
                sources = ["t.cc"]
                flags = ["-fsanitize=undefined", "-fno-sanitize-recover"]
                link_flags = ["-fsanitize=undefined"]
                """,
            "t.cc": "int main(int count, char **) { int big = 0x7fffffff; return big + count > 0; }\n",
        }
    )
    ran = project.bldr("test", "--hermetic")
    assert ran.tests == {"//:t": "failed"}, ran
    assert "signed integer overflow" in ran.output


def test_a_header_that_is_not_declared_is_not_there(project):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "test"

                [target.a]
                type = "executable"
                language = "c"
                sources = ["m.c"]
                """,
            "secret.h": "#define SECRET 0\n",
            "m.c": '#include "secret.h"\nint main(void) { return SECRET; }\n',
        }
    )
    ran = project.bldr("build", "--hermetic")
    assert ran.exit_code == 1
    assert "secret.h" in ran.output
