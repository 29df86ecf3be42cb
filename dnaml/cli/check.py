"""`dnaml check`: what this installation and machine can do; it writes nothing."""

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import alone, verb

app = alone()

_EXTRAS = {
    "ray": "ray",
    "serverless": "lithops",
    "postgres": "psycopg",
    "dashboard": "nicegui",
    "notebooks": "nbclient",
    "mlflow-ui": "mlflow",
}
_NEEDED = ("numpy", "scipy", "scikit-learn", "pandas", "torch", "mlflow-skinny", "sqlalchemy", "psutil")
_OLDEST = (3, 11)


class Verdict(Enum):
    """Is how one thing stands."""

    OK = "ok"  # there and usable
    ABSENT = "absent"  # optional, and not there
    PROBLEM = "problem"  # needed, and not usable


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    detail: str


@verb(app, example="dnaml check --json")
def check(screen: Screen) -> int:
    """Look at this installation and machine and say what is missing; exit code 1 if something needed is."""
    findings = [*_software(), *_machine(), _state(screen.state)]
    rows = [(one.what, one.verdict.value, one.detail) for one in findings]
    problems = [one for one in findings if one.verdict is Verdict.PROBLEM]
    end = f"{len(problems)} problems" if problems else "ready; next: dnaml demo"
    value = {"ok": not problems, "findings": findings}
    screen.answer(value, table("", ("what", "verdict", "detail"), rows), end)
    return 1 if problems else 0


def _software() -> Iterator[Finding]:
    supported = sys.version_info >= _OLDEST
    yield Finding(
        what="Python",
        verdict=Verdict.OK if supported else Verdict.PROBLEM,
        detail=platform.python_version() + ("" if supported else ", 3.11 or newer is needed"),
    )
    for name in ("dnaml", *_NEEDED):
        version = _version(name)
        verdict = Verdict.OK if version else Verdict.PROBLEM
        yield Finding(what=name, verdict=verdict, detail=version or f"missing: pip install {name}")
    for extra, module in _EXTRAS.items():
        there = find_spec(module) is not None
        hint = f"optional: pip install 'dnaml[{extra}]'"
        verdict = Verdict.OK if there else Verdict.ABSENT
        yield Finding(what=f"extra {extra}", verdict=verdict, detail="installed" if there else hint)


def _machine() -> Iterator[Finding]:
    import psutil

    from dnaml.execution import cgroups
    from dnaml.telemetry import nvml, processor

    system, cores = platform.system(), _cores()
    known = system in ("Linux", "Darwin")
    detail = f"{system} {platform.machine()}" + ("" if known else ": Linux in full, macOS for the embedded engine")
    yield Finding(what="system", verdict=Verdict.OK if known else Verdict.PROBLEM, detail=detail)
    unit = processor.hardware_unit(processor.cpu_flags(), platform.machine())
    detail = f"{processor.model_name()}, {cores} cores, widest unit {unit.value}"
    yield Finding(what="processor", verdict=Verdict.OK, detail=detail)
    yield Finding(what="memory", verdict=Verdict.OK, detail=amounts.size(psutil.virtual_memory().total))
    why = nvml.reason()
    boards = ", ".join(f"{gpu.name} ({amounts.size(gpu.memory_bytes)})" for gpu in nvml.gpus())
    yield Finding(what="GPU", verdict=Verdict.ABSENT if why else Verdict.OK, detail=why or boards)
    group = cgroups.make("check", frozenset({cgroups.Controller.MEMORY, cgroups.Controller.PIDS}))
    if group is not None:
        group.remove()
    limits = group.version.value if group else "rlimit and a watch on memory: no control group is writable"
    yield Finding(what="limits by", verdict=Verdict.OK if group else Verdict.ABSENT, detail=limits)


def _state(folder: Path) -> Finding:
    """Look at the nearest folder that is there; nothing is made."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    usable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    note = "" if there == folder else " (made when it is needed)"
    detail = f"{folder}{note}" if usable else f"{there} cannot be written"
    return Finding(what="state folder", verdict=Verdict.OK if usable else Verdict.PROBLEM, detail=detail)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
