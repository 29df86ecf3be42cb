"""What the stream says of jobs, told before, while and after anybody waits for them."""

from dnaml.remote.book import PAGE, Book, Sweep
from dnaml.remote.sse import ServerEvent


def event(kind: str, job_id: str) -> ServerEvent:
    return ServerEvent(kind=kind, data=f'{{"job_id": "{job_id}"}}', last_id="1")


def test_an_end_is_told_to_who_waits_and_remembered_for_who_comes_later() -> None:
    book: Book[str] = Book()
    assert not book.keep("a", "job a", book.round)
    assert book.take(event("started", "a")) == ("job a", False)
    assert book.take(event("progress", "a")) is None
    assert book.take(event("ended", "a")) == ("job a", True)
    book.close("a")
    assert book.take(event("ended", "b")) is None
    assert book.keep("b", "job b", book.round)


def test_a_job_submitted_before_the_stream_began_is_asked_about() -> None:
    book: Book[str] = Book()
    expected = book.round
    book.round += 1
    assert book.keep("a", "job a", expected)


def test_ends_that_nobody_waits_for_are_not_kept_for_ever() -> None:
    book: Book[str] = Book()
    for number in range(50_010):
        book.take(event("ended", str(number)))
    assert not book.keep("0", "old", book.round)
    assert book.keep("50009", "new", book.round)


def test_many_jobs_are_sorted_by_pages() -> None:
    sweep = Sweep({name: name for name in "abcd"})
    assert sweep.params() == {"limit": PAGE}
    sweep.take({"items": [{"id": "a", "state": "RUNNING"}, {"id": "x", "state": "FAILED"}], "next": "c1"})
    assert sweep.more
    assert sweep.params() == {"limit": PAGE, "cursor": "c1"}
    sweep.take({"items": [{"id": "b", "state": "SUCCEEDED"}], "next": "c2"})
    assert not sweep.more  # enough pages for four jobs
    assert sweep.wanted() == ["b", "c", "d"]
