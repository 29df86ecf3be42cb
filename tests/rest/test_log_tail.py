"""The end of a log, read from the end."""

from pathlib import Path

from dnaml.core.attempt import Placement
from dnaml.history import AttemptView
from dnaml.rest.log_tail import log_tail


def attempt(name: str, start: int, end: int | None) -> AttemptView:
    placement = Placement(job_id="a", resource_id="here")
    return AttemptView(id=name, placement=placement, started_at_s=0.0, pid=1, log=name, log_start=start, log_end=end)


def test_the_newest_bytes_of_all_attempts_are_shown_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"before|first attempt\n")
    (tmp_path / "two").write_bytes(b"second attempt\nof another")
    attempts = [attempt("one", 7, 21), attempt("two", 0, 15)]
    whole = log_tail(attempts, tmp_path, 1_000)
    assert (whole.text, whole.left_out_bytes) == ("first attempt\nsecond attempt\n", 0)
    end = log_tail(attempts, tmp_path, 23)
    assert (end.text, end.left_out_bytes) == ("attempt\nsecond attempt\n", 6)


def test_a_running_attempt_is_read_to_the_end_of_its_file_and_a_missing_file_left_out(tmp_path: Path) -> None:
    (tmp_path / "two").write_bytes(b"so far \xff")
    found = log_tail([attempt("gone", 0, None), attempt("two", 0, None)], tmp_path, 1_000)
    assert (found.text, found.left_out_bytes) == ("so far \ufffd", 0)
