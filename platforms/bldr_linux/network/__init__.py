"""Bridges that sandboxes share: links, addresses, routes and NAT, made for a launch and gone with the last of them.

Read `networks.py` first. pyroute2 is imported when the first sandbox is connected, never by importing this package.
"""

from bldr_linux.network.failures import NetworkError
from bldr_linux.network.networks import Networks
from bldr_linux.network.state import Lease

__all__ = ["Lease", "NetworkError", "Networks"]
