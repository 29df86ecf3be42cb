"""The routes as they were promised: each is in the document, and answers a request that is in order."""

import re
from pathlib import Path

import pytest

from tests.rest.conftest import WORK, Client

ROOT = Path(__file__).parent
PROMISED = """
GET /resources | POST /resources | GET /resources/{resource_id} | DELETE /resources/{resource_id}
GET /resources/{resource_id}/dna | POST /resources/{resource_id}/probe
POST /computations | GET /computations/{computation_id} | GET /computations/{computation_id}/dna
POST /predictions | POST /matches | POST /plans
POST /jobs | POST /jobs/batch | GET /jobs | GET /jobs/{job_id} | DELETE /jobs/{job_id}
GET /jobs/{job_id}/decision | GET /jobs/{job_id}/attempts | GET /jobs/{job_id}/logs | GET /jobs/{job_id}/events
POST /jobs/{job_id}/migrate | POST /jobs/{job_id}/checkpoint | POST /jobs/{job_id}/repeat
GET /events | GET /runs | GET /forecast | GET /prices | GET /models | POST /models/train
GET //healthz | GET //readyz | GET //metrics | GET //openapi.json
"""
"""what was promised is never taken out; two slashes stand for a path without the prefix"""

LONG = {"POST /api/v1/resources/{resource_id}/probe": "/probe", "POST /api/v1/models/train": "/models/train"}
"""what measures for seconds or starts a process, and how tests/rest/test_asking.py asks for it"""


def promised() -> set[tuple[str, str]]:
    found = (one.split() for line in PROMISED.strip().splitlines() for one in line.split(" | "))
    return {(method, path[1:] if path.startswith("//") else f"/api/v1{path}") for method, path in found}


def test_the_document_holds_what_was_promised_and_nothing_else(api: Client) -> None:
    paths = api.app.openapi()["paths"]
    told = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    assert told == promised()


@pytest.mark.timeout(120)
def test_every_route_answers_a_request_that_is_in_order(api: Client) -> None:
    described = {"id": "fit-1", "kernel": "fit", "demand": {"fp64_flop": 1e12}}
    done, runs = api.submit("double", 4), api.submit("count", 100_000)
    api.ended(done)
    until_running(api, runs)
    asked = (
        ("POST", "/resources", {"id": "cloud-1", "site": "cloud", "price": 1.0}),
        ("GET", "/resources", None), ("GET", "/resources/cloud-1", None), ("GET", "/resources/cloud-1/dna", None),
        ("DELETE", "/resources/cloud-1", None),
        ("POST", "/computations", described),
        ("GET", "/computations/fit-1", None), ("GET", "/computations/fit-1/dna", None),
        *(("POST", path, {"computations": [described]}) for path in ("/predictions", "/matches", "/plans")),
        ("POST", "/jobs", {"computation": f"{WORK}:double", "args": [1]}),
        ("POST", "/jobs/batch", {"jobs": [{"computation": f"{WORK}:double", "args": [2]}]}),
        ("GET", "/jobs", None), ("GET", f"/jobs/{done}", None),
        *(("GET", f"/jobs/{done}/{what}", None) for what in ("decision", "attempts", "logs", "events?once=true")),
        ("POST", f"/jobs/{runs}/checkpoint", None), ("POST", f"/jobs/{runs}/migrate", {}),
        ("DELETE", f"/jobs/{runs}", None), ("POST", f"/jobs/{done}/repeat", {}),
        ("GET", "/events?once=true", None), ("GET", "/runs", None), ("GET", "/forecast", None),
        ("GET", "/prices?limit=1", None), ("GET", "/models", None),
        *(("GET", path, None) for path in ("//healthz", "//readyz", "//metrics", "//openapi.json")),
    )  # fmt: skip
    templates = [(method, re.compile(re.sub(r"\{\w+\}", "[^/]+", path))) for method, path in sorted(promised())]
    found = set()
    for method, path, body in asked:
        answer = api.request(method, path, **({} if body is None else {"json": body}))
        assert answer.status_code in (200, 201, 202, 204), (method, path, answer.text)
        whole = path[1:] if path.startswith("//") else f"/api/v1{path}"
        (place,) = (
            n for n, (verb, shape) in enumerate(templates) if verb == method and shape.fullmatch(whole.split("?")[0])
        )
        found.add(" ".join(sorted(promised())[place]))
    assert found | set(LONG) == {" ".join(one) for one in promised()}
    others = (ROOT / "test_asking.py").read_text()
    assert all(f'{part}"' in others for part in LONG.values())


def until_running(api: Client, job_id: str) -> None:
    """Follow a job's events until it has started."""
    for _ in range(600):
        if api.get(f"/jobs/{job_id}").json()["state"] == "RUNNING":
            return
        api.get(f"/jobs/{job_id}?wait_s=0.1")
    raise AssertionError("it did not start in a minute")
