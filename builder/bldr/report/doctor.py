"""What a machine can give, for people and programs: guarantees by sandbox, toolchains, the cache, remedies."""

import os
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from bldr.api.sandbox import GUARANTEES, LIMITS, Level, Probe
from bldr.hermetic.policy import strongest
from bldr.inspection import DoctorReport, PluginReport, ToolchainReport
from bldr.printable import escaped
from bldr.report.text import count, size

_IDENTITY_DIGITS = 12
"""As many as tell two toolchains apart, to a person who compares two machines."""


class CacheSize(NamedTuple):
    """Files below a cache directory, and their bytes."""

    files: int
    size_bytes: int


def is_complete(probe: Probe) -> bool:
    """Whether `--hermetic` can be had from this sandbox."""
    return probe.supported and not _missing(probe)


def as_json(report: DoctorReport, cache: CacheSize) -> dict[str, Any]:
    """The report for programs, levels by name; sandboxes in order, the strongest first."""
    picked = strongest(report.probes)
    sandboxes = [
        {
            "name": probe.sandbox,
            "supported": probe.supported,
            "picked": probe is picked,
            "hermetic": is_complete(probe),
            "isolation": {name: _level(probe, name) for name in (*GUARANTEES, *LIMITS)},
            "shortfalls": list(probe.shortfalls),
            "notes": list(probe.notes),
        }
        for probe in report.probes
    ]
    return {
        "sandboxes": sandboxes,
        "toolchains": list(report.toolchains),
        "plugins": list(report.plugins),
        "cache": {"directory": report.cache_dir, **cache._asdict()},
        "problems": list(report.problems),
    }


def as_text(report: DoctorReport, cache: CacheSize) -> str:
    """The report for people."""
    lines = [*_tier_lines(report.probes), ""] if report.probes else []
    for probe in report.probes:
        lines += [*sandbox_lines(probe), ""]
    if not report.probes:
        lines += ["no sandbox: no plugin brings a platform", ""]
    lines.append("toolchains")
    for toolchain in report.toolchains:
        lines += _toolchain_lines(toolchain)
    if report.plugins:
        lines += ["", "plugins"]
        for plugin in report.plugins:
            lines += _plugin_lines(plugin)
    lines += ["", "cache", f"  {escaped(report.cache_dir)}: {size(cache.size_bytes)} in {count(cache.files, 'file')}"]
    if report.problems:
        lines += ["", "problems", *(f"  {problem}" for problem in report.problems)]
    return "\n".join(lines) + "\n"


def measure(directory: str) -> CacheSize:
    """Walk `directory`; what another process removes meanwhile does not count."""
    files = size_bytes = 0
    waiting = [directory]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    size_bytes += entry.stat(follow_symlinks=False).st_size
                    files += 1
            except OSError:
                continue
    return CacheSize(files, size_bytes)


def _tier_lines(probes: Sequence[Probe]) -> list[str]:
    """One line for each sandbox, the strongest first: which one builds get, and why none above it."""
    picked = strongest(probes)
    lines = ["tiers of isolation, the strongest first"]
    for probe in probes:
        if probe.foreign:
            continue
        if not probe.supported:
            reason = next((shortfall.why for shortfall in probe.shortfalls if shortfall.why), "no reason is given")
            verdict = f"does not work here: {reason}"
        elif probe is not picked:
            verdict = "works here, and gives less"
        elif _missing(probe):
            verdict = "is what builds get; --hermetic refuses it"
        else:
            verdict = "is what builds get, with --hermetic too"
        lines += _wrapped(f"  {'->' if probe is picked else '  '} {probe.sandbox:<10}", verdict.split())
    return lines


def _missing(probe: Probe) -> list[str]:
    return [name for name in GUARANTEES if probe.isolation.get(name, Level.NONE) == Level.NONE]


_ENFORCED = {Level.KERNEL: "by the kernel", Level.SUPERVISED: "by supervision", Level.NONE: "not enforced"}


def _level(probe: Probe, name: str) -> str:
    return Level(probe.isolation.get(name, Level.NONE)).name.lower()


def sandbox_lines(probe: Probe) -> list[str]:
    """What one sandbox gives, by who enforces it, and for the rest why not and what to do."""
    missing = _missing(probe)
    if probe.foreign:
        whys = dict.fromkeys(shortfall.why for shortfall in probe.shortfalls)
        return [f"sandbox {probe.sandbox}: is another system's", *(f"  {why}" for why in whys)]
    if not probe.supported:
        verdict = "does not work on this machine"
    elif missing:
        verdict = f"no --hermetic, for {len(missing)} of {count(len(GUARANTEES), 'guarantee')} cannot be given"
    else:
        verdict = "gives every guarantee of --hermetic"
    lines = [f"sandbox {probe.sandbox}: {verdict}"]
    for kind, names in (("guarantees", GUARANTEES), ("limits", LIMITS)):
        for level in sorted(Level, reverse=True):
            reached = [name for name in names if probe.isolation.get(name, Level.NONE) == level]
            if reached:
                lines += _wrapped(f"  {kind:<11} {_ENFORCED[level]:<20}", reached)
    for note in probe.notes:
        lines += _wrapped("  ", [note])
    reasons: dict[tuple[str, str], list[str]] = {}
    for shortfall in probe.shortfalls:
        reasons.setdefault((shortfall.why, shortfall.remedy), []).append(shortfall.guarantee)
    for (why, remedy), names_missing in reasons.items():
        named = ", ".join(filter(None, names_missing))
        lines += _with_hint(f"  {named}: {why}" if named else f"  {why}", remedy)
    return lines


def _toolchain_lines(toolchain: ToolchainReport) -> list[str]:
    head = f"  {toolchain.name:<12}"
    if not toolchain.found:
        pinned = "pinned, " if toolchain.pinned else ""
        return _with_hint(f"{head}{pinned}not found: {toolchain.description}", toolchain.hint)
    origin = f"pinned to @{toolchain.pinned}" if toolchain.pinned else "detected"
    text = ", ".join(filter(None, (toolchain.version, origin, toolchain.identity[:_IDENTITY_DIGITS])))
    described = f": {toolchain.description}" if toolchain.description else ""
    return _with_hint(head + _cut(text + described), toolchain.hint)


def _plugin_lines(plugin: PluginReport) -> list[str]:
    head = f"  {plugin.name:<12}{plugin.distribution} {plugin.version}".rstrip()
    if plugin.problem:
        return [f"{head}: could not be loaded: {_cut(plugin.problem, 200)}"]
    offers = [f"{kind} {', '.join(dict.fromkeys(names))}" for kind, names in plugin.offers.items() if names]
    return _wrapped(f"{head}: ", "; ".join(offers).split() or ["offers", "nothing"])


def _wrapped(head: str, names: list[str]) -> list[str]:
    """Names after a head, in lines that a terminal holds."""
    lines = textwrap.wrap(" ".join(names), 100 - len(head), break_on_hyphens=False)
    return [f"{head}{lines[0]}", *(f"{'':<{len(head)}}{line}" for line in lines[1:])]


def _cut(text: str, width: int = 100) -> str:
    return text if len(text) <= width else f"{text[:width].rpartition(' ')[0]} ..."


def _with_hint(line: str, hint: str) -> list[str]:
    return [line, f"      hint: {hint}"] if hint else [line]
