"""A13: a computation kills every worker it touches; it is set aside after three resources, and others are unharmed."""

from pathlib import Path

from benchmarks.faults.calls import poisons, waits
from benchmarks.faults.local_case import executor_on, resources, seen
from benchmarks.faults.outcome import Bar, Outcome, Tier

ID = "A13"
RUNS = {Tier.QUICK: 2, Tier.SOAK: 40}
_OTHERS = 20


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Submit poison among good work."""
    killed, good, asked = [], 0, 0
    with executor_on(folder, resources(4), cores=2) as executor:
        for number in range(runs):
            poison = executor.submit(poisons, number + 1000 * seed)
            others = [executor.submit(waits, 0.01, other) for other in range(_OTHERS)]
            assert poison.exception(60) is not None
            good += sum(future.exception(60) is None and future.result() == n for n, future in enumerate(others))
            asked += len(others)
            killed.append(poison.job_id)
    told = seen(folder)
    deaths = [sum(event.attempt_id.startswith(f"{job_id}.") for event in told.lost_attempts()) for job_id in killed]
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a computation that kills its workers",
        lost=told.lost(),
        duplicated=told.doubled + told.stale,
        figures=(
            Bar(name="workers_lost", value=float(max(deaths)), unit="a poison", bar=3.0),
            Bar(name="others_failed", value=float(asked - good), unit="", bar=0.0),
        ),
    )
