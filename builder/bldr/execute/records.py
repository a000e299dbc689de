"""Records: what the last run of every action was, for `bldr log` and `bldr shell`."""

from collections.abc import Sequence

import msgspec
import xxhash

from bldr.execute.limits import LimitUse, limit_uses
from bldr.execute.result import ActionResult
from bldr.execute.runners import Outcome, Work
from bldr.store.store import Store


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The last run of one action, successful or not."""

    label: str
    mnemonic: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    reason: str
    result: ActionResult
    limit_uses: tuple[LimitUse, ...] = ()  # what was used is known of the whole result only
    part: str = ""  # of a test, as "shard 1 of 2"
    earlier: tuple[ActionResult, ...] = ()
    """The attempts at a test that failed before this one."""


def save_record(store: Store, workspace_root: str, work: Work, outcome: Outcome) -> None:
    """Remember that `work` ran."""
    node, result = work.node, outcome.result
    record = Record(
        label=str(node.label),
        mnemonic=node.action.mnemonic,
        argv=node.action.argv,
        env=node.env,
        reason=work.reason,
        result=msgspec.structs.replace(result, outputs=()),
        limit_uses=limit_uses(result),
        part=node.test.words if node.test is not None else "",
        earlier=tuple(msgspec.structs.replace(one, outputs=()) for one in outcome.earlier),
    )
    store.memo.put(_key(workspace_root, node.name), msgspec.msgpack.encode(record))


def load_record(store: Store, workspace_root: str, name: str) -> Record | None:
    """The last run of the action of this name in this workspace."""
    data = store.memo.get(_key(workspace_root, name))
    return msgspec.msgpack.decode(data, type=Record) if data else None


def save_parts(store: Store, workspace_root: str, label: str, names: Sequence[str]) -> None:
    """Remember of which actions a test consisted: it may be others each time that somebody asks for several runs."""
    store.memo.put(_key(workspace_root, f"parts of {label}"), msgspec.msgpack.encode(names))


def load_parts(store: Store, workspace_root: str, label: str) -> list[str]:
    """The names of the actions of which a test consisted when it last ran; none where it never did."""
    data = store.memo.get(_key(workspace_root, f"parts of {label}"))
    return msgspec.msgpack.decode(data, type=list[str]) if data else []


def _key(workspace_root: str, name: str) -> str:
    return f"ran/{xxhash.xxh3_64_hexdigest(workspace_root.encode('utf-8', 'surrogateescape'))}/{name}"
