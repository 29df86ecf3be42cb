"""The experts of one direction: which ones a grid can carry, and their answers side by side."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from dnaml.predict.paired import members
from dnaml.predict.paired.episodes import fit_nets
from dnaml.predict.paired.grid import Answer
from dnaml.predict.paired.members import Fitted, arrays_of
from dnaml.predict.paired.stacked import NetSettings
from tests.predict.paired.grids import direction, grid, task

QUICK = NetSettings(steps=8, nets=1, rank=2, width=8)


def test_a_small_grid_carries_every_expert_but_the_net_and_scale_outs():
    assert set(direction().fitted.members) == {"latent-low", "latent", "latent-high", "rows", "similarity"}


def test_enough_entities_carry_a_net_and_scale_outs_a_curve(monkeypatch):
    monkeypatch.setattr(members, "fit_nets", partial(fit_nets, settings=QUICK))
    whole = replace(grid(7, 10), scale_out=np.arange(10) % 5 + 1.0)
    use = np.arange(7) < 6
    found = Fitted.of(whole, use)
    assert {"net", "ernest"} <= set(found.members)
    answers = found.answers(task(whole, 6, 3))
    assert set(answers) == set(found.members)
    assert "ernest" not in found.answers(task(whole, 6, 0))
    for answer in answers.values():
        assert np.isfinite(answer.mean).all()
        assert (answer.sd > 0).all()


@pytest.mark.parametrize("entities", [1, 2])
def test_hardly_any_entities_still_leave_sources(entities):
    whole = grid(entities, 6)
    found = Fitted.of(whole, np.ones(entities, dtype=bool))
    assert len(found.sources) == entities
    assert not {"rows", "net"} & set(found.members)
    for answer in found.answers(task(whole, 0, 1)).values():
        assert np.isfinite(answer.mean).all()


def test_other_sources_can_be_asked():
    whole = grid()
    fitted = direction().fitted
    asked = task(whole, 0, 2)
    assert fitted.answers(asked, fitted.sources)["rows"].mean == pytest.approx(fitted.answers(asked)["rows"].mean)


def test_answers_stand_side_by_side_and_what_is_not_a_number_counts_as_silence():
    said = {
        "a": Answer(mean=np.array([1.0, 2.0]), sd=np.array([0.1, 0.2]), own_error=0.3),
        "b": Answer(mean=np.array([1.0, np.inf]), sd=np.ones(2), own_error=0.1),
    }
    means, sds, own = arrays_of(said, ("b", "a", "c"), 2)
    np.testing.assert_array_equal(means[:, 1], [1.0, 2.0])
    np.testing.assert_array_equal(sds[:, 1], [0.1, 0.2])
    assert own[1] == 0.3
    assert np.isnan(means[:, [0, 2]]).all()
    assert np.isnan(own[[0, 2]]).all()
