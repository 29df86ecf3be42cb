"""The map of DNA: alike lies together, a computation points at what suits it, axes say what they measure."""

import numpy as np
import pandas as pd
import pytest

import dnaml
from dnaml import nb
from dnaml.core.errors import InputError

SPECS = {"slow": 1e10, "slow too": 1.1e10, "quick": 1e13}


def machines():
    return [dnaml.Resource(id=name, spec={"fp64_flop_per_s": speed}) for name, speed in SPECS.items()]


def spots(axes):
    return dict(zip((text.get_text() for text in axes.texts), axes.lines[0].get_xydata(), strict=False))


def test_resources_that_supply_alike_lie_together():
    place = spots(nb.dna_map(machines()))
    near = np.linalg.norm(place["slow"] - place["slow too"])
    assert near < 0.3 * np.linalg.norm(place["slow"] - place["quick"])


def test_a_state_folder_shows_its_resources(batch):
    axes = nb.dna_map(batch)
    assert {text.get_text() for text in axes.texts} == {"plain", "checked"}
    assert "standardised" in axes.get_xlabel()


@pytest.fixture(scope="module")
def model():
    rows = [
        {"resource_id": f"r{r}", "computation_id": f"f{c}", "runtime_s": (1.0 + r) * (4.0 if (r + c) % 2 else 1.0)}
        for r in range(4)
        for c in range(4)
    ]
    return dnaml.RuntimePredictor().fit(pd.DataFrame(rows))


def test_a_predictor_gives_its_learned_space_with_computations_as_arrows(model):
    axes = nb.dna_map(model, computations=["f0", "f1"])
    names = {text.get_text() for text in axes.texts}
    assert {"r0", "r1", "r2", "r3", "f0", "f1"} <= names
    assert "ln seconds" in axes.get_xlabel()
    assert "% of the variance" in axes.get_ylabel()


def test_too_few_resources_and_arrows_without_a_model_are_refused():
    with pytest.raises(InputError, match="needs 2 resources"):
        nb.dna_map(machines()[:1])
    with pytest.raises(InputError, match="fitted predictor"):
        nb.dna_map(machines(), computations=["f"])
