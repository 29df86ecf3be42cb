"""The gate in front of the routes: tokens, tenants, hosts, sizes, depths, rates; over every route of the document."""

import json
import time
from typing import Any

import pytest

from benchmarks.api.direct import ask as ask_directly
from benchmarks.api.wire import Answer
from dnaml.rest.auth import Scope, Tokens
from dnaml.rest.gate import ARRIVED_S
from dnaml.rest.settings import Limits
from tests.rest.conftest import WORK, Client, settings_of

OPEN = {"/healthz", "/readyz"}
RANK = {"read": 0, "submit": 1, "admin": 2}
PROBLEM = "application/problem+json"


def routes_of(client: Client) -> list[tuple[str, str, str | None]]:
    """Return (method, path with ids filled in, scope) of every operation of the document."""
    document = client.app.openapi()
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            filled = (
                path.replace("{job_id}", "none").replace("{resource_id}", "none").replace("{computation_id}", "none")
            )
            found.append((method.upper(), filled, operation.get("x-dnaml-scope")))
    return found


def ask(client: Client, method: str, path: str, token: str | None) -> Any:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return client.request(method, f"/{path}", headers={**headers, "Last-Event-ID": "0"}, params={"once": "true"})


def test_no_route_but_health_answers_without_a_valid_token(guarded: tuple[Client, dict[str, str]]) -> None:
    client, tokens = guarded
    wrong = tokens["admin"][:-1] + ("0" if tokens["admin"][-1] != "0" else "1")
    bad = [None, "", "x", "dnaml_", wrong, tokens["short"], tokens["admin"].upper(), "dnaml_00000000_" + "0" * 64]
    for method, path, scope in routes_of(client):
        for token in bad:
            answer = ask(client, method, path, token)
            if path in OPEN:
                assert answer.status_code == 200
            else:
                assert answer.status_code == 401, (method, path, token)
                assert answer.headers["content-type"] == PROBLEM
                assert answer.headers["www-authenticate"].startswith("Bearer")
        assert scope is not None or path in OPEN


def test_each_route_needs_the_scope_that_the_document_says(guarded: tuple[Client, dict[str, str]]) -> None:
    client, tokens = guarded
    for method, path, scope in routes_of(client):
        if scope is None:
            continue
        for have in RANK:
            answer = ask(client, method, path, tokens[have])
            refused = answer.status_code == 403 and answer.json()["type"].endswith("scope")
            assert refused == (RANK[have] < RANK[scope]), (method, path, have, answer.status_code)
            assert answer.status_code != 401


def test_another_tenants_job_is_not_found_on_any_route(guarded: tuple[Client, dict[str, str]]) -> None:
    client, tokens = guarded
    client.headers = {"Authorization": f"Bearer {tokens['submit']}"}
    try:
        job_id = client.submit("double", 1)
        computation_id = client.ended(job_id)["computation_id"]
    finally:
        client.headers = {}
    theirs = {"Authorization": f"Bearer {tokens['other']}"}
    for method, path, _ in routes_of(client):
        for id_name, own in (("job_id", job_id), ("computation_id", computation_id)):
            if "none" not in path or (id_name == "job_id") != ("/jobs/" in path) or "/resources/" in path:
                continue
            answer = client.request(method, f"/{path.replace('none', own)}", headers=theirs)
            assert answer.status_code == 404, (method, path)
            assert job_id not in client.get("/jobs", headers=theirs).text
    assert job_id not in client.get("/events?once=true", headers={**theirs, "Last-Event-ID": "0"}).text
    assert client.get("/forecast", headers=theirs).json()["waiting"] == 0


def test_a_revoked_token_ends_at_once(guarded: tuple[Client, dict[str, str]]) -> None:
    client, _ = guarded
    tokens = Tokens(client.service.tokens.path)
    token = tokens.create("brief", tenant="ours", scope=Scope.READ)
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/jobs", headers=headers).status_code == 200
    tokens.revoke("brief")
    assert client.get("/jobs", headers=headers).status_code == 401
    assert token not in client.service.tokens.path.read_text()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example:8750"},
        {"Origin": "http://[::1"},
    ],
)
def test_a_page_of_another_site_reaches_nothing(api: Client, headers: dict[str, str]) -> None:
    body = {"computation": f"{WORK}:double", "args": [1]}
    before = len(api.service.live.history.jobs)
    answer = api.post("/jobs", body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (403, PROBLEM)
    assert api.request("GET", "//healthz", headers=headers).status_code == 403
    assert len(api.service.live.history.jobs) == before


def test_the_page_of_the_service_itself_may_ask(api: Client) -> None:
    assert api.get("/jobs", headers={"Origin": "http://localhost:8750"}).status_code == 200
    assert api.get("/jobs", headers={"Host": "[::1]:8750", "Origin": "http://127.0.0.1:8750"}).status_code == 200


BODIES = [
    (b"", 400),
    (b"{", 400),
    (b"[" * 100_000, 400),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
    (b'{"name": NaN}', 400),
    (b'{"name": Infinity}', 400),
    (b'{"name": "\\ud800"}', 400),
    (b'{"name": "\xed\xa0\x80"}', 400),
    (b"\xff\xfe{\x00}\x00", 400),
    (b"[]", 422),
    (b"null", 422),
    (b"1e999", 422),
    (b'{"args": [' + b"9" * 6_000 + b"]}", 422),
    (b'{"computation": 5}', 422),
    (b'{"computation": "a:b", "constraints": {"max_cost": -1}}', 422),
    (b'{"computatoin": "a:b"}', 422),
    (b"{}", 422),
]


@pytest.mark.parametrize(("body", "status"), BODIES, ids=range(len(BODIES)))
def test_a_body_that_is_no_job_is_a_documented_refusal(api: Client, body: bytes, status: int) -> None:
    answer = api.request("POST", "/jobs", content=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert set(json.loads(answer.content)) <= {"type", "title", "status", "detail", "instance"}
    assert "Traceback" not in answer.text


def test_a_body_that_is_too_large_is_refused_before_it_is_read(api: Client) -> None:
    sent = 0

    async def chunks():  # type: ignore[no-untyped-def]
        nonlocal sent
        for _ in range(64):
            sent += 1 << 20
            yield b" " * (1 << 20)

    told = api.call(lambda client: client.post("/api/v1/jobs", content=chunks()))
    assert told.status_code == 413
    assert sent <= 16 << 20
    declared = api.request("POST", "/jobs", content=b"{}", headers={"Content-Length": str(64 << 20)})
    assert declared.status_code == 413


def test_unknown_paths_and_methods_are_problems_too(api: Client) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("PUT", "/jobs", 405),
        ("GET", "/plans", 405),
        ("GET", "/jobs/nothing", 404),
        ("GET", "/jobs?limit=x", 422),
        ("GET", f"/jobs?limit={'9' * 6_000}", 422),
        ("GET", "/jobs?state=GONE", 422),
        ("GET", "/resources/nothing", 404),
        ("GET", "/computations/../../etc", 404),
    ):
        answer = api.request(method, path)
        assert answer.status_code == status, (method, path, answer.text)
        assert answer.headers["content-type"] == PROBLEM
    assert api.request("PUT", "/jobs").headers["allow"] == "GET, POST"
    assert api.request("POST", "/jobs/1").headers["allow"] == "DELETE, GET"


def test_a_tenant_that_asks_too_often_is_told_when_to_come_back(tmp_path) -> None:  # type: ignore[no-untyped-def]
    client = Client(settings_of(tmp_path, limits=Limits(requests_per_s=1.0, burst=3, open_jobs=1)))
    try:
        gate = str(tmp_path / "root" / "gate")
        client.submit("wait_for", gate)
        full = client.post("/jobs", {"computation": f"{WORK}:double", "args": [1]})
        assert (full.status_code, full.headers["retry-after"]) == (429, "10")
        answers = [client.get("/jobs") for _ in range(4)]
        assert answers[0].status_code == 200
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert client.request("GET", "//healthz").status_code == 200
    finally:
        client.close()


def test_a_request_that_waited_too_long_is_to_come_back_the_later_the_further_behind_the_service_is(
    api: Client,
) -> None:
    async def asked(late_s: float) -> Answer:
        async def late(scope: Any, receive: Any, send: Any) -> None:
            await api.app({**scope, ARRIVED_S: time.monotonic() - late_s}, receive, send)

        return await ask_directly(late, "GET", "/api/v1/jobs")

    told = {late_s: api.call(lambda _, late_s=late_s: asked(late_s)) for late_s in (0.0, 0.6, 4.0, 1e6)}
    assert told[0.0].status == 200
    assert {told[late_s].status for late_s in (0.6, 4.0, 1e6)} == {429}
    after = [int(told[late_s].headers["retry-after"]) for late_s in (0.6, 4.0, 1e6)]
    assert 1 <= after[0] < after[1] < after[2] <= 60


def test_an_unknown_exception_is_a_problem_without_its_text(api: Client, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def breaks(*_: object) -> None:
        raise RuntimeError("secret path of ours")

    monkeypatch.setattr(api.service, "job", breaks)
    before = api.app.state.gate.failures
    answer = api.get("/jobs/some")
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    assert "secret" not in answer.text
    assert api.app.state.gate.failures == before + 1
