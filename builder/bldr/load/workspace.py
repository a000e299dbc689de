"""Finds a workspace and assembles it: all packages below its root, and those of external sources when asked for."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec

from bldr.api.attributes import HermeticSettings
from bldr.api.configuration import Configuration
from bldr.api.errors import Problem, WorkspaceError
from bldr.api.labels import Label, parse_label
from bldr.load.configurations import read_configurations
from bldr.load.directories import Boundary, Directory, Kind, walk
from bldr.load.externals import ExternalSource, read_external
from bldr.load.glob import is_normal_path
from bldr.load.locked import LockedPackages
from bldr.load.locks import files_beside, find_format
from bldr.load.names import CACHE_TAG
from bldr.load.packages import ROOT_TABLES, read_package, to_problems
from bldr.load.pinned import PinnedToolchain, read_toolchain
from bldr.load.schema import Handlers, Schemas, WorkspaceTable
from bldr.load.suggest import nearest
from bldr.load.syntax import BUILDERFILE, Parsed, Place, Source, has_workspace_table, make_problem, read_source
from bldr.load.targets import Package, Target
from bldr.load.validate import Mistake, describe_value, find_mistakes

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_ROOT_HINT = 'write [workspace] and name = "..." into it'
_NAME_HINT = "names are made of letters, digits and _ . -"
_UNREADABLE_HINT = "make it readable, or add it to the list ignore in [workspace]"

Fetch = Callable[[ExternalSource], str | LockedPackages]


def find_root(start: str) -> str:
    """The nearest directory, from `start` upwards, whose Builderfile has the table `workspace`.

    Raises WorkspaceError where there is none, or where a Builderfile on the way cannot be read.
    """
    at = os.path.abspath(start)
    problems: list[Problem] = []
    hint = "bldr init writes one"
    while True:
        path = os.path.join(at, BUILDERFILE)
        if os.path.isfile(path):
            try:
                if has_workspace_table(path):
                    return at
                hint = f"add [workspace] with a name to {path}"
            except WorkspaceError as error:
                problems += error.problems
        above = os.path.dirname(at)
        if above == at:
            break
        at = above
    if problems:
        raise WorkspaceError(problems)
    message = f'no workspace: neither "{start}" nor a directory above it has a Builderfile with the table [workspace]'
    raise WorkspaceError([make_problem(Place("", 0, 0), message, hint)])


class Workspace:
    """All that was read of one workspace. `targets` are its own; external packages are read when first asked for."""

    def __init__(self, root: str, registry: Handlers, external: Fetch, parsed: Parsed | None) -> None:
        self.root = root
        self.name = ""
        self.packages: dict[tuple[str, str], Package] = {}
        self.externals: dict[str, ExternalSource] = {}
        self.toolchains: dict[str, PinnedToolchain] = {}
        self.hermetic = HermeticSettings()
        self.configurations: dict[str, Configuration] = {}
        self.targets: tuple[Target, ...] = ()
        self.files_read: list[str] = []
        """Builderfiles, as paths below the root: what was loaded holds while they and the directories are the same."""
        self.absent: list[str] = []
        """Paths below the root of files that were looked for and are not there."""
        self._schemas = Schemas(registry)
        self._locks = registry.locks
        self._fetch = external
        self._parsed = parsed
        self._top = Directory(root)
        self._trees: dict[str, str | LockedPackages] = {}  # of external sources: where they are unpacked
        self._loaded: set[str] = set()  # external sources whose packages were read
        self._by_label: dict[Label, Target] = {}

    @property
    def directories_read(self) -> list[str]:
        """Directories whose listings were used, as paths below the root ("" for the root itself)."""
        return self._top.read

    def listed(self, path: str) -> Mapping[str, Directory | Kind]:
        """What one of `directories_read` held when it was read."""
        directory = _entry(self._top, path) if path else self._top
        assert isinstance(directory, Directory)
        return directory.entries

    def host_path(self, tree_path: str) -> str:
        """Where on this machine a source lies that actions see at `tree_path` below their tree's root."""
        head, _, rest = tree_path.partition("/")
        if head == "external":
            name, _, below = rest.partition("/")
            if name in self.externals:
                tree = self._tree(name)
                return tree.host_path(below) if isinstance(tree, LockedPackages) else f"{tree}/{below}"
        return f"{self.root}/{tree_path}"

    def is_external(self, tree_path: str) -> bool:
        """Whether a source is one of an external source."""
        head, _, rest = tree_path.partition("/")
        return head == "external" and rest.partition("/")[0] in self.externals

    def target(self, label: Label) -> Target | None:
        """The target of this name. Reads the external source that a label is in; raises WorkspaceError, FetchError."""
        self._load_external(label.repository)
        return self._by_label.get(label)

    def targets_of(self, repository: str) -> list[Target]:
        """All targets of an external source, which is read for it; none where there is no such source."""
        self._load_external(repository)
        return [target for label, target in self._by_label.items() if label.repository == repository]

    @property
    def trees_read(self) -> list[str]:
        """Where on this machine all that was used of external sources lies: directories, and single files."""
        trees = self._trees.values()
        return [place for tree in trees for place in ([tree] if isinstance(tree, str) else tree.mounts.values())]

    def external_directory(self, name: str) -> str:
        """The directory that an external source which is one archive is unpacked in. Raises FetchError, CacheError."""
        tree = self._tree(name)
        assert isinstance(tree, str), "the packages of a lock file are in many places"
        return tree

    def _tree(self, name: str) -> str | LockedPackages:
        tree = self._trees.get(name)
        if tree is None:
            tree = self._fetch(self.externals[name])
            self._trees[name] = tree = tree.rstrip("/") if isinstance(tree, str) else tree
        return tree

    def load(self) -> None:
        """Read every package of the workspace. Raises WorkspaceError with all mistakes of all of them."""
        problems: list[Problem] = []
        ignored: set[str] = set()
        found: list[tuple[Directory, Source]] = []
        for directory, source in _find_builderfiles(self._top, ignored, self.files_read, problems, self._parsed):
            found.append((directory, source))
            if directory is self._top:
                problems += self._read_root(source, ignored)
        if not problems and (not found or found[0][0] is not self._top):
            raise WorkspaceError([make_problem(Place(BUILDERFILE, 0, 0), "there is no Builderfile here", _ROOT_HINT)])
        self._read_packages(found, "", self.hermetic, problems)
        problems += self._check_externals()
        if problems:
            raise WorkspaceError(problems)
        self.targets = tuple(self._by_label.values())

    def _read_packages(
        self, found: list[tuple[Directory, Source]], repository: str, outer: HermeticSettings, problems: list[Problem]
    ) -> None:
        """Read the packages of one tree, all of whose boundaries are known by now."""
        top = f"external/{repository}" if repository else ""
        for directory, source in found:
            path = directory.path[len(top) :].lstrip("/")
            is_root = not path
            problems += _check_package_path(path, source)
            allowed = ROOT_TABLES if is_root and not source.is_overlay else frozenset[str]()
            package, mistakes = read_package(source, directory, repository, path, outer, self._schemas, allowed)
            problems += mistakes
            source.data = {}  # the targets have all of it
            if is_root and not repository:
                outer = self.hermetic = package.hermetic
            self.packages[repository, path] = package
            for target in package.targets:
                self._by_label[target.label] = target

    def _read_root(self, source: Source, ignored: set[str]) -> list[Problem]:
        """The tables that only the root's Builderfile has."""
        table = source.data.get("workspace")
        if table is None:
            message = "the Builderfile at the root of a workspace needs the table [workspace]"
            return [source.problem((), message, _ROOT_HINT)]
        mistakes = find_mistakes(table, WorkspaceTable)
        if not mistakes:
            read = msgspec.convert(table, WorkspaceTable)
            self.name = read.name
            ignored.update(path.removesuffix("/") for path in read.ignore)
            mistakes = _check_workspace(read)
        problems = to_problems(source, "workspace", ("workspace",), mistakes)
        tables = source.data.get("config", {})
        self.configurations, mistakes = read_configurations(tables, self._schemas.languages())
        for mistake in mistakes:
            top, below = mistake.path[:1], mistake.path[1:]
            who = f'config "{top[0]}"' if top else ""
            problems += to_problems(source, who, ("config", *top), [mistake._replace(path=below)])
        externals = source.data.get("external", {})
        if not isinstance(externals, dict):
            message = f'"external" must be a table of sources, not {describe_value(externals)}'
            hint = "write a table for each source: [external.NAME]"
            return [*problems, source.problem(("external",), message, hint)]
        for name, external_table in externals.items():
            external, mistakes = read_external(name, external_table, source)
            problems += to_problems(source, f'external "{name}"', ("external", name), mistakes)
            if external is not None:
                self.externals[name] = external
        return problems + self._read_toolchains(source)

    def _read_toolchains(self, source: Source) -> list[Problem]:
        toolchains = source.data.get("toolchain", {})
        if not isinstance(toolchains, dict):
            message = f'"toolchain" must be a table of toolchains, not {describe_value(toolchains)}'
            return [source.problem(("toolchain",), message, "write a table for each toolchain: [toolchain.NAME]")]
        problems: list[Problem] = []
        for name, table in toolchains.items():
            pinned, mistakes = read_toolchain(name, table, source, self.externals)
            problems += to_problems(source, f'toolchain "{name}"', ("toolchain", name), mistakes)
            if pinned is not None:
                self.toolchains[name] = pinned
        return problems

    def _check_externals(self) -> list[Problem]:
        """What is wrong with external sources in view of the files of the workspace."""
        problems = []
        for external in self.externals.values():
            who = f'external "{external.name}"'
            if _entry(self._top, f"external/{external.name}") is not None:
                message = f'{who}: its files would stand at "external/{external.name}", which the workspace has as well'
                problems.append(make_problem(external.position, message, "rename one of the two"))
            for what, path in (("Builderfile", external.builderfile), ("lock file", external.lock)):
                if path and _entry(self._top, path) not in (Kind.FILE, Kind.LINK):
                    hint = self._near(path)
                    problems.append(make_problem(external.position, f'{who}: no {what} "{path}"', hint))
            if external.lock:
                found = find_format(external, self._locks)
                if isinstance(found, Problem):
                    problems.append(found)
        return problems

    def _near(self, path: str) -> str:
        """What may have been meant by the path of a file that is not there."""
        above, _, name = path.rpartition("/")
        directory = _entry(self._top, above) if above else self._top
        near = nearest(name, directory.entries if isinstance(directory, Directory) else ())
        return f'did you mean "{above}{"/" if above else ""}{near}"?' if near else ""

    def _load_external(self, name: str) -> None:
        """Read the packages of an external source, unless they were; an overlay stands for all its Builderfiles."""
        external = self.externals.get(name)
        if external is None or name in self._loaded:
            return
        tree = self._tree(name)
        top = Directory(tree, f"external/{name}") if isinstance(tree, str) else tree.directory()
        problems: list[Problem] = []
        if external.builderfile:
            source = read_source(f"{self.root}/{external.builderfile}", external.builderfile)
            source.is_overlay = True
            found = [(top, source)]
        elif isinstance(tree, LockedPackages):
            found = [(top, Source(external.lock, "", dict(tree.tables or {}), is_overlay=True))]
        else:
            found = list(_find_builderfiles(top, frozenset(), [], problems, self._parsed))
            if not found and not problems:
                message = f'external "{name}" holds no Builderfile'
                hint = 'write one for it, and builderfile = "its/path" in this table'
                problems.append(make_problem(external.position, message, hint))
        self._read_packages(found, name, self.hermetic, problems)
        if problems and isinstance(tree, LockedPackages) and not external.builderfile:
            problems = [_by_plugin(problem, external, tree.author) for problem in problems]
        if problems:
            raise WorkspaceError(problems)
        self._loaded.add(name)
        if external.builderfile:
            self.files_read.append(external.builderfile)
        if external.lock:
            entry = find_format(external, self._locks)
            assert not isinstance(entry, Problem), "checked when the workspace was read"
            present, absent = files_beside(self.root, external, entry.format)
            self.files_read += [external.lock, *present]
            self.absent += absent


def load_workspace(root: str, registry: Handlers, *, external: Fetch, parsed: Parsed | None = None) -> Workspace:
    """Read the workspace at `root`. `parsed` remembers what the texts of Builderfiles came to.

    `external` brings an outside source and returns the directory it is unpacked in, or the packages of its lock file;
    it is called when a target of that source, or a file of it, is first asked for. Raises WorkspaceError with every
    mistake that was found.
    """
    workspace = Workspace(os.path.abspath(root), registry, external, parsed)
    workspace.load()
    return workspace


def _find_builderfiles(
    top: Directory,
    ignored: Collection[str],
    files_read: list[str],
    problems: list[Problem],
    parsed: Parsed | None,
) -> Iterator[tuple[Directory, Source]]:
    """Every package of a tree with its Builderfile, and the boundaries of all of them set; what fails is a problem.

    A directory below `top` with a workspace of its own is no package, and neither is what lies below it.
    """
    for directory in walk(top, ignored):
        shown = f"{directory.path}/{BUILDERFILE}".lstrip("/")
        try:
            kind = directory.entries.get(BUILDERFILE)
        except OSError as error:
            if directory is not top and isinstance(error, FileNotFoundError):
                continue  # removed since its parent was listed
            message = f"the directory cannot be read: {(error.strerror or str(error)).lower()}"
            problems.append(make_problem(Place(directory.path or ".", 0, 0), message, _UNREADABLE_HINT))
            continue
        if kind is None or isinstance(kind, Directory):
            if CACHE_TAG in directory.entries and directory is not top:
                directory.boundary = Boundary.CACHE
            continue
        directory.boundary = Boundary.PACKAGE
        files_read.append(shown)
        try:
            source = read_source(f"{directory.host}/{BUILDERFILE}", shown, parsed)
        except WorkspaceError as error:
            problems += error.problems
            continue
        if "workspace" in source.data and directory is not top:
            directory.boundary = Boundary.WORKSPACE
            continue
        yield directory, source


def _by_plugin(problem: Problem, external: ExternalSource, author: str) -> Problem:
    """A mistake in a Builderfile that a plugin wrote is the plugin's."""
    message = f'external "{external.name}": the plugin {author} wrote a Builderfile with a mistake: {problem.message}'
    hint = f"report it to the authors of {author}" + (f": {problem.hint}" if problem.hint else "")
    return make_problem(Place(external.lock, 0, 0), message, hint)


def _check_workspace(table: WorkspaceTable) -> list[Mistake]:
    mistakes = []
    if not _NAME.fullmatch(table.name):
        mistakes.append(Mistake(("name",), f'"{table.name}" cannot be the name of a workspace', _NAME_HINT))
    for index, path in enumerate(table.ignore):
        if not is_normal_path(path.removesuffix("/")):
            hint = "name directories relative to the root"
            mistakes.append(Mistake(("ignore", index), f'"{path}" is not a normal relative path', hint))
    return mistakes


def _check_package_path(path: str, source: Source) -> list[Problem]:
    """Whether labels can name a package."""
    try:
        if not path or ("..." not in path.split("/") and parse_label(f"//{path}:_").package == path):
            return []
    except ValueError:
        pass
    hint = "rename the directory: labels are made of letters, digits and _ . + = , @ ~ # -"
    return [source.problem((), f'no label can name the package "{path}"', hint)]


def _entry(top: Directory, path: str) -> Directory | Kind | None:
    """What stands at a path below `top`, links not followed."""
    at: Directory | Kind | None = top
    for part in path.split("/"):
        if not isinstance(at, Directory):
            return None
        try:
            at = at.entries.get(part)
        except OSError:
            return None
    return at
