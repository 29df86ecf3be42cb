"""Tables of measured pairs: what a CSV must hold, both orders of a pair, and what was measured of public kinds."""

import os
from pathlib import Path

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.datasets.traces.colocation import load, pairs
from dnaml.datasets.traces.read import read, read_pairs

HEAD = "kind_a,kind_b,pool,kept_a,kept_b\n"
GAVEL = Path(os.environ.get("DNAML_DATA", Path(__file__).parents[3] / "shared" / "data")) / "scheduling" / "gavel"


def test_both_orders_of_a_pair_are_there_and_only_those_in_which_both_make_progress(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_text(f"{HEAD}a,b,p,0.8,0.5\nb,a,q,0.9,0.4\nc,a,p,0,0.7\nb,b,p,0.4,0.9\n")
    table = read_pairs(file)
    assert table.kinds == ["a", "b"]
    kept = table.array(["q", "p"], np.array([0, 1, 1]))  # [2, 2, 3]
    np.testing.assert_allclose(kept[0, 1], [0.4, 0.8, 0.8])
    np.testing.assert_allclose(kept[1, 0], [0.9, 0.5, 0.5])
    np.testing.assert_allclose(kept[1, 1], [0.0, 0.6, 0.6])
    assert table.array(["z"], np.array([0])).max() == 0.0


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("kind_a,kind_b\n", "needs columns kind_a, kind_b, pool, kept_a, kept_b, has kind_a, kind_b"),
        (f"{HEAD}a,b,p,fast,1\n", "pairs.csv line 2: kept_a must be a number, got 'fast'"),
        (f"{HEAD}a,b,p,,1\n", r"a beside b on p: shares kept must be in \[0, 100\], got nan"),
        (f"{HEAD}a,b,p,1,-1\n", r"shares kept must be in \[0, 100\], got 1.0, -1.0"),
        (f"{HEAD}a,b,p,1,0.5\nb,a,p,1,0.5\n", "b beside a on p is there twice"),
    ],
)
def test_a_table_that_says_nothing_or_two_things_is_refused(tmp_path, text, wrong):
    file = tmp_path / "pairs.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=wrong):
        load(file)


def test_a_pair_that_is_said_twice_alike_is_said_once():
    rows = [("a", "b", "p", 0.8, 0.5), ("b", "a", "p", 0.5, 0.8)]
    assert pairs(rows).kept == {("a", "b", "p"): 0.8, ("b", "a", "p"): 0.5}


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no table of measured pairs"):
        read_pairs(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"there are no measured pairs .*colocation\.parquet"):
        read_pairs(tmp_path / "colocation.parquet")


def test_a_trace_of_ones_own_names_kinds_and_memory(tmp_path):
    file = tmp_path / "jobs.csv"
    file.write_text("job_id,arrival_s,runtime_s:p,kind,memory_bytes\nx,0,10,a,1e9\ny,0,10,,\n")
    first, second = read(file).jobs
    assert (first.kind, first.memory_bytes) == ("a", 1_000_000_000)
    assert (second.kind, second.memory_bytes) == ("", None)


@pytest.mark.skipif(not GAVEL.is_dir(), reason=f"there are no public traces in {GAVEL}")
def test_the_public_pairs_are_read_as_shares_of_the_speed_alone():
    table = read_pairs(GAVEL / "colocation.parquet")
    assert len(table.kinds) == 26
    assert len(table.kept) == 1881
    alone, beside = 4.795295, 2.408173  # steps per second of the table of speeds, and of the pair with itself
    kind = "ResNet-18 (batch size 16) x 1"
    assert table.kept[kind, kind, "k80"] == pytest.approx(beside / alone, rel=1e-6)
    assert {job.kind for job in read(GAVEL / "traces" / "cont_single_600_l3.0_s0.csv").jobs} <= set(table.kinds)
