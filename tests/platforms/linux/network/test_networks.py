"""Connections and releases: what people are told where one fails, and that all of it goes again."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from ipaddress import IPv4Interface

import pytest

from bldr.api import Bridge
from bldr_linux.network import NetworkError, failures, firewall, forwarding, links


def ip_of(lease):
    return str(IPv4Interface(lease.address).ip)


def refused(networks, pid, bridge):
    with pytest.raises(NetworkError) as caught:
        networks.connect(pid, bridge)
    return str(caught.value)


def test_connecting_needs_no_thread_that_stays_and_leaks_no_descriptor(in_world):
    def test(world):
        world.uplink()
        networks, pids = world.networks(), [world.sandbox() for _ in range(3)]

        def round_trip():
            for lease in [networks.connect(pid, Bridge()) for pid in pids]:
                networks.release(lease)

        round_trip()
        before = sorted(os.listdir("/proc/self/fd"))
        for _ in range(3):
            round_trip()
        assert sorted(os.listdir("/proc/self/fd")) == before
        assert threading.active_count() == 1
        assert os.stat("/proc/self/ns/net").st_ino == os.stat("/proc/thread-self/ns/net").st_ino

    in_world(test)


def test_a_caller_may_run_an_event_loop(in_world):
    def test(world):
        networks, pid = world.networks(), world.sandbox()

        async def main():
            networks.release(networks.connect(pid, Bridge()))

        asyncio.run(main())
        assert world.leftovers() == []

    in_world(test)


def test_releasing_twice_is_releasing_once(in_world):
    def test(world):
        networks, pids = world.networks(), [world.sandbox(), world.sandbox()]
        leases = [networks.connect(pid, Bridge()) for pid in pids]
        networks.release(leases[0])
        networks.release(leases[0])
        assert world.links() == sorted(["lo", "bldr0", leases[1].link])
        networks.close()
        networks.close()
        assert world.leftovers() == []

    in_world(test)


def test_a_sandbox_that_is_gone_has_taken_its_link_along(in_world):
    def test(world):
        networks, pid = world.networks(), world.sandbox()
        lease = networks.connect(pid, Bridge())
        world.end(pid)
        world.wait_until(lambda: lease.link not in world.links())
        networks.release(lease)
        assert world.leftovers() == []

    in_world(test)


def test_what_cannot_be_removed_is_said_and_left_to_the_next(in_world, monkeypatch):
    def test(world):
        networks = world.networks()
        lease = networks.connect(world.sandbox(), Bridge())
        remove = links.remove
        links.remove = lambda *arguments: (_ for _ in ()).throw(NetworkError("cannot remove it"))
        assert networks.release(lease).message == "cannot remove it"
        links.remove = remove
        assert networks.release(lease) is None
        assert lease.link in world.links()
        networks.sweep()
        assert world.leftovers() == []

    in_world(test)


def test_a_bridge_that_stands_is_not_changed_for_another_wish(in_world):
    def test(world):
        networks, pids = world.networks(), [world.sandbox(), world.sandbox()]
        networks.connect(pids[0], Bridge(nat=False))
        assert "stands already, for 10.213.0.0/16 without NAT" in refused(networks, pids[1], Bridge())
        assert "stands already" in refused(networks, pids[1], Bridge(subnet="10.220.0.0/16", nat=False))
        assert len(world.links()) == 3
        networks.close()
        assert world.leftovers() == []

    in_world(test)


def test_an_interface_of_the_hosts_is_never_taken_over(in_world):
    def test(world):
        world.uplink()
        networks, pid = world.networks(), world.sandbox()
        assert 'the interface "up0" exists on the host' in refused(networks, pid, Bridge(name="up0"))
        assert "up0" in world.links()
        assert world.leftovers() == []

    in_world(test)


def test_a_process_in_the_hosts_network_is_refused(in_world):
    def test(world):
        networks = world.networks()
        assert "has no network namespace of its own" in refused(networks, os.getpid(), Bridge())
        assert "cannot open the network namespace" in refused(networks, 2**22, Bridge())
        assert world.leftovers() == []

    in_world(test)


def test_a_machine_that_can_make_bridges_says_so(in_world):
    def test(world):
        assert world.networks().check() is None
        assert world.leftovers() == []

    in_world(test)


def test_without_privileges_the_reason_and_the_remedy_are_said(in_world):
    def test(world):
        networks, pid = world.networks(), world.sandbox()
        world.drop_capabilities()
        failure = networks.check()
        assert failure.message == "cannot make a network namespace: operation not permitted"
        assert failure.hint == failures.PRIVILEGES
        assert failures.PRIVILEGES in refused(networks, pid, Bridge())
        assert (world.links(), world.files()) == (["lo"], [])

    in_world(test)


def test_without_nftables_nat_fails_closed_and_no_nat_warns(in_world, monkeypatch):
    def send(messages):
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr(firewall, "_send", send)

    def test(world):
        networks, pids = world.networks(), [world.sandbox(), world.sandbox()]
        message = refused(networks, pids[0], Bridge())
        assert "nftables: operation not supported" in message and "`nat = false`" in message
        assert world.leftovers() == []
        leases = [networks.connect(pid, Bridge(nat=False)) for pid in pids]
        assert "the addresses of the host itself can be reached" in leases[0].warnings[0]
        world.serve(pids[1])
        assert world.call(pids[0], ip_of(leases[1])) == ip_of(leases[0])
        networks.close()
        assert world.leftovers() == []

    in_world(test)


def test_where_forwarding_cannot_be_turned_on_nothing_is_left(in_world, monkeypatch):
    def write(path, value):
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(forwarding, "_write", write)

    def test(world):
        networks, pid = world.networks(), world.sandbox()
        message = refused(networks, pid, Bridge())
        assert 'cannot turn forwarding on for "bldr0": read-only file system' in message
        assert "`sysctl net.ipv4.ip_forward=1`" in message
        assert world.leftovers() == []

    in_world(test)


def test_a_sandbox_that_cannot_be_set_up_costs_no_address(in_world, monkeypatch):
    def test(world):
        networks, pid = world.networks(), world.sandbox()
        first = networks.connect(pid, Bridge())
        # It has an eth0 by now: the kernel refuses a second.
        assert "cannot connect a sandbox" in refused(networks, pid, Bridge())
        assert world.links() == sorted(["lo", "bldr0", first.link])
        assert [name for name in world.files() if name.endswith(".lease")] == [first.link + ".lease"]
        networks.close()
        assert world.leftovers() == []

    in_world(test)


def test_a_warning_says_that_no_name_can_be_looked_up(in_world, tmp_path):
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")

    def test(world):
        networks = world.networks(resolver_files=(str(tmp_path / "resolv.conf"),))
        lease = networks.connect(world.sandbox(), Bridge())
        assert any("name servers are on its loopback" in warning for warning in lease.warnings)
        networks.close()

    in_world(test)


def test_nothing_is_imported_before_it_is_needed():
    code = "import sys, bldr_linux.network as n; n.Networks('/nowhere').close(); sys.exit('pyroute2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0


def test_interrupting_a_connection_leaves_a_lease_that_close_knows(in_world):
    """^C while the thread works: what was begun is ended and taken back."""

    def test(world):
        networks, pid = world.networks(), world.sandbox()
        main = threading.main_thread().ident
        original = links.make_pair

        def make_pair(*arguments):
            import signal

            signal.pthread_kill(main, signal.SIGINT)
            original(*arguments)

        links.make_pair = make_pair
        with pytest.raises(KeyboardInterrupt):
            networks.connect(pid, Bridge())
        assert "bldr0" in [name for _, name in socket.if_nameindex()]
        networks.close()
        assert world.leftovers() == []

    in_world(test)
