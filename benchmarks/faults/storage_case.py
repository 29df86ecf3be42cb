"""What the faults of the disk share: a child that submits, struck by strace, and what a restart finds of it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dnaml.client import default_policy, default_predictor
from dnaml.core.work import Objective
from dnaml.engine import Engine, EngineSettings, Watcher

NO_STRACE = "" if shutil.which("strace") else "strace is not installed (Debian: apt-get install strace)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a child told: acknowledged ids with their seconds, and the refusals."""

    acknowledged_s: dict[str, float]
    refusals: tuple[str, ...]
    exit_code: int


def submitted(folder: Path, jobs: int, *, before: Sequence[str] = ()) -> Submitted:
    """Run a child to its end."""
    command = [*before, sys.executable, "-m", "benchmarks.faults.storage_child", str(folder), str(jobs)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=env)
    lines = [line.split(" ", 1) for line in ended.stdout.splitlines() if line != "ready"]
    return Submitted(
        acknowledged_s={name: float(rest) for name, rest in lines if name != "refused"},
        refusals=tuple(rest for name, rest in lines if name == "refused"),
        exit_code=ended.returncode,
    )


def injecting(what: str, folder: Path) -> list[str]:
    """Return the command that makes system calls on the payloads of a child fail or wait."""
    path = folder / "blobs" / "payloads-000001.blobs"
    call = what.partition(":")[0]
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(path), "-e", f"trace={call}", "-e", f"inject={what}"]


def known(folder: Path) -> set[str]:
    """Return the ids of the open jobs that a restart finds."""
    engine = Engine(folder, default_policy(), default_predictor(), Objective(), Watcher(), EngineSettings())
    try:
        return set(engine.controller.ledger.open)
    finally:
        engine.close()
