"""Runs of the past tell what a computation demands, and how it follows the probes of memory."""

import math

import pytest

from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Resource
from dnaml.execution.fingerprint.known import known_demand, random_sensitivity

JOB = Computation(id="job[n=8]", kernel="job")


def run(
    resource: Resource, runtime_s: float, *, at_s: float = 0.0, computation: Computation = JOB, **told: object
) -> Run:
    return Run(computation=computation, resource=resource, runtime_s=runtime_s, at_s=at_s, **told)  # type: ignore[arg-type]


def resources() -> list[Resource]:
    """Six resources whose random and sequential probes do not go together."""
    rates = [(1e6, 4e9), (2e6, 2e9), (4e6, 8e9), (8e6, 1e9), (16e6, 3e9), (3e6, 16e9)]
    return [
        Resource(id=f"r{at}", spec={"random_access_per_s": random, "sequential_bytes_per_s": stream})
        for at, (random, stream) in enumerate(rates)
    ]


def test_nothing_is_known_of_what_never_ran_to_its_end() -> None:
    here = Resource(id="a")
    other = Computation(id="other", kernel="job", demand={"flop": 1.0})
    runs = [run(here, 1.0, failed=True), run(here, 1.0, censored=True), run(here, 1.0, computation=other)]
    assert known_demand(JOB, runs) == {}


def test_telemetry_gives_medians_and_a_measured_demand_wins() -> None:
    here = Resource(id="a")
    measured = Computation(id=JOB.id, kernel="job", demand={"cpu_share": 0.9, "flop": 5.0})
    runs = [
        run(here, 2.0, telemetry={"cpu_user_s": 0.5, "cpu_system_s": 0.5, "read_bytes": 1.0, "gpu_busy_share": 0.5}),
        run(here, 2.0, telemetry={"read_bytes": 3.0}),
        run(here, 2.0, telemetry={"read_bytes": 8.0}),
    ]
    assert known_demand(JOB, runs) == {"cpu_share": 0.5, "gpu_share": 0.5, "read_bytes": 3.0}
    assert known_demand(JOB, [*runs, run(here, 2.0, computation=measured)])["cpu_share"] == 0.9


def test_the_newest_measured_demand_comes_first() -> None:
    here = Resource(id="a")
    old, new = (Computation(id=JOB.id, kernel="job", demand={"flop": flop}) for flop in (1.0, 2.0))
    runs = [run(here, 1.0, at_s=9.0, computation=new), run(here, 1.0, at_s=1.0, computation=old)]
    assert known_demand(JOB, runs) == {"flop": 2.0}


@pytest.mark.parametrize(("random", "stream"), [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (0.8, 0.1)])
def test_run_times_that_follow_a_probe_tell_the_kind_of_access(random: float, stream: float) -> None:
    runs = [
        run(r, (1e6 / r.spec["random_access_per_s"]) ** random * (1e9 / r.spec["sequential_bytes_per_s"]) ** stream)
        for r in resources()
    ]
    found = random_sensitivity(runs)
    assert found["random_share_confidence"] > 0.99
    assert found["random_share"] == pytest.approx(random, abs=1e-6)
    assert found["sequential_share"] == pytest.approx(stream, abs=1e-6)


def test_run_times_that_follow_no_probe_mask_the_share() -> None:
    seconds = [1.0, 3.0, 2.0, 9.0, 0.5, 4.0]
    found = random_sensitivity([run(r, s) for r, s in zip(resources(), seconds, strict=True)])
    assert found["random_share_confidence"] < 0.6
    assert "random_share" not in found


def test_too_few_or_too_similar_resources_tell_nothing() -> None:
    assert random_sensitivity([run(r, 1.0) for r in resources()[:3]]) == {}
    alike = [Resource(id=f"r{at}", spec={"random_access_per_s": 1e6, "sequential_bytes_per_s": 1e9}) for at in range(8)]
    assert random_sensitivity([run(r, 1.0 + math.sin(at)) for at, r in enumerate(alike)]) == {}
    assert random_sensitivity([run(Resource(id=f"r{at}"), 1.0) for at in range(8)]) == {}
    assert random_sensitivity([]) == {}


def test_equal_run_times_everywhere_follow_no_probe() -> None:
    found = random_sensitivity([run(r, 1.0) for r in resources()])
    assert "random_share" not in found
