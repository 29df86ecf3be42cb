"""Jobs over REST, run by a real engine with real workers."""

import json
import threading
from pathlib import Path

import pytest

from dnaml.core.errors import StorageUnavailable
from dnaml.core.resource import Resource
from tests.rest.conftest import WORK, Client, settings_of


def test_a_job_runs_and_tells_its_result_decision_and_attempts(api: Client) -> None:
    job_id = api.submit("double", 21, name="twice")
    job = api.ended(job_id)
    assert (job["state"], job["result"], job["name"]) == ("SUCCEEDED", 42, "twice")
    decision = api.get(f"/jobs/{job_id}/decision").json()
    assert decision["chosen"] == "here"
    assert decision["candidates"][0]["why"] == "chosen"
    attempts = api.get(f"/jobs/{job_id}/attempts").json()["items"]
    assert [one["state"] for one in attempts] == ["DONE"]


def test_a_failed_job_tells_its_error_and_where_it_was_raised(api: Client) -> None:
    job = api.ended(api.submit("fail", "no luck"))
    assert job["state"] == "FAILED"
    assert "no luck" in job["error"]
    assert "work.py" in job["traceback"]


def test_a_command_runs_where_commands_are_allowed(api: Client) -> None:
    answer = api.post("/jobs", {"run": ["echo", "hi; touch hacked"], "name": "echo"})
    job = api.ended(answer.json()["id"])
    assert job["state"] == "SUCCEEDED"
    assert api.get(f"/jobs/{job['id']}/logs").text == "hi; touch hacked\n"
    assert not (api.service.rules.root / "hacked").exists()


def test_a_result_without_a_form_in_json_is_not_loaded(api: Client) -> None:
    job = api.ended(api.submit("odd"))
    assert job["state"] == "SUCCEEDED"
    assert job["result"] is None
    assert "not plain data" in job["result_note"]


def test_a_running_job_is_cancelled_and_an_ended_one_is_not(api: Client) -> None:
    job_id = api.submit("wait_for", "/nonexistent/never")
    assert api.request("DELETE", f"/jobs/{job_id}").status_code == 202
    assert api.ended(job_id)["state"] == "CANCELLED"
    again = api.request("DELETE", f"/jobs/{job_id}")
    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"


def test_a_batch_is_accepted_whole_or_not_at_all(api: Client) -> None:
    jobs = [{"computation": f"{WORK}:double", "args": [n]} for n in range(3)]
    before = api.get("/jobs?limit=1").json()["items"]
    bad = api.post("/jobs/batch", {"jobs": [*jobs, {"computation": "os:getpid"}]})
    assert bad.status_code == 403
    assert api.get("/jobs?limit=1").json()["items"] == before
    answer = api.post("/jobs/batch", {"jobs": jobs})
    assert answer.status_code == 202
    assert [api.ended(one["id"])["result"] for one in answer.json()["items"]] == [0, 2, 4]


def test_the_same_key_gives_the_same_job_and_another_body_is_refused(api: Client) -> None:
    body = {"computation": f"{WORK}:double", "args": [5]}
    ids = {api.post("/jobs", body, headers={"Idempotency-Key": "k1"}).json()["id"] for _ in range(5)}
    assert len(ids) == 1
    other = api.post("/jobs", {**body, "args": [6]}, headers={"Idempotency-Key": "k1"})
    assert other.status_code == 409
    assert other.json()["type"].endswith("idempotency-key")


def test_one_key_from_many_clients_at_once_makes_one_job(api: Client) -> None:
    ids: list[str] = []
    body = {"computation": f"{WORK}:double", "args": [7]}

    def ask() -> None:
        ids.append(api.post("/jobs", body, headers={"Idempotency-Key": "k2"}).json()["id"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1


def test_a_batch_with_a_key_is_one_request_and_its_key_is_no_other(api: Client) -> None:
    jobs = [{"computation": f"{WORK}:double", "args": [n]} for n in range(4)]
    key = {"Idempotency-Key": "batch"}
    first, again = (api.post("/jobs/batch", {"jobs": jobs}, headers=key).json()["items"] for _ in range(2))
    assert [one["id"] for one in first] == [one["id"] for one in again]
    assert len({one["id"] for one in first}) == 4
    assert api.post("/jobs/batch", {"jobs": jobs[:3]}, headers=key).status_code == 409
    assert api.post("/jobs", jobs[0], headers=key).status_code == 409


def test_while_the_storage_refuses_a_client_is_told_when_to_come_back(api: Client) -> None:
    admission = api.service.engine.store.admission
    admission.refuse(StorageUnavailable("the disk is full"))
    try:
        for key in ({}, {"Idempotency-Key": "full"}):
            answer = api.post("/jobs", {"computation": f"{WORK}:double", "args": [1]}, headers=key)
            assert answer.status_code == 503
            assert answer.json()["type"].endswith("storage-unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
    finally:
        admission.admit()
    assert api.submit("double", 1)


@pytest.mark.timeout(120)
def test_a_running_job_goes_on_elsewhere_from_its_checkpoint(tmp_path: Path) -> None:
    two = tuple(Resource(id=one, slots=1, spec={"cores": 1.0}) for one in ("first", "second"))
    client = Client(settings_of(tmp_path, resources=two))
    try:
        job_id = client.submit("count", 150, resilience={"checkpoint": {"interval": "0.2s"}})
        client.call(lambda one: _until_running(one, job_id))
        before = client.get(f"/jobs/{job_id}/attempts").json()["items"][0]["resource_id"]
        there = "second" if before == "first" else "first"
        assert client.post(f"/jobs/{job_id}/migrate", {"to": "nowhere"}).status_code == 422
        assert client.post(f"/jobs/{job_id}/migrate", {"to": there}).status_code == 202
        assert client.ended(job_id)["result"] == 150
        attempts = client.get(f"/jobs/{job_id}/attempts").json()["items"]
        assert [one["resource_id"] for one in attempts][-1] == there
        assert client.post(f"/jobs/{job_id}/migrate", {"to": there}).status_code == 409
    finally:
        client.close()


def test_pages_are_stable_while_jobs_are_added(api: Client) -> None:
    for n in range(6):
        api.submit("double", n)
    first = api.get("/jobs?limit=3").json()
    api.submit("double", 9)
    second = api.get("/jobs", params={"limit": 3, "cursor": first["next"]}).json()
    shown = [one["id"] for one in (*first["items"], *second["items"])]
    assert len(set(shown)) == 6
    everything = [one["id"] for one in api.get("/jobs?limit=500").json()["items"]]
    assert everything[1:7] == shown
    assert api.get("/jobs?cursor=nonsense").status_code == 400


def test_a_job_that_succeeded_is_repeated_and_compared(api: Client) -> None:
    job_id = api.submit("double", 4)
    api.ended(job_id)
    answer = api.post(f"/jobs/{job_id}/repeat", {})
    assert answer.status_code == 202, answer.text
    verdict = api.ended(answer.json()["id"])["repeat"]
    assert verdict == {"of": job_id, "repeated": True, "differences": []}


def test_a_running_job_seals_a_checkpoint_when_asked(api: Client) -> None:
    job_id = api.submit("count", 100, resilience={"checkpoint": {"interval": "1h"}})
    api.call(lambda client: _until_running(client, job_id))
    assert api.post(f"/jobs/{job_id}/checkpoint").status_code == 202
    events = api.get(f"/jobs/{job_id}/events").text
    assert "event: checkpoint" in events
    assert api.ended(job_id)["result"] == 100


async def _until_running(client, job_id):  # type: ignore[no-untyped-def]
    while (await client.get(f"/api/v1/jobs/{job_id}?wait_s=0.05")).json()["state"] != "RUNNING":
        pass


def test_paths_and_words_that_leave_the_root_are_refused(api: Client, tmp_path) -> None:  # type: ignore[no-untyped-def]
    root = api.service.rules.root
    (root / "link").unlink(missing_ok=True)
    (root / "link").symlink_to(tmp_path)
    (tmp_path / "secret").write_text("secret")
    for body in (
        {"run": "true", "workdir": "/etc"},
        {"run": "true", "workdir": "../.."},
        {"run": "true", "workdir": "link"},
        {"run": "true", "workdir": "~"},
        {"run": "true", "inputs": ["../../etc/passwd"]},
        {"run": "true", "inputs": ["link/secret"]},
        {"run": "true", "outputs": ["/etc/cron.d/x"]},
        {"run": ["true", "\x00"]},
        {"run": "true", "envs": {"A=B": "x"}},
        {"run": "true", "envs": {"HOME": None}},
        {"run": "true", "secrets": {"TOKEN": "x"}},
        {"computation": f"{WORK}:touch", "args": [str(tmp_path / "secret")]},
        {"computation": f"{WORK}:touch", "args": ["x"], "workdir": "."},
    ):
        answer = api.post("/jobs", body)
        assert answer.status_code == 422, (body, answer.text)
    assert (tmp_path / "secret").read_text() == "secret"


def test_only_allowed_functions_are_imported(api: Client) -> None:
    own = ("os.getpid", "time.sleep", "Path", "_hidden", "nothing", "__builtins__")
    for name in ("os:system", "subprocess:run", *(f"{WORK}:{one}" for one in own)):
        answer = api.post("/jobs", {"computation": name})
        assert answer.status_code in (403, 422), name


def test_what_was_accepted_goes_on_in_the_next_service(tmp_path) -> None:  # type: ignore[no-untyped-def]
    first = Client(settings_of(tmp_path))
    done = first.submit("double", 8)
    first.ended(done)
    gate = tmp_path / "root" / "gate"
    waiting = first.submit("wait_for", str(gate))
    body = {"computation": f"{WORK}:double", "args": [1]}
    keyed = first.post("/jobs", body, headers={"Idempotency-Key": "again"}).json()["id"]
    first.ended(keyed)
    events = _ids(first.get(f"/jobs/{done}/events").text)
    first.close()
    second = Client(settings_of(tmp_path))
    try:
        assert second.get(f"/jobs/{done}").json()["result"] == 16
        assert second.post("/jobs", body, headers={"Idempotency-Key": "again"}).json()["id"] == keyed
        changed = second.post("/jobs", {**body, "args": [2]}, headers={"Idempotency-Key": "again"})
        assert changed.status_code == 409
        assert _ids(second.get(f"/jobs/{done}/events").text) == events
        gate.touch()
        assert second.ended(waiting)["result"] == "there"
        assert len(second.get(f"/jobs/{waiting}/attempts").json()["items"]) == 2
    finally:
        second.close()


def _ids(stream: str) -> list[int]:
    return [json.loads(line[6:])["id"] for line in stream.splitlines() if line.startswith('data: {"id')]
