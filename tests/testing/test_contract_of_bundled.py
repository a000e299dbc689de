"""The bundled handlers of commands and of C and C++ keep the contract that the kit holds strangers' to."""

import pytest

from bldr.testing import Edit, HandlerContract
from bldr_cc.handler import CcHandler
from bldr_command.handler import CommandHandler

pytestmark = pytest.mark.full


class TestCommand(HandlerContract):
    handler = CommandHandler
    files = {
        "Builderfile": """
            [target.upper]
            type = "command"
            sources = ["words.txt"]
            outputs = ["upper.txt", "parts/"]
            command = "tr a-z A-Z < words.txt > upper.txt; mkdir -p parts; cp words.txt parts/"

            [target.count]
            type = "command"
            sources = [":upper"]
            outputs = ["count.txt"]
            command = "wc -w < upper.txt > $OUT"

            [target.count_test]
            type = "test"
            sources = [":count"]
            command = 'test "$(cat count.txt)" = 2'

            [target.all_tests]
            type = "suite"
            tests = [":count_test"]
        """,
        "words.txt": "two words\n",
    }
    edits = [
        Edit(
            file="words.txt",
            old="two words",
            new="too words",
            reruns=("Command //:upper", "Command //:count"),  # which counts the same, so its test has nothing to do
        ),
        Edit(file="Builderfile", old="= 2", new="-eq 2", reruns=("Test //:count_test",)),
    ]


class TestCc(HandlerContract):
    handler = CcHandler
    files = {
        "Builderfile": """
            [target.app]
            type = "executable"
            language = "c"
            sources = ["main.c"]
            deps = ["//lib:greet"]

            [target.app_cxx]
            type = "executable"
            language = "c++"
            sources = ["main.cc"]
            deps = ["//lib:greet", "//lib:greet_cxx"]

            [target.greet_test]
            type = "test"
            language = "c"
            sources = ["greet_test.c"]
            deps = ["//lib:greet"]

            [target.cxx_test]
            type = "test"
            language = "c++"
            sources = ["cxx_test.cc"]
            deps = ["//lib:greet_cxx"]
        """,
        "main.c": '#include "lib/greet.h"\nint main(void) { return greet() < 0; }\n',
        "main.cc": '#include "lib/greet.h"\n#include "lib/greet.hh"\n'
        "int main() { std::string name = greeting(); return greet() < 0 || name.empty(); }\n",
        "greet_test.c": '#include "lib/greet.h"\nint main(void) { return greet() < 0; }\n',
        "cxx_test.cc": '#include "lib/greet.hh"\nint main() { return greeting().empty(); }\n',
        "lib/Builderfile": """
            [target.greet]
            type = "library"
            language = "c"
            linkage = "shared"
            sources = ["greet.c", "other.c"]
            headers = ["greet.h"]
            visibility = "public"

            [target.greet_cxx]
            type = "library"
            language = "c++"
            sources = ["greet.cc"]
            headers = ["greet.hh"]
            visibility = "public"
        """,
        "lib/greet.h": '#ifdef __cplusplus\nextern "C"\n#endif\nint greet(void);\n',
        "lib/greet.c": '#include <stdio.h>\n#include "lib/greet.h"\nint greet(void) { return puts("hello"); }\n',
        "lib/other.c": "int other(void) { return 1; }\n",
        "lib/greet.hh": "#include <string>\nstd::string greeting();\n",
        "lib/greet.cc": '#include "lib/greet.hh"\nstd::string greeting() { return "hello"; }\n',
    }
    edits = [
        Edit(
            file="lib/other.c",
            old="return 1",
            new="return 2",
            reruns=(
                "Compile //lib:greet", "Link //lib:greet", "//:app", "//:app_cxx", "//:greet_test",
            ),
        ),
        Edit(file="main.c", old="< 0", new="== -1", reruns=("Compile //:app", "Link //:app")),
    ]  # fmt: skip
