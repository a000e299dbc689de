"""The kit of bldr, and a cache in which the compiler has been found: that takes seconds, once."""

import pytest

pytest_plugins = ["bldr.testing"]

SOURCES = {
    "Builderfile": """
        [target.hello]
        type = "executable"
        language = "zig"
        sources = ["main.zig"]
        deps = ["//greet"]

        [target.from_c]
        type = "executable"
        language = "c"
        sources = ["main.c"]
        deps = ["//greet"]

        [target.greet_test]
        type = "test"
        language = "zig"
        sources = ["greet_test.zig"]
        deps = ["//greet"]
    """,
    "main.zig": """
        const std = @import("std");
        const greet = @import("greet");
        pub fn main() !void {
            try greet.greet(std.io.getStdOut().writer());
        }
    """,
    "main.c": """
        #include "greet/greet.h"
        int main(void) { return length_of_hello() == 5 ? 0 : 1; }
    """,
    "greet_test.zig": """
        const std = @import("std");
        const greet = @import("greet");
        test "hello has five letters" {
            try std.testing.expectEqual(5, greet.length_of_hello());
        }
    """,
    "greet/Builderfile": """
        [target.greet]
        type = "library"
        language = "zig"
        sources = ["root.zig", "words.zig"]
        headers = ["greet.h"]
        visibility = "public"
    """,
    "greet/root.zig": """
        const words = @import("words.zig");
        pub fn greet(writer: anytype) !void {
            try writer.print("{s} you\\n", .{words.hello});
        }
        pub export fn length_of_hello() usize {
            return words.hello.len;
        }
    """,
    "greet/words.zig": 'pub const hello = "hello";\n',
    "greet/greet.h": "#include <stddef.h>\nsize_t length_of_hello(void);\n",
}


@pytest.fixture(scope="session")
def bldr_warm():
    """A build that finds both compilers, and leaves nothing that a test builds."""
    return {
        "Builderfile": """
            [target.warm]
            type = "library"
            language = "zig"
            sources = ["warm.zig"]
            flags = ["-fno-compiler-rt"]

            [target.warm_c]
            type = "executable"
            language = "c"
            sources = ["warm.c"]
        """,
        "warm.zig": "export const warm: u8 = 1;\n",
        "warm.c": "int main(void) { return 0; }\n",
    }


@pytest.fixture
def sources():
    """The files of a workspace in Zig and C."""
    return SOURCES
