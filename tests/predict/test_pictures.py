"""Pictures can be drawn without a display, and the map keeps what is alike together."""

import io
from dataclasses import replace

import numpy as np
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.predict import pictures
from dnaml.predict.evaluation import Answers


@pytest.fixture
def made():
    rng = np.random.default_rng(0)
    truth = np.exp(rng.normal(size=50))
    values = truth[:, None] * np.linspace(0.5, 1.5, len(LEVELS))
    return Answers(
        estimator="dnaml", held=None, probes=0, truth_s=truth, values_s=values, computation=np.array(["f"] * 50)
    )


def svg(figure):
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg")
    return drawn.getvalue()


def test_calibration_has_a_line_for_each_series_and_the_diagonal(made):
    figure = pictures.calibration({"one": [made], "other": [made, replace(made, probes=3)]})
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "other"]
    assert len(axes.lines) == 3
    stated, met = axes.lines[1].get_data()
    np.testing.assert_allclose(stated, LEVELS)
    assert list(met) == sorted(met)
    assert "<svg" in svg(figure)


def test_scatter_is_on_logarithmic_axes(made):
    (axes,) = pictures.scatter({"runs": [made]}).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    measured, predicted = axes.lines[0].get_data()
    np.testing.assert_allclose(predicted, measured)


def test_the_map_names_every_vector():
    vectors = {
        name: np.array([x, y, np.nan], dtype=np.float32) for name, x, y in (("a", 0, 0), ("b", 1, 0), ("c", 0, 5))
    }
    (axes,) = pictures.dna_map(vectors).axes
    assert {text.get_text() for text in axes.texts} == {"a", "b", "c"}
