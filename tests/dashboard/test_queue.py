"""The queue's page as values: filters with counts, rows, and what to type for a first job."""

import pytest

from dnaml.core.attempt import JobState
from dnaml.dashboard.queue import first_job, labels, rows, runtime, waited_s
from dnaml.dashboard.reads import About, QueuePage
from tests.dashboard.rows import NOW_S, job_row


def about(*allowed, argv=False, needs_token=False):
    return About(url="http://host:8750", allowed=allowed, argv=argv, needs_token=needs_token)


def test_each_filter_says_how_many_jobs_it_shows():
    told = labels({JobState.RUNNING: 2, JobState.SUCCEEDED: 12_345})
    assert told["all"] == "All 12,347"
    assert told["SUCCEEDED"] == "Succeeded 12,345"
    assert told["PENDING"] == "Pending 0"
    assert list(told)[1:] == [state.value for state in JobState]


def test_a_row_leads_to_the_jobs_page_whatever_its_id():
    page = QueuePage(rows=[job_row("a/../b?x#y")], matching=1, counts={}, waits={})
    first = rows(page, NOW_S)[0].cells[0]
    assert first.href == "/ui/jobs/a%2F..%2Fb%3Fx%23y"


def test_a_row_tells_why_a_job_waits_or_how_it_failed():
    failed = job_row("b", "FAILED", error="Traceback\nValueError: no such file")
    page = QueuePage(rows=[job_row("a", "PENDING"), failed], matching=2, counts={}, waits={"a": "no slot is free"})
    notes = [row.cells[0].note for row in rows(page, NOW_S)]
    assert notes == ["a · no slot is free", "b · ValueError: no such file"]


def test_what_runs_is_told_so_far_and_what_ended_as_measured():
    assert runtime(job_row(state="RUNNING", ended_at_s=None, runtime_s=None), 1_000_062.0) == "60 s …"
    assert runtime(job_row(), NOW_S) == "3 s"
    assert runtime(job_row(state="PENDING", started_at_s=None, ended_at_s=None, runtime_s=None), NOW_S) == "-"


def test_the_wait_ends_with_the_first_start_and_is_unknown_where_there_was_none():
    assert waited_s(job_row(), NOW_S) == 2.0
    assert waited_s(job_row(state="PENDING", started_at_s=None, ended_at_s=None), NOW_S) == 100.0
    assert waited_s(job_row(state="CANCELLED", started_at_s=None), NOW_S) is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (
            about("mine.train:fit"),
            ["from mine.train import fit", 'dnaml.connect("http://host:8750")', "ex.submit(fit)"],
        ),
        (about("mine.train", needs_token=True), ["from mine.train import FUNCTION", 'token="dnaml_..."']),
        (about(argv=True), ["curl http://host:8750/api/v1/jobs", '"run": ["echo", "hello"]']),
        (about(argv=True, needs_token=True), ["Authorization: Bearer"]),
        (about(), ["dnaml serve --allow"]),
    ],
)
def test_an_empty_queue_says_what_to_type(told, words):
    assert all(word in first_job(told) for word in words)
