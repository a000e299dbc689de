"""Starts a packed program; packed beside it as `__main__.py`. Runs under every Python 3 that a person may have.

Native libraries cannot be loaded out of an archive. A program that holds some is unpacked to the user's cache, once for
each content: `$BLDR_ZIPAPP_CACHE`, else `bldr-zipapps` below `$XDG_CACHE_HOME` or `~/.cache`; where that cannot be
written, to a temporary directory for the time of the run.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType
from typing import Any


def start(told: dict[str, Any]) -> None:
    """`main` is a module; `call` is what to call in it, or "" to run it. `roots` come before everything installed."""
    here = os.path.abspath(sys.path[0])
    base = _unpacked(here, told["unpack"]) if told["unpack"] else here
    sys.path[:1] = [*(os.path.join(base, *root.split("/")) for root in told["roots"]), base]
    if told["call"]:
        target: Any = __import__(told["main"], fromlist=["_"])
        for name in told["call"].split("."):
            target = getattr(target, name)
        sys.exit(target())
    _run(told["main"])


def _run(name: str) -> None:
    """Runs a module as `python -m` does, but leaves `sys.argv` as it is: a program is known by its own name."""
    sys.modules.pop("__main__", None)  # this file; it would be what a module of that name is found to be
    spec = importlib.util.find_spec(name)
    loader: Any = spec.loader if spec else None
    if spec is None or loader is None:
        raise ImportError(f"no module named {name}")
    module = ModuleType("__main__")
    module.__dict__.update(
        __spec__=spec,
        __loader__=loader,
        __package__=spec.parent,
        __file__=spec.origin,
        __builtins__=__builtins__,
    )
    sys.modules["__main__"] = module
    exec(loader.get_code(name), module.__dict__)  # noqa: S102  # the program itself


def _unpacked(archive: str, digest: str) -> str:
    import shutil
    import tempfile
    import zipfile

    cache = os.environ.get("BLDR_ZIPAPP_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "bldr-zipapps"
    )
    place = os.path.join(cache, digest)
    if os.path.isdir(place) and os.stat(place).st_uid == os.geteuid():
        return place
    temporary = ""
    try:
        os.makedirs(cache, mode=0o700, exist_ok=True)
        if os.stat(cache).st_uid == os.geteuid():  # nobody else's: its libraries would run here
            temporary = tempfile.mkdtemp(prefix=".unpacking-", dir=cache)
    except OSError:
        pass
    if not temporary:
        import atexit

        temporary = place = tempfile.mkdtemp(prefix="bldr-zipapp-")
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            os.chmod(packed.extract(entry, temporary), entry.external_attr >> 16)
    if temporary != place:
        try:
            os.rename(temporary, place)  # whole or not there at all
        except OSError:  # another process was faster
            shutil.rmtree(temporary, ignore_errors=True)
    return place
