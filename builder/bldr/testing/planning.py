"""Plans of a project, made in this process: the actions of its targets, without running any."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bldr.execute.building import Plan
from bldr.session import BuildRequest, Session
from bldr.testing.project import Project


@contextmanager
def open_project(project: Project, prepare: Callable[[Session], None] | None = None) -> Iterator[tuple[Session, Plan]]:
    """The session of a project and the plan of all its targets, tests included. `prepare` may change what the session
    knows before it is asked anything. Raises BldrError as a build would."""
    with _environment(project.env):
        request = BuildRequest(patterns=("//...",), directory=str(project.root), cache_dir=str(project.cache))
        with Session(request) as session:
            if prepare is not None:
                prepare(session)
            yield session, session.plan(session.labels(), tests=True)


@contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    """For the time of the block the process has this environment, as the project's commands have."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
