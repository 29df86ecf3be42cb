"""The map as values: a series for each kind and family, what hovers, the list, and the rule by which it is thinned."""

import json
from dataclasses import replace

from dnaml.answers.dna_plane import DnaPlane, Spot
from dnaml.dashboard.dna_map import MOST_NAMED, MOST_ROWS, OTHER, option, rows, rule

HOSTILE = "<img src=x onerror=alert(1)>{a}"


def spot(name="a", group="CPU", x=1.0, y=2.0, **more):
    return Spot(name=name, group=group, x=x, y=y, **{"slots": {"fp64": 0.71}, **more})


def plane(resources=(), computations=(), **more):
    values = {
        "resources": resources,
        "computations": computations,
        "axes": (["+ fp64", "− price"], ["+ memory_size"]),
        "explained_share": (0.56, 0.19),
        "all_resources": len(resources),
        "all_computations": len(computations),
        **more,
    }
    return DnaPlane(**values)


POOL = [spot("cpu0", used=True), spot("gpu0", "GPU"), spot("odd", "QPU")]
WORK = [
    spot(f"{kernel}-{n}", kernel)
    for kernel, count in zip("abcdefg", (7, 6, 5, 4, 3, 2, 1), strict=True)
    for n in range(count)
]


def points(found):
    return {one["name"]: one for one in found["series"] if one["type"] == "scatter"}


def test_there_is_a_series_for_each_kind_and_for_the_largest_families():
    found = option(plane(POOL, WORK))
    drawn = points(found)
    assert list(drawn) == ["CPU", "GPU", "QPU", "family a", "family b", "family c", "family d", OTHER]
    assert len(drawn[OTHER]["data"]) == 6
    assert {one["symbol"] for one in drawn.values()} == {"circle", "diamond"}
    colours = [one["itemStyle"]["color"] for name, one in drawn.items() if name not in ("QPU", OTHER)]
    assert len(set(colours)) == len(colours)
    assert found["legend"]["data"] == list(drawn)


def test_an_axis_along_which_nothing_differs_is_drawn_through_the_middle():
    found = option(plane(POOL[:2], axes=(["+ fp64"], [])))
    assert found["xAxis"]["scale"]
    assert (found["yAxis"]["min"], found["yAxis"]["max"]) == (-1, 1)


def test_a_single_family_more_is_named_instead_of_called_other():
    assert "family e" in points(option(plane(POOL, [one for one in WORK if one.group in "abcde"])))


def test_each_computation_has_a_line_from_the_middle():
    found = option(plane(POOL, WORK[:2]))
    (lines,) = [one for one in found["series"] if one["type"] == "lines"]
    assert lines["data"] == [{"coords": [[0.0, 0.0], [1.0, 2.0]]}] * 2


def test_the_axes_say_what_they_are_made_of_and_how_much_they_tell():
    found = option(plane(POOL))
    assert found["xAxis"]["name"] == "+ fp64, − price (56 %)"
    assert found["yAxis"]["name"] == "+ memory size (19 %)"


def test_names_of_users_are_values_alone():
    found = option(plane([spot(HOSTILE)]))
    (drawn,) = points(found).values()
    assert drawn["data"][0]["value"][2] == HOSTILE
    assert drawn["label"]["formatter"] == "{@[2]}"
    assert found["tooltip"]["formatter"] == "{b}"
    json.dumps(found, allow_nan=False)


def test_many_points_are_not_named_on_the_map():
    few, many = (plane([spot(f"r{n}") for n in range(count)]) for count in (MOST_NAMED, MOST_NAMED + 1))
    assert points(option(few))["CPU"]["label"]["show"]
    assert not points(option(many))["CPU"]["label"]["show"]


def test_the_list_has_computations_first_then_what_ran_ones_work():
    found = rows(plane([spot("idle"), spot("busy", used=True)], [spot("fit-1", "fit", slots={})]))
    assert [row.cells[0].text for row in found] == ["fit-1", "busy", "idle"]
    assert [cell.text for cell in found[0].cells] == ["fit-1", "family fit", "nothing known", "-"]
    assert [cell.text for cell in found[1].cells] == ["busy", "CPU", "fp64 0.71", "yes"]
    assert len(rows(plane([spot(f"r{n}") for n in range(200)]))) == MOST_ROWS


def test_the_rule_says_what_is_left_out_and_why():
    whole = plane(POOL)
    assert "all 3 resources" in rule(whole)
    assert "drawn" not in rule(whole)
    part = replace(whole, all_resources=5_000, all_computations=9, unknown=["x", "y", "z", "w"])
    told = rule(part)
    assert "3 are drawn: those that ran your work" in told
    assert "0 of 9 computations" in told
    assert "4 resources nothing is known" in told
    assert "(x, y, z, ...)" in told
