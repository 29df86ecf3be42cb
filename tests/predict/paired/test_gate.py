"""Weights of experts: they sum to one, leave out the silent, follow evidence, and start where nothing was replayed."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.predict.paired.gate import Gate, _Replays, bucket_of, fit_gate, own_signal, own_trust
from dnaml.predict.paired.grid import Task
from dnaml.predict.paired.replay import PROBES, Episode

NAMES = ("latent-low", "rows", "net")
UNKNOWN = np.full(3, np.nan)


def episode(seed, *, errors=(0.1, 0.5, 0.5), probes=3, unseen=False, own=UNKNOWN, asked=10):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=asked)
    nothing = np.zeros(probes + asked)
    asked_of = Task(
        y=np.zeros(probes),
        item=nothing.astype(int),
        item_x=nothing[:, None],
        scale_out=nothing,
        entity_x=np.zeros(1),
        telemetry=np.zeros(0),
    )
    return Episode(
        task=asked_of,
        truth=truth,
        means=truth[:, None] + rng.normal(size=(asked, 3)) * errors,
        sds=np.ones((asked, 3)),
        own_errors=np.asarray(own, dtype=float),
        entity=seed,
        fold=0,
        unseen=unseen,
    )


def shares(gate, probes=3, unseen=False, own=UNKNOWN, answered=(1, 1, 1)):
    return gate.weights(probes, unseen, np.array(answered, dtype=float), np.asarray(own, dtype=float))


def test_weights_sum_to_one_and_silent_experts_have_none():
    gate = Gate.start(NAMES)
    for answered in ((1, 1, 1), (0, 1, 1), (0, 0, 1)):
        found = shares(gate, answered=answered)
        assert found.sum() == pytest.approx(1.0)
        assert (found[np.array(answered) == 0] == 0).all()
    assert not shares(gate, answered=(0, 0, 0)).any()
    spoken = gate.weights_of(np.array([[1.0, np.nan, 2.0]]), UNKNOWN, 3, False)
    assert spoken[1] == 0
    assert sum(gate.shares(5).values()) == pytest.approx(1.0)


def test_an_expert_that_errs_on_the_own_probes_loses_weight_the_more_the_more_probes():
    gate = Gate.start(NAMES)
    erring = (0.5, 0.05, 0.05)
    usual, few, many = shares(gate), shares(gate, 2, own=erring), shares(gate, 20, own=erring)
    assert many[0] < few[0] < usual[0]
    np.testing.assert_allclose(shares(gate, own=(0.2, 0.2, 0.2)), usual)
    assert own_trust(0) == 0
    assert own_trust(5) == 0.5


def test_an_expert_that_cannot_tell_its_error_stands_at_the_others_mean():
    signal = own_signal(np.array([0.1, np.nan, 0.4]))
    assert signal[1] == 0
    assert signal[0] == pytest.approx(-signal[2])
    assert not own_signal(UNKNOWN).any()


@pytest.mark.parametrize(("probes", "bucket"), [(0, 0), (1, 1), (2, 2), (4, 4), (8, 5), (10, 5), (1000, 8)])
def test_numbers_of_probes_fall_into_the_nearest_bucket(probes, bucket):
    assert bucket_of(probes) == bucket


def test_few_replays_leave_the_gate_where_it_starts():
    gate = fit_gate([episode(n) for n in range(5)], NAMES, 1.0, 40)
    np.testing.assert_array_equal(gate.common, Gate.start(NAMES).common)


def test_the_better_expert_gains_weight_and_more_with_many_entities():
    episodes = [episode(n) for n in range(40)]
    start, few, many = (
        shares(g)[0] for g in (Gate.start(NAMES), *(fit_gate(episodes, NAMES, 0.3, e) for e in (4, 400)))
    )
    assert start < few < many
    assert many > 0.5


def test_weights_move_where_an_expert_is_good_only_with_probes_or_only_for_new_items():
    errors = {False: (0.1, 0.5, 0.5), True: (0.5, 0.1, 0.5)}
    episodes = [episode(n, probes=10 if n % 2 else 0, unseen=n % 4 > 1, errors=errors[n % 4 > 1]) for n in range(60)]
    gate = fit_gate(episodes, NAMES, 0.3, 400)
    assert shares(gate, 10, False)[0] > shares(gate, 10, True)[0]
    assert shares(gate, 10, True)[1] > shares(gate, 10, False)[1]
    assert gate.bucket.shape == (len(PROBES), 3)


def test_the_slope_of_the_loss_is_its_derivative():
    silent = episode(3)
    means = silent.means.copy()
    means[:, 1] = np.nan
    data = _Replays([episode(0), episode(1, probes=0), replace(silent, means=means), episode(2, unseen=True)])
    logits = np.random.default_rng(0).normal(size=(4, 3))
    value, slope = data.loss(logits, 0.5)
    for place in np.ndindex(4, 3):
        moved = logits.copy()
        moved[place] += 1e-6
        assert (data.loss(moved, 0.5)[0] - value) / 1e-6 == pytest.approx(slope[place], abs=1e-5)
