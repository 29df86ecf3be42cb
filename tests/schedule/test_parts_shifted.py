"""Parts of uncertain length: shares are cut finer, and what has not begun follows the rates that were observed."""

from dataclasses import replace

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Stored, Usage
from dnaml.core.events import StartAttempt
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job
from dnaml.engine import run
from dnaml.execution.simulated import SimulatedBackend
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from tests.schedule.doubles import LATENCY, Desk, StatedPredictor, ended, starts

MAP = Computation(id="map", kernel="map", divisible=True)
NAMES = ("r0", "r1")


def wide(max_parts: int | None = None) -> Job:
    return Job(id="a", computation_id="map", submitted_at_s=0.0, max_parts=max_parts)


def begun(spread: float, max_parts: int | None = None, seconds: float = 20.0) -> tuple[Desk, list[StartAttempt]]:
    """Return a desk on which one job runs in parts on two equal resources whose runtimes are this uncertain."""
    desk = Desk(predictor=StatedPredictor(seconds=dict.fromkeys(NAMES, seconds), spread=spread))
    desk.up(*NAMES)
    parts = starts(desk.submit(wide(max_parts), computation=MAP))
    desk.began(*parts)
    return desk, parts


def played(truth: dict[str, float], spread: float) -> tuple[float, int]:
    """Return when the simulated engine ended the job, true seconds for the whole as stated, and its parts."""
    arrivals: list[ev.Event] = [ev.ResourceUp(at_s=0.0, resource=Resource(id=n, domain=n)) for n in NAMES]
    arrivals.append(ev.Submitted(at_s=0.0, job=wide(), computation=MAP))
    kept = lambda start: Stored(segment=0, offset=start.attempt.epoch, size_bytes=1, digest=start.attempt.id)  # noqa: E731
    backend = SimulatedBackend(lambda start: truth[start.attempt.placement.resource_id], arrivals, result=kept)
    controller = Controller(
        MatchingPolicy(), StatedPredictor(seconds=dict.fromkeys(NAMES, 20.0), spread=spread), LATENCY
    )
    log: list[ev.Event] = []
    run(controller, backend, log.append)
    assert controller.ledger.open == {}
    ended = [one for one in log if isinstance(one, ev.AttemptEnded)]
    assert {one.outcome for one in ended} <= {AttemptState.DONE, AttemptState.STOPPED}
    return max(one.at_s for one in ended), sum(one.outcome is AttemptState.DONE for one in ended)


def test_a_sure_runtime_leaves_one_part_a_resource():
    _, parts = begun(spread=1.1)
    assert [part.attempt.placement.parts for part in parts] == [2, 2]


def test_an_unsure_runtime_is_cut_finer_but_not_into_splinters():
    assert begun(spread=4.0)[1][0].attempt.placement.parts == 8
    assert begun(spread=4.0, seconds=4.0)[1][0].attempt.placement.parts == 4
    assert begun(spread=4.0, seconds=0.5)[1][0].attempt.placement.parts == 2


def test_the_limit_of_parts_holds():
    assert begun(spread=4.0, max_parts=2)[1][0].attempt.placement.parts == 2
    assert begun(spread=4.0, max_parts=5)[1][0].attempt.placement.parts == 4


def test_what_has_not_begun_leaves_a_resource_that_turned_out_slow():
    even_s, even_parts = played({"r0": 20.0, "r1": 20.0}, spread=4.0)
    assert (even_s, even_parts) == (pytest.approx(10.0, abs=0.1), 8)
    slow_s, slow_parts = played({"r0": 20.0, "r1": 100.0}, spread=4.0)
    stays_s, _ = played({"r0": 20.0, "r1": 100.0}, spread=1.1)
    assert slow_parts == 8
    assert stays_s == pytest.approx(50.0, abs=0.1)
    assert slow_s < 0.6 * stays_s


def ended_after(desk: Desk, start: StartAttempt, runtime_s: float) -> list[str]:
    """Return where parts begin when one ends after so long."""
    said = desk.tell(replace(ended(start, desk.at_s, AttemptState.DONE), usage=Usage(wall_s=runtime_s)))
    return [one.attempt.placement.resource_id for one in starts(said)]


def test_a_rate_within_its_interval_or_unknown_shifts_nothing():
    desk, (first, second) = begun(spread=4.0)
    desk.after(3.0)
    assert ended_after(desk, first, 3.0) == [first.attempt.placement.resource_id]
    assert ended_after(desk, second, 0.0) == [second.attempt.placement.resource_id]
