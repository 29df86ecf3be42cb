"""What runs of a table drew, and what further pairs will: power learned beside runtime, energy, and its cost.

Power enters where the table tells `energy_j`; the rated power of a resource is `r_power_w`, what a kWh costs there
`r_energy_usd_per_kwh`.
"""

from typing import TYPE_CHECKING

import numpy as np

from dnaml.core.prediction import LEVELS
from dnaml.predict.cost import KWH_J
from dnaml.predict.design import numbers
from dnaml.predict.outcomes import FloatArray
from dnaml.predict.power import Power, energy_j

if TYPE_CHECKING:
    import pandas as pd

ENERGY = "energy_j"
MEDIAN, P10, P90 = (LEVELS.index(level) for level in (0.5, 0.1, 0.9))


def with_drawn(power: Power, frame: "pd.DataFrame") -> Power:
    """Return what is known of power after further runs of a run table; the same without any energy in it."""
    if ENERGY not in frame:
        return power
    told = frame[np.isfinite(numbers(frame, [ENERGY])[:, 0])]
    if len(told) == 0:
        return power
    watts = numbers(told, [ENERGY])[:, 0] / told["runtime_s"].to_numpy(dtype=np.float64)
    return power.updated(*_names(told), watts, numbers(told, ["r_power_w"])[:, 0])


def energies(power: Power, pairs: "pd.DataFrame", runtime_s: FloatArray) -> dict[str, FloatArray]:
    """Return the columns of energy [N] for runtimes [N, Q] at LEVELS: median, p10 and p90; none before any was told."""
    if not power.cells:
        return {}
    mean, sd = power.log_watts(*_names(pairs), numbers(pairs, ["r_power_w"])[:, 0])
    joules = energy_j(runtime_s, mean, sd)
    return {ENERGY: joules[:, MEDIAN], f"{ENERGY}_p10": joules[:, P10], f"{ENERGY}_p90": joules[:, P90]}


def energy_usd(joules: FloatArray, pairs: "pd.DataFrame") -> FloatArray:
    """Return what energy [N] costs where the pair says what a kWh costs, else nothing."""
    tariff = numbers(pairs, ["r_energy_usd_per_kwh"])[:, 0]
    return joules * np.where(tariff > 0, tariff, 0.0) / KWH_J


def _names(frame: "pd.DataFrame") -> "tuple[np.ndarray, np.ndarray]":
    both = (frame[name].to_numpy(dtype=object).astype(str) for name in ("resource_id", "computation_id"))
    resource, computation = both
    return resource, computation
