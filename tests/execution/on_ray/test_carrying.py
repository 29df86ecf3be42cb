"""Checkpoints travel as bytes: whole, verified, and never out of their folder."""

from pathlib import Path

import pytest

from dnaml.core.errors import CorruptError, InputError, NotFoundError
from dnaml.execution.checkpoints import CheckpointStore, Owner
from dnaml.execution.on_ray import carrying, wire
from dnaml.execution.on_ray.carrying import Receiver


def sealed(folder: Path, state: object = b"x" * 600_000) -> str:
    owner = Owner(job_id="job", computation_id="c", attempt_id="job.1", epoch=1)
    return CheckpointStore(folder).save(owner, 0.5, state).checkpoint.id


def pieces(folder: Path, checkpoint_id: str) -> list[wire.Chunk]:
    return list(carrying.chunks(checkpoint_id, carrying.open_checkpoint(folder, checkpoint_id)))


def test_a_checkpoint_arrives_as_it_was_sealed_and_old_ones_go(tmp_path: Path):
    there = CheckpointStore(tmp_path / "there")
    receiver = Receiver(there)
    for _ in range(4):
        checkpoint_id = sealed(tmp_path / "here")
        chunks = pieces(tmp_path / "here", checkpoint_id)
        assert len(chunks) == 3
        for chunk in chunks:
            receiver.take(chunk)
        assert not receiver.has(checkpoint_id)
        assert receiver.finish(checkpoint_id).progress == 0.5
        assert receiver.has(checkpoint_id)
    assert there.load(checkpoint_id)[1] == b"x" * 600_000
    assert len(there.generations("job")) == 2


def test_a_flipped_bit_on_the_way_is_found_and_nothing_of_it_stays(tmp_path: Path):
    checkpoint_id = sealed(tmp_path / "here")
    receiver = Receiver(CheckpointStore(tmp_path / "there"))
    for chunk in pieces(tmp_path / "here", checkpoint_id):
        spoiled = bytearray(chunk.data)
        spoiled[len(spoiled) // 2] ^= 1
        receiver.take(wire.Chunk(chunk.checkpoint_id, chunk.offset, bytes(spoiled)))
    with pytest.raises(CorruptError):
        receiver.finish(checkpoint_id)
    assert not receiver.has(checkpoint_id)


def test_what_never_came_is_not_finished(tmp_path: Path):
    with pytest.raises(NotFoundError, match="no byte"):
        Receiver(CheckpointStore(tmp_path)).finish("job/00000001-00000001.checkpoint")


@pytest.mark.parametrize(
    "name", ["../x/00000001-00000001.checkpoint", "a/b/c", "job/x", "./00000001-00000001.checkpoint"]
)
def test_an_id_that_leads_elsewhere_is_refused(tmp_path: Path, name: str):
    with pytest.raises(InputError, match="must be job/"):
        Receiver(CheckpointStore(tmp_path)).take(wire.Chunk(name, 0, b"x"))
