"""Blob logs: bytes come back exactly or not at all, whatever was torn, damaged, rolled over or written at once."""

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core.errors import CorruptError, StateFolderError
from dnaml.datasets.blobs import BlobLog


@pytest.fixture
def log(tmp_path: Path):
    log = BlobLog(tmp_path, "outcomes")
    yield log
    log.close()


def bodies(folder: Path, name: str = "outcomes") -> list[bytes]:
    log = BlobLog(folder, name)
    try:
        return [body for _, body in log.frames()]
    finally:
        log.close()


def segment(folder: Path, number: int = 1) -> Path:
    return folder / f"outcomes-{number:06d}.blobs"


def test_bytes_come_back_by_where_they_lie(log):
    pieces = [b"", b"\x00" * 70_000, b"dnB1 looks like a frame", os.urandom(1000)]
    places = [log.append(piece) for piece in pieces]
    assert [log.read(place) for place in places] == pieces
    assert [place.digest for place in places] == [hashlib.sha256(piece).hexdigest() for piece in pieces]
    undigested = [replace(place, digest="-") for place in places]
    assert list(log.frames()) == list(zip(undigested, pieces, strict=True))
    assert list(log.frames(after=(1, places[2].offset))) == list(zip(undigested, pieces, strict=True))[2:]


def test_a_digest_that_is_known_is_kept(log):
    assert log.append(b"abc", digest="known").digest == "known"


@given(pieces=st.lists(st.tuples(st.binary(max_size=200), st.booleans()), max_size=20), size=st.integers(1, 400))
def test_whatever_is_appended_comes_back_in_order_over_all_segments(tmp_path_factory, pieces, size):
    folder = tmp_path_factory.mktemp("blobs")
    log = BlobLog(folder, "outcomes", segment_bytes=size)
    places = [log.append(piece, later=later) for piece, later in pieces]
    assert [log.read(place) for place in places] == [piece for piece, _ in pieces]
    log.close()
    assert bodies(folder) == [piece for piece, _ in pieces]


def test_a_full_segment_is_followed_by_the_next_and_a_reopened_log_goes_on(tmp_path):
    for piece in (b"a" * 60, b"b" * 60, b"c" * 60):
        log = BlobLog(tmp_path, "outcomes", segment_bytes=100)
        place = log.append(piece)
        assert log.read(place) == piece
        log.close()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["outcomes-000001.blobs", "outcomes-000002.blobs"]
    assert bodies(tmp_path) == [b"a" * 60, b"b" * 60, b"c" * 60]


def test_logs_of_one_folder_do_not_know_each_other(tmp_path, log):
    other = BlobLog(tmp_path, "payloads")
    other.append(b"theirs")
    log.append(b"ours")
    other.close()
    assert (bodies(tmp_path), bodies(tmp_path, "payloads")) == ([b"ours"], [b"theirs"])


def test_what_may_wait_is_written_with_the_next_that_may_not(tmp_path, log):
    log.append(b"first")
    size = segment(tmp_path).stat().st_size
    log.append(b"waits", later=True)
    assert segment(tmp_path).stat().st_size == size
    log.append(b"does not")
    assert bodies(tmp_path) == [b"first", b"waits", b"does not"]
    last = log.append(b"at the end", later=True)
    assert log.read(last) == b"at the end"


def test_closing_writes_what_waits(tmp_path):
    log = BlobLog(tmp_path, "outcomes")
    log.append(b"waits", later=True)
    log.close()
    log.close()
    assert bodies(tmp_path) == [b"waits"]


def test_reading_makes_no_file(tmp_path):
    assert bodies(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_many_threads_append_and_read_at_once(tmp_path):
    log, found = BlobLog(tmp_path, "outcomes", segment_bytes=20_000), []

    def work(number: int) -> None:
        for i in range(100):
            body = f"{number}:{i} ".encode() * (1 + (number * i) % 40)
            place = log.append(body, later=i % 3 == 0)
            found.append(log.read(place) == body)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert found == [True] * 800
    starts = sorted(body.split()[0] for body in bodies(tmp_path))
    assert starts == sorted(f"{number}:{i}".encode() for number in range(8) for i in range(100))


def test_what_was_appended_survives_a_kill(tmp_path):
    script = (
        "import os, signal, sys; from pathlib import Path; from dnaml.datasets.blobs import BlobLog;"
        "log = BlobLog(Path(sys.argv[1]), 'outcomes');"
        "[log.append(bytes([i]) * 1000) for i in range(20)]; os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert bodies(tmp_path) == [bytes([i]) * 1000 for i in range(20)]


# -- damage ----------------------------------------------------------------------------------------------------------


def test_a_torn_tail_is_left_out_wherever_it_was_torn_and_what_follows_is_found(tmp_path):
    log = BlobLog(tmp_path, "outcomes")
    log.append(b"whole")
    start = segment(tmp_path).stat().st_size
    log.append(b"torn by a power loss")
    log.close()
    written = segment(tmp_path).read_bytes()
    for cut in range(start, len(written)):
        segment(tmp_path).write_bytes(written[:cut])
        assert bodies(tmp_path) == [b"whole"]
        again = BlobLog(tmp_path, "outcomes")
        place = again.append(b"later")
        assert again.read(place) == b"later"
        again.close()
        assert bodies(tmp_path) == [b"whole", b"later"]


def test_no_flipped_bit_is_read_as_if_nothing_were(tmp_path):
    log = BlobLog(tmp_path, "outcomes")
    place = log.append(b"the result of a long computation")
    log.close()
    written = segment(tmp_path).read_bytes()
    for bit in range(8 * len(written)):
        damaged = bytearray(written)
        damaged[bit // 8] ^= 1 << bit % 8
        segment(tmp_path).write_bytes(damaged)
        again = BlobLog(tmp_path, "outcomes")
        with pytest.raises(CorruptError, match="the frame at byte 0 fails its checksum"):
            again.read(place)
        assert list(again.frames()) == []
        again.close()


def test_damage_in_the_middle_hides_nothing_behind_it(tmp_path):
    log, rng = BlobLog(tmp_path, "outcomes"), random.Random(3)
    pieces = [rng.randbytes(rng.randrange(1, 300)) for _ in range(30)]
    places = [log.append(piece) for piece in pieces]
    log.close()
    damaged = bytearray(segment(tmp_path).read_bytes())
    for hurt in (0, 7, 29):
        damaged[places[hurt].offset + 10] ^= 4
    segment(tmp_path).write_bytes(damaged)
    assert bodies(tmp_path) == [piece for i, piece in enumerate(pieces) if i not in (0, 7, 29)]


def test_a_place_that_was_never_written_is_refused(log):
    place = log.append(b"abc")
    for wrong in (
        replace(place, offset=1),
        replace(place, offset=10**9),
        replace(place, size_bytes=2),
        replace(place, size_bytes=10**6),
    ):
        with pytest.raises(CorruptError, match="fails its checksum"):
            log.read(wrong)
    with pytest.raises(CorruptError, match=r"outcomes-000009.blobs is missing"):
        log.read(replace(place, segment=9))


# -- a disk that refuses ---------------------------------------------------------------------------------------------


def test_a_disk_that_refuses_is_reported_and_leaves_no_half_frame(tmp_path):
    log = BlobLog(tmp_path, "outcomes")
    kept = log.append(b"k" * 1000)
    size = segment(tmp_path).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 500, before[1]))
        with pytest.raises(StateFolderError, match=r"outcomes-000001.blobs: cannot store 1016 bytes: .*File too large"):
            log.append(b"x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert segment(tmp_path).stat().st_size == size
    after = log.append(b"after")
    assert [log.read(kept), log.read(after)] == [b"k" * 1000, b"after"]
    log.close()


def test_a_folder_that_is_none_is_reported(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StateFolderError, match=r"outcomes-000001.blobs: cannot be written: Not a directory"):
        BlobLog(tmp_path / "file", "outcomes").append(b"abc")
