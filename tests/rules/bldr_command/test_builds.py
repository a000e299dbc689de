"""Commands run for real, hermetically."""

import pytest

pytestmark = pytest.mark.full


def workspace(text):
    return {"Builderfile": f'[workspace]\nname = "test"\n\n{text}'}


def test_scripts_stop_at_the_first_failure_and_at_unset_variables(project):
    project.write(
        workspace(
            """
[target.failing]
type = "command"
outputs = ["a"]
command = "touch a; false; true"

[target.unset]
type = "command"
outputs = ["b", "c"]
command = "touch b c; echo $OUT"
"""
        )
    )
    ran = project.bldr("build", "--hermetic", "--keep-going", "//...")
    assert ran.exit_code == 1
    failed = {event["label"] for event in ran.events if event["event"] == "action_finished" and event["exit_code"]}
    assert failed == {"//:failing", "//:unset"}
    assert "OUT: parameter not set" in ran.output


def test_the_shell_toolchain_works_all_through(project):
    """A script of many programs: what they load and what they start must all be there."""
    project.write(
        workspace(
            """
[target.script]
type = "command"
sources = ["text"]
outputs = ["out"]
command = '''
mkdir -p work/d
for i in $(seq 3); do printf "%s\\n" "$i" > "work/d/$i"; done
tar -C work -czf work.tar.gz d
mkdir again && tar -C again -xzf work.tar.gz
diff -r work/d again/d
find again -type f | sort | xargs cat | awk '{ sum += $1 } END { print sum }' > "$OUT"
sed -e 's/a/b/' "$SRCS" | grep -c b | tr -d ' ' >> "$OUT"
gzip -c "$OUT" | zcat | cmp - "$OUT"
sh -c 'test -x /bin/sh' && env -i /bin/sh -c 'echo plain' >> "$OUT"
date -d @0 +%Y >> "$OUT"
sha256sum < "$SRCS" | head -c 8 >> "$OUT"
'''
"""
        )
    )
    project.write({"text": "a\nb\nc\n"})
    ran = project.bldr("build", "--hermetic")
    assert ran.exit_code == 0, ran
    assert project.out("out").read_text() == "6\n2\nplain\n1970\n880553fc"


def test_a_list_passes_odd_names_as_they_are(project):
    project.write(
        workspace(
            """
[target.copy]
type = "command"
sources = ["a $b 'c'.txt"]
outputs = ["out"]
command = ["cp", "$SRCS", "$OUT"]
"""
        )
    )
    project.write({"a $b 'c'.txt": "odd"})
    ran = project.bldr("build", "--hermetic")
    assert ran.exit_code == 0, ran
    assert project.out("out").read_text() == "odd"


def test_a_made_script_is_a_tool(project):
    project.write(
        workspace(
            """
[target.shout]
type = "command"
outputs = ["bin/shout"]
command = '''printf '#!/bin/sh\\ntr a-z A-Z < "$1"\\n' > $OUT; chmod +x $OUT'''
executable = true

[target.loud]
type = "command"
sources = ["text"]
tools = [":shout"]
outputs = ["loud"]
command = "shout $SRCS > $OUT; cmp $TOOLS \\"$(command -v shout)\\""

[target.loud-test]
type = "test"
sources = [":loud"]
tools = [":shout"]
args = ["LOUD"]
command = 'test "$(shout $SRCS)" = "$1" && test "$0" = loud-test'
"""
        )
    )
    project.write({"text": "loud"})
    ran = project.bldr("test", "--hermetic")
    assert ran.tests == {"//:loud-test": "passed"}, ran


def test_other_toolchains_are_there_when_they_are_named(project):
    text = """
[target.hello]
type = "command"
sources = ["hello.c"]
outputs = ["hello"]
command = "cc -o $OUT $SRCS"
"""
    project.write({**workspace(text), "hello.c": "int main(void) { return 0; }\n"})
    ran = project.bldr("build", "--hermetic")
    assert ran.exit_code == 1
    assert "cc: not found" in ran.output
    project.write(workspace(text + 'toolchains = ["cc"]\nexecutable = true\n'))
    ran = project.bldr("build", "--hermetic")
    assert ran.exit_code == 0, ran
    assert project.output_of("hello") == ""
