"""SIGKILL at any instant: what it leaves, the next start removes, and what others use stays."""

import os
import random
import signal
import time

import pytest

from bldr.api import Bridge
from bldr_linux.network import firewall, forwarding, links
from bldr_linux.network.state import State

# Between any two of these nothing is changed outside the process.
STEPS = (
    *((links, name) for name in ("make_bridge", "make_pair", "set_up_sandbox", "remove")),
    *((firewall, name) for name in ("put_bridge", "remove_bridge", "put_guard", "remove_guard")),
    (forwarding, "_write"),
    *((State, name) for name in ("_make", "_put", "_remove", "_remove_if_empty")),
    (os, "rename"),
)


def die_at_step(number):
    """Ends this process with SIGKILL before and after steps, at the one that `number` counts."""
    left = [number]

    def counted(original):
        def call(*arguments, **options):
            die_if_due()
            answer = original(*arguments, **options)
            die_if_due()
            return answer

        return call

    def die_if_due():
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    for owner, name in STEPS:
        setattr(owner, name, counted(getattr(owner, name)))


def owner(world, pids, *, die_at=0, rounds=1):
    """A process that connects sandboxes and releases them, with the pid of which it returns; 0 exits it."""
    pid = os.fork()
    if pid == 0:
        if die_at:
            die_at_step(die_at)
        networks = world.networks()
        for _ in range(rounds):
            leases = [networks.connect(sandbox, Bridge()) for sandbox in pids]
            for lease in leases:
                networks.release(lease)
        os._exit(0)
    return pid


@pytest.mark.full
def test_killed_between_any_two_steps(in_world):
    def test(world):
        world.uplink()
        number = 0
        while True:
            number += 1
            sandbox = world.sandbox()
            _, status = os.waitpid(owner(world, [sandbox], die_at=number), 0)
            if not os.WIFSIGNALED(status):
                break
            world.networks().sweep()
            assert (number, world.leftovers(), world.forwarding("up0")) == (number, [], "0")
            world.end(sandbox)
        assert os.WEXITSTATUS(status) == 0
        return number

    assert in_world(test) > 40


@pytest.mark.full
def test_killed_at_random_instants_beside_a_neighbour(in_world):
    """Fifty times, and the neighbour's sandbox on the same bridge keeps its network all the while."""

    def test(world):
        world.uplink()
        chance = random.Random(7)
        networks, neighbour = world.networks(), world.sandbox()
        networks.connect(neighbour, Bridge())
        sandboxes = [world.sandbox(), world.sandbox()]
        calm = (world.links(), world.tables(), world.files())
        for _ in range(50):
            pid = owner(world, sandboxes, rounds=1000)
            time.sleep(chance.uniform(0, 0.25))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            networks.sweep()
            assert (world.links(), world.tables(), world.files()) == calm
            assert world.call(neighbour, "192.0.2.2") == "192.0.2.1"
        networks.close()
        assert world.leftovers() == []
        assert world.forwarding("up0") == "0"

    in_world(test)


def test_the_next_connection_cleans_up_too(in_world):
    def test(world):
        sandbox = world.sandbox()
        killed = os.fork()
        if killed == 0:
            world.networks().connect(sandbox, Bridge("old", "10.230.0.0/16"))
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(killed, 0)
        assert "old" in world.links() and "bldr_old" in world.tables()
        networks = world.networks()
        lease = networks.connect(world.sandbox(), Bridge(nat=False))
        assert world.links() == sorted(["lo", "bldr0", lease.link])
        assert world.tables() == ["bldr_bldr0"]
        networks.close()
        assert world.leftovers() == []

    in_world(test)


def test_the_lease_of_a_killed_owner_goes_though_its_pid_is_in_use_again(in_world):
    def test(world):
        import msgspec

        networks = world.networks()
        lease = networks.connect(world.sandbox(), Bridge())
        state = State(world.directory)
        with state.locked():
            earlier = msgspec.structs.replace(lease.owner, start_ticks=lease.owner.start_ticks - 1)
            state.put_lease(msgspec.structs.replace(lease, owner=earlier))
        networks.sweep()
        assert world.leftovers() == []

    in_world(test)


def test_an_owner_in_another_pid_namespace_is_left_alone_while_its_sandbox_lives(in_world):
    def test(world):
        import msgspec

        networks, sandbox = world.networks(), world.sandbox()
        lease = networks.connect(sandbox, Bridge())
        state = State(world.directory)
        with state.locked():
            elsewhere = msgspec.structs.replace(lease.owner, pid_namespace=1, pid=2**22)
            state.put_lease(msgspec.structs.replace(lease, owner=elsewhere))
        networks.sweep()
        assert lease.link in world.links()
        world.end(sandbox)
        world.wait_until(lambda: lease.link not in world.links())
        networks.sweep()
        assert world.leftovers() == []

    in_world(test)
