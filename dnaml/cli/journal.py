"""`dnaml journal verify|backup|restore|compact`: checks what is stored, copies a state there and back, frees room."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import family, verb

if TYPE_CHECKING:
    from dnaml.datasets.state import StateFolder

app = family("Verify, back up, restore and compact the record of everything that happened.")


@app.callback()
def _family() -> None:
    """Verify, back up, restore and compact the record of everything that happened."""


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
        _read(state, verified)
    span = f"{amounts.moment(verified.first_at_s)} to {amounts.moment(verified.last_at_s)}"
    end = f"{verified.events} events and {verified.results} results, every checksum holds; {span}"
    screen.answer(
        verified,
        table("", ("event", ">stored"), verified.by_kind.most_common()),
        f"damaged: {verified.damage}" if verified.damage else end,
    )
    return 1 if verified.damage else 0


@verb(app, "backup", example="dnaml journal backup backups/monday")
def backup(screen: Screen, folder: Annotated[Path, typer.Argument(help="an empty folder for the copy")]) -> int:
    """Copy the whole state into a folder, also while an engine works on it, and verify the copy."""
    from dnaml.datasets.backup import backup as copy
    from dnaml.datasets.state import StateFolder

    with screen.working(f"copying {screen.state}"):
        copied = copy(StateFolder(screen.state), folder)
    screen.answer(copied, f"{copied.events} events, {copied.files} files, {copied.size_bytes} bytes in {copied.folder}")
    return 0


@verb(app, "restore", example="dnaml journal restore backups/monday --force")
def restore(
    screen: Screen,
    folder: Annotated[Path, typer.Argument(help="a folder that `dnaml journal backup` made")],
    force: Annotated[bool, typer.Option("--force", help="put aside the state that is there")] = False,
) -> int:
    """Verify a backup and put it in place of the state; what is there is kept aside, and only with --force."""
    from dnaml.datasets.backup import restore as put_back
    from dnaml.datasets.state import StateFolder

    with screen.working(f"restoring {folder}"):
        copied = put_back(folder, StateFolder(screen.state), force=force)
    screen.answer(copied, f"{copied.events} events restored to {copied.folder}")
    return 0


@verb(app, "compact", example="dnaml journal compact --keep-days 30")
def compact(
    screen: Screen,
    keep_days: Annotated[float, typer.Option("--keep-days", help="keep what jobs left that ended so lately")],
) -> int:
    """Free what old jobs brought and left, also while an engine works; the journal keeps the jobs themselves."""
    from dnaml.retention import compact as let_go

    with screen.working(f"compacting {screen.state}"):
        done = let_go(screen.state, keep_s=keep_days * 86400)
    screen.answer(done, f"{done.jobs} jobs ended before; {done.frames} records, {done.freed_bytes} bytes freed")
    return 0


def _read(state: "StateFolder", verified: Verified) -> None:
    from dnaml.core.errors import CorruptError
    from dnaml.core.events import AttemptEnded
    from dnaml.datasets.backup import verify_results
    from dnaml.datasets.migrations import open_journal

    journal = open_journal(state, read_only=True)
    try:
        for event in verify_results(journal.replay(), state.blobs):
            verified.events += 1
            verified.by_kind[type(event).__name__] += 1
            verified.last_at_s = event.at_s
            if verified.first_at_s is None:
                verified.first_at_s = event.at_s
            verified.results += isinstance(event, AttemptEnded) and event.result is not None
    except CorruptError as error:
        verified.damage = str(error)
    finally:
        journal.abandon()
