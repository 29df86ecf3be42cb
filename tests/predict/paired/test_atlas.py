"""The atlas: vectors of everything known, whose cosines order resources as predictions do."""

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import InputError
from dnaml.core.types import Objective
from dnaml.dna.geometry import Weights
from dnaml.predict.paired.atlas import Atlas, crossed, medians, members
from dnaml.predict.paired.grid import Entity
from dnaml.predict.paired.interpretable import Described
from dnaml.predict.paired.learned import Learned
from tests.predict.paired.grids import FRAME, PAIRS, frame, learned, one_sided

LEARNT = slice(16, None)
PRICES = {f"r{r}": 0.001 * (1 + r) for r in range(4)}
LATENCY = Weights.of(Objective.of("min_latency"))


def described(runs):
    return {entity.value: Described.of(runs, entity) for entity in Entity}


@pytest.fixture(scope="module")
def atlas():
    return Atlas.of(learned(), described(FRAME), PRICES)


def cosine(a, b):
    a, b = (np.asarray(dna.vector[LEARNT], dtype=float) for dna in (a, b))
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_cosines_order_resources_as_predicted_times_do(atlas):
    log_s = medians(learned(), members(learned(), Entity.COMPUTATION), members(learned(), Entity.RESOURCE))
    for place, name in enumerate(atlas.computations):
        of = atlas.computation_dna(name, LATENCY)
        said = [cosine(of, atlas.resource_dna(r)) for r in atlas.resources]
        assert np.argsort(said)[::-1].tolist() == np.argsort(log_s[place]).tolist()


def test_medians_are_those_of_the_model():
    computations, resources = (members(learned(), entity) for entity in (Entity.COMPUTATION, Entity.RESOURCE))
    log_s = medians(learned(), computations, resources)
    expected = learned().log_quantiles(PAIRS)[0][:, 3].reshape(4, 5).T
    np.testing.assert_allclose(log_s, expected, atol=1e-9)
    rows = crossed(computations, resources)
    assert rows.resource[:4].tolist() == ["r0", "r1", "r2", "r3"]
    assert set(rows.computation[:4]) == {"c0"}


def test_what_ran_since_the_fit_is_placed_too():
    runs = pd.DataFrame({"resource_id": ["new"], "computation_id": ["fresh"], "runtime_s": [3.0]})
    warm = learned().updated(runs)
    found = {name: one.updated(runs, Entity(name)) for name, one in described(FRAME).items()}
    later = Atlas.of(warm, found, PRICES)
    assert later.resources == ("r0", "r1", "r2", "r3", "new")
    assert later.computations[-1] == "fresh"
    assert later.resource_dna("new").runs == 1
    assert later.computation_dna("fresh", LATENCY).owner_id == "fresh"
    assert np.isnan(later.price_usd_per_h[-1])
    assert later.space.version != Atlas.of(learned(), described(FRAME), PRICES).space.version


def test_an_unknown_name_is_refused_with_names_that_are_known(atlas):
    with pytest.raises(InputError, match=r"r9: must be a resource that the predictor knows, such as r0, r1, r2"):
        atlas.resource_dna("r9")
    with pytest.raises(InputError, match="c9: must be a computation"):
        atlas.computation_dna("c9", LATENCY)


def test_a_computation_of_many_sizes_goes_by_its_plain_name():
    runs = frame(3, 2, sizes=(1.0, 8.0)).assign(s_nodes=lambda f: f["s_n"])
    model = Learned.fit(runs)
    found = Atlas.of(model, described(runs), {})
    assert len(found.computations) == 4
    assert found.computation_dna("c1", LATENCY).owner_id == "c1"
    assert found.computation_dna("c1", LATENCY).runs == 6


def test_a_model_of_one_direction_places_both_sides():
    runs = one_sided()
    model = Learned.fit(runs)
    assert len(model.directions) == 1
    found = Atlas.of(model, described(runs), PRICES)
    assert (len(found.resources), len(found.computations)) == (3, 5)
    assert np.isfinite(found.log_s).all()
    assert np.isfinite(found.resource_dna("r1").vector[LEARNT]).all()


def test_scale_outs_of_known_members_are_kept():
    runs = frame(3, 4).assign(r_cores=lambda f: f["resource_id"].str[1].astype(float) + 1)
    model = Learned.fit(runs)
    np.testing.assert_array_equal(members(model, Entity.RESOURCE).scale_out[:, 0], [1.0, 2.0, 3.0])
    more = model.updated(runs.iloc[:1].assign(resource_id="new", r_cores=9.0))
    assert members(more, Entity.RESOURCE).scale_out[-1, 0] == 9.0
