"""The forecasters that compete by default, for bins of a given length and a lead of some bins."""

import math

from dnaml.core.errors import InputError
from dnaml.predict.demand.competition import Competition
from dnaml.predict.demand.forecaster import Forecaster
from dnaml.predict.demand.forest import Forest
from dnaml.predict.demand.simple import Recent, Recurring, damped, seasonal, shifted, smoothed

_DAY_S, _WEEK_S = 86_400.0, 7 * 86_400.0


def seasons_of(bin_s: float) -> tuple[int, ...]:
    """Return a day and a week in bins; none where bins are so short that a week of them is never learned from."""
    day = round(_DAY_S / bin_s)
    return (day, 7 * day) if 4 <= day <= 1440 else ()


def simple_forecasters(ahead: int, bin_s: float) -> list[Forecaster]:
    """Return the forecasters that need nothing but numpy."""
    return [
        Recent(memory=168),
        Recent(memory=40),
        smoothed(ahead, 1.0),
        smoothed(ahead, 0.3),
        smoothed(ahead, 0.05),
        damped(ahead),
        Recurring(ahead),
        *(make(ahead, season) for season in seasons_of(bin_s) for make in (seasonal, shifted)),
    ]


def trained_forecasters(ahead: int, bin_s: float, seed: int = 0) -> list[Forecaster]:
    """Return the forecasters that are trained with scikit-learn."""
    seasons = seasons_of(bin_s)
    return [
        Forest("forest by season", ahead, seasons=seasons, seed=seed),
        Forest("forest by found periods", ahead, finds_periods=True, seed=seed),
        Forest("forest of shares", ahead, seasons=seasons, relative=True, seed=seed),
        Forest("forest of late", ahead, seasons=seasons[:1], half_life=120.0, seed=seed),
    ]


def standard(ahead: int, bin_s: float, *, seed: int = 0, trained: bool = True) -> Competition:
    """Return the competition for bins of `bin_s` seconds; without scikit-learn the simple forecasters compete alone."""
    if not (math.isfinite(bin_s) and bin_s > 0):
        raise InputError(f"bins of demand: must be longer than 0 s, got {bin_s}")
    more = trained_forecasters(ahead, bin_s, seed) if trained else []
    return Competition([*simple_forecasters(ahead, bin_s), *more], ahead)
