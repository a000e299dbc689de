"""What targets of Java may say."""

from bldr.api import FileList, LabelList, TargetAttributes, TestAttributes


class JavaAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all kinds have in common.

    `resources` stand in the jar at their path below `resource_root`, a directory of the package. `release` is the
    version of the language and of the library that the sources are written for. `processors` are annotation processors;
    without any, none runs.
    """

    resources: FileList = ()
    resource_root: str = ""
    release: int | None = None
    flags: tuple[str, ...] = ()
    processors: LabelList = ()


class JavaLibraryAttributes(JavaAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A library: a jar of `sources` and `resources`, or `jars` that somebody else has made, or both."""

    jars: FileList = ()


class JavaExecutableAttributes(JavaAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program: one file with all its libraries in it. `jvm_flags` are passed whenever it runs."""

    main_class: str
    jvm_flags: tuple[str, ...] = ()


class JavaTestAttributes(TestAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A test: of JUnit, or, with `main_class`, a program that passes when it returns 0.

    Repeats `JavaAttributes`, which msgspec cannot mix in.
    """

    resources: FileList = ()
    resource_root: str = ""
    release: int | None = None
    flags: tuple[str, ...] = ()
    processors: LabelList = ()
    main_class: str = ""
    jvm_flags: tuple[str, ...] = ()


AnyJavaAttributes = JavaAttributes | JavaTestAttributes
"""What has sources to compile."""
