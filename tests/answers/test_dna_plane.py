"""The map puts what is alike together, lets work point at what suits it, and thins out a large pool by its rule."""

import numpy as np
import pytest

from dnaml.answers.dna_plane import MOST_COMPUTATIONS, MOST_RESOURCES, REACH, chosen, dna_plane, newest_of_each
from dnaml.core.resource import Kind, Resource
from dnaml.core.work import Computation


def machine(name, flops, memory=8, **more):
    spec = {"fp64_flop_per_s": flops, "cores": 8.0, "sequential_bytes_per_s": flops / 5}
    return Resource(id=name, memory_bytes=memory << 30, spec=spec, **more)


POOL = [
    machine("slow", 1e10),
    machine("slow too", 1.1e10),
    machine("quick", 1e13, kind=Kind.GPU),
    machine("roomy", 1e10, memory=512),
    Resource(id="unknown"),
]
SOLVE = Computation(id="solve-1", kernel="solve", demand={"fp64_flop": 1e12, "flop": 1e12})


def at(spots):
    return {one.name: np.array([one.x, one.y]) for one in spots}


def test_resources_that_supply_alike_lie_together_and_work_points_at_what_suits_it():
    plane = dna_plane(POOL, [SOLVE], used={"slow"})
    places = at(plane.resources)
    near = np.linalg.norm(places["slow"] - places["slow too"])
    assert near < 0.3 * np.linalg.norm(places["slow"] - places["quick"])
    arrow = at(plane.computations)["solve-1"]
    assert arrow @ places["quick"] > max(arrow @ places[name] for name in ("slow", "roomy"))
    furthest = max(np.linalg.norm(place) for place in places.values())
    assert np.linalg.norm(arrow) == pytest.approx(REACH * furthest)


def test_kinds_families_slots_and_use_are_told():
    plane = dna_plane(POOL, [SOLVE], used={"slow"})
    spots = {one.name: one for one in plane.resources}
    assert spots["quick"].group == "GPU"
    assert (spots["slow"].used, spots["quick"].used) == (True, False)
    assert plane.computations[0].group == "solve"
    assert list(plane.computations[0].slots) == ["fp64"]
    assert len(plane.axes[0]) == 2
    assert plane.explained_share[0] >= plane.explained_share[1]


def test_what_nothing_is_known_of_lies_nowhere():
    plane = dna_plane([machine("a", 1e10), machine("b", 1e12), Resource(id="blank", slots=8)], [])
    assert (set(at(plane.resources)), list(plane.unknown)) == ({"a", "b"}, ["blank"])
    assert dna_plane([], []).resources == []
    assert dna_plane(POOL, [Computation(id="x", kernel="x")]).computations == []


def test_a_large_pool_is_thinned_out_by_a_grid_and_keeps_what_one_used():
    rng = np.random.default_rng(0)
    places = rng.normal(size=(5_000, 2))
    used = np.zeros(5_000, dtype=np.bool_)
    used[4_990:] = True
    told = np.ones(5_000, dtype=np.bool_)
    told[:10] = False
    found = chosen(places, used, told)
    assert len(found) == len(set(found)) == MOST_RESOURCES
    assert sum(one >= 2_500 for one in found) > MOST_RESOURCES // 4
    assert set(range(4_990, 5_000)) <= set(found)
    assert not set(range(10)) & set(found)
    outermost = int(np.abs(places[10:, 0]).argmax()) + 10
    assert outermost in found
    assert found == chosen(places, used, told)
    assert chosen(places[:5], used[:5], ~told[:5]) == [0, 1, 2, 3, 4]


def test_the_newest_of_each_kernel_come_first_when_there_are_too_many():
    many = [Computation(id=f"a{n}", kernel="a") for n in range(300)] + [Computation(id="b", kernel="b")]
    many += [Computation(id=f"c{n}", kernel="c") for n in range(300)]
    found = newest_of_each(many, MOST_COMPUTATIONS)
    assert len(found) == len({one.id for one in found}) == MOST_COMPUTATIONS
    assert {"a299", "b", "c299"} <= {one.id for one in found}
    assert newest_of_each(many[:3], 5) == many[:3]


def test_five_thousand_resources_are_placed_in_a_moment():
    rng = np.random.default_rng(1)
    pool = [machine(f"m{n}", float(10 ** rng.uniform(9, 13)), memory=int(rng.integers(1, 512))) for n in range(5_000)]
    plane = dna_plane(pool, [SOLVE])
    assert (plane.all_resources, len(plane.resources)) == (5_000, MOST_RESOURCES)
