"""A controller in a process of its own, so that it can be killed, frozen or told to end while it works.

`python -m benchmarks.faults.engine_child FOLDER [--first N] [--jobs N] [--task NAME] [--finish] [--compact]`: opens
the folder, says `ready SECONDS`, submits jobs and notes each accepted id in `accepted.txt`, says `submitted`, and
waits to be ended; with `--finish` it leaves once no job is open, with `--compact` it then lets go of what the jobs
left. SIGTERM ends it in order.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import dnaml
from benchmarks import tasks
from benchmarks.faults.steps import steps
from dnaml.durable.settings import StorageSettings
from dnaml.engine import EngineSettings
from dnaml.retention import compact

POOL = tuple(dnaml.Resource(id=f"r{number}", price_usd_per_h=1.0, memory_bytes=8 << 30) for number in range(4))
_SMALL_BYTES, _COMPACTIONS = 500, 9  # so that a few jobs fill many files, and a sweep finds the ninth pass
_TASKS: dict[str, Callable[..., int]] = {"noop": tasks.noop, "sleep_10ms": tasks.sleep_10ms, "steps": steps}


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--task", choices=sorted(_TASKS), default="noop")
    parser.add_argument("--finish", action="store_true")
    parser.add_argument("--compact", action="store_true")
    parser.add_argument("--standby", type=float, default=None, help="take over after so many seconds without life")
    options = parser.parse_args()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    storage = StorageSettings(segment_bytes=_SMALL_BYTES) if options.compact else StorageSettings()
    if options.standby is not None:
        storage = StorageSettings(standby=True, take_over_after_s=options.standby)
    began_s = time.perf_counter()
    executor = dnaml.Executor(POOL, state=options.folder, cores=2, settings=EngineSettings(storage=storage))
    print(f"ready {time.perf_counter() - began_s:.4f}", flush=True)
    accepted = os.open(options.folder / "accepted.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(options.first, options.first + options.jobs):
        if ended.is_set():
            break
        future = executor.submit(_TASKS[options.task], number)
        os.write(accepted, f"{future.job_id}\n".encode())
    print("submitted", flush=True)
    is_open = executor._engine.controller.ledger.open
    while not ended.wait(0.02):
        if options.finish and not is_open:
            break
    executor._close()  # as after Ctrl-C: what is accepted stays accepted
    for _ in range(_COMPACTIONS if options.compact else 0):
        compact(options.folder, keep_s=0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
