"""E8: a job is cancelled at the instant in which its result is committed: one of the two wins, and both hear which."""

import concurrent.futures
import random
import time
from pathlib import Path

import dnaml
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.tasks import noop
from dnaml.core.attempt import JobState
from dnaml.core.errors import ComputationStopped
from dnaml.history import History

ID = "E8"
RUNS = {Tier.QUICK: 300, Tier.SOAK: 10_000}
_AT_ONCE = 20


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Race cancellations against commits; compare what the futures were told with what the journal says."""
    chance = random.Random(seed)
    told: dict[str, bool] = {}
    neither = 0
    pool = [dnaml.Resource(id=f"r{number}") for number in range(2)]
    with dnaml.Executor(pool, state=folder, cores=2) as executor:
        for future in [executor.submit(noop, 0) for _ in range(4)]:
            future.result(60)
        for _ in range(runs // _AT_ONCE):
            futures = [executor.submit(noop, number) for number in range(_AT_ONCE)]
            time.sleep(chance.uniform(0.0, 0.02))
            for future in chance.sample(futures, len(futures)):
                future.stop()
            for future in futures:
                try:
                    future.result(60)
                    told[future.job_id] = True
                except (ComputationStopped, concurrent.futures.CancelledError):
                    told[future.job_id] = False
                except TimeoutError:
                    neither += 1
    jobs = History.read(folder).jobs
    both = sum((jobs[job_id].state is JobState.SUCCEEDED) is not won for job_id, won in told.items())
    open_jobs = sum(jobs[job_id].state not in (JobState.SUCCEEDED, JobState.CANCELLED) for job_id in told)
    return Outcome(
        id=ID,
        seed=seed,
        runs=len(told),
        what="a job cancelled at the instant of its commit",
        lost=neither + open_jobs,
        duplicated=both,
        figures=(Bar(name="told_otherwise_than_stored", value=float(both), unit="", bar=0.0),),
        extra={"results_won": float(sum(told.values())), "cancellations_won": float(len(told) - sum(told.values()))},
    )
