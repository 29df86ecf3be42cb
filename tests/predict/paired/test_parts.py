"""Everything that a fitted learned model is made of can be stored, and answers as before once it is read again."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial

import numpy as np
import pytest

from dnaml.predict.paired import members
from dnaml.predict.paired.episodes import fit_nets
from dnaml.predict.paired.interpretable import Described
from dnaml.predict.paired.learned import Learned
from dnaml.predict.paired.parts import PARTS
from dnaml.predict.paired.stacked import NetSettings
from dnaml.predict.weights import by_name, load_model, save_model
from tests.predict.paired.grids import frame

QUICK = NetSettings(steps=8, nets=1, rank=2, width=8)
RUNS = frame(7, 5, telemetry=True).assign(
    s_nodes=lambda f: f["computation_id"].str[1].astype(float) + 1, group=lambda f: "g" + f["resource_id"]
)


def classes_in(value):
    """Return the classes of dataclasses anywhere inside a value."""
    if isinstance(value, Mapping):
        return set().union(*(classes_in(v) for v in value.values()), set())
    if isinstance(value, tuple):
        return set().union(*(classes_in(v) for v in value), set())
    if is_dataclass(value):
        return {type(value)}.union(*(classes_in(getattr(value, f.name)) for f in fields(value)))
    return set()


@pytest.fixture(scope="module")
def model():
    """Return a model with every expert, its net hardly trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "fit_nets", partial(fit_nets, settings=QUICK))
        found = Learned.fit(RUNS.drop(columns="group"))
    assert found is not None
    return found


def test_every_class_of_a_fitted_model_can_be_stored(model):
    assert {"net", "ernest", "rows", "similarity", "latent"} <= set(model.directions["resource"].fitted.members)
    assert classes_in(model) <= set(PARTS)
    assert set(PARTS) - classes_in(model) == {Described}


def test_a_stored_model_answers_and_goes_on_learning_to_the_last_bit(model, tmp_path):
    new = frame(8, 5, telemetry=True).iloc[-4:]
    warm = model.updated(new.iloc[:1])
    save_model(tmp_path, warm)
    loaded = load_model(tmp_path, by_name(*PARTS))
    asked = frame(9, 6)
    np.testing.assert_allclose(loaded.log_quantiles(asked)[0], warm.log_quantiles(asked)[0], rtol=0, atol=1e-12)
    assert loaded.log_quantiles(asked)[1] == warm.log_quantiles(asked)[1]
    later, still = (of.updated(new.iloc[1:]).log_quantiles(asked)[0] for of in (loaded, warm))
    np.testing.assert_allclose(later, still, rtol=0, atol=1e-12)
    assert loaded.weights == warm.weights
    assert loaded.runs == warm.runs


def test_names_of_parts_differ():
    assert len(by_name(*PARTS)) == len(PARTS)
