"""A data card counts what a table holds, and its digest changes with any value."""

import math

import pandas as pd

from dnaml.datasets.data_card import card_of
from dnaml.datasets.table import RunTable


def table(**changed):
    columns = {
        "resource_id": ["a", "b", "a", "b"],
        "computation_id": ["f-1", "f-1", "f-2", "g-1"],
        "c_kernel": ["f", "f", "f", "g"],
        "r_rate_per_s": [1.0, None, 1.0, None],
        "runtime_s": [1.0, 2.0, 3.0, -1.0],
        "censored": [False, True, False, False],
    }
    return RunTable.from_frame(pd.DataFrame(columns | changed))


def test_a_card_counts_what_is_there():
    card = card_of(table())
    assert (card.rows, card.pairs, card.resources, card.computations, card.kernels) == (3, 3, 2, 2, 1)
    assert (card.failed, card.censored) == (0, 1)
    assert card.set_aside == {"runtime_s is negative": 1}
    assert (card.least_s, card.median_s, card.most_s) == (1.0, 2.0, 3.0)
    assert card.columns == {"r_": 1, "c_": 1, "s_": 0, "t_": 0}
    assert card.missing_share == 1 / 6


def test_a_table_without_kernels_or_features_has_a_card():
    bare = RunTable.from_frame(pd.DataFrame({"resource_id": ["a"], "computation_id": ["f"], "runtime_s": [2.0]}))
    card = card_of(bare)
    assert (card.kernels, card.missing_share) == (1, 0.0)


def test_an_empty_table_has_a_card():
    empty = RunTable.from_frame(pd.DataFrame({"resource_id": [], "computation_id": [], "runtime_s": []}))
    card = card_of(empty)
    assert card.rows == 0
    assert math.isnan(card.median_s)


def test_the_digest_names_the_content():
    assert card_of(table()).digest == card_of(table()).digest
    assert card_of(table(runtime_s=[1.0, 2.0, 3.001, -1.0])).digest != card_of(table()).digest
    renamed = RunTable.from_frame(table().frame.rename(columns={"r_rate_per_s": "r_other_per_s"}))
    assert card_of(renamed).digest != card_of(RunTable.from_frame(table().frame)).digest


def test_lines_and_flat_names_say_the_same():
    card = card_of(table())
    assert "| set aside | 1 because runtime_s is negative |" in card.lines()
    assert card.flat()["columns.r_"] == 1
    assert card.flat()["set_aside.runtime_s is negative"] == 1
    assert f"`{card.digest}`" in card.lines()[-1]
