"""The frontier: a peer is reached where some weights are no worse in cost and in time together."""

from types import SimpleNamespace

from benchmarks.scheduling.frontier import Frontier, draw


def point(mean_jct_s, cost_usd):
    return SimpleNamespace(mean_jct_s=mean_jct_s, cost_usd=cost_usd)


FOUND = Frontier(
    trace="T",
    ours={0.0: point(100.0, 50.0), 1.0: point(200.0, 20.0)},
    peers={"equal": point(100.0, 50.0), "between": point(150.0, 30.0), "worse": point(260.0, 60.0)},
)


def test_a_peer_that_no_single_weights_beat_in_both_is_missed():
    assert FOUND.missed() == ["between"]


def test_the_picture_names_the_peers_that_are_near(tmp_path):
    draw([FOUND], tmp_path / "deep" / "frontier.svg")
    drawn = (tmp_path / "deep" / "frontier.svg").read_text()
    assert drawn.startswith("<?xml")
    assert drawn.count("<!-- between -->") == 1
    assert "<!-- worse -->" not in drawn  # too far out
