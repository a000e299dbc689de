"""Records: what the last run of every action was, for `bldr log` and `bldr shell`."""

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
    message: str = ""
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
        message=node.action.message,
        earlier=tuple(msgspec.structs.replace(one, outputs=()) for one in outcome.earlier),
    )
    store.memo.put(_key(workspace_root, node.name), msgspec.msgpack.encode(record))


def load_record(store: Store, workspace_root: str, name: str) -> Record | None:
    """The last run of the action of this name in this workspace."""
    data = store.memo.get(_key(workspace_root, name))
    return msgspec.msgpack.decode(data, type=Record) if data else None


def _key(workspace_root: str, name: str) -> str:
    return f"ran/{xxhash.xxh3_64_hexdigest(workspace_root.encode('utf-8', 'surrogateescape'))}/{name}"
