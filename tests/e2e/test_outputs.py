"""What an action may leave behind, and what is said when it leaves something else."""

import hashlib
import os

import pytest


def target(text, outputs='["out"]', **attributes):
    lines = "".join(f"{name} = {value}\n" for name, value in attributes.items())
    return f"[target.it]\ntype = \"command\"\noutputs = {outputs}\n{lines}command = '''{text}'''\n"


def test_a_missing_output_is_named_with_what_was_made_instead(project):
    it = project({"Builderfile": target("echo > outt")})
    built = it.build()
    assert built.exit_code == 1
    assert 'did not make "out"' in built.stderr
    assert 'it made "outt" instead' in built.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ln -s /etc/passwd $OUT", 'the output "out" is a link to "/etc/passwd", outside the tree'),
        ("ln -s ../../etc/passwd $OUT", "outside the tree"),
        ("mkfifo $OUT", 'the output "out" is a named pipe'),
        ("mkdir $OUT", 'the output "out" is a directory, not a file'),
    ],
)
def test_outputs_that_are_no_files_are_refused(project, text, message):
    it = project({"Builderfile": target(text)})
    built = it.build()
    assert built.exit_code == 1
    assert message in built.stderr, built
    assert not it.out("out").exists()


def test_a_planted_link_in_the_way_of_an_output_is_not_followed(project, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "out").write_text("untouched\n")
    it = project({"Builderfile": target(f"rmdir sub; ln -s {victim} sub; true", '["sub/out"]')})
    assert it.build().exit_code == 1
    assert (victim / "out").read_text() == "untouched\n"


def test_a_link_in_place_of_a_directory_above_an_output_is_not_looked_behind(project, tmp_path):
    """Large outputs are hashed before they are collected: not what lies elsewhere, and may never end."""
    victim = tmp_path / "victim"
    victim.mkdir()
    with open(victim / "big", "wb") as file:
        file.truncate(1 << 43)
    it = project({"Builderfile": target(f"rm -rf d; ln -s {victim} d", '["d/big"]')})
    built = it.build()
    assert built.exit_code == 1
    assert 'did not make "d/big"' in built.stderr


def test_a_deep_directory_is_an_output_like_others(project):
    down = "i=0; while [ $i -lt 985 ]; do mkdir d; cd d; i=$((i+1)); done"
    workspace = '[workspace]\nname = "w"\n'
    it = project({"Builderfile": target(f"mkdir -p out; cd out; {down}; echo f > f", '["out/"]')})
    assert it.build().exit_code == 0
    deep = it.out("out" + "/d" * 985)
    assert os.listdir(deep) == ["f"]
    assert it.build().exit_code == 0
    it.write({"Builderfile": workspace + target(f"mkdir -p out; cd out; {down}; echo g > g", '["out/"]')})
    assert it.build().exit_code == 0
    assert os.listdir(deep) == ["g"]
    it.write({"Builderfile": workspace + target("mkdir -p out; echo > out/f", '["out/"]')})
    assert it.build().exit_code == 0
    assert os.listdir(it.out("out")) == ["f"]


def test_what_was_made_instead_is_told_however_deep(project):
    down = "i=0; while [ $i -lt 1100 ]; do mkdir d; cd d; i=$((i+1)); done"
    built = project({"Builderfile": target(f"echo > outt; {down}")}).build()
    assert built.exit_code == 1
    assert 'it made "outt" instead' in built.stderr


def test_relative_links_inside_the_tree_are_kept(project):
    it = project({"Builderfile": target("echo real > real; ln -s real link", '["real", "link"]')})
    assert it.build().exit_code == 0
    assert os.readlink(it.out("link")) == "real"
    assert it.out("link").read_text() == "real\n"


def test_set_uid_bits_are_stripped(project):
    it = project({"Builderfile": target("echo 'echo hi' > $OUT; chmod 755 $OUT; chmod u+s,g+s $OUT || true")})
    assert it.build().exit_code == 0
    assert it.out("out").stat().st_mode & 0o7777 == 0o755
    for path in (it.cache / "v1" / "blobs").rglob("*"):
        assert not path.stat().st_mode & 0o6000, path


def test_directories_come_whole_and_what_is_gone_is_gone(project):
    it = project({"Builderfile": target("mkdir -p gen/deep/empty; echo a > gen/a; echo b > gen/deep/b", '["gen/"]')})
    assert it.build().exit_code == 0
    assert it.out("gen/a").read_text() == "a\n"
    assert it.out("gen/deep/b").read_text() == "b\n"
    assert it.out("gen/deep/empty").is_dir()
    it.write({"Builderfile": '[workspace]\nname = "w"\n' + target("mkdir gen; echo c > gen/c", '["gen/"]')})
    assert it.build().exit_code == 0
    assert sorted(os.listdir(it.out("gen"))) == ["c"]


def test_directories_are_inputs_of_others(project):
    it = project(
        {
            "Builderfile": target("mkdir -p gen/deep; echo a > gen/a; echo b > gen/deep/b", '["gen/"]')
            + """
            [target.user]
            type = "command"
            sources = [":it"]
            outputs = ["sum"]
            command = "cat gen/a gen/deep/b > $OUT"
            """
        }
    )
    assert it.build().exit_code == 0
    assert it.out("sum").read_text() == "a\nb\n"
    assert it.build().ran == []


def test_executable_bits_are_kept(project):
    it = project({"Builderfile": target("printf '#!/bin/sh\\necho ran\\n' > $OUT; chmod +x $OUT")})
    assert it.build().exit_code == 0
    assert os.access(it.out("out"), os.X_OK)


def test_two_outputs_that_are_one_file_are_two(project):
    it = project({"Builderfile": target("echo x > a; ln a b", '["a", "b"]')})
    assert it.build().exit_code == 0
    assert it.out("a").stat().st_ino != it.out("b").stat().st_ino


def test_undeclared_leftovers_are_dropped_and_the_workspace_stays_clean(project):
    it = project({"Builderfile": target("echo x > $OUT; echo junk > junk; mkdir -p d/e; echo junk > d/e/f")})
    assert it.build().exit_code == 0
    assert sorted(os.listdir(it.root)) == ["Builderfile", "bldr-out"]
    assert sorted(os.listdir(it.out(""))) == [".lock", "out"]
    staging = it.cache / "v1" / "staging"
    assert not any(staging.iterdir())


def test_directories_without_permissions_are_cleaned_up(project):
    it = project({"Builderfile": target("mkdir -p a/b; echo > a/b/c; chmod 000 a/b a; echo x > $OUT")})
    assert it.build().exit_code == 0
    assert not any((it.cache / "v1" / "staging").iterdir())


def test_a_log_of_success_is_kept_and_shown_on_request(project):
    it = project({"Builderfile": target("echo warning: careful >&2; echo x > $OUT")})
    assert it.build().exit_code == 0
    assert "warning: careful" in it.bldr("log", "//:it").stdout


def test_white_space_and_unicode_in_names(project):
    it = project(
        {
            "Builderfile": """
            [target.it]
            type = "command"
            sources = ["a b.txt", "ümläut.txt"]
            outputs = ["o ut.txt"]
            command = ["sh", "-c", "cat 'a b.txt' 'ümläut.txt' > 'o ut.txt'"]
            """,
            "a b.txt": "1\n",
            "ümläut.txt": "2\n",
        }
    )
    built = it.build()
    assert built.exit_code == 0, built
    assert it.out("o ut.txt").read_text() == "1\n2\n"


def test_an_action_that_locks_its_own_log_away(project):
    it = project({"Builderfile": target("chmod 000 /proc/self/fd/1 || true; echo x > $OUT")})
    assert it.build().exit_code == 0


def test_a_sparse_file_without_end_is_stopped(project):
    it = project({"Builderfile": target("truncate -s 40G $OUT")})
    built = it.build()
    assert built.exit_code == 1, built
    assert not it.out("out").exists()


def test_a_folder_of_outputs_that_is_a_link_is_refused(project, tmp_path):
    it = project({"Builderfile": target("echo > $OUT")})
    (tmp_path / "victim").mkdir()
    it.out("").symlink_to(tmp_path / "victim")
    built = it.build()
    assert built.exit_code == 2 and "is a link" in built.stderr
    assert not list((tmp_path / "victim").iterdir())


CHAIN = """
[target.lower]
type = "command"
outputs = ["lower", "gen/"]
command = "echo lower > lower; mkdir gen; echo inside > gen/file"

[target.upper]
type = "command"
outputs = ["upper"]
deps = [":lower"]
command = "cat lower gen/file > $OUT"

[target.check]
type = "test"
deps = [":upper"]
command = "test -s upper"
"""


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), ["upper"]),
        (("--materialize=top",), ["upper"]),
        (("--materialize=all",), ["gen/file", "lower", "upper"]),
        (("--materialize=none",), []),
    ],
)
def test_what_is_written_into_the_workspace_can_be_chosen(project, options, found):
    it = project({"Builderfile": CHAIN})
    for _ in range(2):  # from the cache, too
        built = it.bldr("build", "--verbose", *options, "//:upper")
        assert built.exit_code == 0, built
        root = it.out(".")
        files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
        assert sorted(path for path in files if path != ".lock") == found
        assert ("bldr-out/upper" in built.stdout) == ("upper" in found)


def test_outputs_that_were_not_written_are_written_when_somebody_asks(project):
    it = project({"Builderfile": CHAIN})
    assert it.bldr("build", "--materialize=none", "//:upper").exit_code == 0
    built = it.bldr("build", "--materialize=all", "//:upper")
    assert "0 ran" in built.stderr + built.stdout, built
    assert it.out("upper").read_text() == "lower\ninside\n"
    it.out("lower").unlink()
    assert it.bldr("build", "--materialize=all", "//:upper").exit_code == 0
    assert it.out("lower").read_text() == "lower\n"


def test_tests_pass_without_a_word_in_the_workspace(project):
    it = project({"Builderfile": CHAIN})
    assert it.bldr("test", "--materialize=none", "//:check").exit_code == 0
    assert [path.name for path in it.out(".").iterdir() if path.name != ".lock"] == []


def test_large_outputs_arrive_whole(project):
    lines = "".join(
        f'[target.t{number}]\ntype = "command"\noutputs = ["t{number}", "d{number}/"]\n'
        f"command = 'head -c {20_000_000 + number} /dev/zero > t{number}; mkdir d{number}; cp t{number} d{number}/f'\n"
        for number in range(3)
    )
    it = project({"Builderfile": lines})
    for _ in range(2):
        assert it.build("//...").exit_code == 0
        for number in range(3):
            assert it.out(f"t{number}").stat().st_size == it.out(f"d{number}/f").stat().st_size == 20_000_000 + number
    sizes = range(20_000_000, 20_000_003)
    blobs = (path for path in (it.cache / "v1" / "blobs").rglob("*") if path.is_file())
    large = [path for path in blobs if path.stat().st_size in sizes]
    assert len(large) == 3
    for path in large:
        with open(path, "rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == path.parent.name + path.name
