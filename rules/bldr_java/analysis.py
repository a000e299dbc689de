"""From a target of Java to its actions: compile into a jar, then link into a program."""

import re

from bldr.api import Action, Analysis, Artifact, Context, Executable, Files, TargetAttributes, TestInfo
from bldr_java.attributes import (
    JavaAttributes,
    JavaExecutableAttributes,
    JavaLibraryAttributes,
    JavaTestAttributes,
)
from bldr_java.compile import QUICK_JVM, TOOLCHAINS, compile_jar, library_path, merge_jars
from bldr_java.junit import RUNNER_CLASS, RUNNER_SOURCE
from bldr_java.providers import JavaInfo, info_of_deps, merge

_CLASS = re.compile(r"[\w$]+(\.[\w$]+)*")


def analyze(attributes: TargetAttributes, context: Context) -> Analysis:
    if isinstance(attributes, JavaTestAttributes):
        return _analyze_test(attributes, context)
    assert isinstance(attributes, JavaAttributes)
    deps = info_of_deps(context)
    action = compile_jar(attributes, deps, context)
    own = JavaInfo(jars=action.outputs if action else (), runtime=context.files("data"))
    if isinstance(attributes, JavaLibraryAttributes):
        return _library(action, own, deps, context)
    assert isinstance(attributes, JavaExecutableAttributes)
    return _program(attributes, action, merge([own, deps]), context)


def _library(action: Action | None, own: JavaInfo, deps: JavaInfo, context: Context) -> Analysis:
    jars = context.files("jars")
    for jar in jars:
        if not jar.path.endswith(".jar"):
            context.fail(f'"{jar.path}" is no jar', "other files are resources or data", "jars")
    info = merge([own, JavaInfo(jars=jars), deps])
    return Analysis((action,) if action else (), (info, Files((*own.jars, *jars))))


def _program(attributes: JavaExecutableAttributes, action: Action | None, info: JavaInfo, context: Context) -> Analysis:
    _check_class(attributes.main_class, context)
    if not info.jars:
        context.fail("there is nothing to run", "name sources, or a library that has the main class", "sources")
    link = merge_jars(attributes, info, context)
    program = link.outputs[0]
    provides = (Files((program,)), Executable(program, _runtime(info), TOOLCHAINS))
    return Analysis((action, link) if action else (link,), provides)


def _analyze_test(attributes: JavaTestAttributes, context: Context) -> Analysis:
    deps = info_of_deps(context)
    flags = ("-ea", *QUICK_JVM, *library_path(deps), *attributes.jvm_flags)
    if attributes.main_class:
        _check_class(attributes.main_class, context)
        action = compile_jar(attributes, deps, context)
        main: tuple[str, ...] = (attributes.main_class,)
    else:
        if not context.files("sources"):
            context.fail("a test of JUnit has sources", "or name the main_class of a program", "sources")
        runner = f"{context.label.directory}/{context.label.name}.runner/{RUNNER_CLASS}.java".lstrip("/")
        action = compile_jar(attributes, deps, context, ((runner, RUNNER_SOURCE),))
        assert action is not None
        main = (RUNNER_CLASS, action.outputs[0].path)
    jars = (*(action.outputs if action else ()), *deps.jars)
    test = TestInfo(
        argv=("java", *flags, "-classpath", ":".join(jar.path for jar in jars), *main),
        inputs=tuple(dict.fromkeys((*jars, *context.files("data"), *_runtime(deps)))),
        env=attributes.env,
        toolchains=TOOLCHAINS,
    )
    return Analysis((action,) if action else (), (Files(action.outputs if action else ()), test))


def _runtime(info: JavaInfo) -> tuple[Artifact, ...]:
    return tuple(dict.fromkeys((*info.native, *info.runtime)))


def _check_class(name: str, context: Context) -> None:
    if not _CLASS.fullmatch(name):
        context.fail(f'"{name}" is no name of a class', 'write it in full: "org.example.Main"', "main_class")
