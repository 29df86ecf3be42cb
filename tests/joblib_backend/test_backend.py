"""joblib and scikit-learn run unchanged on an executor: batches, errors, nesting, lazy input, shared arrays."""

import itertools
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pytest

import dnaml.joblib_backend
from dnaml import nb
from dnaml.client import Executor
from dnaml.core.errors import InputError, UnpicklableError
from dnaml.core.resource import Resource
from dnaml.joblib_backend.backend import DnamlBackend, computation_of_batch
from tests import work

POOL = (Resource(id="one", slots=2), Resource(id="two"))


@pytest.fixture(scope="module")
def executor():
    dnaml.joblib_backend.register()
    with Executor(POOL, state="temporary", cores=2) as opened:
        yield opened


@pytest.fixture
def on_dnaml(executor):
    with joblib.parallel_config(backend="dnaml", executor=executor):
        yield executor


def test_results_come_in_order_and_a_lambda_travels(on_dnaml):
    assert joblib.Parallel()(joblib.delayed(lambda x: x * x)(n) for n in range(20)) == [n * n for n in range(20)]


def test_small_calls_are_taken_together(on_dnaml):
    before = nb.decisions(on_dnaml)["job_id"].nunique()
    assert joblib.Parallel()(joblib.delayed(work.double)(n) for n in range(600)) == [2 * n for n in range(600)]
    assert len(nb.decisions(on_dnaml)) - before < 300


def test_input_is_taken_as_it_is_needed(on_dnaml):
    taken = []

    def calls():
        for number in range(100):
            taken.append(number)
            yield joblib.delayed(work.double)(number)

    results = joblib.Parallel(return_as="generator", batch_size=1, pre_dispatch=4)(calls())
    assert list(itertools.islice(results, 1)) == [0]
    assert len(taken) < 100
    assert list(results) == [2 * n for n in range(1, 100)]


def test_an_error_is_the_users_own_and_the_executor_goes_on(on_dnaml):
    with pytest.raises(ValueError, match="on purpose"):
        joblib.Parallel(batch_size=1)(joblib.delayed(work.raises)("on purpose") for _ in range(8))
    assert joblib.Parallel()([joblib.delayed(work.double)(4)]) == [8]


def test_what_cannot_travel_is_refused_by_name(on_dnaml):
    with pytest.raises(UnpicklableError, match="double cannot be sent"):
        joblib.Parallel(batch_size=1)([joblib.delayed(work.double)(x for x in ())])


def sums(rows):
    """Run a Parallel inside a worker."""
    return sum(joblib.Parallel(n_jobs=4)(joblib.delayed(work.double)(n) for n in range(rows)))


def test_a_parallel_inside_a_worker_runs_in_that_worker(on_dnaml):
    before = nb.decisions(on_dnaml)["job_id"].nunique()
    assert joblib.Parallel(batch_size=1)(joblib.delayed(sums)(n) for n in (3, 4)) == [6, 12]
    assert nb.decisions(on_dnaml)["job_id"].nunique() - before == 2


def mean(values):
    """Return the mean, and whether the array came as a mapped file."""
    return float(values.mean()), isinstance(values, np.memmap)


def test_a_large_array_is_written_once_and_mapped_by_workers(on_dnaml):
    folders = set(Path(tempfile.gettempdir()).glob("dnaml-joblib-*"))
    values = np.arange(200_000, dtype=np.float64)
    found = joblib.Parallel(batch_size=1)(joblib.delayed(mean)(values) for _ in range(3))
    assert found == [(values.mean(), True)] * 3
    assert joblib.Parallel()([joblib.delayed(mean)(values[:10])]) == [(4.5, False)]
    assert set(Path(tempfile.gettempdir()).glob("dnaml-joblib-*")) == folders


def test_scikit_learn_searches_as_it_does_alone(on_dnaml):
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    x, y = make_classification(200, 5, random_state=0)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=3)
    found = search.fit(x, y).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="sequential"):
        np.testing.assert_array_equal(found, search.fit(x, y).cv_results_["mean_test_score"])
    names = nb.decisions(on_dnaml)
    fits = names[names["name"] == "_fit_and_score"]["computation_id"]
    assert fits.str.contains("LogisticRegression").any()


def test_as_many_go_on_at_once_as_there_are_slots(executor):
    backend = DnamlBackend(executor)
    assert backend.effective_n_jobs(-1) == 3
    assert backend.effective_n_jobs(-2) == 2
    assert backend.effective_n_jobs(7) == 7
    assert backend.effective_n_jobs(None) == 1
    with pytest.raises(ValueError, match="has no meaning"):
        backend.effective_n_jobs(0)


def test_the_innermost_open_executor_is_used():
    dnaml.joblib_backend.register()
    with Executor(POOL, state="temporary") as opened, joblib.parallel_backend("dnaml", name="mine"):
        assert joblib.Parallel()([joblib.delayed(work.double)(1)]) == [2]
        assert list(nb.decisions(opened)["name"]) == ["mine"]


def test_an_empty_batch_names_no_computation():
    class Empty:
        items = ()

    with pytest.raises(InputError, match="must hold a call"):
        computation_of_batch(Empty())
