"""`dnaml journal verify`: reads every stored event and every kept result and checks their checksums."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import family, verb

app = family("Verify the record of everything that happened.")


@app.callback()
def _family() -> None:
    """Verify the record of everything that happened."""


@dataclass(slots=True, kw_only=True)
class Verified:
    """What was read so far; `damage` says what ended the reading, None when nothing did."""

    path: Path
    events: int = 0
    results: int = 0
    first_at_s: float | None = None
    last_at_s: float | None = None
    damage: str | None = None
    by_kind: Counter[str] = field(default_factory=Counter)


@verb(app, "verify", example="dnaml journal verify")
def verify(screen: Screen) -> int:
    """Read the whole journal and every result it names, checksums and all; exit code 1 at the first damage."""
    from dnaml.datasets.state import StateFolder

    state = StateFolder(screen.state)
    verified = Verified(path=state.journal)
    with screen.working(f"reading {state.journal}"):
        _read(state.journal, state.blobs, verified)
    span = f"{amounts.moment(verified.first_at_s)} to {amounts.moment(verified.last_at_s)}"
    end = f"{verified.events} events and {verified.results} results, every checksum holds; {span}"
    screen.answer(
        verified,
        table("", ("event", ">stored"), verified.by_kind.most_common()),
        f"damaged: {verified.damage}" if verified.damage else end,
    )
    return 1 if verified.damage else 0


def _read(journal_path: Path, blobs: Path, verified: Verified) -> None:
    from dnaml.core.errors import CorruptError
    from dnaml.core.events import AttemptEnded
    from dnaml.datasets.blobs import BlobLog
    from dnaml.datasets.journal import SqlJournal

    journal = SqlJournal(journal_path, read_only=True)
    results = BlobLog(blobs, "outcomes") if any(blobs.glob("outcomes-*.blobs")) else None
    try:
        for event in journal.replay():
            verified.events += 1
            verified.by_kind[type(event).__name__] += 1
            verified.last_at_s = event.at_s
            if verified.first_at_s is None:
                verified.first_at_s = event.at_s
            if isinstance(event, AttemptEnded) and event.result is not None:
                if results is None:
                    raise CorruptError(f"{blobs}: the results that the journal names are missing")
                results.read(event.result)
                verified.results += 1
    except CorruptError as error:
        verified.damage = str(error)
    finally:
        journal.close()
        if results is not None:
            results.close()
