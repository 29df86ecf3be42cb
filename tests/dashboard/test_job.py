"""A job's page as values: figures, facts, repeats, logs; and that what has ended is not read again."""

from typing import Any, cast

from dnaml.dashboard.job import _Look, facts, figures, log_note, repeat_rows
from dnaml.dashboard.reads import LogTail, Reads
from tests.dashboard.rows import job_now


def test_the_figures_tell_where_and_how_long():
    assert list(figures(job_now()).values()) == ["succeeded", "here", "2 s", "3 s", "$0.50", "1"]
    waiting = job_now(
        state="PENDING", resource_id=None, started_at_s=None, ended_at_s=None, runtime_s=None, cost_usd=None, attempts=0
    )
    assert list(figures(waiting).values()) == ["pending", "-", "100 s", "-", "-", "0"]


def test_the_facts_tell_what_was_wanted_why_it_waits_and_how_it_failed():
    told = facts(
        job_now(wanted={"computation": "fit@1", "copies": "3, by vote"}, waits_because="no slot", error="died")
    )
    assert (told["copies"], told["waits because"], told["error"]) == ("3, by vote", "no slot", "died")
    assert not {"waits because", "error"} & set(facts(job_now()))


def test_a_repeat_tells_its_verdict_and_the_first_job_who_repeats_it():
    repeat = {"of": "a-1", "repeated": False, "differences": ["result: 1 != 2", "files"]}
    cells = [cell.text for cell in repeat_rows(job_now(repeat=repeat))[0].cells]
    assert cells == ["a-1", "this job repeats it", "differs", "result: 1 != 2; files"]
    running = repeat_rows(job_now(repeat={**repeat, "repeated": None, "differences": []}))[0].cells
    assert [cell.text for cell in running][2:] == ["runs", "-"]
    other = repeat_rows(job_now(repeated_by=["a-9"]))[0].cells
    assert (other[0].href, other[1].text) == ("/ui/jobs/a-9", "repeats this job")
    assert repeat_rows(job_now()) == []


def test_the_log_says_what_of_it_is_left_out():
    assert log_note(LogTail(text="", left_out_bytes=0)) == "It has written nothing."
    assert log_note(LogTail(text="x", left_out_bytes=2048)) == "2 KiB before this are left out."
    assert log_note(LogTail(text="x", left_out_bytes=0)) == ""


class Counting:
    """Reads of one job that count what is asked; only those that the page asks are there."""

    def __init__(self, *jobs):
        self.jobs, self.asked, self.news = list(jobs), [], 0

    def changed(self):
        return self.news

    def job(self, job_id):
        self.news += 1
        return self.jobs.pop(0) if len(self.jobs) > 1 else self.jobs[0]

    def __getattr__(self, name):
        def read(*_: Any):
            self.asked.append(name)
            return LogTail(text="", left_out_bytes=0) if name == "log" else []

        return read


def test_a_job_that_runs_is_read_again_but_its_decision_only_when_it_was_placed_anew():
    running = job_now(state="RUNNING", ended_at_s=None)
    moved = job_now(state="RUNNING", ended_at_s=None, attempts=2)
    reads = Counting(running, running, moved, moved)
    look = _Look(cast(Reads, reads), "a-1")
    for _ in range(4):
        look.read()
    assert (reads.asked.count("log"), reads.asked.count("decision")) == (4, 2)


def test_a_job_that_has_ended_is_read_again_only_for_its_repeats():
    reads = Counting(job_now())
    look = _Look(cast(Reads, reads), "a-1")
    first = look.read()
    reads.news += 1
    reads.jobs = [job_now(repeated_by=["a-9"])]
    again = look.read()
    assert reads.asked.count("samples") == 1
    assert (first.job.repeated_by, again.job.repeated_by) == ((), ["a-9"])
    assert look.read().job.repeated_by == ["a-9"]
