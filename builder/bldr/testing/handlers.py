"""The contract of handlers, as tests: subclass `HandlerContract` and say which handler, and on which workspace."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from bldr.api.attributes import TargetAttributes, TestAttributes
from bldr.api.errors import BldrError
from bldr.api.handlers import Handler
from bldr.testing.outcome import Outcome
from bldr.testing.planning import open_project
from bldr.testing.project import Project, copy_cache
from bldr.testing.purity import WatchedHandler

_OTHER_ENV = {"PYTHONHASHSEED": "4711", "TZ": "Pacific/Apia", "LANG": "C", "USER": "somebody", "COLUMNS": "40"}


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one file, `old` to `new`, and exactly what has to run after it.

    `reruns` names actions (`"Compile //:hello"`) or labels, for whatever runs of a target.
    """

    file: str
    old: str
    new: str
    reruns: tuple[str, ...]


Command = tuple[str, str, tuple[str, ...], tuple[tuple[str, str], ...]]


class Built(msgspec.Struct, frozen=True):
    """The first build of a sample workspace: how it ended, and what ran, as label, mnemonic, argv and environment."""

    outcome: Outcome
    commands: tuple[Command, ...]


class HandlerContract:
    """What holds for every handler, tried on a workspace of the author's:

        class TestContract(HandlerContract):
            handler = GreetingHandler
            files = {"Builderfile": "...", "hello.greeting": "..."}
            edits = [Edit(file="hello.greeting", old="you", new="all", reruns=["Compile //:hello", "Link //:hello"])]

    `files` should have a target of every type that the handler serves. The plugin has to be installed (`pip install
    -e .`), for it is found as bldr finds it. `isolation` is what its builds ask for.
    """

    handler: ClassVar[type[Handler]]
    files: ClassVar[Mapping[str, str | bytes]]
    edits: ClassVar[Sequence[Edit]] = ()
    isolation: ClassVar[str] = "best"

    # What the handler says of itself

    def test_it_is_registered_by_an_installed_plugin(self) -> None:
        registry = _registry()
        broken = "".join(f"\n{plugin.name} of {plugin.distribution}: {plugin.reason}" for plugin in registry.broken)
        for pair in self.handler.serves:
            entry = registry.handlers.get(pair)
            assert entry is not None, (
                f"no installed plugin serves type {pair[0]!r} of language {pair[1]!r}: install the distribution "
                f'(pip install -e .); its entry point of group "bldr" names the module whose hook bldr_handlers '
                f"returns {self.handler.__name__}{broken}"
            )
            found = type(entry.handler)
            assert (found.__module__, found.__qualname__) == (self.handler.__module__, self.handler.__qualname__), (
                f"{pair} is served by {found.__module__}.{found.__qualname__} of {entry.distribution}"
            )

    def test_name_and_version_go_into_keys(self) -> None:
        assert isinstance(self.handler.name, str) and self.handler.name, "its name is a text"
        version = self.handler.semantics_version
        assert type(version) is int and version >= 1, f"semantics_version counts from 1 and is {version!r}"

    def test_what_it_serves_and_the_attributes_agree(self) -> None:
        serves = self.handler.serves
        assert isinstance(serves, tuple) and serves, "serves is a tuple of pairs of type and language"
        assert len(set(serves)) == len(serves), "it serves a pair twice"
        for pair in serves:
            assert isinstance(pair, tuple) and len(pair) == 2, f"{pair!r} is no pair of type and language"
            kind, language = pair
            assert isinstance(kind, str) and kind and isinstance(language, str | None) and language != "", f"{pair!r}"
            struct = self.handler().attributes(kind)
            expected = TestAttributes if kind == "test" else TargetAttributes
            assert issubclass(struct, expected), f"the attributes of a {kind} extend {expected.__name__}"
            config = struct.__struct_config__
            assert config.frozen and config.forbid_unknown_fields, (
                f"{struct.__name__} is not declared with frozen=True, kw_only=True, forbid_unknown_fields=True"
            )
            assert struct.__doc__, f"{struct.__name__} needs a docstring: it is what editors show"

    def test_its_attributes_have_a_json_schema(self) -> None:
        from bldr.load.schema import json_schema

        titles = {definition.get("title", "") for definition in json_schema(_registry())["$defs"].values()}
        for kind, language in self.handler.serves:
            assert (f"{kind} in {language}" if language else kind) in titles

    # How it analyses

    def test_analysis_is_pure_and_well_formed(self, bldr_contract_project: Project) -> None:
        watched: dict[int, WatchedHandler] = {}

        def watch(session: Any) -> None:
            for pair, entry in session.registry.handlers.items():
                if pair in self.handler.serves:
                    handler = watched.setdefault(id(entry.handler), WatchedHandler(entry.handler))
                    session.registry.handlers[pair] = entry._replace(handler=handler)

        error = ""
        try:
            with open_project(bldr_contract_project, watch) as (_, plan):
                served = [label for label in plan.labels if plan.graph.targets[label]]
                assert served, "the sample workspace has no targets"
        except BldrError as raised:
            error = str(raised)
        breaches = [breach for handler in watched.values() for breach in handler.breaches]
        assert not breaches and not error, "\n".join([*breaches, error])

    def test_providers_can_be_keys(self, bldr_contract_project: Project) -> None:
        """They are compared and remembered: hash() must work, but for those of bldr.api that hold an environment."""
        with open_project(bldr_contract_project) as (session, plan):
            for target in plan.graph.targets.values():
                if session.graph.target(target.label).handler_key in self.handler.serves:
                    for provider in target.providers.values():
                        if not type(provider).__module__.startswith("bldr.api."):
                            hash(provider)

    # How what it makes behaves

    def test_every_target_is_built_and_every_test_passes(self, bldr_contract_build: Built) -> None:
        bldr_contract_build.outcome.assert_ok()
        assert bldr_contract_build.outcome.ran, f"no action ran\n{bldr_contract_build.outcome}"

    def test_there_is_a_sample_of_every_type(self, bldr_contract_project: Project) -> None:
        with open_project(bldr_contract_project) as (session, _):
            sampled = {session.graph.target(label).handler_key for label in session.graph.order}
        missing = [" in ".join(filter(None, pair)) for pair in self.handler.serves if pair not in sampled]
        assert not missing, f"add to files, to be tried out as well, a target of: {', '.join(missing)}"

    def test_nothing_runs_twice(self, bldr_contract_project: Project, bldr_contract_build: Built) -> None:
        bldr_contract_build.outcome.assert_ok()
        run_all(self, bldr_contract_project).assert_cached()

    def test_a_time_stamp_is_no_change(self, bldr_contract_project: Project, bldr_contract_build: Built) -> None:
        bldr_contract_build.outcome.assert_ok()
        for name in self.files:
            os.utime(bldr_contract_project.root / name, (1, 1))
        run_all(self, bldr_contract_project).assert_cached()

    def test_a_file_that_nobody_names_is_no_change(
        self, bldr_contract_project: Project, bldr_contract_build: Built
    ) -> None:
        bldr_contract_build.outcome.assert_ok()
        stranger = bldr_contract_project.root / "a stranger.nobody"
        stranger.write_text("named by no target\n")
        try:
            run_all(self, bldr_contract_project).assert_cached()
        finally:
            stranger.unlink()

    def test_an_edit_reruns_what_depends_on_it(
        self, bldr_contract_project: Project, bldr_contract_build: Built
    ) -> None:
        bldr_contract_build.outcome.assert_ok()
        for edit in self.edits:
            before = bldr_contract_project.read(edit.file)
            bldr_contract_project.edit(edit.file, edit.old, edit.new)
            try:
                edited = run_all(self, bldr_contract_project).assert_ok()
                try:
                    edited.assert_ran(*edit.reruns)
                except AssertionError as error:
                    raise AssertionError(
                        f"after an edit of {edit.file} ({edit.old!r} to {edit.new!r}): {error}"
                    ) from None
            finally:
                (bldr_contract_project.root / edit.file).write_text(before)
            run_all(self, bldr_contract_project).assert_cached()

    def test_another_checkout_gives_the_same_bytes(
        self,
        bldr_contract_project: Project,
        bldr_contract_build: Built,
        bldr_warm_cache: Path | None,
        tmp_path: Path,
    ) -> None:
        """Another directory, another cache, another user's settings, another order of sets."""
        bldr_contract_build.outcome.assert_ok()
        copy_cache(bldr_warm_cache, tmp_path / "cache")
        other = Project(tmp_path / "another" / "checkout of it" / "workspace", tmp_path / "cache").write(self.files)
        other.env.update(_OTHER_ENV)
        run_all(self, other).assert_ok()
        assert _commands(other) == bldr_contract_build.commands
        build_all(self, other).assert_ok()
        build_all(self, bldr_contract_project).assert_ok()
        made, again = _outputs(bldr_contract_project), _outputs(other)
        assert made.keys() == again.keys()
        assert made == again, f"these differ: {', '.join(name for name in made if made[name] != again[name])}"


@pytest.fixture(scope="class")
def bldr_contract_project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bldr_warm_cache: Path | None
) -> Project:
    """The workspace that all tests of a contract share; each leaves it as it was."""
    top = tmp_path_factory.mktemp("contract")
    copy_cache(bldr_warm_cache, top / "cache")
    project = Project(top / "workspace", top / "cache")
    project.env["PYTHONHASHSEED"] = "1"
    return project.write(request.cls.files)


@pytest.fixture(scope="class")
def bldr_contract_build(request: pytest.FixtureRequest, bldr_contract_project: Project) -> Built:
    """The first build of it, tests included."""
    outcome = run_all(request.cls, bldr_contract_project)
    return Built(outcome, _commands(bldr_contract_project) if outcome.exit_code == 0 else ())


def build_all(contract: "HandlerContract | type[HandlerContract]", project: Project) -> Outcome:
    """Build all targets, and write the outputs of all of them."""
    return project.build(f"--isolation={contract.isolation}", "--materialize=all")


def run_all(contract: "HandlerContract | type[HandlerContract]", project: Project) -> Outcome:
    """Build all targets and run all tests; the outcome has the events of both."""
    built = build_all(contract, project)
    if built.exit_code != 0 or not any(kind == "test" for kind, _ in contract.handler.serves):
        return built
    tested = project.test(f"--isolation={contract.isolation}")
    return msgspec.structs.replace(tested, events=(*_what_ran(built), *tested.events))


def _what_ran(built: Outcome) -> Iterator[dict[str, Any]]:
    """The actions that a build did not find in the cache, where the tests after it found all of them."""
    return (event for event in built.events if event["event"] == "action_finished" and not event["cached"])


def _registry() -> Any:
    from bldr.plugins import load_plugins

    return load_plugins()


def _commands(project: Project) -> tuple[Command, ...]:
    """What ran last for every action."""
    entries = json.loads(project.bldr("log", "--format", "json", "//...").assert_ok().stdout)
    return tuple(
        sorted(
            (entry["label"], entry["mnemonic"], tuple(entry["command"]), tuple(sorted(entry["env"].items())))
            for entry in entries
        )
    )


def _outputs(project: Project) -> dict[str, tuple[str, bool]]:
    """By path below `bldr-out` the digest of a file (of a link: where it leads) and whether it is a program.

    What tests say of their runs is left out: it tells the time.
    """
    found = {}
    for directory, below, names in os.walk(project.root / "bldr-out"):
        below[:] = [name for name in below if not name.endswith(".test")]
        for name in names:
            path = Path(directory, name)
            place = str(path.relative_to(project.root / "bldr-out"))
            if place == ".lock":
                continue
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            found[place] = (hashlib.sha256(content).hexdigest(), os.access(path, os.X_OK))
    return found
