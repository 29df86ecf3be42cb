"""Messages and frames: what is said arrives equal, however the stream is cut."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.execution import messages as m
from dnaml.execution.messages import FrameReader, encode, framed

METERED = m.Metered(1.5, 1.25, 0.25, 2**40, {"read_bytes": 5.0})
FROM_WORKER = [
    m.Ended("a.1", 1, "done", b"\x00\xff", "digest", METERED, None, 3, 2**40),
    m.Ended("a.1", 2, "failed", b"", "", METERED, "ValueError: naïve"),
    m.Sealed("a.1", 1, "a/1", 0.5, 2**33),
    m.Beat(),
]
FROM_ENGINE = [
    m.Begin("a.1", 1, "a", "fit", b"payload", None, None),
    m.Begin("a.2", 2, "a", "fit", b"", "a/1", 0.5),
    m.Stop("a.1"),
]
PAYLOAD = m.Payload(b"{}", b"f", "0" * 64, b"args", b"{}", True, ("out.txt",))
OUTCOME = m.Outcome(b"result", b"", "Traceback \u2603", b"{}")


@pytest.mark.parametrize("message", FROM_WORKER, ids=lambda message: type(message).__name__)
def test_what_a_worker_says_arrives_equal(message):
    assert m.decode_from_worker(encode(message)) == message


@pytest.mark.parametrize("message", FROM_ENGINE, ids=lambda message: type(message).__name__)
def test_what_the_engine_says_arrives_equal(message):
    assert m.decode_from_engine(encode(message)) == message


def test_payloads_and_outcomes_arrive_equal():
    assert m.decode_payload(encode(PAYLOAD)) == PAYLOAD
    assert m.decode_outcome(encode(OUTCOME)) == OUTCOME


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x93\xa5ended\x01\x02", encode(m.Stop("a.1")), b"\x00" * 50])
def test_anything_else_is_refused(body):
    with pytest.raises(msgspec.DecodeError):
        m.decode_from_worker(body)


@given(body=st.binary(max_size=60))
def test_no_bytes_do_more_than_be_refused(body):
    for decode in (m.decode_from_worker, m.decode_from_engine, m.decode_payload, m.decode_outcome):
        try:
            message = decode(body)
        except msgspec.DecodeError:
            continue
        assert decode(encode(message)) == message


@given(bodies=st.lists(st.binary(max_size=50), max_size=10), cuts=st.lists(st.integers(1, 20), min_size=1))
def test_frames_come_out_whole_however_the_stream_is_cut(bodies, cuts):
    stream, reader, found, at, turn = b"".join(framed(body) for body in bodies), FrameReader(), [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        found += reader.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert found == bodies


def test_a_body_of_four_gibibytes_or_more_gets_a_longer_length(monkeypatch):
    monkeypatch.setattr(m, "_LONG", 5)  # as if five bytes were four gibibytes
    for body in (b"1234", b"12345", b"123456"):
        frame = framed(body)
        assert len(frame) == len(body) + (4 if len(body) < 5 else 12)
        reader, found = FrameReader(), []
        for i in range(len(frame)):
            found += reader.feed(frame[i : i + 1])
        assert found == [body]
