"""Forecasters in competition: the better one counts more, levels are calibrated, and scores are what they say."""

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.predict.demand.competition import Calibration, Competition
from dnaml.predict.demand.forecaster import LEVELS, MEDIAN
from dnaml.predict.demand.forest import Forest
from dnaml.predict.demand.scores import mase, pinball, pinballs
from dnaml.predict.demand.simple import Recent, seasonal, smoothed
from dnaml.predict.demand.standard import seasons_of, simple_forecasters, standard, trained_forecasters

DAY = 24


class Fixed:
    """Says one spread for ever."""

    def __init__(self, low: float, high: float) -> None:
        self.name = f"{low}-{high}"
        self._said = low + (high - low) * np.array(LEVELS)

    def observe(self, value: float) -> None:
        """Learn nothing."""

    def forecast(self) -> np.ndarray:
        return self._said


class Silent(Fixed):
    """Never says anything."""

    def forecast(self) -> None:
        return None


def test_the_better_forecaster_counts_more_and_the_silent_one_nothing():
    rng = np.random.default_rng(0)
    made = Competition([Fixed(0, 10), Fixed(20, 30), Silent(0, 1)], 2, calibrates=False)
    for _ in range(200):
        made.observe(float(rng.uniform(0, 10)))
    assert made.weights[0] > 0.99
    assert made.weights[2] == 0
    assert made.forecast()[MEDIAN] == pytest.approx(5.0, abs=0.2)
    assert len(made.names) == 3


def test_another_one_takes_over_when_the_world_changes():
    made = Competition([Fixed(0, 10), Fixed(20, 30)], 1, memory=20)
    for value in [5.0] * 100 + [25.0] * 100:
        made.observe(value)
    assert made.weights[1] > 0.9


def test_nothing_is_said_while_all_are_silent():
    made = Competition([Silent(0, 1)], 1)
    assert made.forecast() is None
    made.observe(1.0)
    made.observe(1.0)
    assert made.forecast() is None
    assert made.weights.tolist() == [0.0]


def test_quantiles_that_are_too_narrow_are_widened():
    rng = np.random.default_rng(1)
    said = np.array(LEVELS)  # of a uniform on [0, 1], while what comes is on [0, 0.5]
    calibration = Calibration()
    for value in rng.uniform(0.0, 0.5, 600).tolist():
        calibration.observe(value, said)
    assert calibration.corrected(said)[LEVELS.index(0.98)] == pytest.approx(0.735, abs=0.03)  # half of the way
    assert Calibration().corrected(said) is said


@pytest.mark.parametrize(
    ("value", "said"), [(-1.0, np.array(LEVELS)), (9.0, np.array(LEVELS)), (0.0, np.zeros(len(LEVELS)))]
)
def test_values_outside_and_on_equal_quantiles_are_counted(value, said):
    calibration = Calibration(least=1)
    calibration.observe(value, said)
    assert calibration.corrected(said).shape == said.shape


def test_pinball_of_one_and_of_many_agree():
    said = np.linspace(0, 10, len(LEVELS))
    values = np.array([1.0, 5.0, 20.0])
    many = pinballs(values, np.tile(said, (3, 1)))
    np.testing.assert_allclose(many, [pinball(value, said) for value in values])
    assert pinball(3.0, np.full(len(LEVELS), 3.0)) == 0


def test_mase_is_relative_to_the_naive_forecast():
    values = np.array([1.0, 2.0, 3.0])
    assert mase(values, values + 0.5, values + 1.0) == pytest.approx(0.5)
    with pytest.raises(InputError, match="never wrong"):
        mase(values, values, values)


def test_bins_have_days_and_weeks_unless_they_are_too_short_or_long():
    assert seasons_of(3600.0) == (24, 168)
    assert seasons_of(86_400.0) == ()
    assert seasons_of(15.0) == ()
    with pytest.raises(InputError, match="longer than 0 s"):
        standard(1, 0.0)


def test_the_competition_beats_the_season_where_there_is_more_to_know():
    """A daily wave on a level that wanders: neither the season nor the level alone suffices."""
    rng = np.random.default_rng(2)
    wave = 60 + 8 * np.sin(np.arange(15 * DAY) * 2 * np.pi / DAY)
    values = np.maximum(0, wave + np.cumsum(rng.normal(0, 0.4, len(wave))))
    forest = Forest("forest", 3, seasons=(DAY,))
    made, naive = Competition([*simple_forecasters(3, 3600.0), forest], 3), seasonal(3, DAY)
    said, plain = [], []
    for value in values.tolist():
        made.observe(value)
        naive.observe(value)
        said.append(made.forecast())
        plain.append(naive.forecast())
    judged = np.arange(5 * DAY, len(values) - 3)
    came = values[judged + 3]
    ours, theirs = np.stack([said[t] for t in judged]), np.stack([plain[t] for t in judged])
    assert pinballs(came, ours).mean() < 0.85 * pinballs(came, theirs).mean()
    assert 0.8 < (came <= ours[:, LEVELS.index(0.9)]).mean() < 0.98


def test_without_training_the_simple_ones_compete_alone():
    assert len(standard(1, 60.0).names) == len(trained_forecasters(1, 60.0)) + len(simple_forecasters(1, 60.0))
    made = standard(1, 60.0, trained=False)
    assert not any("forest" in name for name in made.names)
    assert isinstance(Recent().name, str)
    assert smoothed(1, 0.3).name in made.names


def test_the_past_is_learned_from_without_forecasts_in_between():
    learned = standard(3, 3600.0, trained=False)
    values = (10 + 8 * np.sin(np.arange(12 * DAY) * 2 * np.pi / DAY)).tolist()
    learned.learn(values[:-40])
    assert learned.weights.sum() == 0, "nobody was judged"
    for value in values[-40:]:
        learned.observe(value)
    assert learned.forecast()[MEDIAN] == pytest.approx(14.0, abs=1.0)
