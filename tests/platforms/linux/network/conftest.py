"""A world of network namespaces of the test's own: a "host", sandboxes on it, a server that only the host reaches."""

import ctypes
import os
import pickle
import signal
import socket
import struct
import sys
import time
import traceback

import pytest

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]

PATIENCE_S = 20
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
OUTSIDE, UPLINK, PORT = "192.0.2.2", "192.0.2.1", 4000


def system_call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def enter_new_network():
    """Also as an ordinary user, who is root in a user namespace of its own."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        system_call("unshare", CLONE_NEWNET)
        return
    system_call("unshare", CLONE_NEWUSER | CLONE_NEWNET)
    for path, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{path}", "w") as file:
            file.write(text)


def in_child(work, *, namespace_of=None):
    """What `work` returns in a forked child, which enters the network namespace of another process first."""
    parent_end, child_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if namespace_of is not None:
                with open(f"/proc/{namespace_of}/ns/net") as file:
                    system_call("setns", file.fileno(), CLONE_NEWNET)
            answer = (True, work())
        except BaseException as error:
            answer = (False, type(error)(*error.args) if isinstance(error, OSError) else traceback.format_exc())
        with open(child_end, "wb") as pipe:
            pipe.write(pickle.dumps(answer))
        os._exit(0)
    os.close(child_end)
    with open(parent_end, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert content, f"the child ended with status {status}"
    succeeded, value = pickle.loads(content)
    if succeeded:
        return value
    raise value if isinstance(value, OSError) else AssertionError(value)


def _end_with_the_parent():
    system_call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)


def _bring_up(ip, name, address):
    index = socket.if_nametoindex(name)
    ip.addr("add", index=index, address=address, prefixlen=24)
    ip.link("set", index=index, state="up")


class World:
    """Lives in a child process that has entered a network namespace which it calls the host's."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.children = []

    def networks(self, **options):
        from bldr_linux.network import Networks

        return Networks(self.directory, **options)

    def sandbox(self, *, users=False):
        """The pid of a process in a network namespace of its own, as pid 1 of a sandbox that waits."""
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            _end_with_the_parent()
            system_call("unshare", CLONE_NEWNET | (CLONE_NEWUSER if users else 0))
            os.write(told, b"x")
            signal.pause()
        os.close(told)
        assert os.read(ready, 1) == b"x"
        os.close(ready)
        self.children.append(pid)
        return pid

    def end(self, pid):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.children.remove(pid)

    def serve(self, pid=None, address="0.0.0.0", port=PORT):
        """Answers each connection with the address that it came from."""
        ready, told = os.pipe()
        server = os.fork()
        if server == 0:
            _end_with_the_parent()
            if pid is not None:
                with open(f"/proc/{pid}/ns/net") as file:
                    system_call("setns", file.fileno(), CLONE_NEWNET)
            with socket.create_server((address, port)) as listener:
                os.write(told, b"x")
                while True:
                    connection, peer = listener.accept()
                    connection.sendall(peer[0].encode())
                    connection.close()
        os.close(told)
        assert os.read(ready, 1) == b"x"
        os.close(ready)
        self.children.append(server)
        return server

    def call(self, pid, address, port=PORT, *, timeout_s=1.0):
        """What a server answers to a client in the namespace of `pid`, or the name of the error."""

        def connect():
            try:
                with socket.create_connection((address, port), timeout_s) as connection:
                    return connection.recv(100).decode()
            except TimeoutError:
                return "timeout"
            except OSError as error:
                return os.strerror(error.errno)

        return in_child(connect, namespace_of=pid)

    def uplink(self):
        """Joins the host to an outside that knows no way to sandboxes, and returns a process there, which serves."""
        outside = self.join("up0", UPLINK, OUTSIDE)
        self.route(os.getpid(), "default", OUTSIDE)
        self.serve(outside)
        return outside

    def join(self, name, here, there):
        """A process in a network of its own at the other end of the host's new interface `name`."""
        from pyroute2 import IPRoute

        pid = self.sandbox()
        with IPRoute() as ip:
            ip.link("add", ifname=name, kind="veth", peer={"ifname": "far0", "net_ns_pid": pid})
            _bring_up(ip, name, here)

        def far():
            with IPRoute() as ip:
                _bring_up(ip, "far0", there)

        in_child(far, namespace_of=pid)
        return pid

    def route(self, pid, target, gateway):
        from pyroute2 import IPRoute

        def add():
            with IPRoute() as ip:
                ip.route("add", dst=target, gateway=gateway)

        in_child(add, namespace_of=pid)

    def remove(self, name):
        from pyroute2 import IPRoute

        with IPRoute() as ip:
            ip.link("del", index=socket.if_nametoindex(name))

    def forward_everything(self):
        with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
            file.write("1")

    def set_switch(self, interface, name, value):
        with open(f"/proc/sys/net/ipv4/conf/{interface}/{name}", "w") as file:
            file.write(value)

    def add_address(self, pid, interface, address):
        from pyroute2 import IPRoute

        def add():
            with IPRoute() as ip:
                ip.addr("add", index=socket.if_nametoindex(interface), address=address, prefixlen=32)

        in_child(add, namespace_of=pid)

    def listen_datagrams(self, pid):
        """Returns what waits for one datagram and answers with its sender."""
        with open(f"/proc/{pid}/ns/net") as there, open("/proc/self/ns/net") as here:
            system_call("setns", there.fileno(), CLONE_NEWNET)
            listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            system_call("setns", here.fileno(), CLONE_NEWNET)
        listener.bind(("0.0.0.0", PORT))
        listener.settimeout(PATIENCE_S)
        return lambda: listener.recvfrom(100)[1][0]

    def send_datagram(self, pid, sender, address):
        def send():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((sender, 0))
                sock.sendto(b"x", (address, PORT))

        in_child(send, namespace_of=pid)

    def drop_capabilities(self):
        """For good, as an ordinary user has none."""
        header = struct.pack("=Ii", 0x20080522, 0)  # version 3, this thread
        system_call("capset", header, bytes(24))

    def ipv6_interfaces(self, pid):
        """The interfaces that have an address of IPv6."""

        def read():
            with open("/proc/thread-self/net/if_inet6") as file:
                return {line.split()[5] for line in file}

        return in_child(read, namespace_of=pid)

    def links(self):
        return sorted(name for _, name in socket.if_nameindex())

    def tables(self):
        from pyroute2.nftables.main import NFTables

        nft = NFTables()
        try:
            return sorted(table.get_attr("NFTA_TABLE_NAME") for table in nft.get_tables())
        finally:
            nft.close()

    def files(self):
        return sorted(name for _, _, names in os.walk(self.directory) for name in names)

    def forwarding(self, name):
        with open(f"/proc/sys/net/ipv4/conf/{name}/forwarding") as file:
            return file.read().strip()

    def leftovers(self):
        """All that bldr made and that is there still."""
        links = [name for name in self.links() if name not in ("lo", "up0", "up1")]
        return links + self.tables() + self.files() + ([self.directory] if os.path.exists(self.directory) else [])

    def wait_until(self, condition):
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, "it never came to be"
            time.sleep(0.01)


@pytest.fixture
def in_world(tmp_path):
    """`in_world(test)`: runs a function of a `World` in a process whose network is not the machine's."""
    import pyroute2  # once, for all children
    import pyroute2.nftables.main  # noqa: F401

    try:
        in_child(enter_new_network)
    except OSError as error:
        pytest.skip(f"no network namespace can be made here: {error}")

    def run(test):
        def inside():
            enter_new_network()
            world = World(tmp_path / "state")
            try:
                return test(world)
            finally:
                for pid in list(world.children):
                    world.end(pid)

        return in_child(inside)

    return run
