"""What runs drew, learned beside runtime: energy of further pairs, and what it costs."""

import numpy as np
import pandas as pd
import pytest

from dnaml.predict.cost import KWH_J
from dnaml.predict.drawn import ENERGY, energies, energy_usd, with_drawn
from dnaml.predict.outcomes import lognormal_quantiles
from dnaml.predict.power import Power
from dnaml.predict.runtime import RuntimePredictor
from dnaml.predict.unmeasured import log_quantiles

DRAWN = {"old": 200.0, "new": 50.0}


def runs(**more):
    rows = [
        {"resource_id": r, "computation_id": f"c{c}", "runtime_s": 2.0 + c, ENERGY: DRAWN[r] * (2.0 + c)}
        for r in DRAWN
        for c in range(6)
    ]
    return pd.DataFrame(rows).assign(r_power_w=150.0, **more)


PAIRS = pd.DataFrame({"resource_id": ["old", "new", "other"], "computation_id": "c9", "r_power_w": 150.0})


def test_energy_is_runtime_times_what_the_resource_drew():
    power = with_drawn(Power(), runs())
    seconds = lognormal_quantiles(np.zeros(3), np.full(3, 0.1))
    found = energies(power, PAIRS, seconds)
    assert set(found) == {ENERGY, f"{ENERGY}_p10", f"{ENERGY}_p90"}
    np.testing.assert_allclose(found[ENERGY][:2], [200.0, 50.0], rtol=0.25)
    assert 50.0 < found[ENERGY][2] < 200.0
    assert (found[f"{ENERGY}_p10"] < found[ENERGY]).all()
    assert (found[f"{ENERGY}_p90"] > found[ENERGY]).all()


def test_a_table_without_energy_says_nothing_of_it():
    for frame in (runs().drop(columns=ENERGY), runs().assign(**{ENERGY: np.nan})):
        power = with_drawn(Power(), frame)
        assert energies(power, PAIRS, np.ones((3, 7))) == {}


def test_energy_costs_where_its_price_is_known():
    joules, tariff = np.full(3, KWH_J), [0.3, np.nan, -1.0]
    np.testing.assert_allclose(energy_usd(joules, PAIRS.assign(r_energy_usd_per_kwh=tariff)), [0.3, 0.0, 0.0])
    np.testing.assert_allclose(energy_usd(joules, PAIRS), 0.0)


def test_the_public_predictor_tells_energy_and_puts_it_into_cost(tmp_path):
    model = RuntimePredictor(seed=0).fit(runs(price_usd_per_s=0.0))
    told = model.predict(PAIRS.assign(r_energy_usd_per_kwh=0.36))
    np.testing.assert_allclose(told["cost_usd"][:2], told[ENERGY][:2] * 1e-7)
    assert 3.0 < told[ENERGY][0] / told[ENERGY][1] < 5.0
    more = model.update(
        pd.DataFrame({"resource_id": ["new"] * 4, "computation_id": [f"c{n}" for n in range(4)]}).assign(
            runtime_s=1.0, energy_j=400.0, r_power_w=150.0
        )
    )
    assert more.predict(PAIRS)[ENERGY][1] > 1.2 * told[ENERGY][1]
    more.save(tmp_path / "model")
    again = RuntimePredictor.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(PAIRS), more.predict(PAIRS))
    assert ENERGY not in RuntimePredictor(seed=0).fit(runs().drop(columns=ENERGY)).predict(PAIRS)


def test_where_nothing_ran_the_bound_is_the_guess_and_else_the_specs():
    pairs = pd.DataFrame(
        {"c_fp32_flop": [8e10, np.nan], "r_fp32_flop_per_s": [8e10, 8e10], "resource_id": "a", "computation_id": "f"}
    )
    found = np.exp(log_quantiles(pairs))
    assert found[0, 3] == pytest.approx(2.0, rel=0.05)
    assert found[1, 3] == pytest.approx(1.0, rel=0.05)
    assert found[1, 6] / found[1, 0] > found[0, 6] / found[0, 0]
