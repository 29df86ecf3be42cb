"""Events are read as the standard says, however the bytes are cut."""

import pytest

from dnaml.core.errors import CorruptError
from dnaml.remote import sse
from dnaml.remote.sse import EventReader

STREAM = (
    '\ufeff: hello\r\nid: 7\nevent: ended\ndata: {"a":\rdata: "\u2028\x85"}\n\n: alive\n\nid: 8\ndata:x\n\n'.encode()
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_however_the_bytes_are_cut(size: int) -> None:
    reader = EventReader()
    found = [one for at in range(0, len(STREAM), size) for one in reader.feed(STREAM[at : at + size])]
    assert [(one.kind, one.data, one.last_id) for one in found] == [
        ("ended", '{"a":\n"\u2028\x85"}', "7"),
        ("message", "x", "8"),
    ]
    assert reader.last_id == "8"


def test_an_event_without_data_is_none_and_an_id_with_nul_is_ignored() -> None:
    reader = EventReader()
    assert reader.feed(b"event: end\nid: a\0b\n\n") == []
    assert reader.last_id == ""


def test_an_event_without_end_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MOST_BYTES", 10)
    with pytest.raises(CorruptError, match="10 bytes"):
        EventReader().feed(b"data: 0123456789")
