"""E4: a cloud's metadata address tells that a machine will be taken away; the work moves before it is killed.

Every second run the notice has the form of AWS (a moment, two minutes ahead), else that of GCE (TRUE: 30 s ahead),
served by a real HTTP server. The machine is killed, its worker and all, as soon as the work runs elsewhere, or when
the time of the notice is over.
"""

import json
import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.faults.local_case import executor_on, is_alive, process_of, seen, until
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.spot_case import STEP_S, Metadata, metadata_server, steps_begun, written_steps
from dnaml.core.resource import Resource
from dnaml.execution.notices import LABEL, Cloud

ID = "E4"
RUNS = {Tier.QUICK: 2, Tier.SOAK: 40}
STEPS = 6000  # five minutes of work: more than any machine has left
NOTICE_S = {Cloud.AWS: 120.0, Cloud.GCE: 30.0}
PATHS = {Cloud.AWS: "/latest/meta-data/spot/instance-action", Cloud.GCE: "/computeMetadata/v1/instance/preempted"}


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Announce the end of `runs` machines while they work; return what was lost by it and how soon the work moved."""
    rng = random.Random(seed)
    moved_s, fell_back, late, lost, doubled = [], 0, 0, 0, 0
    for number in range(runs):
        cloud = Cloud.GCE if number % 2 else Cloud.AWS
        with metadata_server(PATHS[cloud]) as metadata:
            took_s, back = _interrupted(folder / str(number), cloud, metadata, rng.uniform(0.2, 0.6))
        moved_s.append(took_s)
        late += took_s > NOTICE_S[cloud]
        fell_back += back
        told = seen(folder / str(number))
        lost += told.lost()
        doubled += told.doubled + told.stale
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a machine is taken away after the notice of its cloud",
        recover_s=tuple(moved_s),
        lost=lost,
        duplicated=doubled,
        figures=(
            Bar(name="moved_too_late", value=float(late), unit="runs", bar=0.0),
            Bar(name="steps_lost", value=float(fell_back), unit="steps", bar=0.0),
        ),
    )


def _interrupted(folder: Path, cloud: Cloud, metadata: Metadata, works_s: float) -> tuple[float, int]:
    """Return the seconds from the notice until the work ran elsewhere alone, and the steps of before it done again."""
    folder.mkdir()
    path = folder / "steps"
    spot = Resource(id="spot", price_usd_per_h=0.3, domain="a", labels={LABEL: f"{cloud.value}:{metadata.url}"})
    with executor_on(folder, (spot,)) as executor:
        future = executor.submit(written_steps, str(path), STEPS)
        pid = process_of(executor, future.job_id)
        until(lambda: len(steps_begun(path).get(pid, ())) * STEP_S > works_s)
        executor.add_resource(Resource(id="other", price_usd_per_h=1.0, domain="b"))
        before = steps_begun(path)[pid][-1]
        metadata.told = _text(cloud)
        told_s = time.monotonic()

        def moved() -> bool:
            where = [name for name, _ in executor.running().values()]
            return where == ["other"] or time.monotonic() - told_s > NOTICE_S[cloud]

        until(moved, NOTICE_S[cloud] + 60.0)
        took_s = time.monotonic() - told_s
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
        executor.remove_resource("spot", "taken away by its cloud")
        until(lambda: len(steps_begun(path)) > 1)
        future.stop()
        until(future.done)
    restored = next(steps[0] for process, steps in steps_begun(path).items() if process != pid)
    return took_s, max(0, before - restored)


def _text(cloud: Cloud) -> str:
    if cloud is Cloud.GCE:
        return "TRUE"
    gone = datetime.now(UTC) + timedelta(seconds=NOTICE_S[cloud])
    return json.dumps({"action": "terminate", "time": gone.strftime("%Y-%m-%dT%H:%M:%SZ")})
