"""Java built by a real compiler in real sandboxes."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bldr.testing import Edit, HandlerContract
from bldr_java.handler import JavaHandler

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("javac") is None, reason="there is no javac here"),
]

MAVEN = Path("/usr/share/maven-repo")  # what Debian's junit5 brings
JUNIT = {
    "org.apiguardian:apiguardian-api": [],
    "org.opentest4j:opentest4j": [],
    "org.junit.platform:junit-platform-commons": ["org.apiguardian:apiguardian-api"],
    "org.junit.platform:junit-platform-engine": [
        "org.junit.platform:junit-platform-commons",
        "org.opentest4j:opentest4j",
    ],
    "org.junit.platform:junit-platform-launcher": ["org.junit.platform:junit-platform-engine"],
    "org.junit.jupiter:junit-jupiter-api": ["org.junit.platform:junit-platform-commons", "org.opentest4j:opentest4j"],
    "org.junit.jupiter:junit-jupiter-engine": [
        "org.junit.jupiter:junit-jupiter-api",
        "org.junit.platform:junit-platform-engine",
    ],
}


def junit_lock(repository):
    """The lock file that pins what Debian has, as if `repository` were where it came from."""
    artifacts = {}
    for key in JUNIT:
        group, name = key.split(":")
        directory = MAVEN / group.replace(".", "/") / name
        (jar,) = (path for path in directory.glob("[0-9]*/*.jar") if path.name == f"{name}-{path.parent.name}.jar")
        shasum = hashlib.sha256(jar.read_bytes()).hexdigest()
        artifacts[key] = {"shasums": {"jar": shasum, "sources": None}, "version": jar.parent.name}
    repositories = {f"{repository}/": list(JUNIT)}
    content = {"version": "2", "artifacts": artifacts, "dependencies": JUNIT, "repositories": repositories}
    return json.dumps(content)


GREETER = """
package org.example;

public interface Greeter {
    String greet(String name);
}
"""
SERVICES = "META-INF/services/org.example.Greeter"


class TestContract(HandlerContract):
    handler = JavaHandler
    files = {
        "Builderfile": """
            [target.app]
            type = "executable"
            language = "java"
            sources = ["Main.java"]
            main_class = "org.example.Main"
            deps = ["//lib:hello"]

            [target.app_test]
            type = "test"
            language = "java"
            sources = ["MainTest.java"]
            main_class = "org.example.MainTest"
            deps = ["//lib:hello"]
        """,
        "Main.java": """
            package org.example;

            public class Main {
                public static void main(String[] arguments) {
                    System.out.println(new Hello().greet(arguments[0]));
                }
            }
        """,
        "MainTest.java": """
            package org.example;

            public class MainTest {
                public static void main(String[] arguments) {
                    assert new Hello().greet("you").equals("hello, you") : "not kind";
                }
            }
        """,
        "lib/Builderfile": """
            [target.greeter]
            type = "library"
            language = "java"
            sources = ["Greeter.java"]

            [target.hello]
            type = "library"
            language = "java"
            sources = ["Hello.java"]
            resources = ["res/**"]
            resource_root = "res"
            deps = [":greeter"]
            visibility = "public"
        """,
        "lib/Greeter.java": GREETER,
        "lib/Hello.java": """
            package org.example;

            import java.io.IOException;
            import java.io.InputStream;

            public class Hello implements Greeter {
                public String greet(String name) {
                    try (InputStream in = Hello.class.getResourceAsStream("greeting.txt")) {
                        return new String(in.readAllBytes()).trim() + ", " + name;
                    } catch (IOException error) {
                        throw new RuntimeException(error);
                    }
                }
            }
        """,
        "lib/res/org/example/greeting.txt": "hello\n",
    }
    edits = [
        Edit(
            file="Main.java",
            old="arguments[0]",
            new="arguments[ 0]",
            reruns=("Javac //:app",),  # which makes the same
        ),
        Edit(
            file="lib/Greeter.java",
            old="name);",
            new="name);\n    default int more() { return 1; }",
            reruns=("Javac //lib:greeter", "Javac //lib:hello", "//:app", "//:app_test"),
        ),
    ]


def test_a_program_runs_alone_with_the_services_of_all_jars(project, tmp_path):
    library = """
        [target.mark]
        type = "command"
        outputs = ["generated/"]
        command = "mkdir -p $OUT; echo 'interface Mark { String END = \\"!\\"; }' > $OUT/Mark.java"

        [target.greeter]
        type = "library"
        language = "java"
        sources = ["Greeter.java"]

        [target.app]
        type = "executable"
        language = "java"
        sources = ["Main.java", ":mark"]
        main_class = "Main"
        deps = [":one", ":two"]
        jvm_flags = ["-Dmark=a b's"]
    """
    for name in ("one", "two"):
        library += f"""
        [target.{name}]
        type = "library"
        language = "java"
        sources = ["{name.title()}.java"]
        resources = ["{name}/**"]
        resource_root = "{name}"
        deps = [":greeter"]
        """
    files = {"Builderfile": f'[workspace]\nname = "w"\n{library}', "Greeter.java": GREETER}
    for name in ("one", "two"):
        title = name.title()
        files[f"{title}.java"] = (
            f"package org.example;\npublic class {title} implements Greeter {{\n"
            f'    public String greet(String name) {{ return "{name} " + name; }}\n}}\n'
        )
        files[f"{name}/{SERVICES}"] = f"org.example.{title}"  # no line break at the end
    files["Main.java"] = """
        import java.util.ServiceLoader;
        import org.example.Greeter;

        public class Main {
            public static void main(String[] arguments) {
                for (Greeter greeter : ServiceLoader.load(Greeter.class)) {
                    System.out.println(greeter.greet(arguments[0]) + System.getProperty("mark") + Mark.END);
                }
            }
        }
    """
    project.write(files)
    assert project.bldr("build", "--hermetic", "//...").exit_code == 0
    alone = shutil.copy(project.out("app"), tmp_path / "elsewhere")
    shutil.rmtree(project.root)
    ran = subprocess.run([alone, "says"], capture_output=True, text=True, check=True)
    assert ran.stdout == "one saysa b's!\ntwo saysa b's!\n"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc here")
def test_a_library_of_c_is_loaded_by_a_test_and_by_a_program(project, tmp_path):
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "native"

                [target.app]
                type = "executable"
                language = "java"
                sources = ["Main.java"]
                main_class = "Main"
                deps = ["//native:twice"]

                [target.app_test]
                type = "test"
                language = "java"
                sources = ["Main.java"]
                main_class = "Main"
                args = ["21"]
                deps = ["//native:twice"]
            """,
            "Main.java": """
                public class Main {
                    static { System.loadLibrary("twice"); }
                    static native int twice(int number);

                    public static void main(String[] arguments) {
                        System.out.println(twice(Integer.parseInt(arguments[0])));
                    }
                }
            """,
            "native/Builderfile": """
                [target.twice]
                type = "library"
                language = "c"
                linkage = "shared"
                sources = ["twice.c"]
                visibility = "public"
            """,
            "native/twice.c": "int Java_Main_twice(void *env, void *type, int number) { return 2 * number; }\n",
        }
    )
    ran = project.bldr("test", "--hermetic", "--test-output=all", "//...")
    assert ran.exit_code == 0 and "42" in ran.output, ran
    assert project.bldr("build", "--hermetic", "//...").exit_code == 0
    assert project.output_of("app", "4") == "8\n"
    link = tmp_path / "link"
    link.symlink_to(project.out("app"))
    assert subprocess.run([link, "5"], capture_output=True, text=True, check=True).stdout == "10\n"


JUNIT_TESTS = """
package org.example;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Disabled;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

class GreetTest {
    @Test
    void first() {}

    @Test
    void second() {
        assertEquals(1, 2, "<numbers>");
    }

    @Test
    @Disabled("later")
    void third() {}

    @Nested
    class Inner {
        @Test
        void fourth() {}
    }
}
"""


@pytest.mark.skipif(not (MAVEN / "org/junit/platform").exists(), reason="there is no junit5 of Debian's here")
def test_junit_of_a_lock_file_reports_every_method_and_runs_what_is_asked_for(project, mirror, tmp_path):
    mirror.serve("/maven2", MAVEN)
    project.write(
        {
            "Builderfile": """
                [workspace]
                name = "junit"

                [external.maven]
                lock = "maven_install.json"

                [target.greet_test]
                type = "test"
                language = "java"
                sources = ["GreetTest.java"]
                deps = [
                    "@maven//:org_junit_jupiter_junit_jupiter_engine",
                    "@maven//:org_junit_platform_junit_platform_launcher",
                ]
            """,
            "GreetTest.java": JUNIT_TESTS,
            "maven_install.json": junit_lock(f"{mirror.url}/maven2"),
        }
    )
    report = tmp_path / "junit.xml"
    ran = project.bldr("test", "--hermetic", "--junit", report, "//...")
    assert ran.exit_code == 3, ran
    found = {case.get("name"): [child.tag for child in case] for case in ElementTree.parse(report).iter("testcase")}
    assert found == {"first()": [], "second()": ["failure"], "third()": ["skipped"], "fourth()": []}
    assert len(mirror.requests) == len(JUNIT)
    assert "<numbers> ==> expected: <1> but was: <2>" in ran.output

    ran = project.bldr("test", "--test-filter", "GreetTest#first|Inner", "--test-output=all", "//...")
    assert ran.exit_code == 0 and "2 tests, 0 failed" in ran.output, ran
    ran = project.bldr("test", "--test-filter", "nothing of the kind", "//...")
    assert ran.exit_code == 3 and 'no test fits "nothing of the kind"' in ran.output, ran
