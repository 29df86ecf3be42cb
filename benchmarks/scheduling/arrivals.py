"""S5: single jobs that arrive, some with deadlines, on sixteen units of each of three types; the balanced preset."""

from benchmarks.report import Row
from benchmarks.scheduling import folder
from benchmarks.scheduling.workload import HOUR_S, NO_BARS, three
from dnaml.datasets.traces import gavel
from dnaml.datasets.traces.trace import Trace
from dnaml.schedule.rounds.registry import by_name
from dnaml.simulation import Settings, replay


def trace() -> Trace:
    """Return 600 jobs; the policy's knobs were chosen on two other traces of this kind."""
    return gavel.load(folder() / "gavel", "cont_single_600_l3.0_s0", cluster=(16, 16, 16))


def arrival_rows(quick: bool) -> list[Row]:
    """Return the figures with restarts that are free and that take 30 s, beside the best peer by completion time."""
    jobs = trace()
    peer = replay(jobs, by_name("gavel_throughput" if not quick else "srpt"))
    rows = []
    for restart_s in (0.0,) if quick else (0.0, 30.0):
        report = replay(jobs, by_name("dnaml"), Settings(restart_s=restart_s))
        bars = NO_BARS if restart_s else (14.1, None, 15_750.0)
        rows += three(f"S5.{restart_s:.0f}s", report, bars, peer)
        strict = not restart_s
        p99_h = report.p99_jct_s / HOUR_S
        rows += [
            Row(
                id=f"S5.{restart_s:.0f}s.late",
                metric="deadlines missed of 400 jobs",
                value=report.late,
                unit="jobs",
                bar=2 if strict else None,
                peer=peer.policy,
                peer_value=peer.late,
            ),
            Row(
                id=f"S5.{restart_s:.0f}s.p99",
                metric="p99 of completion times",
                value=p99_h,
                unit="h",
                bar=165 if strict else None,
                peer=peer.policy,
                peer_value=peer.p99_jct_s / HOUR_S,
            ),
        ]
    return rows
