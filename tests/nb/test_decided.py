"""Decisions as tables: one row each with what the clock said, or one decision's candidates."""

import math

import pytest

from dnaml import nb
from dnaml.client import Executor
from dnaml.core.errors import InputError, NotFoundError
from dnaml.history import History
from tests.nb.conftest import BATCH, POOL


def test_every_start_is_a_row_with_its_measured_runtime(batch):
    table = nb.decisions(batch)
    assert len(table) == BATCH + 1
    assert set(table["chosen"]) <= {one.id for one in POOL}
    assert (table["candidates"] == 2).all()
    done = table[table["runtime_s"].notna()]
    assert len(done) == BATCH
    assert (done["runtime_s"] > 0).all()
    told = (done["runtime_p10_s"] <= done["runtime_s"]) & (done["runtime_s"] <= done["runtime_p90_s"])
    assert (done["inside"] == told).all()


def test_what_failed_has_no_measured_runtime(batch):
    failed = nb.decisions(batch).iloc[-1]
    assert math.isnan(failed["runtime_s"])
    assert failed["inside"] is None


def test_a_job_shows_its_candidates_and_why_they_lost(batch):
    job_id = nb.decisions(batch)["job_id"].iloc[0]
    table = nb.decisions(batch, job_id)
    assert sorted(table["resource_id"]) == ["checked", "plain"]
    assert table["chosen"].sum() == 1
    assert nb.decisions(History.read(batch).decision(job_id)).equals(table)


def test_an_open_executor_and_a_future_can_be_asked():
    with Executor(POOL, state="temporary") as executor:
        future = executor.submit(pow, 2, 3)
        assert future.result() == 8
        assert len(nb.decisions(future.decision)) == 2
        assert list(nb.decisions(executor)["job_id"]) == [future.job_id]


def test_an_empty_folder_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="holds no journal"):
        nb.decisions(tmp_path)
    with pytest.raises(InputError, match="got int"):
        nb.decisions(3)


def test_an_unknown_job_is_not_found(batch):
    with pytest.raises(NotFoundError, match="no job"):
        nb.decisions(batch, "zzz")
