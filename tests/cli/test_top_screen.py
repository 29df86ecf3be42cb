"""How a look is laid out: lines are shared fairly, what is left out is counted, unknown is a dash."""

import io

import pytest
from rich.console import Console

from dnaml.cli.overview import JobLine, Overview, PlaceNow
from dnaml.cli.top_screen import FEWEST_LINES, shared, shown


def printed(now, lines=40):
    console = Console(file=io.StringIO(), width=140, highlight=False, markup=False)
    for one in shown(now, lines):
        console.print(one)
    return console.file.getvalue()


def place(name="gpu0", running=0, **more):
    return PlaceNow(
        **{"id": name, "kind": "GPU", "site": "local", "slots": 2, "running": running, "available": True, **more}
    )


def line(name="fit", state="RUNNING", **more):
    values = {"id": name, "name": name, "state": state, "resource_id": "gpu0", "since_s": 5.0, "why": "running"}
    ends = {"start_in_s": 0.0, "end_in_s": 60.0, "end_in_s_p10": 30.0, "end_in_s_p90": 90.0}
    return JobLine(**{**values, **ends, **more})


def overview(**more):
    values = {"at_s": 0.0, "source": "here", "engine": "process 7", "all_jobs": 3, "counted_jobs": 3}
    return Overview(**{**values, **more})


@pytest.mark.parametrize(
    ("lines", "wanted", "given"),
    [
        (30, [2, 3, 4], [2, 3, 4]),
        (30, [100, 2, 100], [14, 2, 14]),
        (30, [100, 0, 5], [25, 0, 5]),
        (0, [9, 9, 1], [FEWEST_LINES, FEWEST_LINES, 1]),
        (10, [0, 0, 0], [0, 0, 0]),
    ],
)
def test_lines_go_to_the_small_sections_first_and_the_rest_is_shared(lines, wanted, given):
    assert shared(lines, wanted) == given


def test_a_running_job_shows_what_is_left_with_its_band():
    text = printed(overview(resources=[place(running=1)], running=[line()], unfinished=1, states={"RUNNING": 1}))
    assert "1 of 2 slots busy; 1 running" in text
    assert "the engine is process 7" in text
    row = next(one for one in text.splitlines() if one.lstrip().startswith("fit"))
    assert "30 s to 90 s" in row
    assert row.split()[2:7] == ["gpu0", "5", "s", "60", "s"]


def test_what_has_no_room_is_counted():
    waiting = [line(f"w{n}", "PENDING", why="no slot is free") for n in range(50)]
    text = printed(overview(resources=[place(f"r{n}") for n in range(90)], waiting=waiting, unfinished=900), lines=24)
    assert "more resources" in text
    assert f"and {900 - text.count('no slot is free')} more waiting jobs" in text


def test_load_state_and_degraded_parts_are_told_and_unknown_is_a_dash():
    pool = [place(load=0.5, running=1), place("off", available=False, site="cloud")]
    text = printed(overview(resources=pool, degraded=["gpu0 has drifted: 3 more runs"], cost_usd=None))
    assert "50 %" in text
    assert "████░░░░" in text
    assert "degraded: gpu0 has drifted" in text
    off = next(one for one in text.splitlines() if "off" in one)
    assert "GPU cloud" in off
    assert "down" in off
    assert "- spent" in text


def test_figures_of_a_part_say_so_and_no_engine_is_told():
    text = printed(overview(engine=None, all_jobs=900, counted_jobs=500, cost_usd=1.5))
    assert "$1.5 spent (the newest 500 of 900 jobs)" in text
    assert "no engine runs" in text
