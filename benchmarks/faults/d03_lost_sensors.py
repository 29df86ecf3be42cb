"""D3: sensors stick, fail or vanish while work runs; what they told is missing, and every decision is made."""

import random
from pathlib import Path

import numpy as np

from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.core.types import Computation, Kind, Resource
from dnaml.datasets.samples import SampleStore
from dnaml.dna.space import SLOTS, resource_dna
from dnaml.predict.placing import LivePredictor
from dnaml.telemetry.refresh import refreshed
from dnaml.telemetry.sampler import Sampler, Source

ID = "D3"
RUNS = {Tier.QUICK: 40, Tier.SOAK: 5_000}
_SPEC = {
    "clock_average_hz": 3e9,
    "fp32_flop_per_s": 1e11,
    "fp64_flop_per_s": 5e10,
    "sequential_bytes_per_s": 2e10,
    "random_access_per_s": 1e8,
}
_SLOTS = ("clock_average", "fp32", "fp64", "sequential_bandwidth", "random_access")
_PLACES = [SLOTS.index(name) for name in _SLOTS]
_WORK = Computation(id="fit", kernel="fit", demand={"flop": 1e9})


class Sensor:
    """A collector that a drawn fault strikes after some samples: it raises, tells nothing, sticks or tells nonsense."""

    def __init__(self, chance: random.Random) -> None:
        self._after = chance.randint(0, 3)
        self.fault = chance.choice(("raises", "vanishes", "sticks", "nan"))
        self._told = 0

    def sample(self) -> dict[str, float]:
        """Return what the sensor shows now."""
        self._told += 1
        if self._told <= self._after or self.fault == "sticks":
            return {"gpu0_power_w": 100.0 + min(self._told, self._after), "gpu0_busy_share": 0.5}
        if self.fault == "raises":
            raise OSError("the driver is gone")
        return {} if self.fault == "vanishes" else {"gpu0_power_w": float("nan")}


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Strike sensors in the middle of sampling, and features of resources at random; decide each time."""
    chance = random.Random(seed)
    stored_wrong = undecided = without_dna = silenced = 0
    for run in range(runs):
        rows = _sampled(folder / f"samples-{run}.sqlite", Sensor(chance))
        stored_wrong += sum(not np.isfinite(value) for metrics in rows for value in metrics.values())
        silenced += not any("steady_s" in metrics for metrics in rows[-2:])
        known = {name: value for name, value in _SPEC.items() if chance.random() < 0.5}
        kind = chance.choice((Kind.CPU, Kind.GPU))
        here = Resource(id="r0", kind=kind, spec=known)
        told = np.isfinite(resource_dna(here).vector[_PLACES])
        without_dna += told.tolist() != [name in known for name in _SPEC]
        if kind is Kind.GPU:
            refreshed([here], at_s=1.0 + run)  # without a driver the state says that nothing is known
        answer = LivePredictor().predict([_WORK], [here, Resource(id="r1", spec=_SPEC)])
        undecided += not (np.isfinite(answer.runtime_s.values).all() and answer.feasible.all())
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="sensors that stick, fail or vanish",
        figures=(
            Bar(name="decisions_missed", value=float(undecided), unit="decisions", bar=0.0),
            Bar(name="nonsense_stored", value=float(stored_wrong), unit="values", bar=0.0),
            Bar(name="other_sensors_silenced", value=float(silenced), unit="runs", bar=0.0),
            Bar(name="dna_not_as_far_as_known", value=float(without_dna), unit="", bar=0.0),
        ),
    )


class _Steady:
    """A collector that always works."""

    def sample(self) -> dict[str, float]:
        """Return one value."""
        return {"steady_s": 1.0}


def _sampled(path: Path, broken: Sensor) -> list[dict[str, float]]:
    """Take six rounds of a broken sensor beside a steady one; return what was stored."""
    with SampleStore(path) as store:
        sampler = Sampler(store, period_s=60.0)
        sampler.add(Source(resource_id="gpu0", attempt_id=None, collector=broken))
        sampler.add(Source(resource_id="cpu0", attempt_id=None, collector=_Steady()))
        for _ in range(6):
            sampler.poll()
        sampler.stop()
        return [dict(sample.metrics) for sample in store.rows()]
