"""Every mistake that a Builderfile can hold, with the very words that people get."""

import pytest

APP = '[target.app]\ntype = "executable"\nlanguage = "c"\n'


def case(files, expected):
    files = {"Builderfile": files} if isinstance(files, str) else files
    return files, expected


CASES = {
    "a name that is nearly right": case(
        {"Builderfile": APP + 'sources = [\n  "util.c",\n  "mian.c",\n]\n', "main.c": "", "util.c": ""},
        'Builderfile:6:3: target "app": no source "mian.c"\nhint: did you mean "main.c"?',
    ),
    "a name in another directory": case(
        {"Builderfile": APP + 'sources = ["main.c"]\n', "src/deep/main.c": ""},
        'Builderfile:4:12: target "app": no source "main.c"\nhint: did you mean "src/deep/main.c"?',
    ),
    "a name with nothing like it": case(
        APP + 'sources = ["zebra.c"]\n',
        'Builderfile:4:12: target "app": no source "zebra.c"',
    ),
    "a directory that is nearly right": case(
        {"Builderfile": APP + 'sources = ["scr/main.c"]\n', "src/main.c": ""},
        'Builderfile:4:12: target "app": no source "scr/main.c"\nhint: did you mean "src/main.c"?',
    ),
    "a pattern without a match": case(
        {"Builderfile": APP + 'sources = ["*.c"]\n', "a.h": ""},
        'Builderfile:4:12: target "app": the pattern "*.c" matches no file of the package\n'
        "hint: a pattern must match something: a misspelt one would build less than it says",
    ),
    "a pattern in a directory that is nearly right": case(
        {"Builderfile": APP + 'sources = ["scr/**/*.c"]\n', "src/main.c": ""},
        'Builderfile:4:12: target "app": the pattern "scr/**/*.c" matches no file of the package\n'
        'hint: did you mean "src"?',
    ),
    "a pattern with braces": case(
        {"Builderfile": APP + 'sources = ["*.{c,h}"]\n', "a.h": ""},
        'Builderfile:4:12: target "app": the pattern "*.{c,h}" matches no file of the package\n'
        "hint: braces have no meaning in a pattern: write one pattern for each",
    ),
    "two stars that do not stand alone": case(
        APP + 'sources = ["src/**.c"]\n',
        'Builderfile:4:12: target "app": the pattern "src/**.c" is malformed\n'
        'hint: "**" stands alone between slashes, as in "src/**/*.c"',
    ),
    "a bracket that is never closed": case(
        APP + 'sources = ["[ab.c"]\n',
        'Builderfile:4:12: target "app": the pattern "[ab.c" is malformed\n'
        'hint: "[" is never closed: write "[[]" for the letter',
    ),
    "a range that runs backwards": case(
        APP + 'sources = ["[z-a].c"]\n',
        'Builderfile:4:12: target "app": the pattern "[z-a].c" is malformed\n'
        'hint: the range in "[...]" is wrong: bad character range z-a',
    ),
    "a source above the package": case(
        {"Builderfile": "", "lib/Builderfile": APP + 'sources = ["../x.c"]\n', "x.c": ""},
        'lib/Builderfile:4:12: target "app": the source "../x.c" is outside the package\n'
        'hint: put a Builderfile there and name its target: "//package:name"',
    ),
    "a pattern above the package": case(
        APP + 'sources = ["../*.c"]\n',
        'Builderfile:4:12: target "app": the source "../*.c" is outside the package\n'
        'hint: put a Builderfile there and name its target: "//package:name"',
    ),
    "an absolute source": case(
        APP + 'sources = ["/etc/passwd"]\n',
        'Builderfile:4:12: target "app": the source "/etc/passwd" is an absolute path\n'
        "hint: name files relative to the Builderfile's directory",
    ),
    "a source that is not normal": case(
        {"Builderfile": APP + 'sources = ["./src//a.c"]\n', "src/a.c": ""},
        'Builderfile:4:12: target "app": the source "./src//a.c" is not a normal path\nhint: write "src/a.c"',
    ),
    "a source with a backslash": case(
        APP + "sources = ['src\\a.c']\n",
        'Builderfile:4:12: target "app": the source "src\\a.c" has a backslash\nhint: write "src/a.c"',
    ),
    "a source with a control character": case(
        APP + 'sources = ["a\\nb.c"]\n',
        "Builderfile:4:12: target \"app\": the source 'a\\nb.c' has a control character in its name\n"
        "hint: rename the file",
    ),
    "a source without a name": case(
        APP + 'sources = [""]\n',
        'Builderfile:4:12: target "app": a source has an empty name',
    ),
    "a source in a package below": case(
        {"Builderfile": APP + 'sources = ["lib/x.c"]\n', "lib/Builderfile": "", "lib/x.c": ""},
        'Builderfile:4:12: target "app": the source "lib/x.c" is outside the package: "lib" is a package of its own\n'
        'hint: name a target of it: "//lib:name"',
    ),
    "a source in a workspace below": case(
        {"Builderfile": APP + 'sources = ["sub/x.c"]\n', "sub/Builderfile": "[workspace]\nname='x'", "sub/x.c": ""},
        'Builderfile:4:12: target "app": the source "sub/x.c" is outside the package: '
        '"sub" is a workspace of its own',
    ),
    "a pattern in a package below": case(
        {"Builderfile": APP + 'sources = ["lib/*.c"]\n', "lib/Builderfile": "", "lib/x.c": ""},
        'Builderfile:4:12: target "app": the pattern "lib/*.c" matches no file of the package\n'
        'hint: "lib" is a package of its own: name a target of it: "//lib:name"',
    ),
    "a source in the outputs": case(
        {"Builderfile": APP + 'sources = ["bldr-out/x.c"]\n', "bldr-out/x.c": ""},
        'Builderfile:4:12: target "app": no source "bldr-out/x.c"\nhint: "bldr-out" is never part of a package',
    ),
    "a source that is a directory": case(
        {"Builderfile": APP + 'sources = ["src"]\n', "src/a.c": ""},
        'Builderfile:4:12: target "app": the source "src" is a directory\nhint: name its files: "src/**"',
    ),
    "a link that leaves the package": case(
        {"Builderfile": "", "x.c": "", "lib/Builderfile": APP + 'sources = ["y.c"]\n', "lib/y.c": "-> ../x.c"},
        'lib/Builderfile:4:12: target "app": the source "y.c" is a link that leaves the package\n'
        "hint: links are followed only inside the package",
    ),
    "a link to an absolute path": case(
        {"Builderfile": APP + 'sources = ["y.c"]\n', "y.c": "-> /etc/passwd"},
        'Builderfile:4:12: target "app": the source "y.c" is a link that leaves the package\n'
        "hint: links are followed only inside the package",
    ),
    "a directory that is a link": case(
        {"Builderfile": APP + 'sources = ["inc/y.c"]\n', "inc": "-> /etc"},
        'Builderfile:4:12: target "app": the source "inc/y.c" goes through "inc", a link that leaves the package\n'
        "hint: links are followed only inside the package",
    ),
    "a link to nothing, by a pattern": case(
        {"Builderfile": APP + 'sources = ["src/*.c"]\n', "src/y.c": "-> z.c"},
        'Builderfile:4:12: target "app": the pattern "src/*.c" matches "src/y.c", a link that leads to nothing\n'
        "hint: links are followed only inside the package",
    ),
    "a link to itself": case(
        {"Builderfile": APP + 'sources = ["y.c"]\n', "y.c": "-> y.c"},
        'Builderfile:4:12: target "app": the source "y.c" is a link that goes in a circle\n'
        "hint: links are followed only inside the package",
    ),
    "a linked directory that a pattern would have to enter": case(
        {"Builderfile": APP + 'sources = ["**/*.c"]\n', "a.c": "", "result": "-> /usr"},
        'Builderfile:4:12: target "app": the pattern "**/*.c" matches "result", a link that leaves the package\n'
        "hint: links are followed only inside the package",
    ),
    "a file whose name is not text": case(
        {"Builderfile": APP + 'sources = ["*.c"]\n', "a\x1b[31m.c": ""},
        "Builderfile:4:12: target \"app\": the file 'a\\x1b[31m.c' has a name that is not printable text\n"
        "hint: rename the file",
    ),
    "a name given twice": case(
        {"Builderfile": APP + 'sources = ["a.c", "a.c"]\n', "a.c": ""},
        'Builderfile:4:19: target "app": "a.c" is named twice by sources\nhint: remove one',
    ),
    "a label given twice": case(
        {"Builderfile": "", "lib/Builderfile": APP + 'deps = [":x", "//lib:x"]\n'},
        'lib/Builderfile:4:15: target "app": "//lib:x" is named twice by deps\nhint: remove one',
    ),
    "an exclusion that takes nothing away": case(
        {"Builderfile": APP + 'sources = ["*.c", "!b.c"]\n', "a.c": "", "b.c": "", "c.h": ""}
        | {"Builderfile": APP + 'sources = ["a.*", "!b.c"]\n'},
        'Builderfile:4:19: target "app": the exclusion "!b.c" takes nothing away\n'
        "hint: it is for files that patterns of this list match",
    ),
    "an output where its target is meant": case(
        APP + 'sources = ["v.h"]\n[target.version]\ntype = "command"\noutputs = ["v.h"]\ncommand = "true"\n',
        'Builderfile:4:12: target "app": no source "v.h"\nhint: the target "version" makes it: write ":version"',
    ),
    "a dep without its colon": case(
        APP + 'deps = ["util"]\n[target.util]\ntype = "library"\nlanguage = "c"\n',
        'Builderfile:4:9: target "app": "util" is not a label\nhint: did you mean ":util"?',
    ),
    "a label in sources that is none": case(
        APP + 'sources = ["//a b"]\n',
        'Builderfile:4:12: target "app": "//a b" is not a label\n'
        'hint: write ":name", "//package:name" or "@repository//package:name"',
    ),
    "an unknown key": case(
        APP + 'srcs = ["a.c"]\n',
        'Builderfile:4:1: target "app": unknown key "srcs"\nhint: did you mean "sources"?',
    ),
    "an unknown key like none": case(
        '[target.v]\ntype = "command"\noutputs = ["o"]\ncommand = "x"\nzzz = 1\n',
        'Builderfile:5:1: target "v": unknown key "zzz"\n'
        "hint: the keys are: command, data, deps, description, env, env_inherit, hermetic, language, outputs, sources, "
        "tags, tools, type, visibility",
    ),
    "a key that is missing": case(
        '[target.v]\ntype = "command"\noutputs = ["o"]\n',
        'Builderfile:1:1: target "v": "command" is missing\nhint: it is a string or a list of strings',
    ),
    "a string for a list": case(
        APP + 'sources = "a.c"\n',
        'Builderfile:4:11: target "app": "sources" must be a list of strings, not a string\nhint: write ["a.c"]',
    ),
    "several wrong elements": case(
        APP + "flags = [1, '-g', true]\n",
        'Builderfile:4:10: target "app": "flags[0]" must be a string, not an integer\n'
        'Builderfile:4:19: target "app": "flags[2]" must be a string, not true',
    ),
    "wrong types of every sort": case(
        APP + "description = 1979-05-27\ntags = { a = 1 }\nenv = { A = 1 }\nvisibility = 2.5\n",
        'Builderfile:4:15: target "app": "description" must be a string, not a date\n'
        'Builderfile:5:8: target "app": "tags" must be a list of strings, not a table\n'
        'Builderfile:6:13: target "app": "env.A" must be a string, not an integer\n'
        'Builderfile:7:14: target "app": "visibility" must be a string or a list of strings, not a number',
    ),
    "a word that is not one of a few": case(
        APP + 'linkage = "sttaic"\n',
        'Builderfile:4:11: target "app": "linkage" is "sttaic", not one of "shared", "static"\n'
        'hint: did you mean "static"?',
    ),
    "an unknown type": case(
        '[target.app]\ntype = "executible"\nlanguage = "c"\n',
        'Builderfile:2:8: target "app": unknown type "executible"\nhint: did you mean "executable"?',
    ),
    "a type like none": case(
        '[target.app]\ntype = "zip"\n',
        'Builderfile:2:8: target "app": unknown type "zip"\n'
        'hint: the types are: "command", "executable", "library", "test"',
    ),
    "no type": case(
        '[target.app]\nlanguage = "c"\n',
        'Builderfile:1:1: target "app": "type" is missing\n'
        'hint: the types are: "command", "executable", "library", "test"',
    ),
    "a type of the wrong type": case(
        '[target.app]\ntype = ["executable"]\n',
        'Builderfile:2:8: target "app": "type" must be a string, not a list',
    ),
    "an unknown language": case(
        '[target.app]\ntype = "executable"\nlanguage = "rust"\n',
        'Builderfile:3:12: target "app": no handler builds type "executable" in language "rust"\n'
        'hint: the installed handlers build it in: "c", "c++"',
    ),
    "a language that is nearly right": case(
        '[target.app]\ntype = "executable"\nlanguage = "C"\n',
        'Builderfile:3:12: target "app": no handler builds type "executable" in language "C"\nhint: did you mean "c"?',
    ),
    "no language": case(
        '[target.app]\ntype = "executable"\n',
        'Builderfile:1:1: target "app": "language" is missing, which type "executable" needs\n'
        'hint: the installed handlers build it in: "c", "c++"',
    ),
    "a language too many": case(
        '[target.v]\ntype = "command"\nlanguage = "c"\n',
        'Builderfile:3:1: target "v": type "command" takes no language\n'
        'hint: remove it, or choose another type: "command", "executable", "library", "test"',
    ),
    "a name with a dot and no quotes": case(
        '[target.lib.greet]\ntype = "library"\nlanguage = "c"\n',
        'Builderfile:1:1: target "lib": "type" is missing\n'
        'hint: a name with a dot is written in quotes: [target."lib.greet"]',
    ),
    "a target that is no table": case(
        '[target]\ntype = "library"\n',
        'Builderfile:2:1: target "type": must be a table, not a string\n'
        'hint: every target has a table with its name: [target.NAME]',
    ),
    "targets that are no table": case(
        "target = 3\n",
        'Builderfile:1:1: "target" must be a table of targets, not an integer\n'
        "hint: write a table for each target: [target.NAME]",
    ),
    "an array of tables for a target": case(
        '[[target.app]]\ntype = "library"\n',
        'Builderfile:1:1: target "app": must be a table, not a list\n'
        'hint: every target has a table with its name: [target.NAME]',
    ),
    "names that labels cannot have": case(
        '[target."a b"]\ntype = "library"\nlanguage = "c"\n[target."../x"]\ntype = "library"\nlanguage = "c"\n',
        'Builderfile:1:1: target "a b": this cannot be the name of a target\n'
        "hint: names are made of letters, digits and _ . + = , @ ~ # - with single slashes between\n"
        'Builderfile:4:1: target "../x": this cannot be the name of a target\n'
        "hint: names are made of letters, digits and _ . + = , @ ~ # - with single slashes between",
    ),
    "the name that means every target": case(
        '[target.all]\ntype = "library"\nlanguage = "c"\n',
        'Builderfile:1:1: target "all": this cannot be the name of a target\n'
        'hint: the pattern ":all" stands for every target of a package',
    ),
    "sizes, durations and hosts": case(
        APP + 'hermetic = { memory = "5X", cpu_time = "1y", processes = 0, '
        'network = ["a.org:443", "a.org:70000"], disk = -1 }\n',
        'Builderfile:4:23: target "app": "5X" is not a size\n'
        'hint: write a number of bytes, or a text such as "512M" or "2G"\n'
        'Builderfile:4:40: target "app": "1y" is not a duration\n'
        'hint: write a number of seconds, or a text such as "90s" or "1h30m"\n'
        'Builderfile:4:58: target "app": the number of processes must be at least 1, not 0\n'
        'Builderfile:4:85: target "app": "a.org:70000" names no host and port\n'
        'hint: write "host:port", such as "example.org:443"\n'
        'Builderfile:4:108: target "app": a size must be above zero and below 4 EiB, not -1',
    ),
    "counts, processors, devices and reactions": case(
        APP + 'hermetic = { open_files = 0, cpus = 0, devices = ["/dev/kvm", "kvm", "/dev/../etc"], log = "1h" }\n'
        '[target.b]\ntype = "library"\nlanguage = "c"\nhermetic = { cpus = "2", on_violation = "kil", grace = "0s" }\n',
        'Builderfile:4:27: target "app": the number of open files must be at least 1, not 0\n'
        'Builderfile:4:37: target "app": the number of processors must be above zero, not 0\n'
        "hint: write how many processors may be busy at a time, such as 1.5\n"
        'Builderfile:4:63: target "app": "kvm" is not a normal path below /dev\n'
        'hint: write a path such as "/dev/dri/renderD128"\n'
        'Builderfile:4:70: target "app": "/dev/../etc" is not a normal path below /dev\n'
        'hint: write a path such as "/dev/dri/renderD128"\n'
        'Builderfile:4:92: target "app": "1h" is not a size\n'
        'hint: write a number of bytes, or a text such as "512M" or "2G"\n'
        'Builderfile:8:21: target "b": "hermetic.cpus" must be a number, not a string\n'
        'Builderfile:8:41: target "b": "hermetic.on_violation" is "kil", not one of "deny", "kill"\n'
        'hint: did you mean "kill"?\n'
        'Builderfile:8:56: target "b": a duration must be above zero and below ten years, not "0s"',
    ),
    "an unknown limit": case(
        '[hermetic]\nmemry = "2G"\ncpu_time = true\ntimeout = "0s"\n',
        'Builderfile:2:1: hermetic: unknown key "memry"\nhint: did you mean "memory"?\n'
        'Builderfile:3:12: hermetic: "cpu_time" must be a string or an integer, not true\n'
        "Builderfile:4:11: hermetic: a duration must be above zero and below ten years, not \"0s\"",
    ),
    "a limit with an unknown and a wrong one beside": case(
        APP + '[target.app.hermetic]\nmemroy = "2G"\nmemory = "lots"\n',
        'Builderfile:5:1: target "app": unknown key "hermetic.memroy"\n'
        "hint: the keys are: cpu_time, cpus, devices, disk, enabled, file_size, grace, log, memory, network, "
        "on_violation, open_files, output, processes, root, temp, timeout\n"
        'Builderfile:6:10: target "app": "lots" is not a size\n'
        'hint: write a number of bytes, or a text such as "512M" or "2G"',
    ),
    "a test's timeout and size": case(
        '[target.t]\ntype = "test"\nlanguage = "c"\ntimeout = "soon"\nsize = "smal"\n',
        'Builderfile:4:11: target "t": "soon" is not a duration\n'
        'hint: write a number of seconds, or a text such as "90s" or "1h30m"\n'
        'Builderfile:5:8: target "t": "size" is "smal", not one of "enormous", "large", "medium", "small"\n'
        'hint: did you mean "small"?',
    ),
    "names of variables": case(
        APP + 'env = { "A B" = "x" }\nenv_inherit = ["OK", "1X"]\n',
        'Builderfile:4:9: target "app": "A B" is no name of an environment variable\n'
        'Builderfile:5:22: target "app": "1X" is no name of an environment variable',
    ),
    "visibility": case(
        APP + 'visibility = "pubic"\n[target.b]\ntype = "library"\nlanguage = "c"\n'
        'visibility = ["//a", "public", "b"]\n[target.c]\ntype = "library"\nlanguage = "c"\nvisibility = "//a"\n',
        'Builderfile:4:14: target "app": "pubic" is no visibility\nhint: did you mean "public"?\n'
        'Builderfile:8:22: target "b": "public" cannot stand in a list\nhint: write visibility = "public"\n'
        'Builderfile:12:14: target "c": "//a" is no visibility\nhint: write ["//a"]',
    ),
    "a package that is none": case(
        APP + 'visibility = ["//a", "lib"]\n',
        'Builderfile:4:22: target "app": "lib" is no package\n'
        'hint: visibility is "public", "private" or a list of packages such as ["//app", "//lib/..."]',
    ),
    "a NUL that is spelt": case(
        APP + 'flags = ["-g", "\\u0000"]\n',
        'Builderfile:4:16: "target.app.flags[1]" holds a NUL character',
    ),
    "unknown tables": case(
        'typo = 1\n[targets.app]\ntype = "library"\n[app]\ntype = "library"\n',
        'Builderfile:1:1: unknown table "typo"\n'
        "hint: the tables are: config, external, hermetic, target, toolchain and workspace\n"
        'Builderfile:2:1: unknown table "targets"\nhint: did you mean "target"?\n'
        'Builderfile:4:1: unknown table "app"\nhint: the table of a target is [target.app]',
    ),
    "a table of the root elsewhere": case(
        {"Builderfile": "", "lib/Builderfile": "[external.lua]\nsha256 = 'x'\n"},
        "lib/Builderfile:1:1: [external] belongs into the Builderfile at the root of the workspace\n"
        "hint: move it there",
    ),
    "the workspace's table": case(
        '[workspace]\nnmae = "x"\nignore = ["../x"]\n',
        'Builderfile:1:1: workspace: "name" is missing\nhint: it is a string\n'
        'Builderfile:2:1: workspace: unknown key "nmae"\nhint: did you mean "name"?',
    ),
    "values in the workspace's table": case(
        '[workspace]\nname = "a b"\nignore = ["ok/", "../x"]\n',
        'Builderfile:2:8: workspace: "a b" cannot be the name of a workspace\n'
        "hint: names are made of letters, digits and _ . -\n"
        'Builderfile:3:18: workspace: "../x" is not a normal relative path\n'
        'hint: name directories relative to the root',
    ),
    "a package that labels cannot name": case(
        {"Builderfile": "", "my lib/Builderfile": "", "a/.../Builderfile": "", "b\x07/Builderfile": ""},
        'b\\x07/Builderfile:1:1: no label can name the package "b\\x07"\n'
        "hint: rename the directory: labels are made of letters, digits and _ . + = , @ ~ # -\n"
        'my lib/Builderfile:1:1: no label can name the package "my lib"\n'
        "hint: rename the directory: labels are made of letters, digits and _ . + = , @ ~ # -",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), CASES.values(), ids=CASES.keys())
def test_words(files, expected, mistakes):
    assert mistakes(files) == expected


def test_three_mistakes_in_one_file_and_one_in_another_are_reported_together(mistakes):
    text = APP + 'sources = ["mian.c"]\nfalgs = []\n[target.b]\ntype = "lib"\n'
    shown = mistakes({"Builderfile": text, "main.c": "", "lib/Builderfile": "[target.c\n"})
    assert shown == (
        'Builderfile:4:12: target "app": no source "mian.c"\nhint: did you mean "main.c"?\n'
        'Builderfile:5:1: target "app": unknown key "falgs"\nhint: did you mean "flags"?\n'
        'Builderfile:7:8: target "b": unknown type "lib"\nhint: did you mean "library"?\n'
        "lib/Builderfile:1:10: the Builderfile is not valid TOML: expected ']' at the end of a table declaration"
    )


def test_a_handler_that_could_not_be_loaded_is_named_where_it_is_missed(mistakes, registry):
    from types import SimpleNamespace

    registry.broken = [SimpleNamespace(name="rust", reason="ImportError: no module named rust")]
    assert mistakes({"Builderfile": '[target.app]\ntype = "executable"\nlanguage = "rust"\n'}) == (
        'Builderfile:3:12: target "app": no handler builds type "executable" in language "rust"\n'
        "hint: the plugin that serves rust could not be loaded: ImportError: no module named rust"
    )
