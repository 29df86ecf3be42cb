"""Calibration is drawn from decisions that ran, or from a predictor and runs it did not learn from."""

import numpy as np
import pandas as pd
import pytest

import dnaml
from dnaml import nb
from dnaml.core.errors import InputError
from tests.nb.conftest import BATCH


class Exact:
    """Answers runtime times (level + 0.5): the truth lies at the median."""

    def update(self, probes):
        return self

    def predict_quantiles(self, pairs, levels):
        return pd.DataFrame({level: pairs["s_size"] * (level + 0.5) for level in levels}, index=pairs.index)


def drawn(axes):
    line = axes.lines[1]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def test_decisions_are_judged_at_the_three_levels_that_they_keep(batch):
    axes = nb.calibration(batch)
    stated, met = drawn(axes)
    np.testing.assert_allclose(stated, [0.1, 0.5, 0.9])
    assert (np.diff(met) >= 0).all()
    assert axes.get_title() == f"{BATCH} runs"
    assert "share of runs" in axes.get_xlabel()


def test_a_predictor_is_judged_by_runs(batch):
    runs = pd.DataFrame({"resource_id": "a", "computation_id": "f", "runtime_s": [1.0, 2.0], "s_size": [1.0, 2.0]})
    stated, met = drawn(nb.calibration(Exact(), runs))
    np.testing.assert_array_equal(met, stated >= 0.5)


def test_axes_that_are_given_are_drawn_on(batch):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    assert nb.calibration(batch, ax=axes) is axes


def test_a_folder_in_which_nothing_ended_well_is_refused(tmp_path):
    with dnaml.Executor([dnaml.Resource(id="a")], state=tmp_path / "state") as executor:
        executor.submit(divmod, 1, 0).exception()
    with pytest.raises(InputError, match="no decided attempt"):
        nb.calibration(tmp_path / "state")
    lost = pd.DataFrame({"resource_id": ["a"], "computation_id": ["f"], "runtime_s": [1.0], "failed": [True]})
    with pytest.raises(InputError, match="no run tells"):
        nb.calibration(Exact(), lost)
