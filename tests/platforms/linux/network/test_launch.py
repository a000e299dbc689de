"""Bridges from the outside: specs that ask for one, run by the real launcher on a host of the test's own."""

import os
import select
import time
from contextlib import contextmanager

from bldr.api import Bridge, Input, Launch, Link, NetworkPolicy, SandboxSpec, Temp
from bldr_linux.network import networks
from bldr_linux.network.state import State
from bldr_linux.sandbox import LinuxSandbox

PATIENCE_S = 60
PYTHON = "/usr/bin/python3"
LINKS = tuple(Link(f"/{name}", f"usr/{name}") for name in ("bin", "lib", "lib64") if os.path.islink(f"/{name}"))
SERVER = """
import socket
listener = socket.create_server(("0.0.0.0", 4000))
connection, peer = listener.accept()
connection.sendall(peer[0].encode())
"""
CLIENT = """
import socket, sys, time
for attempt in range(200):
    try:
        with socket.create_connection((sys.argv[1], 4000), 5) as connection:
            print(connection.recv(100).decode())
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
"""


class Launches:
    """A launcher, and commands that it runs on a bridge."""

    def __init__(self, directory):
        os.makedirs(directory, 0o700)
        root = os.path.join(directory, "v1")
        os.mkdir(root)
        os.chmod(root, 0o711)
        self.launcher = LinuxSandbox().open(root)
        self.ended = {}
        self.pipes = {}

    def start(self, launch_id, bridge, *argv):
        spec = SandboxSpec(
            inputs=(Input("/usr"),),
            links=LINKS,
            temps=(Temp("/tmp"),),
            network=NetworkPolicy(bridge=bridge),
        )
        self.pipes[launch_id], write = os.pipe()
        with open(os.devnull) as null:
            launch = Launch(
                launch_id=launch_id, spec=spec, argv=argv, cwd="/tmp", stdin=null.fileno(), stdout=write, stderr=write
            )
            self.launcher.start(launch)
        os.close(write)

    def wait(self, launch_id):
        """The exit, and what the command wrote."""
        deadline_s = time.monotonic() + PATIENCE_S
        while launch_id not in self.ended:
            self.look()
            assert time.monotonic() < deadline_s, "the command never ended"
        with open(self.pipes.pop(launch_id)) as pipe:
            return self.ended.pop(launch_id), pipe.read()

    def look(self):
        select.select([self.launcher.fileno()], [], [], 0.05)
        self.ended.update((end.launch_id, end) for end in self.launcher.reap())


@contextmanager
def launches(world):
    networks.default_directory = lambda: world.directory  # in this child only
    some = Launches(world.directory + "-launches")
    try:
        yield some
    finally:
        some.launcher.close()


def leases(world):
    state = State(world.directory)
    with state.locked():
        return state.leases()


def test_a_service_and_its_client_in_two_sandboxes(in_world):
    def test(world):
        with launches(world) as some:
            some.start(1, Bridge(nat=False), PYTHON, "-c", SERVER)
            world.wait_until(lambda: some.look() or leases(world))
            (service,) = leases(world)
            some.start(2, Bridge(nat=False), PYTHON, "-c", CLIENT, service.address.split("/")[0])
            end, text = some.wait(2)
            assert (end.exit_code, end.failure) == (0, None), text
            assert text.startswith("10.213.") and text.strip() != service.address.split("/")[0]
            assert some.wait(1)[0].exit_code == 0
            assert world.leftovers() == []

    in_world(test)


def test_a_bridge_that_cannot_be_made_is_the_end_of_the_launch(in_world):
    def test(world):
        with launches(world) as some:
            some.start(1, Bridge(name="lo"), PYTHON, "-c", "print('ran')")
            end, text = some.wait(1)
            assert 'the interface "lo" exists on the host' in end.failure.message
            assert text == ""
            some.start(2, Bridge(nat=False), PYTHON, "-c", "print('ran')")
            assert some.wait(2)[1] == "ran\n"
        assert world.leftovers() == []

    in_world(test)


def test_closing_the_launcher_takes_the_bridge_away(in_world):
    def test(world):
        with launches(world) as some:
            some.start(1, Bridge(nat=False), PYTHON, "-c", "import time; time.sleep(1000)")
            world.wait_until(lambda: some.look() or leases(world))
            assert "bldr0" in world.links()
        assert world.leftovers() == []

    in_world(test)


def test_killing_who_launched_leaves_work_for_the_next_only(in_world):
    def test(world):
        import signal

        ready, told = os.pipe()
        engine = os.fork()
        if engine == 0:
            with launches(world) as some:
                some.start(1, Bridge(), PYTHON, "-c", "import time; time.sleep(1000)")
                world.wait_until(lambda: some.look() or leases(world))
                os.write(told, b"x")
                signal.pause()
        assert os.read(ready, 1) == b"x"
        os.kill(engine, signal.SIGKILL)
        os.waitpid(engine, 0)
        world.networks().sweep()
        assert world.leftovers() == []

    in_world(test)
