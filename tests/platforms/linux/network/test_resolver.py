"""The resolver file of sandboxes: what of the host's is of use there."""

import pytest

from bldr.api import Bridge
from bldr_linux.network import Networks


@pytest.fixture
def resolve(tmp_path):
    def run(*contents, bridge=None):
        files = []
        for number, content in enumerate(contents):
            files.append(str(tmp_path / f"{number}.conf"))
            (tmp_path / f"{number}.conf").write_text(content)
        return Networks("/nowhere", resolver_files=files).resolver(bridge).decode().splitlines()

    return run


def test_servers_and_search_list_are_kept(resolve):
    text = "# made by somebody\nsearch corp.example\noptions ndots:2\nnameserver 10.1.1.53\nnameserver 9.9.9.9\n"
    assert resolve(text) == ["search corp.example", "options ndots:2", "nameserver 10.1.1.53", "nameserver 9.9.9.9"]


@pytest.mark.parametrize("server", ["127.0.0.53", "127.0.0.1", "::1", "fe80::1%eth0", "2001:db8::53", "0.0.0.0", ""])
def test_servers_out_of_reach_are_left_out(resolve, server):
    assert resolve(f"nameserver {server}\nnameserver 10.1.1.53\n") == ["nameserver 10.1.1.53"]


def test_behind_a_stub_the_servers_that_it_asks_are_taken(resolve):
    assert resolve("nameserver 127.0.0.53\nsearch a.example\n", "nameserver 10.1.1.53\nsearch b.example\n") == [
        "search b.example",
        "nameserver 10.1.1.53",
    ]


def test_where_nothing_is_left_look_ups_fail_at_once(resolve):
    lines = resolve("nameserver 127.0.0.53\n")
    assert lines[0].startswith("#")
    assert lines[1:] == ["options timeout:1 attempts:1"]


def test_without_a_file_too():
    assert b"nameserver" not in Networks("/nowhere", resolver_files=("/nowhere/resolv.conf",)).resolver()


def test_without_nat_no_server_is_reached(resolve):
    text = "nameserver 10.1.1.53\n"
    assert "nameserver 10.1.1.53" in resolve(text, bridge=Bridge())
    assert "nameserver 10.1.1.53" not in resolve(text, bridge=Bridge(nat=False))
