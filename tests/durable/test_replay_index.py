"""The way back: replaying what the index names gives the same open jobs as replaying everything, or it is not used."""

import random
from pathlib import Path

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Checkpoint, Placement, Usage
from dnaml.core.errors import CorruptError
from dnaml.core.events import EndJob, Event
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective
from dnaml.datasets.journal import SqlJournal
from dnaml.durable.replay_index import Keeper, check_matches, read_index, write_index
from dnaml.history import _Nobody
from dnaml.schedule.controller import Controller

USAGE = Usage(wall_s=0.1, cpu_s=0.1, blocked_s=0.0, peak_memory_bytes=1)
FIT = Computation(id="fit", kernel="fit", checkpointable=True)


def story(seed: int, jobs: int) -> list[Event]:
    """Return the events of jobs that start, save, get lost, end or are cancelled in any order, over several engines."""
    rng, events, at_s = random.Random(seed), [], 0.0
    epochs: dict[str, int] = {}
    running: list[str] = []
    events.append(ev.ResourceUp(at_s=0.0, resource=Resource(id="r0", slots=4)))
    for number in range(jobs):
        at_s += 1.0
        job_id = f"j{number}"
        epochs[job_id] = 0
        job = Job(id=job_id, computation_id="fit", submitted_at_s=at_s, priority=rng.randrange(3))
        events.append(ev.Submitted(at_s=at_s, job=job, computation=FIT))
        for _ in range(rng.randrange(5)):
            events += _step(rng, at_s, epochs, running)
        if rng.random() < 0.03:
            events.append(ev.Resumed(at_s=at_s))
            running.clear()
        events.append(ev.Settled(at_s=at_s))
    return events


def _step(rng: random.Random, at_s: float, epochs: dict[str, int], running: list[str]) -> list[Event]:
    if running and rng.random() < 0.6:
        job_id = rng.choice(running)
        attempt_id, epoch = f"{job_id}.{epochs[job_id]}", epochs[job_id]
        if rng.random() < 0.3:
            saved = Checkpoint(id="c", attempt_id=attempt_id, taken_at_s=at_s, progress=rng.random(), size_bytes=1)
            return [ev.CheckpointSealed(at_s=at_s, attempt_id=attempt_id, epoch=epoch, checkpoint=saved)]
        running.remove(job_id)
        outcome = rng.choice([AttemptState.DONE, AttemptState.DONE, AttemptState.LOST, AttemptState.FAILED])
        return [ev.AttemptEnded(at_s=at_s, attempt_id=attempt_id, epoch=epoch, outcome=outcome, usage=USAGE)]
    job_id = rng.choice(list(epochs))
    if rng.random() < 0.1:
        return [ev.CancelRequested(at_s=at_s, job_id=job_id, running=True)]
    if job_id in running:
        return []
    epochs[job_id] += 1
    running.append(job_id)
    place = Placement(job_id=job_id, resource_id="r0")
    return [
        ev.AttemptStarted(
            at_s=at_s, attempt_id=f"{job_id}.{epochs[job_id]}", epoch=epochs[job_id], job_id=job_id, placement=place
        )
    ]


def picture(controller: Controller) -> list[tuple[object, ...]]:
    """Return everything that matters of the open jobs, in the order in which they arrived."""
    entries = sorted(controller.ledger.open.values(), key=lambda entry: entry.order)
    return [
        (
            entry.job, entry.computation, entry.epoch, entry.failures, entry.losses, sorted(entry.lost_on),
            sorted(entry.live.items()), sorted(entry.adopted), entry.checkpoint, entry.stop_asked, entry.state,
        )
        for entry in entries
    ]  # fmt: skip


def controller() -> Controller:
    return Controller(_Nobody(), _Nobody(), Objective())


def taken(keeper: Keeper, one: Controller, seq: int, event: Event) -> None:
    keeper.note(seq, event)
    for command in one.recover(event):
        if isinstance(command, EndJob):
            keeper.ended(command.job_id)


@pytest.mark.parametrize("seed", range(12))
def test_index_and_tail_give_the_same_open_jobs_as_the_whole_journal(tmp_path, seed):
    events = story(seed, 120)
    cut = random.Random(seed).randrange(1, len(events))
    journal = SqlJournal(tmp_path / "journal.sqlite")
    keeper, whole = Keeper(recent_jobs=8), controller()
    for seq, event in enumerate(events, 1):
        journal.append(event)
        taken(keeper, whole, seq, event)
        if seq == cut:
            journal.flush()
            write_index(tmp_path / "replay.index", keeper.index(journal.head, {}, (1, 0), []))
    journal.flush()
    index = read_index(tmp_path / "replay.index")
    assert index is not None
    assert check_matches(index, journal.chain_at(index.seq), (1, 0))
    short, again = controller(), Keeper(recent_jobs=8)
    for seq, event in (*journal.chosen(index.numbers()), *journal.numbered(after=index.seq)):
        taken(again, short, seq, event)
    at_end = ev.Resumed(at_s=1e9)
    for one in (whole, short):
        one.recover(at_end)
    assert picture(short) == picture(whole)
    assert len(again) == len(keeper)
    journal.close()


def test_the_index_grows_with_what_is_open_and_not_with_what_was():
    sizes = []
    for jobs in (100, 2000):
        keeper = Keeper(recent_jobs=10)
        keeper.note(1, ev.ResourceUp(at_s=0.0, resource=Resource(id="r0")))
        for number in range(jobs):
            job = Job(id=f"j{number}", computation_id="fit", submitted_at_s=1.0)
            placement = Placement(job_id=job.id, resource_id="r0")
            for seq, event in enumerate(
                (
                    ev.Submitted(at_s=1.0, job=job, computation=FIT),
                    ev.AttemptStarted(at_s=1.0, attempt_id=f"{job.id}.1", epoch=1, job_id=job.id, placement=placement),
                    *(
                        ev.AttemptProgressed(at_s=1.0, attempt_id=f"{job.id}.1", epoch=1, progress=i / 9, used_s=1.0)
                        for i in range(9)
                    ),
                    ev.AttemptEnded(
                        at_s=2.0, attempt_id=f"{job.id}.1", epoch=1, outcome=AttemptState.DONE, usage=USAGE
                    ),
                ),
                start=2 + 12 * number,
            ):
                keeper.note(seq, event)
            keeper.ended(job.id)
        sizes.append(len(keeper.index((9, 9), {}, (1, 0), []).numbers()))
    assert sizes == [31, 31]


@pytest.mark.parametrize("damage", ["flipped", "short", "foreign", "empty"])
def test_an_index_that_is_not_whole_is_not_used(tmp_path, damage):
    path = tmp_path / "replay.index"
    write_index(path, Keeper(4).index((5, 7), {}, (1, 9), ["a"]))
    assert read_index(path) is not None
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[-3] ^= 4
    path.write_bytes({"flipped": bytes(data), "short": data[:-1], "foreign": b"x" * 90, "empty": b""}[damage])
    assert read_index(path) is None


def test_an_index_of_another_journal_is_not_used_and_cut_payloads_are_told():
    index = Keeper(4).index((5, 7), {}, (1, 9), [])
    assert not check_matches(index, 8, (1, 9))
    assert not check_matches(index, None, (1, 9))
    with pytest.raises(CorruptError, match="payloads end at"):
        check_matches(index, 7, (1, 8))


def test_a_folder_that_cannot_be_written_costs_the_index_and_nothing_else(tmp_path: Path, caplog):
    write_index(tmp_path / "missing" / "replay.index", Keeper(4).index((5, 7), {}, (1, 9), []))
    assert "a restart will take longer" in caplog.text
