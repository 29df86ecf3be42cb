"""The demo's report: one page that needs nothing from outside, the figures of `--json`, and the run table.

The findings here are simulated: made-up numbers, and they say so in the description of every resource.
"""

import json
import re
import threading
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import InputError
from dnaml.core.plan import Decision
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Resource
from dnaml.demo.compare import PRESETS, Ran
from dnaml.demo.failover import Failover
from dnaml.demo.learn import QUANTILE_LEVELS, Quality
from dnaml.demo.main import Findings, Scale
from dnaml.demo.plots import Bar, bars, range_s, timeline
from dnaml.demo.report import summary, write
from dnaml.futures import Future

SECTIONS = ("short", "real", "resources", "prediction", "policies", "decision", "failover", "elapsed", "next")
JOBS = 12
POLICIES = {
    "dnaml": 1.31,
    "random": 3.4,
    "round_robin": 2.9,
    "cheapest": 4.75,
    "highest_clock": 5.2,
    "seed_matcher": 2.2,
    "oracle": 1.24,
}
VOID = {"meta", "br", "hr", "img", "link", "input"}


def resources() -> tuple[Resource, ...]:
    return tuple(
        Resource(
            id=name,
            price_usd_per_h=0.04 + 0.002 * place,
            price_date="demo rule",
            description=f"simulated <{name}> & made up",
            spec={"fp64_flop_per_s": 1e9 * 2**place, "fp32_flop_per_s": 3e9 * 2 ** (4 - place)},
        )
        for place, name in enumerate(("tensor", "vector", "scalar", "matrix", "classic"))
    )


def quality(runs: int, seed: int) -> Quality:
    rng = np.random.default_rng(seed)
    truth_s = np.exp(rng.uniform(np.log(0.02), np.log(1.5), runs))
    predicted_s = truth_s * np.exp(rng.normal(0, 0.15, runs))
    return Quality(
        runs=runs,
        mdape=9.9,
        cover80=79.2,
        spearman=0.991,
        truth_s=truth_s,
        predicted_s=predicted_s,
        calibration=[(level, min(level * 1.05, 1.0)) for level in QUANTILE_LEVELS],
    )


def placed() -> Future[object]:
    """Return a future whose job was placed on `vector` among three candidates."""
    decision = Decision(
        job_id="job-7",
        attempt_id="job-7.1",
        at_s=0.0,
        policy="matching",
        path="simulated",
        chosen="vector",
        resource_ids=("tensor", "vector", "scalar"),
        runtime_p10_s=(0.2, 0.1, 0.5),
        runtime_p50_s=(0.25, 0.12, 0.6),
        runtime_p90_s=(0.3, 0.15, 0.8),
        wait_s=(0.0, 0.0, 0.0),
        cost_usd=(2.8e-6, 1.4e-6, float("nan")),
        risk=(0.0, 0.0, 0.01),
        score=(1.9, 1.02, 4.4),
        reasons=("", "", "needs <more> memory"),
    )
    future: Future[object] = Future("job-7", threading.Condition(), lambda _: None)
    future._begin(decision)
    return future


def ran(policy: str, seed: int) -> Ran:
    rng = np.random.default_rng(seed)
    used = dict(zip([r.id for r in resources()], rng.multinomial(JOBS, [0.2] * 5).tolist(), strict=True))
    return Ran(
        policy=policy, jct_s=rng.random(JOBS), cost_usd=rng.random(JOBS) * 1e-6, wall_s=9.0, used=used, first=placed()
    )


def simulated() -> Findings:
    members = resources()
    kernel = Computation(id="fft:1", kernel="fft", size={"n": 1024.0})
    once = ran("random", 1)
    made = {
        preset: {name: once if name == "random" else ran(name, place) for place, name in enumerate(POLICIES)}
        for preset in PRESETS
    }
    figures = {
        name: {
            "mean_jct_s": value,
            "makespan_s": 3 * value,
            "cost_usd": value * 1e-5,
            "objective": value,
            "wall_s": 9.0,
        }
        for name, value in POLICIES.items()
    }
    return Findings(
        seed=4,
        scale=Scale(),
        resources=members,
        runs=[Run(computation=kernel, resource=each, runtime_s=0.1, at_s=1.0) for each in members],
        held_back=quality(60, 1),
        never_run=quality(120, 2),
        left_out="matrix",
        zero_shot=quality(30, 3),
        policies={preset: dict(figures) for preset in PRESETS},
        ran=made,
        failover=Failover(
            killed="tensor", went_on="vector", detect_s=0.012, redone_s=0.21, resumed_at=0.34, lost=0, duplicated=0
        ),
        example=made["balanced"]["dnaml"],
        elapsed_s={"profiling resources": 14.2, "collecting telemetry": 61.0, "placing with dnaml": 30.1},
    )


@pytest.fixture
def findings() -> Findings:
    return simulated()


class Outline(HTMLParser):
    """Reads a page strictly: every element that opens closes in order; keeps ids, text and drawings."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.headings: list[str] = []
        self.alts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def _note(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.ids += [value for name, value in attributes.items() if name == "id" and value]
        self.headings += [tag] if re.fullmatch("h[1-6]", tag) else []
        self.alts += [attributes.get("aria-label") or ""] if tag == "svg" else []


def read(path: Path) -> tuple[str, Outline]:
    text = path.read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(text)
    outline.close()
    assert not outline.open
    return text, outline


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "report"
    write(simulated(), out)
    return out


def test_the_page_holds_every_section_under_one_title(written: Path) -> None:
    _, outline = read(written / "index.html")
    assert outline.headings.count("h1") == 1
    assert [name for name in outline.ids if name in SECTIONS] == list(SECTIONS)
    assert len(outline.ids) == len(set(outline.ids))


def test_the_page_fetches_nothing_from_anywhere(written: Path) -> None:
    text, _ = read(written / "index.html")
    assert not re.search(r"https?:|//[a-z]|<link|<script|<iframe|@import|\bsrc=", text)
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', text))
    known = set(re.findall(r' id="([^"]*)"', text))
    assert {target[1:] for target in re.findall(r'href="([^"]*)"', text)} <= known
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= known


def test_every_plot_says_in_words_what_it_shows(written: Path) -> None:
    _, outline = read(written / "index.html")
    assert len(outline.alts) == 2 + len(PRESETS) + 1
    assert all(len(alt) > 60 for alt in outline.alts)
    assert any("dnaml 1.31, seed_matcher 2.20" in alt for alt in outline.alts)


def test_plots_take_their_colours_from_the_page_so_that_both_modes_can_be_read(written: Path) -> None:
    text, _ = read(written / "index.html")
    drawings = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert not re.findall(r"#[0-9a-f]{6}\b", drawings)
    assert "prefers-color-scheme: dark" in text


def test_text_from_outside_is_escaped(written: Path) -> None:
    text, outline = read(written / "index.html")
    words = "".join(outline.words)
    assert "simulated <tensor> & made up" in words
    assert "needs <more> memory" in words
    assert "<tensor>" not in text


def test_the_page_says_what_is_emulated_how_prices_are_set_and_which_clock_is_meant(written: Path) -> None:
    words = "".join(read(written / "index.html")[1].words)
    assert "All local resources are this machine" in words
    assert "geometric mean of the resource's probe scores" in words
    assert "resources' own clocks" in words


def test_the_verdict_compares_with_best_mean_and_oracle(written: Path) -> None:
    words = "".join(read(written / "index.html")[1].words)
    mean = (3.4 + 2.9 + 4.75 + 5.2 + 2.2) / 5
    assert f"{1.31 / 2.2:.2f} × the objective of the best other policy (seed_matcher)" in words
    assert f"{1.31 / mean:.2f} × their mean and {1.31 / 1.24:.2f} × the oracle's" in words


def test_the_page_says_how_a_resource_on_which_nothing_ran_was_foretold(written: Path) -> None:
    words = "".join(read(written / "index.html")[1].words)
    assert "On a resource on which nothing had run (matrix)" in words
    assert "matrix, on which nothing ran" in words


def test_a_policy_that_ran_once_for_all_presets_is_named(written: Path) -> None:
    words = "".join(read(written / "index.html")[1].words)
    assert "so one run of a pass serves all: random." in words


def test_no_such_note_stands_where_every_policy_ran_under_each_preset(findings: Findings, tmp_path: Path) -> None:
    for place, preset in enumerate(PRESETS):
        findings.ran[preset]["random"] = ran("random", 10 + place)
    write(findings, tmp_path)
    assert "one run of a pass" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_summary_on_disk_is_what_json_prints_and_holds_every_promised_key(
    written: Path, findings: Findings
) -> None:
    stored = json.loads((written / "summary.json").read_text(encoding="utf-8"))
    assert stored == summary(findings)
    assert {"resources", "prediction", "policies", "failover"} <= stored.keys()
    assert {"mdape", "cover80", "spearman"} <= stored["prediction"].keys()
    assert stored["prediction"]["zero_shot"].items() >= {"resource_id": "matrix", "runs": 30, "mdape": 9.9}.items()
    assert set(stored["policies"]) == set(PRESETS)
    for rows in stored["policies"].values():
        assert set(rows) == set(POLICIES)
        assert all({"mean_jct_s", "makespan_s", "cost_usd", "objective"} <= row.keys() for row in rows.values())
    assert {"detect_s": 0.012, "redone_s": 0.21, "lost": 0, "duplicated": 0}.items() <= stored["failover"].items()


def test_what_is_not_known_is_null_in_json(findings: Findings) -> None:
    findings.held_back = replace(quality(3, 1), spearman=float("nan"))
    assert json.loads(json.dumps(summary(findings), allow_nan=False))["prediction"]["spearman"] is None


@pytest.mark.parametrize(("detect_s", "redone_s"), [(0.012, 0.21), (0.4, 0.05), (0.0, 0.0)])
def test_the_labels_of_the_timeline_never_meet_nor_leave_the_drawing(detect_s: float, redone_s: float) -> None:
    shown = Failover(
        killed="a", went_on="b", detect_s=detect_s, redone_s=redone_s, resumed_at=0.5, lost=0, duplicated=0
    )
    drawn = timeline(shown)
    drawn.draw_without_rendering()
    boxes = [text.get_window_extent() for text in drawn.axes[0].texts]
    assert len(boxes) == 3
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(drawn.bbox.x0 <= box.x0 and box.x1 <= drawn.bbox.x1 for box in boxes)


def test_bars_start_at_zero_and_their_columns_stay_inside_the_drawing() -> None:
    rows = [Bar(policy=name, objective=value, to_dnaml=value, to_oracle=value) for name, value in POLICIES.items()]
    drawn = bars(rows)
    drawn.draw_without_rendering()
    (axes,) = drawn.axes
    assert axes.get_xlim() == (0, max(POLICIES.values()))
    boxes = [text.get_window_extent() for text in (*axes.texts, *axes.get_yticklabels())]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(drawn.bbox.x0 <= box.x0 and box.x1 <= drawn.bbox.x1 and box.y1 <= drawn.bbox.y1 for box in boxes)


def test_a_scatter_without_runs_still_has_a_range() -> None:
    assert range_s([quality(0, 1)]) == (0.1, 1.0)
    low_s, high_s = range_s([quality(20, 1)])
    assert low_s < quality(20, 1).truth_s.min()
    assert high_s > quality(20, 1).truth_s.max()


def test_an_unknown_slot_of_dna_is_a_dash_and_an_unknown_price_is_said(findings: Findings, tmp_path: Path) -> None:
    findings.resources = tuple(replace(r, price_usd_per_h=None) for r in findings.resources)
    write(findings, tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert '<td class="shade" style="--share:0.00">–</td>' in text
    assert text.count("<td>unknown</td>") == len(findings.resources) + 1  # and the one cost in the decision


def test_the_run_table_is_read_again_with_every_run(written: Path, findings: Findings) -> None:
    table = pd.read_parquet(written / "runs.parquet")
    assert sorted(table["resource_id"]) == sorted(r.id for r in findings.resources)
    assert (table["runtime_s"] == 0.1).all()


def test_nothing_is_written_when_a_stage_is_missing(findings: Findings, tmp_path: Path) -> None:
    findings.failover = None
    with pytest.raises(InputError, match="failover must be known"):
        write(findings, tmp_path / "report")
    assert not (tmp_path / "report").exists()
