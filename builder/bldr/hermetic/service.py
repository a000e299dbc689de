"""The launch service: a small process without threads that opens a platform and runs one command at a time in it.

Run as `python -m bldr.hermetic.service FD`. It exists because a platform's launcher must be started before its process
has threads, and an embedding process may have any number. When the embedding process closes its end of the socket, or
dies, the service ends what runs (but waits for what is to outlive it), removes its directory and exits.
"""

import importlib
import os
import select
import shutil
import signal
import socket
import sys
from typing import NoReturn, cast

from bldr.api import Exit, IsolationError, Launch, Launcher, Sandbox, Started
from bldr.hermetic.status import Exited, SetupFinished, Spawned
from bldr.hermetic.wire import Channel, Kill, Measure, Measured, Open, Opened, Refused, Signal, Start


def main(descriptor: int) -> None:
    signal.signal(signal.SIGTERM, _leave)  # so that `finally` is reached
    channel = Channel(socket.socket(fileno=descriptor))
    request, _ = channel.receive_request()
    assert isinstance(request, Open)
    try:
        _serve(channel, request)
    except (EOFError, BrokenPipeError):
        pass  # nobody is interested any more
    finally:
        shutil.rmtree(request.directory, ignore_errors=True)


def _leave(number: int, frame: object) -> NoReturn:  # noqa: ARG001  # the form of a signal handler
    raise SystemExit(128 + number)


def _serve(channel: Channel, request: Open) -> None:
    root = os.path.join(request.directory, "root")
    os.mkdir(root)
    os.chmod(root, 0o711)  # noqa: S103  # the form that `Sandbox.open` asks for, below a directory of the caller's own
    try:
        launcher = _load(request.sandbox).open(root, map_caller=request.map_caller, outlives=request.outlives)
    except IsolationError as error:
        channel.send(Refused(error.message, error.hint))
        return
    try:
        channel.send(Opened())
        launch_id = 0
        while True:
            start, descriptors = channel.receive_request()
            if isinstance(start, Start):  # what came too late for a command is not answered: its end was told
                launch_id += 1
                _run(channel, launcher, _launch(launch_id, start, descriptors), descriptors)
    finally:
        launcher.close()


def _load(reference: str) -> Sandbox:
    module, _, name = reference.partition(":")
    return cast(Sandbox, getattr(importlib.import_module(module), name)())


def _launch(launch_id: int, start: Start, descriptors: list[int]) -> Launch:
    stdin, stdout, stderr = descriptors
    return Launch(
        launch_id=launch_id,
        spec=start.spec,
        argv=start.argv,
        cwd=start.cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        announce=True,
    )


def _run(channel: Channel, launcher: Launcher, launch: Launch, descriptors: list[int]) -> None:
    launcher.start(launch)
    for descriptor in descriptors:
        os.close(descriptor)
    try:
        channel.send(Exited(_follow(channel, launcher, launch.launch_id)))
    except (EOFError, BrokenPipeError):
        if not launch.spec.process.kill_on_parent_exit:
            _wait(launcher, launch.launch_id)
        raise


def _follow(channel: Channel, launcher: Launcher, launch_id: int) -> Exit:
    """Obey and tell until the launch has ended."""
    while True:
        readable, _, _ = select.select([channel.fileno(), launcher.fileno()], [], [])
        if channel.fileno() in readable:
            _obey(channel, launcher, launch_id)
        if launcher.fileno() in readable:
            for started in launcher.started():
                _tell_of(channel, started)
            end = _exit_of(launcher, launch_id)
            if end is not None:
                return end


def _tell_of(channel: Channel, started: Started) -> None:
    """The service is that of which all descend, whatever the platform puts between."""
    descriptors = (started.pidfd,) if started.pidfd >= 0 else ()
    try:
        channel.send(Spawned(started.pid, started.pidfd, os.getpid()), descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    channel.send(SetupFinished())


def _obey(channel: Channel, launcher: Launcher, launch_id: int) -> None:
    request, _ = channel.receive_request()
    if isinstance(request, Kill):
        launcher.kill(launch_id)
    elif isinstance(request, Signal):
        launcher.signal(launch_id, request.number)
    elif isinstance(request, Measure):
        channel.send(Measured(launcher.measure(launch_id)))


def _exit_of(launcher: Launcher, launch_id: int) -> Exit | None:
    return next((end for end in launcher.reap() if end.launch_id == launch_id), None)


def _wait(launcher: Launcher, launch_id: int) -> None:
    """Nobody asks any more; the launch goes on to its end."""
    while _exit_of(launcher, launch_id) is None:
        select.select([launcher.fileno()], [], [])


if __name__ == "__main__":
    main(int(sys.argv[1]))
