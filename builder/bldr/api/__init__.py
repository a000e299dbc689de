"""All that a plugin may import. `__all__` is the contract; it is provisional until version 1.0."""

from bldr.api.actions import TREE_ROOT, Action, Artifact, Platform
from bldr.api.attributes import FileList, HermeticSettings, LabelList, TargetAttributes, TestAttributes
from bldr.api.commands import Command
from bldr.api.configuration import Configuration
from bldr.api.errors import (
    BldrError,
    CacheError,
    ExitCode,
    FetchError,
    IsolationError,
    PluginError,
    Problem,
    SpecError,
    TargetError,
    ToolchainError,
    WorkspaceError,
)
from bldr.api.handlers import Analysis, Context, Dep, Handler
from bldr.api.labels import Label, parse_label
from bldr.api.locks import Locked, LockedTree, LockError, LockFile, LockFormat
from bldr.api.order import first_of_each, last_of_each
from bldr.api.providers import CcInfo, Executable, Files, PythonInfo, TestInfo
from bldr.api.sandbox import (
    GUARANTEES,
    LIMITS,
    Exit,
    Isolation,
    Launch,
    Launcher,
    Level,
    Probe,
    Sandbox,
    SetupFailure,
    Shortfall,
    StagedTree,
    Started,
    Turns,
    Usage,
    Verdict,
    covers,
)
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
from bldr.api.toolchains import Toolchain, ToolchainDetector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bldr.api.hooks import hook
else:  # mypy would believe that every name can be looked up

    def __getattr__(name: str) -> object:
        """`hook`, for which pluggy is imported, as nobody wants it in a build after an edit; and what is deprecated."""
        if name == "hook":
            from bldr.api.hooks import hook

            globals()["hook"] = hook
            return hook
        from bldr.api.deprecation import look_up

        return look_up(name)


API_VERSION = "0.1"
"""Raised in its second part when something is added and in its first when something is taken away."""

__all__ = [
    "API_VERSION", "GUARANTEES", "LIMITS", "TREE_ROOT", "Action", "Analysis", "Artifact", "BldrError", "Bridge",
    "CacheError", "CcInfo", "Command", "Configuration", "Context", "Dep", "Executable", "Exit", "ExitCode",
    "FetchError", "FileList", "Files", "Handler", "HermeticSettings", "Input", "Isolation", "IsolationError",
    "Label", "LabelList", "Launch", "Launcher", "Level", "Link", "LockError", "LockFile", "LockFormat", "Locked",
    "LockedTree", "MadeFile", "NetworkPolicy", "Output", "Platform", "PluginError", "Probe", "Problem",
    "ProcessPolicy", "PythonInfo", "ResourceLimits", "Sandbox", "SandboxSpec", "SetupFailure", "Shortfall",
    "SpecError", "StagedTree", "Started", "TargetAttributes", "TargetError", "Temp", "TestAttributes", "TestInfo",
    "Toolchain", "ToolchainDetector", "ToolchainError", "Turns", "Usage", "Verdict", "WorkspaceError",
    "covers", "first_of_each", "hook", "last_of_each", "parse_label",
]  # fmt: skip
