"""Bad run tables and bad pairs: a clear error or rows set aside and counted, never an answer that cannot be."""

import math
import resource
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dnaml
from dnaml.core.errors import InputError
from tests.predict.brief import brief_trainings

RESOURCES, COMPUTATIONS = 5, 6
COLUMNS = ["runtime_s_p10", "runtime_s", "runtime_s_p90"]
LEVELS = (0.001, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.999)


def table(seed=0, repeats=2):
    """Return runs of every computation on every resource: an additive world with a little noise."""
    rng = np.random.default_rng(seed)
    speed, work = rng.normal(0, 0.5, RESOURCES), rng.normal(1, 1.0, COMPUTATIONS)
    rows = [
        {
            "resource_id": f"r{r}",
            "computation_id": f"c{c}",
            "runtime_s": math.exp(work[c] - speed[r] + rng.normal(0, 0.05)),
            "r_clock_hz": 1e9 * math.exp(speed[r]),
            "r_kind": "gpu" if r % 2 else "cpu",
            "c_flop": math.exp(work[c]),
            "s_n": 10.0 * (1 + c),
            "price_usd_per_s": 0.001 * (1 + r),
        }
        for r in range(RESOURCES)
        for c in range(COMPUTATIONS)
        for _ in range(repeats)
    ]
    return pd.DataFrame(rows)


GOOD = table()
KNOWN = GOOD.drop(columns="runtime_s").iloc[::7].reset_index(drop=True)
NEW = pd.DataFrame({"resource_id": ["r0", "new", "new"], "computation_id": ["new", "c0", "other"]})
ASKED = pd.concat([KNOWN, NEW], ignore_index=True)


def fit(frame, seed=0):
    return dnaml.RuntimePredictor(seed=seed).fit(frame)


def check(answer, pairs):
    """Every answer is finite, positive and rising, stands beside its pair and says who gave it."""
    assert answer.index.equals(pairs.index)
    values = answer[COLUMNS].to_numpy(dtype=float)
    assert np.isfinite(values).all()
    assert (values > 0).all()
    assert (np.diff(values, axis=1) >= 0).all()
    assert answer["path"].map(bool).all()


def check_all(model, pairs=ASKED):
    check(model.predict(pairs), pairs)
    quantiles = model.predict_quantiles(pairs, LEVELS).to_numpy()
    assert np.isfinite(quantiles).all()
    assert (quantiles > 0).all()
    assert (np.diff(quantiles, axis=1) >= 0).all()


@pytest.fixture(autouse=True, scope="module")
def brief():
    """Asked is that answers can be, not how good they are."""
    with brief_trainings():
        yield


@pytest.fixture(scope="module")
def fitted(brief):
    return fit(GOOD)


def spread_over(values):
    """Return a table whose runtimes are these values in turn."""
    return GOOD.assign(runtime_s=[values[n % len(values)] for n in range(len(GOOD))])


ODD = {
    "empty": GOOD.iloc[:0],
    "one row": GOOD.iloc[:1],
    "two rows": GOOD.iloc[[0, -1]],
    "one resource": GOOD[GOOD["resource_id"] == "r0"],
    "one computation": GOOD[GOOD["computation_id"] == "c0"],
    "one pair": GOOD.iloc[:2],
    "constant target": GOOD.assign(runtime_s=2.0),
    "all censored": GOOD.assign(censored=True),
    "all failed": GOOD.assign(failed=True),
    "duplicated rows": pd.concat([GOOD] * 3, ignore_index=True),
    "one row many times": pd.concat([GOOD.iloc[:1]] * 50, ignore_index=True),
    "ids of mixed types": GOOD.assign(
        resource_id=[(1, "1", 1.0, True, "r")[n % 5] for n in range(len(GOOD))],
        computation_id=[(b"c", "c", 7, None, pd.Timestamp("2026-01-01"))[n % 5] for n in range(len(GOOD))],
    ),
    "columns of nan and infinity and 1e300": GOOD.assign(
        r_void=np.nan,
        c_void=None,
        s_void=pd.NA,
        r_clock_hz=np.nan,
        r_inf=np.inf,
        c_flop=-np.inf,
        c_far=1e300,
        s_far=[(-1e300, 1e300)[n % 2] for n in range(len(GOOD))],
    ),
    "a wild value here and there": GOOD.assign(
        c_flop=np.where(np.arange(len(GOOD)) % 9 == 0, 1e300, GOOD["c_flop"]),
        s_n=np.where(np.arange(len(GOOD)) % 7 == 0, -1e90, GOOD["s_n"]),
    ),
    "features of odd types": GOOD.assign(
        r_clock_hz=GOOD["r_clock_hz"].astype(str),
        s_n=[n if n % 3 else "many" for n in range(len(GOOD))],
        c_flop=[[1, 2]] * len(GOOD),
        r_kind=GOOD["r_kind"].astype("category"),
        c_when=pd.Timestamp("2026-01-01"),
        s_on=True,
    ),
    "negative, zero and equal features": GOOD.assign(
        r_clock_hz=-GOOD["r_clock_hz"], c_flop=0.0, **{f"r_same{n}": GOOD["r_clock_hz"] for n in range(5)}
    ),
    "swapped units in a tenth of the rows": GOOD.assign(
        runtime_s=GOOD["runtime_s"] * np.where(np.arange(len(GOOD)) % 10 == 0, 1000.0, 1.0)
    ),
    "swapped units on one resource": GOOD.assign(
        runtime_s=GOOD["runtime_s"] * np.where(GOOD["resource_id"] == "r0", 1000.0, 1.0)
    ),
    "runtimes over eighteen orders": spread_over([1e-9, 1.0, 1e9]),
    "no features": GOOD[["resource_id", "computation_id", "runtime_s"]],
    "more features than rows": GOOD.assign(
        **{f"c_f{n}": np.random.default_rng(n).normal(size=len(GOOD)) for n in range(90)}
    ),
    "a category of its own in every row": GOOD.assign(c_name=[f"name {n}" for n in range(len(GOOD))]),
    "an index that repeats and names of many scripts": GOOD.set_index(np.zeros(len(GOOD), dtype=int)).assign(
        resource_id=(GOOD["resource_id"] + "\u202e\n\ud7ff\U0001f600").to_numpy()
    ),
    "a resource for every row": GOOD.assign(resource_id=[f"r{n}" for n in range(len(GOOD))]),
    "a computation for every row": GOOD.assign(computation_id=[f"c{n}" for n in range(len(GOOD))]),
}


QUICK = {
    "empty",
    "one row",
    "one resource",
    "all censored",
    "ids of mixed types",
    "columns of nan and infinity and 1e300",
    "features of odd types",
    "swapped units in a tenth of the rows",
    "constant target",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in ODD],
)
def test_an_odd_table_still_gives_answers_that_can_be(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = fit(ODD[name])
        check_all(model)
        check_all(model.update(GOOD.iloc[:3]))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_million_categories_are_learned_from_in_a_minute_of_one_core_and_bounded_memory():
    count = 1_000_000
    number = np.arange(count)
    many = pd.DataFrame(
        {
            "resource_id": np.char.add("r", (number % 7).astype(str)),
            "computation_id": np.char.add("c", (number // 7 % 30).astype(str)),
            "runtime_s": 1.0 + number % 5,
            "c_name": np.char.add("name ", number.astype(str)),
            "r_serial": np.char.add("s", number.astype(str)),
        }
    )
    before_kib, begin_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    model = fit(many)
    assert time.process_time() - begin_s < 180
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 3 * 2**20
    check_all(model, many.drop(columns="runtime_s").iloc[:5])


IMPOSSIBLE = (math.nan, math.inf, -math.inf, 0.0, -1.0, 1e300, None, "soon")


def test_impossible_runtimes_are_set_aside_and_counted_by_reason_and_change_nothing(fitted):
    bad = pd.DataFrame({"resource_id": "r0", "computation_id": "c0", "runtime_s": list(IMPOSSIBLE), "r_clock_hz": 1e9})
    nameless = pd.DataFrame({"resource_id": [None, "r0", ""], "computation_id": ["c0", None, "c0"], "runtime_s": 1.0})
    model = fit(pd.concat([GOOD, bad, nameless], ignore_index=True))
    assert sum(model.set_aside.values()) == len(IMPOSSIBLE) + 3
    assert all(count > 0 for count in model.set_aside.values())
    np.testing.assert_allclose(model.predict(ASKED)[COLUMNS], fitted.predict(ASKED)[COLUMNS], rtol=1e-9)
    after = model.update(bad)
    assert sum(after.set_aside.values()) == 2 * len(IMPOSSIBLE) + 3
    np.testing.assert_allclose(after.predict(ASKED)[COLUMNS], model.predict(ASKED)[COLUMNS], rtol=1e-9)


def test_failed_and_censored_runs_teach_no_runtime_and_are_counted(fitted):
    lost = GOOD.iloc[:4].assign(runtime_s=1e-3, failed=[True, True, False, False], censored=[True, False, True, True])
    model = fit(pd.concat([GOOD, lost], ignore_index=True))
    assert sum(model.set_aside.values()) == 4
    np.testing.assert_allclose(model.predict(ASKED)[COLUMNS], fitted.predict(ASKED)[COLUMNS], rtol=1e-9)


def test_a_table_without_a_needed_column_is_refused_with_its_name(fitted):
    for name in ("resource_id", "computation_id", "runtime_s"):
        with pytest.raises(InputError, match=f"column '{name}' is required"):
            fit(GOOD.drop(columns=name))
        with pytest.raises(InputError, match=f"column '{name}' is required"):
            fitted.update(GOOD.drop(columns=name))
    for name in ("resource_id", "computation_id"):
        with pytest.raises(InputError, match=f"column '{name}' is required"):
            fitted.predict(GOOD.drop(columns=[name, "runtime_s"]))


@pytest.mark.slow
def test_a_unit_swapped_in_one_of_many_rows_does_not_spoil_the_others():
    swapped = GOOD.copy()
    swapped.loc[3, "runtime_s"] *= 1000.0
    others = GOOD[GOOD["computation_id"] != swapped.loc[3, "computation_id"]]
    others = others[others["resource_id"] != swapped.loc[3, "resource_id"]].drop_duplicates(
        ["resource_id", "computation_id"]
    )
    found = fit(swapped).predict(others.drop(columns="runtime_s"))["runtime_s"].to_numpy()
    errors = np.abs(np.log(found / others["runtime_s"].to_numpy()))
    assert np.median(errors) < math.log(1.3)


@pytest.mark.parametrize(
    "pairs",
    [
        ASKED.assign(r_clock_hz=math.inf, c_flop=math.nan),
        ASKED.assign(r_clock_hz=1e300, c_flop=-1e300, s_n=-1e300),
        ASKED.assign(r_clock_hz="fast", c_flop=[[]] * len(ASKED), s_n=pd.NA),
        ASKED.assign(r_kind=7, r_new="x", c_new=1.0),
        ASKED.assign(r_kind=[f"kind {n}" for n in range(len(ASKED))]),
        ASKED[["resource_id", "computation_id"]],
        ASKED.assign(resource_id=None, computation_id=math.nan),
        ASKED.assign(resource_id=3, computation_id=pd.Timestamp("2026-01-01")),
        ASKED.assign(runtime_s=math.nan),
        ASKED.iloc[:0],
        ASKED.set_index(pd.Index([0] * len(ASKED))),
        ASKED.assign(r_clock_hz=np.float32(3e9), s_n=np.int8(3)),
        ASKED.assign(resource_id=ASKED["resource_id"].astype("category")),
    ],
    ids=["infinite", "1e300", "other types", "new columns", "new kinds", "no features", "no ids", "odd ids",
         "a target", "none", "one label", "narrow types", "categories"],
)  # fmt: skip
def test_odd_pairs_are_answered(fitted, pairs):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        check_all(fitted, pairs)


@pytest.mark.parametrize(
    "price",
    [
        math.nan,
        math.inf,
        -1.0,
        "free",
        None,
    ],
)
def test_a_price_that_cannot_be_gives_no_cost_but_a_runtime(fitted, price):
    answer = fitted.predict(KNOWN.assign(price_usd_per_s=price))
    check(answer, KNOWN)
    if "cost_usd" in answer:
        costs = answer["cost_usd"].to_numpy(dtype=float)
        assert not np.isinf(costs).any()
        assert not (costs < 0).any()


def test_the_same_seed_gives_the_same_answers(fitted):
    np.testing.assert_array_equal(fit(GOOD).predict(ASKED)[COLUMNS], fitted.predict(ASKED)[COLUMNS])


def test_neither_the_order_of_rows_nor_that_of_columns_changes_an_answer(fitted):
    order = np.random.default_rng(0).permutation(len(GOOD))
    moved = GOOD.iloc[order][GOOD.columns[::-1]]
    np.testing.assert_allclose(fit(moved).predict(ASKED)[COLUMNS], fitted.predict(ASKED)[COLUMNS], rtol=1e-6)


@given(
    chosen=st.lists(st.integers(0, len(ASKED) - 1), min_size=1, max_size=12),
    clock=st.one_of(st.none(), st.floats(-1e300, 1e300), st.sampled_from([math.nan, math.inf])),
)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_answer_does_not_depend_on_what_else_is_asked_in_the_same_call(fitted, chosen, clock):
    together = fitted.predict(ASKED)[COLUMNS].to_numpy()
    strange = pd.DataFrame({"resource_id": ["x"], "computation_id": ["y"], "r_clock_hz": [clock], "r_kind": ["tpu"]})
    some = pd.concat([ASKED.iloc[chosen], strange], ignore_index=True)
    found = fitted.predict(some)
    check(found, some)
    np.testing.assert_allclose(found[COLUMNS].to_numpy()[:-1], together[chosen], rtol=1e-9)


def test_one_pair_at_a_time_gives_the_same_answer(fitted):
    together = fitted.predict(ASKED)[COLUMNS].to_numpy()
    for row in range(len(ASKED)):
        alone = fitted.predict(ASKED.iloc[[row]])[COLUMNS].to_numpy()[0]
        np.testing.assert_allclose(alone, together[row], rtol=1e-9)


def test_a_column_that_is_absent_and_one_without_a_value_say_the_same(fitted):
    together = fitted.predict(ASKED)[COLUMNS].to_numpy()
    for row in range(len(KNOWN), len(ASKED)):
        alone = fitted.predict(ASKED.iloc[[row]].dropna(axis="columns"))[COLUMNS].to_numpy()[0]
        np.testing.assert_allclose(alone, together[row], rtol=1e-9)


def test_an_update_in_two_parts_or_another_order_comes_to_the_same(fitted):
    probes = GOOD.iloc[5:11].assign(resource_id="new")
    whole = fitted.update(probes).predict(ASKED)[COLUMNS]
    turned = fitted.update(probes.iloc[::-1]).predict(ASKED)[COLUMNS]
    np.testing.assert_allclose(turned, whole, rtol=1e-6)


@pytest.mark.slow
def test_a_second_fit_forgets_the_first(fitted):
    model = dnaml.RuntimePredictor(seed=0).fit(GOOD.iloc[:4].assign(runtime_s=1e5))
    np.testing.assert_allclose(model.fit(GOOD).predict(ASKED)[COLUMNS], fitted.predict(ASKED)[COLUMNS], rtol=1e-9)
