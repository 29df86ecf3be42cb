"""What pages of the dashboard read: of one's own tenant only, and nothing once the token is over."""

from types import SimpleNamespace
from typing import Any

import pytest

from dnaml.core.attempt import AttemptState, JobState, Placement
from dnaml.core.errors import NotFoundError
from dnaml.core.work import Computation, Job
from dnaml.dashboard.reads import AccessEnded, QueueQuery
from dnaml.history import AttemptView, JobView
from dnaml.rest.auth import Scope, Tokens
from dnaml.rest.reading import bars_of, opener
from tests.rest.conftest import Client


def request_of(client: Client, token: str) -> Any:
    """Return a request of a page as the gate hands it on."""
    caller = client.service.tokens.caller(token, 0.0)
    headers = {"cookie": f"dnaml_token={token}"}
    url = SimpleNamespace(scheme="http", netloc="localhost")
    return SimpleNamespace(scope={"state": {"caller": caller}}, headers=headers, url=url)


@pytest.fixture(scope="module")
def done(guarded: tuple[Client, dict[str, str]]) -> tuple[Client, dict[str, str], dict[str, str]]:
    """A service on which some jobs have ended, and their ids by function."""
    client, tokens = guarded
    client.headers = {"Authorization": f"Bearer {tokens['submit']}"}
    jobs = {"double": client.submit("double", 4, name="twice"), "fail": client.submit("fail", "no reason")}
    jobs["say"] = client.submit("say", "hello")
    for job_id in jobs.values():
        client.ended(job_id)
    client.headers = {}
    return client, tokens, jobs


def test_a_page_reads_the_jobs_of_its_own_tenant(done: Any) -> None:
    client, tokens, jobs = done
    reads, caller = opener(client.app)(request_of(client, tokens["read"]))
    assert caller.tenant == "ours"
    found = reads.queue(QueueQuery())
    assert {row.id for row in found.rows} >= set(jobs.values())
    assert found.counts[JobState.FAILED] == 1
    assert [row.name for row in reads.queue(QueueQuery(words="TWICE")).rows] == ["twice"]
    failed = reads.queue(QueueQuery(state=JobState.FAILED))
    assert ([row.id for row in failed.rows], failed.matching) == ([jobs["fail"]], 1)
    first, second = (reads.queue(QueueQuery(first=n, limit=1)).rows[0].id for n in (0, 1))
    assert (first, second) == (jobs["say"], jobs["fail"])


def test_a_job_is_told_with_result_decision_attempts_and_log(done: Any) -> None:
    client, tokens, jobs = done
    reads, _ = opener(client.app)(request_of(client, tokens["read"]))
    told = reads.job(jobs["double"])
    assert (told.result, told.row.state, told.wanted["computation"]) == ("8", "SUCCEEDED", told.row.computation_id)
    assert "no reason" in (reads.job(jobs["fail"]).traceback or "")
    decision = reads.decision(jobs["double"])
    assert decision is not None
    assert decision.chosen == "here"
    assert [one.row.state for one in reads.attempts(jobs["double"])] == ["DONE"]
    assert reads.log(jobs["say"], 1_000).text == "hello\nend\n"
    assert reads.log(jobs["say"], 4).text == "end\n"
    assert {bar.job_id for bar in reads.placements(100).bars} >= set(jobs.values())
    assert len(reads.placements(2).bars) == 2


def test_another_tenant_finds_none_of_it_on_any_read(done: Any) -> None:
    client, tokens, jobs = done
    reads, _ = opener(client.app)(request_of(client, tokens["other"]))
    assert reads.queue(QueueQuery()).matching == 0
    assert not reads.placements(100).bars
    assert sum(one.running for one in reads.resources()) == 0
    job_id = jobs["double"]
    for read in (reads.job, reads.decision, reads.attempts, reads.samples, lambda one: reads.log(one, 10)):
        with pytest.raises(NotFoundError, match=job_id):
            read(job_id)


def test_the_pool_is_told_with_its_dna_and_what_may_run(done: Any) -> None:
    client, tokens, _ = done
    reads, _ = opener(client.app)(request_of(client, tokens["read"]))
    one = reads.resources()[0]
    assert (one.resource.id, one.available, one.drivable, one.here) == ("here", True, True, True)
    assert [dna.owner_id for dna in reads.dna(["here"])] == ["here"]
    about = reads.about()
    assert (about.url, about.allowed, about.argv, about.needs_token) == (
        "http://localhost",
        ("benchmarks.api.calls", "tests.rest.work"),
        True,
        True,
    )


def test_every_read_ends_with_the_token(done: Any) -> None:
    client, _, jobs = done
    tokens = Tokens(client.service.tokens.path)
    token = tokens.create("short", tenant="ours", scope=Scope.READ)
    reads, _ = opener(client.app)(request_of(client, token))
    assert reads.changed() > 0
    tokens.revoke(next(one.id for one in tokens.all() if token.startswith(f"dnaml_{one.id}")))
    for name in type(reads).__dataclass_fields__:
        with pytest.raises(AccessEnded):
            getattr(reads, name)(jobs["double"])


def test_what_was_stopped_to_go_on_elsewhere_is_told_as_moved_but_a_copy_that_lost_the_race_is_not() -> None:
    def attempt(name: str, state: AttemptState, replica: int = 0) -> AttemptView:
        placement = Placement(job_id="a", resource_id=name, replica=replica)
        return AttemptView(
            id=name, placement=placement, started_at_s=1.0, pid=1, log=None, log_start=0, state=state, ended_at_s=2.0
        )

    job = Job(id="a", computation_id="fit", submitted_at_s=0.0)
    view = JobView(job=job, computation=Computation(id="fit", kernel="fit"))
    view.attempts = [
        attempt("r1", AttemptState.STOPPED),
        attempt("r2", AttemptState.STOPPED, replica=1),
        attempt("r3", AttemptState.LOST),
        attempt("r4", AttemptState.DONE),
    ]
    told = {bar.resource_id: (bar.moved, bar.lost) for bar in bars_of(view)}
    assert told == {"r1": (True, False), "r2": (False, False), "r3": (False, True), "r4": (False, False)}
