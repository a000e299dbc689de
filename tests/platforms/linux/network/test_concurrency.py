"""Several bldr processes at once: one bridge, never one address twice."""

import fcntl
import os
import threading

import pytest

from bldr.api import Bridge
from bldr_linux.network import NetworkError, state


@pytest.mark.full
def test_two_processes_connect_twenty_sandboxes_each(in_world):
    """The subnet has room for just these: whoever looks for an address meets the other's."""

    def test(world):
        sandboxes = [[world.sandbox() for _ in range(20)] for _ in range(2)]
        go, told = os.pipe()
        results = []
        for pids in sandboxes:
            parent_end, child_end = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(told)
                networks = world.networks()
                os.read(go, 1)
                leases = [networks.connect(sandbox, Bridge("busy", "10.213.7.0/26")) for sandbox in pids]
                os.write(child_end, "".join(f"{lease.address} {lease.link}\n" for lease in leases).encode())
                os.close(child_end)
                os.read(go, 1)  # until the other is done as well
                networks.close()
                os._exit(0)
            os.close(child_end)
            results.append((pid, parent_end))
        os.write(told, b"xx")
        lines = []
        for _, descriptor in results:
            with open(descriptor) as file:
                lines += file.read().splitlines()
        assert len(lines) == len(set(lines)) == 40
        assert len({line.split()[0] for line in lines}) == 40
        assert len([name for name in world.files() if name.endswith(".lease")]) == 40
        os.write(told, b"xx")
        for pid, _ in results:
            assert os.waitpid(pid, 0)[1] == 0
        assert world.leftovers() == []

    in_world(test)


def test_the_last_of_two_processes_takes_the_bridge_away(in_world):
    def test(world):
        mine, other = world.networks(), world.sandbox()
        mine.connect(world.sandbox(), Bridge())
        pid = os.fork()
        if pid == 0:
            networks = world.networks()
            networks.connect(other, Bridge())
            networks.close()
            os._exit(0 if "bldr0" in world.links() else 1)
        assert os.waitpid(pid, 0)[1] == 0
        mine.close()
        assert world.leftovers() == []

    in_world(test)


def test_threads_with_networks_of_their_own(in_world):
    """As an asyncio host with one launcher for each thread has it."""

    def test(world):
        pids = [world.sandbox() for _ in range(8)]
        addresses, errors, barrier = [], [], threading.Barrier(8, timeout=30)

        def work(pid):
            try:
                networks = world.networks()
                addresses.append(networks.connect(pid, Bridge("threads", "10.213.7.0/28")).address)
                barrier.wait()
                networks.close()
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(pid,)) for pid in pids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert len(set(addresses)) == 8
        assert world.leftovers() == []

    in_world(test)


def test_whoever_holds_the_lock_too_long_is_named(in_world, monkeypatch):
    monkeypatch.setattr(state, "_PATIENCE_S", 0.1)

    def test(world):
        holder = state.State(world.directory)
        networks, pid = world.networks(), world.sandbox()
        with holder.locked(), pytest.raises(NetworkError, match="another bldr held the lock"):
            networks.connect(pid, Bridge())
        networks.connect(pid, Bridge())
        networks.close()
        assert world.leftovers() == []

    in_world(test)


def test_a_lock_that_was_removed_meanwhile_is_not_held(in_world):
    """The directory goes with the last lease while somebody waits: they must not both go on."""

    def test(world):
        one = state.State(world.directory)
        path = os.path.join(one._directory, "lock")
        with one.locked():
            waiting = os.open(path, os.O_RDWR)
        fcntl.flock(waiting, fcntl.LOCK_EX)
        assert not state._acquire(waiting, path)
        with one.locked():
            assert not state._acquire(waiting, path)
        os.close(waiting)

    in_world(test)


def test_a_directory_that_others_write_to_is_refused(in_world):
    def test(world):
        os.mkdir(world.directory)
        os.chmod(world.directory, 0o777)
        with pytest.raises(NetworkError, match="is not a directory of this user alone"):
            world.networks().connect(world.sandbox(), Bridge())

    in_world(test)


def test_a_record_that_cannot_be_understood_is_named(in_world):
    def test(world):
        networks = world.networks()
        networks.connect(world.sandbox(), Bridge())
        with open(os.path.join(state.State(world.directory)._directory, "x.lease"), "w") as file:
            file.write("{}")
        with pytest.raises(NetworkError, match=r"cannot understand .*x\.lease"):
            networks.connect(world.sandbox(), Bridge())

    in_world(test)
