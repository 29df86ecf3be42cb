"""The Gantt chart as values: lanes, tracks beside each other, marks, and what is left out."""

from dnaml.dashboard.gantt import AUTOMATIC, MOST_LANES, beside, gantt, lanes, within
from dnaml.dashboard.reads import Placements
from tests.dashboard.rows import bar


def placements(*bars, now_s=100.0, left_out=0):
    return Placements(bars=bars, now_s=now_s, left_out=left_out)


def test_attempts_that_overlap_lie_beside_each_other_and_a_free_track_is_used_again():
    bars = [bar("a.1", 0, 10), bar("b.1", 5, 20), bar("c.1", 12, None), bar("d.1", 0, 9, "other")]
    bars.sort(key=lambda one: one.started_at_s)
    found = dict(zip([one.attempt_id for one in bars], beside(bars, 100.0), strict=True))
    assert found == {"a.1": (0, 2), "d.1": (0, 1), "b.1": (1, 2), "c.1": (0, 2)}


def test_bars_are_in_milliseconds_and_what_runs_ends_now():
    option = gantt(placements(bar("a.1", 10, 20), bar("b.1", 30, None)))
    by_name = {one["name"]: one["data"] for one in option["series"]}
    assert by_name["done"][0]["value"][:3] == [0, 10_000, 20_000]
    assert by_name["running"][0]["value"][:3] == [0, 30_000, 100_000]
    assert set(by_name) == {"done", "running"}


def test_moves_and_losses_are_marked_where_they_happened():
    moved = bar("a.1", 0, 10, state="STOPPED", moved=True)
    lost = bar("b.1", 0, 20, "other", state="LOST", lost=True)
    option = gantt(placements(moved, lost, bar("a.2", 10, None, "other")))
    marks = {one["name"]: one["data"] for one in option["series"] if one["type"] == "scatter"}
    assert [point["value"] for point in marks["moved"]] == [[10_000, 0]]
    assert [point["value"] for point in marks["resource lost"]] == [[20_000, 1]]
    icons = {one["name"]: one["icon"] for one in option["legend"]["data"]}
    assert icons["moved"] == "diamond"


def test_only_the_busiest_resources_get_a_lane():
    bars = [bar(f"{n}.{k}", k, k + 1, f"r{n:03}") for n in range(40) for k in range(n + 1)]
    assert lanes(bars) == [f"r{n:03}" for n in range(40 - MOST_LANES, 40)]
    drawn = gantt(placements(*sorted(bars, key=lambda one: one.started_at_s)))
    assert len(drawn["yAxis"]["data"]) == MOST_LANES


def test_a_span_shows_what_still_ran_in_it():
    found = placements(bar("a.1", 0, 10), bar("b.1", 0, 9_500), bar("c.1", 9_900, None), now_s=10_000, left_out=2)
    assert [one.attempt_id for one in within(found, "10 minutes").bars] == ["b.1", "c.1"]
    assert within(found, "All") == found
    many = placements(*(bar(f"a.{n}", n, n + 1) for n in range(150)), left_out=7)
    newest = within(many, AUTOMATIC)
    assert (len(newest.bars), newest.left_out, newest.bars[-1].attempt_id) == (100, 57, "a.149")


def test_text_of_users_is_in_values_only():
    named = bar("a.1", 0, 1, "<b>r</b>", name="<img src=x>")
    option = gantt(placements(named))

    def keys(value):
        if isinstance(value, dict):
            return set(value) | {key for one in value.values() for key in keys(one)}
        return {key for one in value for key in keys(one)} if isinstance(value, list) else set()

    assert not {key for key in keys(option) if "<" in key}
    assert all("<" not in value for series in option["series"] for key, value in series.items() if key[0] == ":")
