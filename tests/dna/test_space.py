"""The interpretable slots of both DNAs, and matching by them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core.dna import DNA_LENGTH, RAW_SLOTS, ComputationDNA, ResourceDNA
from dnaml.core.errors import DnaVersionError, InputError
from dnaml.core.resource import Resource, ResourceState, UnitType
from dnaml.core.work import Computation
from dnaml.dna.space import (
    BOUNDS,
    SLOTS,
    UNIT_CLASS,
    Metric,
    Part,
    computation_dna,
    match,
    resource_dna,
    similarities,
    similarity,
)

FULL_SPEC = {
    "cores": 8.0,
    "clock_average_hz": 2e9,
    "clock_boost_hz": 4e9,
    "fp64_flop_per_s": 1e11,
    "fp32_flop_per_s": 2e11,
    "bf16_flop_per_s": 4e11,
    "int8_op_per_s": 8e11,
    "sequential_bytes_per_s": 1e10,
    "random_access_per_s": 1e8,
    "disk_write_bytes_per_s": 1e9,
    "network_bytes_per_s": 1e9,
}


def full(**changes: Any) -> Resource:
    fields: dict[str, Any] = {
        "id": "r",
        "unit_type": UnitType.AVX512,
        "memory_bytes": 2**34,
        "latency_s": 1e-4,
        "power_w": 100.0,
        "price_usd_per_h": 1.0,
        "spec": FULL_SPEC,
    }
    return Resource(**(fields | changes))


def supply(resource: Resource, state: ResourceState | None = None) -> dict[str, float]:
    return dict(zip(SLOTS, resource_dna(resource, state).vector.tolist(), strict=False))


def demand(**given: float) -> dict[str, float]:
    vector = computation_dna(Computation(id="c", kernel="k", demand=given)).vector
    return dict(zip(SLOTS, vector.tolist(), strict=False))


def test_there_are_sixteen_slots_and_the_learned_ones_are_unknown() -> None:
    assert len(SLOTS) == RAW_SLOTS
    assert set(BOUNDS) == set(SLOTS) - {"unit_class", "reliability"}
    assert set(UNIT_CLASS) == set(UnitType)
    vector = resource_dna(full(), ResourceState(resource_id="r", at_s=3.0, error_rate=0.1)).vector
    assert vector.shape == (DNA_LENGTH,)
    assert not np.isnan(vector[:RAW_SLOTS]).any()
    assert np.isnan(vector[RAW_SLOTS:]).all()


def test_slots_lie_between_zero_and_one_on_a_log_scale() -> None:
    found = supply(full())
    assert all(0.0 <= value <= 1.0 for name, value in found.items() if name != "reliability")
    assert found["boost_ratio"] == pytest.approx(0.5)  # 2 between 1 and 4
    assert found["memory_size"] == pytest.approx(0.5)  # 2^34 between 2^26 and 2^42
    assert found["low_precision"] == pytest.approx(np.log10(8e11 / 1e8) / 9)


def test_cheaper_and_nearer_is_more() -> None:
    assert supply(full(price_usd_per_h=0.0))["price"] == 1.0
    assert supply(full(price_usd_per_h=0.1))["price"] > supply(full())["price"]
    assert supply(full(latency_s=1.0))["control_latency"] < supply(full())["control_latency"]


def test_what_nobody_measured_is_nan() -> None:
    found = supply(Resource(id="r"))
    assert {name for name, value in found.items() if not np.isnan(value)} == {"parallel_width"}
    assert np.isnan(supply(full(spec={**FULL_SPEC, "random_access_per_s": 0.0}))["random_access"])


def test_one_resource_more_moves_no_other() -> None:
    alone = resource_dna(full()).vector
    resource_dna(full(spec={**FULL_SPEC, "fp64_flop_per_s": 1e15}))
    np.testing.assert_array_equal(alone, resource_dna(full()).vector)


def test_the_moment_brings_price_errors_and_time() -> None:
    state = ResourceState(resource_id="r", at_s=7.0, error_rate=0.25, price_usd_per_h=10.0)
    dna = resource_dna(full(), state, runs=3)
    assert (dna.at_s, dna.runs) == (7.0, 3)
    assert supply(full(), state)["reliability"] == 0.75
    assert supply(full(), state)["price"] < supply(full())["price"]


def test_bandwidth_to_the_node_serves_where_no_network_rate_was_measured() -> None:
    spec = {key: value for key, value in FULL_SPEC.items() if key != "network_bytes_per_s"}
    assert supply(full(spec=spec, bandwidth_bytes_per_s=1e9))["network_rate"] == supply(full())["network_rate"]


def test_demand_sums_to_one_over_what_is_known() -> None:
    found = demand(
        flop=1e12, fp64_share=0.5, fp32_share=0.5, low_precision_share=0.0, parallelism=2.0, random_share=0.2
    )
    known = [value for value in found.values() if not np.isnan(value)]
    assert sum(known) == pytest.approx(1.0)
    assert np.isnan(found["io_rate"])
    assert found["low_precision"] == 0.0
    assert found["fp64"] == pytest.approx(2 * found["fp32"]), "the same flops take twice as long in double precision"


def test_the_bottleneck_is_the_largest_slot() -> None:
    reading = demand(flop=1e6, fp64_share=1.0, fp32_share=0.0, read_bytes=1e10, written_bytes=0.0)
    assert max((name for name in reading if reading[name] == reading[name]), key=reading.__getitem__) == "io_rate"
    chasing = demand(flop=1e9, fp64_share=1.0, random_share=0.9, sequential_share=0.05, transferred_bytes=1e3)
    assert max((name for name in chasing if chasing[name] == chasing[name]), key=chasing.__getitem__) == "random_access"


def test_flops_of_unknown_precision_are_masked_and_none_at_all_is_known() -> None:
    assert np.isnan(demand(flop=1e9, random_share=0.5)["fp64"])
    assert demand(flop=0.0, random_share=0.5)["fp64"] == 0.0


def test_flops_counted_by_precision_need_no_mix() -> None:
    found = demand(fp64_flop=4e10, fp32_flop=8e10, read_bytes=0.0)
    assert found["fp64"] == found["fp32"] == 0.5
    assert np.isnan(found["low_precision"])


def test_without_flops_time_divides_by_how_busy_the_processor_is() -> None:
    found = demand(cpu_share=0.25, fp64_share=1.0, fp32_share=0.0, read_bytes=3e9, written_bytes=0.0)
    assert (found["fp64"], found["io_rate"]) == (0.25, 0.75)
    assert demand(fp64_share=0.5, fp32_share=0.5)["fp64"] == 0.5


def test_a_share_of_parallel_work_outranks_the_count_of_busy_cores() -> None:
    found = demand(parallel_share=0.25, parallelism=8.0)
    assert (found["parallel_width"], found["clock_average"]) == (0.25, 0.75)


def test_a_computation_that_uses_a_gpu_demands_its_units() -> None:
    assert demand(gpu_share=0.5, parallelism=1.0)["unit_class"] == pytest.approx(0.5 / 1.5)
    assert demand(gpu_share=0.5, unit_need=0.0, parallelism=1.0)["unit_class"] == 0.0


def test_a_wide_computation_demands_width_and_a_narrow_one_clock() -> None:
    wide, narrow = demand(parallelism=8.0), demand(parallelism=1.0)
    assert wide["parallel_width"] > wide["clock_average"]
    assert narrow["clock_average"] == 1.0
    assert demand(parallelism=4.0, clock_need=0.0)["clock_average"] == 0.0, "what the author declares wins"


def test_memory_is_demanded_by_its_peak_or_by_what_was_declared() -> None:
    declared = computation_dna(Computation(id="c", kernel="k", memory_bytes=2**34)).vector[SLOTS.index("memory_size")]
    assert declared == 1.0  # the only need known
    both = demand(peak_memory_bytes=2.0**34, parallelism=1.0)
    assert both["memory_size"] == pytest.approx(0.5 / 1.5)


def test_a_computation_of_which_nothing_is_known_has_no_dna() -> None:
    assert np.isnan(computation_dna(Computation(id="c", kernel="k")).vector).all()
    assert np.isnan(computation_dna(Computation(id="c", kernel="k", demand={"flop": 0.0})).vector).all()


def dna(cls: type, values: list[float], version: str = "raw-1") -> Any:
    vector = np.full(DNA_LENGTH, np.nan, dtype=np.float32)
    vector[: len(values)] = values
    return cls(owner_id="x", vector=vector, version=version)


nan = float("nan")


def test_cosine_compares_only_slots_known_on_both_sides() -> None:
    wanted, offered = dna(ComputationDNA, [3.0, nan, 4.0]), dna(ResourceDNA, [4.0, 9.0, 3.0])
    assert similarity([wanted], [offered])[0, 0] == pytest.approx(24 / 25)


def test_euclidean_puts_the_largest_demand_at_full_supply() -> None:
    wanted = dna(ComputationDNA, [0.25, 0.5, nan])
    found = similarity([wanted], [dna(ResourceDNA, [0.5, 1.0, 0.3]), dna(ResourceDNA, [0.5, 0.0, 0.3])], "euclidean")
    np.testing.assert_allclose(found[0], [1.0, 1 / (1 + np.sqrt(0.5))])


def test_a_pool_is_compared_at_once() -> None:
    jobs = [Computation(id=f"c{i}", kernel="k", demand={"random_share": share}) for i, share in enumerate((0.0, 1.0))]
    pool = [full(id="a"), full(id="b", spec={}), full(id="c")]
    found = similarities(jobs, pool)
    assert found.shape == (2, 3)
    assert found[1, 0] == pytest.approx(match(jobs[1], pool[:1])[0].similarity)
    assert found[1, 1] == 0.0


def test_nothing_in_common_is_not_alike() -> None:
    wanted = dna(ComputationDNA, [1.0])
    for metric in Metric:
        assert similarity([wanted], [dna(ResourceDNA, [nan, 1.0])], metric)[0, 0] == 0.0
    assert similarity([dna(ComputationDNA, [0.0])], [dna(ResourceDNA, [1.0])])[0, 0] == 0.0


def test_versions_never_mix() -> None:
    with pytest.raises(DnaVersionError, match="raw-1, raw-2"):
        similarity([dna(ComputationDNA, [1.0])], [dna(ResourceDNA, [1.0], "raw-2")])


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="cosine, euclidean, got 'manhattan'"):
        match(Computation(id="c", kernel="k"), [full()], metric="manhattan")


def test_match_names_the_k_best_first() -> None:
    wanted = Computation(id="c", kernel="k", demand={"random_share": 1.0, "flop": 0.0})
    pool = [
        full(
            id="bandwidth", spec={"sequential_bytes_per_s": 1e13, "random_access_per_s": 2e5, "fp64_flop_per_s": 1e14}
        ),
        full(id="access", spec={"sequential_bytes_per_s": 1e9, "random_access_per_s": 1e11, "fp64_flop_per_s": 1e9}),
        full(id="unknown", spec={}, unit_type=None),
    ]
    for metric in ("cosine", "euclidean"):
        found = match(wanted, pool, metric=metric, k=2)
        assert [one.resource_id for one in found] == ["access", "bandwidth"]
        assert found[0].similarity > found[1].similarity
    assert len(match(wanted, pool)) == 3


def test_match_takes_vectors_too() -> None:
    found = match(dna(ComputationDNA, [1.0, 0.0]), [dna(ResourceDNA, [1.0, 0.0]), full()], k=1)
    assert (found[0].resource_id, found[0].similarity, found[0].distance, found[0].shared_slots) == ("x", 1.0, 0.0, 2)


def test_match_of_nothing_is_refused_and_in_nothing_is_empty() -> None:
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        match(Computation(id="c", kernel="k"), [full()], k=0)
    assert match(Computation(id="c", kernel="k"), []) == ()


def both_halves(cls: type, raw: list[float], learned: list[float], version: str = "raw-1+learned-1-a") -> Any:
    vector = np.full(DNA_LENGTH, np.nan, dtype=np.float32)
    vector[: len(raw)] = raw
    vector[RAW_SLOTS:] = 0.0
    vector[RAW_SLOTS : RAW_SLOTS + len(learned)] = learned
    return cls(owner_id=f"{raw}", vector=vector, version=version)


def test_vectors_of_one_learned_version_are_matched_by_their_learned_slots_and_the_answer_says_so() -> None:
    wanted = both_halves(ComputationDNA, [1.0, 0.0], [-1.0, 0.0])
    # The first has the right mix and is slow; the second is fast. Lower ln seconds is better.
    pool = [both_halves(ResourceDNA, [1.0, 0.0], [3.0, 4.0]), both_halves(ResourceDNA, [0.0, 1.0], [-3.0, 4.0])]
    for metric in Metric:
        found = match(wanted, pool, metric=metric.value)
        assert [one.resource_id for one in found] == ["[0.0, 1.0]", "[1.0, 0.0]"]
        assert {one.part for one in found} == {Part.LEARNED}
        assert {one.shared_slots for one in found} == {16}
        assert found[0].distance < found[1].distance
    assert [one.similarity for one in match(wanted, pool)] == pytest.approx([0.6, -0.6])
    assert match(wanted, []) == ()


def test_one_vector_without_learned_slots_turns_the_match_to_the_raw_ones() -> None:
    wanted = both_halves(ComputationDNA, [1.0, 0.0], [-1.0, 0.0])
    slow, fast = both_halves(ResourceDNA, [1.0, 0.0], [3.0]), both_halves(ResourceDNA, [0.0, 1.0], [-3.0])
    unknown = both_halves(ResourceDNA, [0.5, 0.5], [nan])
    for other in (dna(ResourceDNA, [0.5, 0.5]), unknown):
        found = match(wanted, [fast, slow, other])
        assert found[0].resource_id == "[1.0, 0.0]"
        assert {one.part for one in found} == {Part.RAW}
        assert found[0].shared_slots == 2
    assert match(dna(ComputationDNA, [1.0, 0.0]), [fast, slow])[0].part is Part.RAW
    assert similarity([wanted], [dna(ResourceDNA, [1.0, 0.0])])[0, 0] == 1.0


def test_two_learned_versions_never_mix() -> None:
    wanted = both_halves(ComputationDNA, [1.0], [-1.0])
    other = both_halves(ResourceDNA, [1.0], [1.0], "raw-1+learned-1-b")
    with pytest.raises(DnaVersionError, match="learned-1-a, learned-1-b"):
        match(wanted, [other])
    with pytest.raises(DnaVersionError, match="raw-1, raw-2"):
        match(wanted, [both_halves(ResourceDNA, [1.0], [1.0], "raw-2+learned-1-a")])


slots = st.lists(st.one_of(st.just(nan), st.floats(0, 1, width=32)), min_size=16, max_size=16)


@given(slots, slots)
def test_similarities_lie_in_zero_to_one(wanted: list[float], offered: list[float]) -> None:
    for metric in Metric:
        found = similarity([dna(ComputationDNA, wanted)], [dna(ResourceDNA, offered)], metric)[0, 0]
        assert 0.0 <= found <= 1.0
