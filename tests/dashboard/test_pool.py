"""The pool's page as values: who comes first, what is found, what a row and the heat map say."""

import numpy as np
import pytest

from dnaml.core.dna import ResourceDNA
from dnaml.core.resource import Kind, ResourceState, Site, UnitType
from dnaml.dashboard.pool import SLOTS, figures, heat_height, heat_map, is_emulated, pool_page, rows
from tests.dashboard.rows import resource_now


def texts(row):
    return [cell.text for cell in row.cells]


def test_busy_resources_come_first_then_idle_then_declared_then_those_that_are_down():
    pool = [
        resource_now("down", available=False),
        resource_now("far", available=False, drivable=False),
        resource_now("idle"),
        resource_now("busy", running=1),
    ]
    assert [one.resource.id for one in pool_page(pool, "", 0).shown] == ["busy", "idle", "down", "far"]


def test_pages_are_cut_from_what_matches_all_words():
    pool = [resource_now(f"cpu{n:03}", labels={"zone": "east" if n % 2 else "west"}) for n in range(90)]
    found = pool_page(pool, "CPU east", 20, limit=20)
    assert (found.matching, len(found.shown)) == (45, 20)
    assert all(one.resource.labels["zone"] == "east" for one in found.shown)
    assert found.shown[0].resource.id == "cpu041"
    assert pool_page(pool, "nothing", 0).shown == []


def test_a_row_says_state_kind_place_load_and_dated_price():
    one = resource_now(
        "gpu0",
        running=1,
        slots=2,
        kind=Kind.GPU,
        unit_type=UnitType.TENSOR_CORE,
        memory_bytes=24 << 30,
        price_usd_per_h=1.2,
        price_date="2026-01-01",
        state=ResourceState(resource_id="gpu0", at_s=1.0, load=0.5),
    )
    row = rows([one])[0]
    assert texts(row) == ["gpu0", "ready", "GPU · tensor_core", "1 / 2", "50 %", "24 GiB", "$1.20"]
    assert (row.cells[3].share, row.cells[4].share, row.cells[6].note) == (0.5, 0.5, "2026-01-01")


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "ready"),
        ({"running": 1}, "busy"),
        ({"available": False}, "down"),
        ({"available": False, "drivable": False}, "declared only"),
    ],
)
def test_the_state_is_told_in_words(changes, state):
    assert texts(rows([resource_now(**changes)])[0])[1] == state


def test_what_is_not_known_is_a_dash_and_never_a_zero():
    assert texts(rows([resource_now()])[0])[4:] == ["-", "-", "-"]


def test_this_machine_in_the_place_of_another_is_told_as_emulated():
    assert not is_emulated(resource_now())
    assert is_emulated(resource_now(environment={"OPENBLAS_CORETYPE": "Prescott"}))
    assert is_emulated(resource_now(site=Site.CLOUD))
    assert not is_emulated(resource_now(site=Site.CLOUD, here=False))
    pool = [resource_now(site=Site.CLOUD)]
    assert pool_page(pool, "emulated", 0).emulated
    assert "emulated" in rows(pool)[0].cells[0].note


def test_the_figures_count_only_what_takes_work():
    pool = [
        resource_now(
            "a", running=2, slots=4, price_usd_per_h=0.5, state=ResourceState(resource_id="a", at_s=1, load=0.2)
        ),
        resource_now("b", slots=4, price_usd_per_h=0.25, state=ResourceState(resource_id="b", at_s=1, load=0.4)),
        resource_now("c", available=False, price_usd_per_h=9.0),
    ]
    assert list(figures(pool).values()) == ["3", "2", "2 / 8", "30 %", "$0.75"]
    assert list(figures([]).values()) == ["0", "0", "0 / 0", "-", "-"]


def test_the_heat_map_names_every_slot_and_leaves_out_what_is_unknown():
    vector = np.full(32, np.nan, dtype=np.float32)
    vector[[0, 14]] = 0.25, 1.0
    option = heat_map([ResourceDNA(owner_id="gpu0", vector=vector, version="raw-1")])
    assert option["xAxis"]["data"] == [name.replace("_", " ") for name in SLOTS]
    assert option["yAxis"]["data"] == ["gpu0"]
    cells = option["series"][0]["data"]
    assert [cell["value"] for cell in cells] == [[0, 0, 0.25], [14, 0, 1.0]]
    assert cells[1]["name"] == "gpu0 · price"
    assert heat_height(10) != heat_height(20)
