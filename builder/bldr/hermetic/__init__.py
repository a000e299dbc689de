"""Hermetic execution as a library: specs and their algebra, executors, monitors; see docs/reference/hermetic.md.

The engine needs the pure half only, so a name is imported when it is first asked for, the cheap modules first.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bldr.api.sandbox import GUARANTEES, LIMITS, Exit, Isolation, Level, Probe, Shortfall, Usage, Verdict
    from bldr.api.spec import (
        Bridge,
        Input,
        Link,
        MadeFile,
        NetworkPolicy,
        Output,
        ProcessPolicy,
        ResourceLimits,
        SandboxSpec,
        Temp,
    )
    from bldr.hermetic.audit import Access, Record, Violation, access, record, violations
    from bldr.hermetic.builder import HermeticSpecBuilder, SandboxSpecBuilder, made_etc
    from bldr.hermetic.check import check_spec
    from bldr.hermetic.executor import HermeticExecutor
    from bldr.hermetic.monitor import ResourceMonitor, Snapshot, create_monitor
    from bldr.hermetic.policy import Demand, Mode, check_reached, covers, decide, is_hermetic, missing, select_sandbox
    from bldr.hermetic.process import Host, LaunchError, Process, check_host, launch, launch_shell, spawn, wait
    from bldr.hermetic.result import ExecutionResult
    from bldr.hermetic.spec import equivalent, intersection, normal, stricter_than, union
    from bldr.hermetic.status import Exited, RuntimeInitWarnings, SetupFinished, Spawned, Status
    from bldr.hermetic.timeout import TimeoutEnforcer, create_timeout_enforcer

__all__ = [
    "GUARANTEES", "LIMITS", "Access", "Bridge", "Demand", "ExecutionResult", "Exit", "Exited", "HermeticExecutor",
    "HermeticSpecBuilder", "Host", "Input", "Isolation", "LaunchError", "Level", "Link", "MadeFile", "Mode",
    "NetworkPolicy", "Output", "Probe", "Process", "ProcessPolicy", "Record", "ResourceLimits", "ResourceMonitor",
    "RuntimeInitWarnings", "SandboxSpec", "SandboxSpecBuilder", "SetupFinished", "Shortfall", "Snapshot", "Spawned",
    "Status", "Temp", "TimeoutEnforcer", "Usage", "Verdict", "Violation", "access", "check_host", "check_reached",
    "check_spec", "covers", "create_monitor", "create_timeout_enforcer", "decide", "equivalent", "intersection",
    "is_hermetic", "launch", "launch_shell", "made_etc", "missing", "normal", "record", "select_sandbox", "spawn",
    "stricter_than", "union", "violations", "wait",
]  # fmt: skip

_MODULES = (
    "api",
    "hermetic.spec",
    "hermetic.builder",
    "hermetic.policy",
    "hermetic.monitor",
    "hermetic.timeout",
    "hermetic.audit",
    "hermetic.status",
    "hermetic.process",
    "hermetic.executor",
)


def __getattr__(name: str) -> object:
    for module in _MODULES if name in __all__ else ():
        value = getattr(import_module(f"bldr.{module}"), name, None)
        if value is not None:
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
