"""The contract of handlers, and the keys of a workspace."""

from bldr.testing import Edit, GoldenKeys, HandlerContract, Project, fake_toolchain

from bldr_zig.handler import ZigHandler

FILES = {
    "Builderfile": """
        [target.hello]
        type = "executable"
        language = "zig"
        sources = ["main.zig"]
        deps = [":greet"]

        [target.greet]
        type = "library"
        language = "zig"
        sources = ["root.zig", "words.zig"]
        flags = ["-fno-compiler-rt"]

        [target.words_test]
        type = "test"
        language = "zig"
        sources = ["words.zig"]
    """,
    "main.zig": 'const greet = @import("greet");\npub fn main() u8 {\n    return @intCast(greet.length() - 5);\n}\n',
    "root.zig": 'const words = @import("words.zig");\npub export fn length() usize {\n    return words.hello.len;\n}\n',
    "words.zig": 'pub const hello = "hello";\ntest "five letters" {\n    if (hello.len != 5) return error.Wrong;\n}\n',
}


class TestContract(HandlerContract):
    handler = ZigHandler
    files = FILES
    edits = [Edit(file="main.zig", old="- 5", new="- 4", reruns=("Zig //:hello",))]


def test_the_keys_of_actions_change_on_purpose_only(project: Project, golden_keys: GoldenKeys):
    golden_keys(project.write(FILES), fake_toolchain("zig", "zig", version="0.13.0"))
