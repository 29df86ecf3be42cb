"""C1: the wall clock of engine and workers jumps by ten days, both ways; nobody dies of it, no duration is negative."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.faults.calls import steps
from benchmarks.faults.local_case import executor_on, resources, seen
from benchmarks.faults.outcome import Bar, Outcome, Tier

ID = "C1"
RUNS = {Tier.QUICK: 2, Tier.SOAK: 20}

_WHAT = "jumps of the wall clock by ten days"
_LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
)
_JUMPS = ("+10d", "-10d", "+0d")


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Run an engine and its workers under a false wall clock that jumps between jobs and in the middle of them."""
    library = next((path for path in _LIBRARIES if Path(path).exists()), None)
    if library is None:
        return Outcome(id=ID, seed=seed, runs=0, what=_WHAT, skipped="libfaketime is not installed")
    clock = folder / "clock"
    clock.write_text("+0d\n")
    variables = {
        **os.environ,
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    nap = subprocess.run([sys.executable, "-c", "import time; time.sleep(0.001)"], env=variables, capture_output=True)
    if nap.returncode != 0:
        return Outcome(id=ID, seed=seed, runs=0, what=_WHAT, skipped="time.sleep fails under this libfaketime")
    child = [sys.executable, "-m", "benchmarks.faults.c01_wall_clock", str(folder), str(runs)]
    ended = subprocess.run(child, env=variables, capture_output=True, text=True)
    if ended.returncode != 0:
        raise RuntimeError(f"the engine under a false clock failed: {ended.stderr[-2000:]}")
    jumps = json.loads(ended.stdout.splitlines()[-1])
    told = seen(folder)
    begun = {event.attempt_id: event.at_s for event in told.started}
    durations_s = [event.at_s - begun[event.attempt_id] for event in told.ended if event.attempt_id in begun]
    sealed_s = [event.at_s - begun[event.attempt_id] for event in told.sealed]
    used_s = [event.usage.wall_s for event in told.ended]
    return Outcome(
        id=ID,
        seed=seed,
        runs=len(jumps),
        what=_WHAT,
        lost=told.lost(),
        duplicated=told.doubled + told.stale,
        figures=(
            Bar(name="false_deaths", value=float(len(told.lost_attempts())), unit="", bar=0.0),
            Bar(
                name="negative_durations",
                value=float(sum(value < 0 for value in (*durations_s, *sealed_s, *used_s))),
                unit="",
                bar=0.0,
            ),
            Bar(name="longest_duration", value=max(durations_s), unit="s", bar=60.0),
            Bar(name="jumps_not_seen", value=float(sum(abs(jump) < 5 * 86400 for jump in jumps)), unit="", bar=0.0),
        ),
    )


def play(folder: Path, runs: int) -> list[float]:
    """Run jobs while the clock jumps; return by how much this process saw it jump each time."""
    jumps = []
    with executor_on(folder, resources(2)) as executor:
        executor.submit(steps, 2, 0.01, str(folder / "note-warm")).result(60)
        for number in range(runs):
            futures = [executor.submit(steps, 40, 0.05, str(folder / f"note-{number}-{part}")) for part in range(2)]
            while not all((folder / f"note-{number}-{part}").exists() for part in range(2)):
                time.sleep(0.01)
            before_s = time.time() - time.monotonic()
            (folder / "clock").write_text(f"{_JUMPS[number % 2]}\n")
            time.sleep(0.05)
            jumps.append(time.time() - time.monotonic() - before_s)
            assert [future.result(60) for future in futures] == [40, 40]
    return jumps


if __name__ == "__main__":
    print(json.dumps(play(Path(sys.argv[1]), int(sys.argv[2]))))
