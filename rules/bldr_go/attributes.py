"""What targets of Go may say."""

from bldr.api import FileList, LabelList, TargetAttributes, TestAttributes

STANDARD_LIBRARY = ("//:go-std",)


class GoAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package: a library, or the package `main` of an executable. All its sources stand in one directory.

    `import_path` is what others write to import it; without it the path of the target's package. `embed` are the files
    that `//go:embed` may name. `go_version` is the version of the language, as in a go.mod. `std` is the target of type
    "stdlib" that it is compiled with.
    """

    import_path: str = ""
    embed: FileList = ()
    build_tags: tuple[str, ...] = ()
    go_version: str = ""
    flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    std: LabelList = STANDARD_LIBRARY


class GoTestAttributes(TestAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tests of the package `testing`. `library` is the library under test, whose sources the tests are compiled with
    where they are of the same package. Repeats `GoAttributes`, which msgspec cannot mix in."""

    import_path: str = ""
    embed: FileList = ()
    build_tags: tuple[str, ...] = ()
    go_version: str = ""
    flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    std: LabelList = STANDARD_LIBRARY
    library: LabelList = ()


class GoStdAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The standard library, compiled once for all. `packages` are import paths; "std" is all of it."""

    packages: tuple[str, ...] = ("std",)


AnyGoAttributes = GoAttributes | GoTestAttributes
