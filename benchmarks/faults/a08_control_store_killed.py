"""A8: SIGKILL of Ray's control store: agents go on, the engine keeps its journal; an own cluster is started again."""

from pathlib import Path

import psutil

import dnaml
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.ray_case import VICTIM, Told, pinned, run_case, three_nodes, wait_for, with_journal, works
from dnaml.engine import EngineSettings
from dnaml.execution.on_ray import RaySettings, on_ray
from dnaml.futures import Future

ID = "A8"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 5}
BAR_BACK_S = 30.0
_LENGTHS_S = (1.0,) * 9
_OWN_S = 8.0
"""outlasts the four seconds within which the loss is noticed"""


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Kill the control store of a cluster that somebody else runs, then that of one the engine started itself."""
    joined, own = [], []
    for number in range(runs):
        joined.append(_joined(folder / f"{number}-joined"))
        own.append(_own(folder / f"{number}-own"))
    told = joined + own
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="SIGKILL of Ray's control store",
        recover_s=tuple(case.next_start_s() for case in told),
        lost=sum(case.lost for case in told),
        duplicated=sum(case.duplicated for case in told),
        figures=(
            Bar(name="next_start", value=max(c.next_start_s() for c in joined), unit="s", bar=BAR_BACK_S),
            Bar(name="own_cluster_back", value=max(c.elsewhere_s() for c in own), unit="s", bar=BAR_BACK_S),
        ),
    )


def _joined(folder: Path) -> Told:
    later: list[Future[float]] = []
    with three_nodes(folder) as (pool, executor):

        def kill_and_submit() -> None:
            pool.control_store().kill()
            later.append(pinned(executor).submit(works, 0.05))

        told = run_case(executor, _LENGTHS_S, kill_and_submit, after_s=0.5, victim=VICTIM)
        later[0].result()
    return with_journal(told, folder)


def _own(folder: Path) -> Told:
    settings = EngineSettings(open_backend=on_ray("local", RaySettings(probe=False, cpus=1)))
    with dnaml.Executor(state=folder / "state", settings=settings) as executor:
        pinned(executor).submit(works, 0.05).result()
        (node,) = [resource.id for resource in executor._engine.controller.pool.resources]
        told = run_case(executor, (_OWN_S,), _kill_own_control_store, after_s=0.8, victim=node)
    return with_journal(told, folder)


def _kill_own_control_store() -> None:
    """Find the control store among this process's descendants: the cluster that was started from here."""
    found = [p for p in psutil.Process().children(recursive=True) if p.name().startswith("gcs_server")]
    for process in found:
        process.kill()
    wait_for(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in found), 10.0)
