"""Features of resources and computations: log scales, one-hots, masks."""

import numpy as np
import pytest

from dnaml.core.resource import Kind, Resource, ResourceState, UnitType
from dnaml.core.work import Computation
from dnaml.dna.features import (
    COMPUTATION_COLUMNS,
    NAME_BUCKETS,
    RESOURCE_COLUMNS,
    SPEC_KEYS,
    computation_row,
    resource_row,
)


def named_r(resource: Resource, state: ResourceState | None = None) -> dict[str, float]:
    return dict(zip(RESOURCE_COLUMNS, resource_row(resource, state).tolist(), strict=True))


def named_c(computation: Computation) -> dict[str, float]:
    return dict(zip(COMPUTATION_COLUMNS, computation_row(computation).tolist(), strict=True))


def test_rates_are_in_log2_and_kinds_are_one_hot() -> None:
    row = named_r(Resource(id="gpu0", kind=Kind.GPU, unit_type=UnitType.TENSOR_CORE, spec={"fp32_flop_per_s": 2.0**40}))
    assert row["log2_fp32_flop_per_s"] == 40.0
    assert (row["kind_gpu"], row["kind_cpu"], row["unit_tensor_core"], row["unit_avx2"]) == (1.0, 0.0, 1.0, 0.0)


def test_what_is_unknown_is_nan_and_never_zero() -> None:
    row = named_r(Resource(id="r"))
    assert all(np.isnan(row[f"log2_{key}"]) for key in SPEC_KEYS)
    assert np.isnan(row["unit_avx2"])
    assert np.isnan(row["error_rate"])
    assert np.isnan(named_r(Resource(id="r", spec={"fp32_flop_per_s": 0.0}))["log2_fp32_flop_per_s"])


def test_a_refresh_brings_load_errors_and_todays_price() -> None:
    resource = Resource(id="r", price_usd_per_h=1.0)
    row = named_r(resource, ResourceState(resource_id="r", at_s=0.0, load=0.5, error_rate=0.25, price_usd_per_h=4.0))
    assert (row["load"], row["error_rate"], row["log2_price_usd_per_h"]) == (0.5, 0.25, 2.0)
    assert named_r(resource, ResourceState(resource_id="r", at_s=0.0))["log2_price_usd_per_h"] == 0.0


def test_a_demand_of_nothing_is_known() -> None:
    row = named_c(Computation(id="c", kernel="k", demand={"read_bytes": 0.0, "flop": 1023.0, "cpu_share": 0.0}))
    assert (row["log2_read_bytes"], row["log2_flop"], row["cpu_share"]) == (0.0, 10.0, 0.0)
    assert np.isnan(row["log2_written_bytes"])
    assert np.isnan(row["gpu_share"])


def test_what_cannot_be_is_masked() -> None:
    assert np.isnan(named_c(Computation(id="c", kernel="k", memory_bytes=None))["log2_memory_bytes"])
    state = ResourceState(resource_id="r", at_s=0.0, load=float("nan"))
    assert np.isnan(named_r(Resource(id="r"), state)["load"])


def test_alike_names_look_alike() -> None:
    def buckets(kernel: str) -> np.ndarray:
        return computation_row(Computation(id="c", kernel=kernel))[-NAME_BUCKETS:]

    near = np.linalg.norm(buckets("sort_rows_fast") - buckets("sort_rows_slow"))
    assert near < np.linalg.norm(buckets("sort_rows_fast") - buckets("kmeans"))
    assert buckets("k").sum() == pytest.approx(1.0)
