"""The parts of the telemetry benchmark: a real tree that ends, costs that are costs, rows in the one form."""

import psutil
import pytest

from benchmarks import telemetry


@pytest.fixture
def tree():
    with telemetry.five_processes() as pid:
        yield pid


def test_the_tree_has_five_processes_and_leaves_none():
    with telemetry.five_processes() as pid:
        root = psutil.Process(pid)
        members = [root, *root.children(recursive=True)]
        assert len(members) == 5
    _, alive = psutil.wait_procs(members, timeout=10)
    assert all(member.status() == psutil.STATUS_ZOMBIE for member in alive)


def test_the_cheap_sample_costs_less_than_either_way_of_psutil(tree):
    with telemetry.TreeSampler(tree) as sampler:
        ours = telemetry.cost_back_to_back_us(sampler.sample, 50)
        theirs = [
            telemetry.cost_back_to_back_us(way(tree), 50) for way in (telemetry.psutil_walk, telemetry.psutil_cached)
        ]
    assert 0 < ours < min(theirs)


def test_a_loop_costs_at_least_its_waking(tree):
    assert telemetry.cost_of_loop_us(lambda: None, 0.3) > 0
    assert telemetry.cost_of_sampler_us(tree, 0.5) > 0


def test_a_profile_row_has_the_bar_that_was_asked(monkeypatch):
    made = telemetry.profile_resource("local")
    monkeypatch.setattr(telemetry, "profile_resource", lambda target: made)
    rows = telemetry.profile_rows(quick=True)
    assert (rows[0].id, rows[0].bar, rows[0].passes) == ("T2.profile", 5.0, True)
    assert all(row.value == 0.0 for row in rows[1:])
