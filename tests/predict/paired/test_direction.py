"""One direction as a whole: better than effects alone, honest about it, and a joint answer that agrees."""

import numpy as np
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.predict.paired.direction import Direction
from dnaml.predict.paired.grid import Task
from tests.predict.paired.grids import HIDDEN_SD, NOISE_SD, direction, grid, only, task, unseen

P10, P50, P90 = (LEVELS.index(level) for level in (0.1, 0.5, 0.9))
TARGETS = 40


def target(number, probes):
    """Return a task about an entity that no fit saw, drawn as the known ones were, and the truth."""
    rng = np.random.default_rng(100 + number)
    whole = direction().grid
    x = rng.normal(size=2)
    raw = whole.items.raw
    speed = x[0] + HIDDEN_SD * rng.normal()
    y = 1.0 + raw[:, 0] - speed + 0.4 * x[1] * raw[:, 1] + rng.normal(0, NOISE_SD, len(raw))
    order = rng.permutation(len(raw))
    found = Task(
        y=y[order[:probes]],
        item=order,
        item_x=whole.items.x[order],
        scale_out=whole.scale_out[order],
        entity_x=whole.entities.scale(x[None])[0],
        telemetry=np.zeros(0),
    )
    return found, y[order[probes:]]


def replayed(probes, change=lambda asked: asked):
    rows, truths = [], []
    for number in range(TARGETS):
        asked, truth = target(number, probes)
        rows.append(direction().quantiles(change(asked)))
        truths.append(truth)
    return np.concatenate(rows), np.concatenate(truths)


def test_probes_bring_the_error_down_and_intervals_cover():
    errors = {}
    for probes in (0, 1, 5):
        rows, truth = replayed(probes)
        errors[probes] = np.median(np.abs(rows[:, P50] - truth))
        assert (np.diff(rows, axis=1) >= 0).all()
        assert ((rows[:, P10] <= truth) & (truth <= rows[:, P90])).mean() >= 0.55  # stated: 80 %
    assert errors[5] < errors[1] < errors[0]
    assert errors[5] < 0.15


def test_items_never_seen_are_answered_from_their_descriptors():
    new, truth = replayed(3, unseen)
    assert np.isfinite(new).all()
    assert np.median(np.abs(new[:, P50] - truth)) < np.abs(truth - np.median(truth)).mean()


@pytest.mark.parametrize("probes", [0, 1, 4])
def test_the_joint_answer_has_the_blends_mean_and_a_true_covariance(probes):
    asked, _ = target(0, probes)
    mean, covariance, noise = direction().joint(asked)
    np.testing.assert_allclose(mean, direction().blend(asked).mean)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
    assert (np.diag(covariance) > 0).all()
    assert (noise > 0).all()


def test_one_pair_at_a_time_gives_the_same_answer():
    asked, _ = target(3, 4)
    together = direction().quantiles(asked)
    for place in range(asked.asked):
        np.testing.assert_allclose(direction().quantiles(only(asked, place))[0], together[place], rtol=0, atol=1e-9)


def test_the_order_of_probes_changes_nothing():
    asked, _ = target(4, 5)
    order = np.r_[np.arange(5)[::-1], np.arange(5, len(asked.item))]
    turned = Task(
        y=asked.y[::-1],
        item=asked.item[order],
        item_x=asked.item_x[order],
        scale_out=asked.scale_out[order],
        entity_x=asked.entity_x,
        telemetry=asked.telemetry,
    )
    np.testing.assert_allclose(direction().quantiles(turned), direction().quantiles(asked), atol=1e-9)


def test_a_grid_too_small_to_hold_anything_out_has_no_direction():
    assert Direction.fit(grid(2, 12)) is None
    assert Direction.fit(grid(4, 2)) is None


def test_a_direction_over_a_grid_with_gaps_answers_for_its_own_entities():
    whole = grid(4, 6, gaps=0.2)
    found = Direction.fit(whole)
    rows = found.quantiles(task(whole.with_items(np.flatnonzero(whole.known[0])), 0, 2))
    assert np.isfinite(rows).all()
