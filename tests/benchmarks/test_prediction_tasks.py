"""The prediction tasks are the same everywhere: their splits and draws are pinned, and nothing of the answer leaks."""

import hashlib
from functools import partial

import numpy as np
import pandas as pd
import pytest

from benchmarks.prediction import clouds, clusters, devices, networks
from benchmarks.prediction.tasks import COMPUTATION, RESOURCE, RUNTIME, data_folder, generator, held_out, unseen

DATA = data_folder()
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the public data are not at {DATA}")

PROTOCOLS = {
    "cells": (networks.cell_tasks, 16, "07f6394357820b67"),
    "chains": (networks.chain_tasks, 16, "ef1168b699cd5749"),
    "edge": (partial(devices.edge_tasks, draws=range(5)), 150, "3673a1d467355933"),
    "half known": (devices.half_known_tasks, 16, "6b16139b5fd96f21"),
    "clouds": (clouds.cloud_tasks, 44, "e12303e601e3d603"),
    "applications": (clouds.application_tasks, 76, "9d06bb3ea560489e"),
    "one run with telemetry": (partial(clouds.one_run_tasks, telemetry=True), 73, "7fe40b9016c8a32a"),
    "one run without": (partial(clouds.one_run_tasks, telemetry=False), 73, "a432ef6893526380"),
    "clusters": (clusters.application_tasks, 72, "37b433dbf4d7190e"),
    "contexts": (clusters.context_tasks, 153, "955efe25b2cacd24"),
    "accelerators": (devices.accelerator_tasks, 30, "10cbb04aa0590af1"),
    "language models": (devices.language_model_tasks, 64, "adc567e8a0427cd4"),
    "training": (devices.training_tasks, 45, "de29f75b538a81f9"),
    "gpus": (devices.gpu_tasks, 18, "4b27ee666d6ba810"),
}


def digest(tasks):
    """Return the number of tasks, and a digest of their ids, draws and the pairs and runtimes of every part."""
    count, whole, last = 0, hashlib.sha256(), None
    for task in tasks:
        count += 1
        whole.update(repr((task.protocol, task.probe_count, task.target, task.draw, task.key)).encode())
        parts = [task.probes, task.query] if task.key == last else [task.train, task.probes, task.query]
        last = task.key
        for part in parts:
            whole.update(",".join(part.columns).encode())
            whole.update(np.ascontiguousarray(part[RUNTIME].to_numpy(dtype=float)).tobytes())
            hashed = pd.util.hash_pandas_object(part[[RESOURCE, COMPUTATION]].astype(str), index=False)
            whole.update(hashed.to_numpy().tobytes())
    return count, whole.hexdigest()[:16]


@needs_data
@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_splits_and_draws_of_a_protocol_stay_as_they_are(name):
    make, count, pinned = PROTOCOLS[name]
    assert digest(make(DATA)) == (count, pinned)


def pairs_of(part):
    return set(zip(part[RESOURCE].tolist(), part[COMPUTATION].tolist(), strict=True))


@needs_data
@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_history_holds_a_pair_that_is_asked_for_or_probed(name):
    make, _, _ = PROTOCOLS[name]
    history, of = set(), None
    for task in make(DATA):
        if task.train is not of:  # tasks of one target share their history
            history, of = pairs_of(task.train), task.train
        asked, probed = pairs_of(task.query), pairs_of(task.probes)
        assert history.isdisjoint(asked)
        assert probed.isdisjoint(history)
        assert probed.isdisjoint(asked)
        assert len(probed) == len(task.probes) <= max(task.probe_count, 200)


@needs_data
def test_a_target_of_each_protocol_is_new_to_its_history():
    for name, side in (("cells", RESOURCE), ("edge", RESOURCE), ("clusters", COMPUTATION), ("training", COMPUTATION)):
        known, of = set(), None
        for task in PROTOCOLS[name][0](DATA):
            if task.train is not of:
                known, of = set(task.train[side]), task.train
            assert task.target not in known
            assert set(task.query[side]) == {task.target}


@needs_data
def test_one_history_for_all_half_known_platforms_holds_none_of_them_and_asks_the_same():
    together = next(devices.half_known_tasks(DATA, together=True))
    alone = next(devices.half_known_tasks(DATA))
    assert pairs_of(together.query) == pairs_of(alone.query)
    assert pairs_of(together.probes) == pairs_of(alone.probes)
    gone = set(alone.train[RESOURCE]) - set(together.train[RESOURCE])
    assert len(gone) == 15
    assert pairs_of(together.train) == {pair for pair in pairs_of(alone.train) if pair[0] not in gone}


@needs_data
def test_telemetry_is_in_the_runs_that_happened_and_never_in_what_is_asked():
    task = next(clouds.one_run_tasks(DATA, telemetry=True))
    assert sum(name.startswith("t_") for name in task.probes) == 52
    assert not any(name.startswith("t_") or name == RUNTIME for name in task.pairs)
    without = next(clouds.one_run_tasks(DATA, telemetry=False))
    assert list(without.pairs.columns) == list(task.pairs.columns)
    assert not any(name.startswith("t_") for name in without.train)


def test_a_draw_depends_on_its_name_alone():
    assert generator("a", 1).random() == generator("a", "1").random()
    assert generator("a", 1).random() != generator("a", 2).random()


def test_held_out_rows_are_either_probes_or_query():
    rows = pd.DataFrame({RESOURCE: "new", COMPUTATION: [f"c{n}" for n in range(9)], RUNTIME: 1.0 + np.arange(9)})
    tasks = list(held_out("d", "p", train=rows[:0], rows=rows, side=RESOURCE, key="k", counts=(1, 4), draws=(0, 1)))
    assert [(task.probe_count, task.draw) for task in tasks] == [(1, 0), (1, 1), (4, 0), (4, 1)]
    for task in tasks:
        both = pd.concat([task.probes, task.query])[COMPUTATION]
        assert sorted(both) == sorted(rows[COMPUTATION])
        assert len(task.probes) == task.probe_count
        np.testing.assert_array_equal(task.truth_s, task.query[RUNTIME])
    assert RUNTIME not in unseen(rows)


def test_edges_off_every_path_from_input_to_output_are_dead():
    through, dead_end = [0, 0, 0, 3, 0, 0], [3, 0, 0, 0, 0, 0]
    live, connected = networks.live_edges(np.array([through, dead_end]))
    assert live[0].tolist() == [False, False, False, True, False, False]
    assert not live[1].any()
    assert connected.tolist() == [True, False]


def test_a_cell_is_as_deep_as_its_longest_live_path():
    chain = [3, 0, 3, 0, 0, 2]  # input -> 1 -> 2 -> output
    skipped = [1, 0, 3, 0, 0, 2]
    features = networks.cell_features(np.array([chain, skipped]))
    assert features["c_depth"].tolist() == [3, 2]
    assert features["c_n3"].tolist() == [2, 1]


def test_a_chain_of_larger_kernels_and_expansions_does_more_work():
    work = networks.chain_work(np.array([[0] * 22, [3] * 22, [7] * 22]))
    assert work["c_g_pw"].is_monotonic_increasing
    assert work["c_g_dw"].is_monotonic_increasing
    assert work["c_g_k5"].iloc[2] > work["c_g_k5"].iloc[1] == work["c_g_k5"].iloc[0]
