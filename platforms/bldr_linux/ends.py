"""What a cell reports of a launch that is over becomes an `Exit`: pure."""

import os
import signal
from typing import Any

from bldr.api import Exit, Isolation, SetupFailure, Usage, Verdict
from bldr_linux.failures import explain


def ended(launch_id: int, isolation: Isolation, report: tuple[Any, ...], wall_s: float, used: dict[str, Any]) -> Exit:
    if report[0] == "refused":
        return failed(launch_id, SetupFailure(*report[1:]))
    if report[0] == "failed":
        return failed(launch_id, explain(*report[1:]))
    if report[0] == "recalled":
        return Exit(launch_id=launch_id, exit_code=128 + signal.SIGKILL, signal=signal.SIGKILL, began=False)
    _, status, verdict = report
    code = os.waitstatus_to_exitcode(status)
    return Exit(
        launch_id=launch_id,
        exit_code=128 - code if code < 0 else code,
        signal=max(-code, 0),
        usage=usage_of(wall_s, used),
        isolation=isolation,
        verdict=Verdict(*verdict) if verdict else None,
    )


def usage_of(wall_s: float, used: dict[str, Any]) -> Usage:
    return Usage(
        wall_s=wall_s,
        cpu_s=used.get("cpu_s"),
        memory_bytes=used.get("memory_bytes"),
        memory_peak_bytes=used.get("memory_peak_bytes"),
        read_bytes=used.get("read_bytes"),
        written_bytes=used.get("written_bytes"),
        processes=used.get("processes_peak"),
    )


def failed(launch_id: int, failure: SetupFailure) -> Exit:
    return Exit(launch_id=launch_id, exit_code=1, failure=failure)
