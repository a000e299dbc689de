"""What this plugin offers: the handler of protocol buffers. Its compiler is a target, not a toolchain."""

from collections.abc import Iterable

from bldr.api import Handler, hook
from bldr_protobuf.handler import ProtobufHandler


@hook
def bldr_handlers() -> Iterable[type[Handler]]:
    return [ProtobufHandler]
