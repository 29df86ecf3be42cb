"""Decisions of a real batch are put beside what their attempts then took."""

import pytest

import dnaml
from dnaml.answers.judged import judged_attempts
from dnaml.core.errors import NotFoundError
from dnaml.history import History
from tests import work


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged") / "state"
    with dnaml.Executor([dnaml.Resource(id="here")], state=folder, cores=1) as executor:
        futures = [executor.submit(work.double, number) for number in range(3)]
        assert [one.result() for one in futures] == [0, 2, 4]
        assert executor.submit(work.raises, "on purpose").exception() is not None
    return History.read(folder)


def test_every_attempt_that_ended_well_is_judged_and_no_other(history):
    found = list(judged_attempts(history))
    assert len(found) == 3
    for one in found:
        view = next(view for view in history.jobs.values() if view.last.ended_at_s == one.at_s)
        assert one.runtime_s == view.last.usage.runtime_s
        assert one.said_s == tuple(sorted(one.said_s))
        assert one.below[2] or not one.inside


def test_the_newest_decisions_alone_can_be_read(history):
    everything = list(history.decisions())
    assert len(everything) == 4
    newest = list(history.decisions(newest_bytes=1))
    assert len(newest) <= 1
    assert [one.attempt_id for one in history.decisions(newest_bytes=10**9)] == [one.attempt_id for one in everything]
    size = history.state.blobs.joinpath("decisions-000001.blobs").stat().st_size
    part = [one.attempt_id for one in history.decisions(newest_bytes=size // 2)]
    assert part == [one.attempt_id for one in everything][-len(part) :]
    assert 1 <= len(part) < 4


def test_a_decision_about_a_resource_it_says_nothing_of_is_not_judged(history):
    from dnaml.answers.judged import judged

    decision = next(iter(history.decisions()))
    assert judged(decision, "k", "elsewhere", 1.0, 0.0) is None
    with pytest.raises(NotFoundError):
        history.decision("nobody")
