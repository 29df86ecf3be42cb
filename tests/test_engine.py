"""The engine and its predictor: one that breaks never stops placing, and what is degraded can be read from outside."""

import json

import numpy as np
import pytest

from dnaml.cli.main import main
from dnaml.client import Executor
from dnaml.core.resource import Resource
from dnaml.engine import HEALTH
from dnaml.predict.placing import LivePredictor
from tests import work

POOL = tuple(Resource(id=f"r{i}", price_usd_per_h=1.0 + i, memory_bytes=8 << 30) for i in range(2))


class Breaks:
    """A live predictor that answers well so many times, and then never again."""

    def __init__(self, how, answers):
        self.how, self.left, self.live = how, [answers], LivePredictor()

    @property
    def version(self):
        return f"breaks-{self.how}+{self.live.version}"

    def predict(self, computations, resources):
        answer = self.live.predict(computations, resources)
        self.left[0] -= 1
        if self.left[0] < 0:
            if self.how == "raises":
                raise RuntimeError("the model is gone")
            answer = answer.rows(np.arange(len(computations)))
            answer.runtime_s.values[:] = np.nan
        return answer

    def updated(self, runs):
        later = Breaks(self.how, 0)
        later.left, later.live = self.left, self.live.updated(runs)
        return later

    def shortlist(self, computation, resources, objective, k):
        return self.live.shortlist(computation, resources, objective, k)


@pytest.mark.parametrize(
    ("how", "why"), [("raises", "predictor error"), ("nan", "numbers that are not finite and positive")]
)
def test_a_predictor_that_breaks_in_service_stops_nothing_and_each_decision_says_what_answered(tmp_path, how, why):
    with Executor(POOL, state=tmp_path, cores=2, predictor=Breaks(how, 1)) as executor:
        assert executor.submit(work.double, 0).result(30) == 0
        futures = [executor.submit(work.double, i) for i in range(40)]
        assert [future.result(30) for future in futures] == [2 * i for i in range(40)]
        paths = [future.decision.record.path for future in futures]
        assert all(f"model: {why}" in path for path in paths)
        assert f"model: {why}" in repr(futures[-1].decision)


def test_what_is_degraded_is_told_while_the_engine_runs_and_not_afterwards(tmp_path, capsys):
    def status():
        assert main(["status", "--json", "--state", str(tmp_path)]) == 0
        return json.loads(capsys.readouterr().out)

    with Executor(POOL, state=tmp_path, cores=2, predictor=Breaks("raises", 0)) as executor:
        futures = [executor.submit(work.double, i) for i in range(4)]
        assert [future.result(30) for future in futures] == [0, 2, 4, 6]
        health = json.loads((tmp_path / HEALTH).read_text())
        assert health["reasons"][0] == "model: predictor error"
        health["resources"] = {resource.id: 2 for resource in POOL}
        (tmp_path / HEALTH).write_text(json.dumps(health))
        assert all(
            row["degraded"] == [f"{row['resource_id']} has drifted: 2 more runs until it is known again"]
            for row in status()
        )
        assert main(["status", "--state", str(tmp_path)]) == 0
        assert "degraded: predictions come from" in capsys.readouterr().out
    assert not (tmp_path / HEALTH).exists()
    assert [row["degraded"] for row in status()] == [[]] * 4


def test_an_engine_with_a_sound_predictor_reports_nothing_degraded(tmp_path):
    with Executor(POOL, state=tmp_path, cores=2) as executor:
        assert executor.submit(work.double, 2).result(30) == 4
        assert not (tmp_path / HEALTH).exists()


class Hopes:
    """A live predictor that expects everything to take a millisecond."""

    version = "hopes"

    def __init__(self):
        self.live = LivePredictor()

    def predict(self, computations, resources):
        answer = self.live.predict(computations, resources).rows(np.arange(len(computations)))
        answer.runtime_s.values[:] = 1e-3
        return answer

    def updated(self, runs):
        return self

    def shortlist(self, computation, resources, objective, k):
        return self.live.shortlist(computation, resources, objective, k)


def test_work_handed_over_behind_what_does_not_end_is_done_by_another_worker(tmp_path):
    pool = [Resource(id="r0", slots=2, price_usd_per_h=1.0)]
    with Executor(pool, state=tmp_path / "state", cores=2, predictor=Hopes()) as executor:
        endless = executor.submit(work.waits_for, str(tmp_path / "gate"), 600.0)
        assert [executor.submit(work.double, i).result(60) for i in range(3)] == [0, 2, 4]
        brief = [executor.submit(work.double, i) for i in range(40)]
        assert [future.result(60) for future in brief] == [2 * i for i in range(40)]
        assert not endless.done()
        (tmp_path / "gate").touch()
        endless.result(60)
