"""Asking without running: predictions, matches, plans, computations; and that the quick way answers as the slow one."""

from pathlib import Path

import numpy as np
import pytest

from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.predict.bound import bounds_s
from dnaml.predict.placing import LivePredictor
from dnaml.rest.supplies import Supplies
from tests.rest.conftest import Client, settings_of

FIT = {"id": "fit-1", "kernel": "fit", "demand": {"fp64_flop": 1e12, "parallelism": 2.0, "memory_traffic_bytes": 1e10}}
SPEC = {"cores": 4.0, "fp64_flop_per_s": 1e11, "sequential_bytes_per_s": 1e10}


@pytest.fixture(scope="module", autouse=True)
def _pool(api: Client) -> None:
    for name, speed, price in (("slow", 0.5, 0.1), ("quick", 4.0, 6.0)):
        spec = {key: value * speed for key, value in SPEC.items()}
        body = {"id": name, "site": "cloud", "price": price, "memory": "4GB", "spec": spec}
        assert api.post("/resources", body).status_code == 201


def test_the_pool_is_listed_shown_and_reduced(api: Client) -> None:
    assert [one["id"] for one in api.get("/resources").json()["items"]] == ["here", "slow", "quick"]
    page = api.get("/resources?limit=2").json()
    rest = api.get("/resources", params={"cursor": page["next"]}).json()
    assert [one["id"] for one in rest["items"]] == ["quick"]
    assert len(api.get("/resources/quick/dna").json()["vector"]) >= 16
    assert api.post("/resources", {"id": "gone/for/good", "site": "cloud"}).status_code == 201
    assert api.get("/resources/gone/for/good").json()["domain"] == "gone/for/good"
    assert api.request("DELETE", "/resources/gone/for/good").status_code == 204
    assert api.get("/resources/gone/for/good").status_code == 404


def test_bad_resources_are_refused_with_the_rule(api: Client) -> None:
    for body in (
        {"id": ""},
        {"id": "a\nb"},
        {"site": "cloud"},
        {"id": "x", "slots": 0},
        {"id": "x", "memory": "-1GB"},
        {"id": "x", "price": "free"},
        {"id": "x", "kind": "qpu"},
        {"id": "x", "spec": {"cores": "many"}},
        {"id": "x", "environment": {"LD_PRELOAD": "/tmp/x.so"}},
        {"id": "x", "colour": "red"},
    ):
        assert api.post("/resources", body).status_code == 422, body


def test_predictions_tell_bands_and_costs_best_first(api: Client) -> None:
    told = api.post("/predictions", {"computations": [FIT], "k": 3}).json()["predictions"][0]
    ids = [one["resource_id"] for one in told["resources"]]
    assert ids.index("quick") < ids.index("slow")
    for one in told["resources"]:
        assert one["runtime_p10_s"] < one["runtime_p50_s"] < one["runtime_p90_s"]


def test_plans_weigh_time_against_cost(api: Client) -> None:
    def chosen(objective: object) -> str:
        told = api.post("/plans", {"computations": [FIT], "objective": objective}).json()["plans"][0]
        return next(one["resource_id"] for one in told["candidates"] if one["resource_id"] != "here")

    known = [{**FIT, "demand": {}}]
    assert api.post("/plans", {"computations": known}).json()["plans"][0]["predicted_by"]
    assert chosen("min_latency") == "quick"
    assert chosen("min_cost") == "slow"


def test_a_plan_for_what_nothing_can_hold_says_why(api: Client) -> None:
    told = api.post("/plans", {"computations": [{**FIT, "memory_bytes": 1 << 50}]}).json()["plans"][0]
    assert told["chosen"] in (None, "here")  # nobody knows how much `here` has


def test_matches_rank_by_dna(api: Client) -> None:
    told = api.post("/matches", {"computations": [FIT], "metric": "euclidean", "k": 2}).json()["matches"][0]
    assert len(told["matches"]) == 2
    assert api.post("/matches", {"computations": [FIT], "metric": "taxi"}).status_code == 422


def test_a_described_computation_is_known_by_its_id(api: Client) -> None:
    assert api.post("/plans", {"computations": [{"id": "later"}]}).status_code == 404
    assert api.post("/computations", {**FIT, "id": "later"}).status_code == 201
    assert api.get("/computations/later").json()["demand"]["fp64_flop"] == 1e12
    assert api.get("/computations/later/dna").status_code == 200
    assert api.post("/plans", {"computations": [{"id": "later"}]}).status_code == 200
    job = {"computation": "tests.rest.work:double", "args": [3]}
    assert api.post("/computations", {"job": job}).json()["kernel"].startswith("tests.rest.work.double")


def test_questions_that_break_a_rule_are_refused(api: Client) -> None:
    for body, status in (
        ({}, 422),
        ({"computations": []}, 422),
        ({"computations": [FIT] * 1_001}, 422),
        ({"computations": [FIT], "k": 0}, 422),
        ({"computations": [FIT], "objective": "best"}, 422),
        ({"computations": [FIT], "objective": {"cost": -1.0}}, 422),
        ({"computations": [{**FIT, "memory_bytes": -1}]}, 422),
        ({"computations": [{**FIT, "size": {"n": "many"}}]}, 422),
        ({"computations": [{**FIT, "demand": {"fp64_flop": -1.0}}]}, 422),
        ({"computations": [FIT], "colour": 1}, 422),
    ):
        answer = api.post("/plans", body)
        assert answer.status_code == status, (body, answer.text)


def test_bounds_over_all_resources_at_once_are_those_of_each() -> None:
    rng = np.random.default_rng(3)
    pool = [
        Resource(id=f"r{n}", spec={key: float(value * rng.uniform(0.1, 9)) for key, value in SPEC.items()})
        for n in range(20)
    ]
    supplies = Supplies.of(pool)
    demands = (
        {"fp64_flop": 1e12},
        {"flop": 1e12, "fp64_share": 0.5, "parallelism": 3.0},
        {"working_set_bytes": 1e9, "fp64_flop": 1e9},
    )
    for demand in demands:
        exact = bounds_s(demand, [one.spec for one in pool])
        np.testing.assert_allclose(supplies.bounds_s(demand), exact, rtol=1e-12)
    assert supplies.bounds_s({"random_accesses": 1e6}) is None


def test_the_quick_row_of_a_new_kernel_is_what_the_predictor_says(api: Client) -> None:
    computation = Computation(id="new", kernel="new-kernel", demand=FIT["demand"])  # type: ignore[arg-type]
    pool = [one for one in api.service.resources() if one.id != "here"]
    supplies = Supplies.of(pool)
    said = LivePredictor().predict([computation], pool).runtime_s.quantile(0.5)[0]
    bound_s = supplies.bounds_s(computation.demand)
    assert bound_s is not None
    np.testing.assert_allclose(bound_s * np.exp(0.7), said, rtol=1e-9)


def test_forecast_prices_models_and_metrics_answer(api: Client) -> None:
    assert api.get("/forecast").json() == {"waiting": 0, "items": [], "scaling": None}
    prices = api.get("/prices?limit=5&accelerator=A100").json()
    assert all(one["accelerator"].casefold() == "a100" and one["price_date"] for one in prices["items"])
    assert api.get("/prices", params={"cursor": prices["next"] or "x"}).status_code in (200, 400)
    assert api.get("/models").json() == {"models": {}, "training": None}
    assert api.post("/models/train", {"table": "../../etc/passwd"}).status_code == 422
    assert api.post("/models/train", {"name": "--help"}).status_code == 422
    api.ended(api.submit("double", 1))
    text = api.request("GET", "//metrics").text
    for name in (
        "dnaml_job_wait_seconds_bucket",
        "dnaml_job_duration_seconds_bucket",
        "dnaml_prediction_error_ratio_bucket",
        "dnaml_prediction_interval_coverage",
        "dnaml_cost_usd_total",
        "dnaml_decision_seconds_bucket",
        "dnaml_migrations_total",
        "dnaml_failovers_total",
        'dnaml_resource_available{resource_id="here"} 1.0',
        "dnaml_queue_jobs 0.0",
        "dnaml_degraded",
        "dnaml_rows_refused_total",
        "dnaml_build_info",
        "system_cpu_utilization",
    ):
        assert name in text, name
    assert "dnaml_decision_seconds_count 0.0" not in text  # the decision of the job counts, not only plans asked for


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_model_is_learned_from_a_table_and_registered(tmp_path: Path) -> None:
    client = Client(settings_of(tmp_path))
    try:
        rows = ["resource_id,computation_id,runtime_s,r_cores,c_size"]
        rows += [f"r{r},c{c},{(c + 1) / (r + 1)},{r + 1},{c + 1}" for r in range(3) for c in range(5)]
        (client.service.rules.root / "runs.csv").write_text("\n".join(rows) + "\n")
        started = client.post("/models/train", {"table": "runs.csv", "name": "learned", "seed": 1})
        assert (started.status_code, started.json()["state"]) == (202, "running")
        assert client.post("/models/train", {"table": "runs.csv", "name": "second"}).status_code == 409
        client.service.trainings.wait(200)
        found = client.get("/models").json()
        assert found["training"]["state"] == "done", found
        assert list(found["models"]) == ["learned"]
        (client.service.rules.root / "empty.csv").write_text("a,b\n1,2\n")
        assert client.post("/models/train", {"table": "empty.csv", "name": "third"}).status_code == 202
        client.service.trainings.wait(100)
        told = client.get("/models").json()["training"]
        assert told["state"] == "failed"
        assert "resource_id" in told["detail"]
    finally:
        client.close()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_probe_measures_this_machine_and_keeps_what_it_found(tmp_path: Path) -> None:
    client = Client(settings_of(tmp_path))
    try:
        answer = client.post("/resources/here/probe")
        assert answer.status_code == 200, answer.text
        assert answer.json()["spec"]["fp64_flop_per_s"] > 0
        assert client.get("/resources/here").json()["spec"] == answer.json()["spec"]
        assert client.post("/resources/nothing/probe").status_code == 404
    finally:
        client.close()
