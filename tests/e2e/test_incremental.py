"""What runs again, what does not, and what the reasons are."""

import os
import shutil


def test_a_second_build_runs_nothing(c_project):
    first = c_project.build()
    assert first.exit_code == 0, first
    assert first.ran == [
        "Archive //lib:greet",
        "Command //:version",
        "Compile //:app",
        "Compile //lib:greet",
        "Compile //lib:greet",
        "Link //:app",
    ]
    second = c_project.build()
    assert (second.exit_code, second.ran, second.cached) == (0, [], 6)


def test_touching_a_file_runs_nothing(c_project):
    c_project.build()
    os.utime(c_project.root / "main.c")
    os.utime(c_project.root / "lib/greet.h")
    assert c_project.build().ran == []


def test_one_source_compiles_once_and_links(c_project):
    c_project.build()
    source = c_project.root / "lib/greet.c"
    source.write_text(source.read_text().replace("hello", "hullo"))
    again = c_project.build()
    assert again.ran == ["Archive //lib:greet", "Compile //lib:greet", "Link //:app"]
    assert os.popen(str(c_project.out("app"))).read() == "1.2.3\nhullo\n"


def test_a_comment_in_a_header_stops_at_the_objects(c_project):
    c_project.build()
    c_project.write({"lib/greet.h": "int greet(void); // says hello\n"})
    again = c_project.build()
    # other.c does not include the header: its depfile says so
    assert again.ran == ["Compile //:app", "Compile //lib:greet"]


def test_a_new_header_that_shadows_counts(c_project):
    """`#include "greet.h"` style look-ups may find another file now: the paths of all inputs are in the key."""
    c_project.build()
    builderfile = c_project.root / "lib/Builderfile"
    builderfile.write_text(builderfile.read_text().replace('["greet.h"]', '["greet.h", "stdio.h"]'))
    c_project.write({"lib/stdio.h": "#error shadowed\n"})
    again = c_project.build("-k")
    assert "Compile //lib:greet" in again.ran


def test_going_back_is_served_from_the_cache(c_project):
    c_project.build()
    before = c_project.read("lib/greet.c")
    c_project.write({"lib/greet.c": before.replace("hello", "hullo")})
    c_project.build()
    c_project.write({"lib/greet.c": before})
    assert c_project.build().ran == []
    assert os.popen(str(c_project.out("app"))).read() == "1.2.3\nhello\n"


def test_outputs_that_somebody_removed_or_edited_come_back(c_project):
    c_project.build()
    original = c_project.out("app").read_bytes()
    c_project.out("app").unlink()
    assert c_project.build().ran == []
    assert c_project.out("app").read_bytes() == original
    c_project.out("app").write_bytes(b"edited")
    c_project.build()
    assert c_project.out("app").read_bytes() == original
    shutil.rmtree(c_project.root / "bldr-out")
    c_project.build()
    assert c_project.out("app").read_bytes() == original


def test_editing_an_output_does_not_reach_the_store(c_project):
    c_project.build()
    original = c_project.out("version.h").read_bytes()
    with c_project.out("version.h").open("ab") as file:
        file.write(b"#error edited\n")
    shutil.rmtree(c_project.root / "bldr-out")
    assert c_project.build().ran == []
    assert c_project.out("version.h").read_bytes() == original


def test_explain_names_the_changed_file_and_what_waits(c_project):
    c_project.build()
    c_project.write({"lib/greet.c": "int greet(void) { return 0; }\n"})
    told = c_project.bldr("explain", "--hermetic", "//...").stdout
    assert "must run: lib/greet.c changed" in told
    assert "waits for lib/greet.objects/greet.c.o" in told
    c_project.build()
    told = c_project.bldr("explain", "--hermetic", "//lib:greet").stdout
    assert "up to date; it last ran because: lib/greet.c changed" in told


def test_explain_names_changed_flags(c_project):
    c_project.build()
    builderfile = c_project.root / "lib/Builderfile"
    builderfile.write_text(builderfile.read_text() + 'flags = ["-O2"]\n')
    told = c_project.bldr("explain", "--hermetic", "//lib:greet").stdout
    assert "must run: the command line changed: added -O2" in told


def test_another_directory_and_cache_give_the_same_bytes(c_project, project, tmp_path):
    from pathlib import Path

    c_project.build()
    elsewhere = tmp_path / "some" / "where else"
    shutil.copytree(c_project.root, elsewhere, ignore=shutil.ignore_patterns("bldr-out"))
    other = type(c_project)(elsewhere, tmp_path / "other" / "cache")
    Path(other.cache.parent).mkdir()
    assert other.build("//...").exit_code == 0
    for name in ("app", "version.h", "lib/libgreet.a"):
        assert other.out(name).read_bytes() == c_project.out(name).read_bytes(), name


def test_two_checkouts_share_a_cache(c_project, tmp_path):
    c_project.build()
    elsewhere = tmp_path / "second"
    shutil.copytree(c_project.root, elsewhere, ignore=shutil.ignore_patterns("bldr-out"))
    other = type(c_project)(elsewhere, c_project.cache)
    built = other.build()
    assert (built.exit_code, built.ran) == (0, [])


def test_a_shell_stands_where_the_failed_action_stood(c_project):
    c_project.write({"lib/greet.c": "int greet(void) { return missing; }\n"})
    assert c_project.build().exit_code == 1
    entered = c_project.bldr("shell", "//lib:greet", stdin="pwd; ls lib; gcc -c lib/greet.c -o /tmp/x.o; exit 9\n")
    assert entered.exit_code == 9, entered
    assert entered.stdout.split() == ["/build", "greet.c", "greet.h", "greet.objects"]
    assert "missing" in entered.stderr


def test_a_source_may_be_a_link_inside_its_package(project):
    it = project(
        {
            "Builderfile": """
            [target.t]
            type = "command"
            sources = ["link"]
            outputs = ["o"]
            command = "cat link > $OUT"
            """,
            "real": "1\n",
        }
    )
    (it.root / "link").symlink_to("real")
    assert it.build().exit_code == 0
    it.write({"real": "2\n"})
    assert it.build().ran == ["Command //:t"]
    assert it.out("o").read_text() == "2\n"


def test_gc_is_named_as_the_reason(c_project):
    c_project.build()
    assert c_project.bldr("gc", "--max-size", "1").exit_code == 0
    assert not list((c_project.cache / "v1" / "sysroots").iterdir())
    told = c_project.bldr("explain", "--hermetic", "//:version").stdout
    assert "taken by garbage collection on" in told
    built = c_project.build()
    assert built.exit_code == 0 and "Command //:version" in built.ran


def test_what_gc_took_of_a_tool_and_its_data_comes_back(project):
    it = project(
        {
            "Builderfile": """
            [target.a]
            type = "executable"
            language = "c"
            sources = ["a.c"]
            data = ["d1.txt", "d2.txt", "d3.txt"]

            [target.b]
            type = "command"
            tools = [":a"]
            outputs = ["b.txt"]
            command = "a > $OUT"
            """,
            "a.c": "int main(void) { return 0; }\n",
            "d1.txt": "1\n",
            "d2.txt": "2\n",
            "d3.txt": "3\n",
        }
    )
    assert it.build().exit_code == 0
    assert it.bldr("gc", "--max-size", "1").exit_code == 0
    built = it.build()
    assert built.exit_code == 0, built
