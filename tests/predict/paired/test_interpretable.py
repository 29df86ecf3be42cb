"""Raw slots kept beside the model: by the first row of each member, unknown where nothing sensible is said."""

import numpy as np
import pandas as pd
import pytest

from dnaml.core.dna import RAW_SLOTS
from dnaml.core.types import Computation, Kind, Resource
from dnaml.dna.space import computation_dna, resource_dna
from dnaml.predict.paired import interpretable
from dnaml.predict.paired.grid import Entity
from dnaml.predict.paired.interpretable import Described

RUNS = pd.DataFrame(
    {
        "resource_id": ["b", "a", "b"],
        "computation_id": ["f", "f", "g"],
        "runtime_s": 1.0,
        "r_kind": ["gpu", "cpu", "gpu"],
        "r_unit_type": ["no such", None, "no such"],
        "r_memory_bytes": [8e9, 2e9, 16e9],
        "r_power_w": [300.0, np.nan, 300.0],
        "r_fp32_flop_per_s": [1e13, 1e11, 1e13],
        "c_kernel": ["dgemm", "dgemm", "sort"],
        "c_fp64_flop": [1e9, 1e9, np.nan],
        "s_n": [10.0, 10.0, 20.0],
    }
)


def raw(dna):
    return np.asarray(dna.vector[:RAW_SLOTS])


def test_resources_are_described_as_core_resources_are():
    found = Described.of(RUNS, Entity.RESOURCE)
    assert found.names == ("a", "b")
    assert found.runs.tolist() == [1.0, 2.0]
    same = Resource(id="b", kind=Kind.GPU, memory_bytes=int(8e9), power_w=300.0, spec={"fp32_flop_per_s": 1e13})
    np.testing.assert_array_equal(raw(found.resource("b")), raw(resource_dna(same)))
    assert found.resource("b").runs == 2


def test_computations_are_described_as_core_computations_are():
    found = Described.of(RUNS, Entity.COMPUTATION)
    same = Computation(id="f", kernel="dgemm", demand={"fp64_flop": 1e9}, size={"n": 10.0})
    np.testing.assert_array_equal(raw(found.computation("f")), raw(computation_dna(same)))
    assert np.isfinite(raw(found.computation("f"))).any()
    bare = Described.of(RUNS[["resource_id", "computation_id"]], Entity.COMPUTATION)
    np.testing.assert_array_equal(raw(bare.computation("g")), raw(computation_dna(Computation(id="g", kernel="g"))))


def test_a_name_without_a_description_is_unknown_throughout():
    for entity in Entity:
        found = Described.of(RUNS, entity)
        dna = found.resource("x") if entity is Entity.RESOURCE else found.computation("x")
        assert np.isnan(dna.vector).all()
        assert dna.runs == 0


def test_more_runs_add_up_and_the_first_description_stays():
    found = Described.of(RUNS, Entity.RESOURCE)
    more = RUNS.assign(resource_id=["a", "a", "new"], r_memory_bytes=1e12)
    later = found.updated(more, Entity.RESOURCE)
    assert later.names == ("a", "b", "new")
    assert later.runs.tolist() == [3.0, 2.0, 1.0]
    np.testing.assert_array_equal(later.raw[:2], found.raw)
    assert found.runs.tolist() == [1.0, 2.0]
    assert later.updated(RUNS.iloc[:0], Entity.RESOURCE).runs.tolist() == later.runs.tolist()
    again = later.updated(RUNS, Entity.RESOURCE)
    assert again.names == later.names
    assert again.runs.tolist() == [4.0, 4.0, 1.0]


@pytest.mark.parametrize("change", [{"r_memory_bytes": -4.0, "r_power_w": -3.0}, {"r_fp32_flop_per_s": -1.0}])
def test_a_description_that_cannot_be_describes_nothing_or_less_but_never_fails(change):
    found = Described.of(RUNS.assign(**change), Entity.RESOURCE)
    assert not np.isinf(found.raw).any()
    assert found.raw.shape == (2, RAW_SLOTS)


def test_a_negative_demand_describes_nothing():
    found = Described.of(RUNS.assign(c_fp64_flop=-1.0), Entity.COMPUTATION)
    assert np.isnan(found.raw).all()


def test_kinds_of_any_type_are_read():
    odd = RUNS.assign(r_kind=[["gpu"]] * 3, r_unit_type=[{"x": 1}] * 3)
    plain = RUNS.drop(columns=["r_kind", "r_unit_type"])
    np.testing.assert_array_equal(Described.of(odd, Entity.RESOURCE).raw, Described.of(plain, Entity.RESOURCE).raw)


def test_no_more_than_the_largest_number_is_described(monkeypatch):
    monkeypatch.setattr(interpretable, "MOST", 1)
    assert Described.of(RUNS, Entity.RESOURCE).names == ("a",)
    assert Described.of(RUNS.iloc[:0], Entity.RESOURCE).raw.shape == (0, RAW_SLOTS)
