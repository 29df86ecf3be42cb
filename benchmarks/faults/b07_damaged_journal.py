"""B7: a page of the database is damaged, or its write-ahead log is cut; no engine starts on it in silence."""

import random
import shutil
import signal
import sqlite3
import tempfile
from pathlib import Path

from benchmarks.faults.history import child, counted
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.client import default_policy, default_predictor
from dnaml.core.errors import DnamlError
from dnaml.core.work import Objective
from dnaml.datasets.backup import backup, restore
from dnaml.datasets.state import StateFolder
from dnaml.engine import Engine, EngineSettings, Watcher

ID = "B7"
RUNS = {Tier.QUICK: 40, Tier.SOAK: 1000}
_JOBS = 60


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Damage copies of a killed engine's folder, one at a time, and open each; then restore the backup."""
    chance = random.Random(seed)
    whole = folder / "whole"
    with child(whole, "--jobs", str(_JOBS)) as one:
        one.wait_ready()
        while one.process.stdout is not None and one.process.stdout.readline().strip() != "submitted":
            pass
        one.end(signal.SIGKILL)
    silent = harmless = 0
    for run in range(runs):
        case = folder / "case"
        shutil.copytree(whole, case)
        damage = _cut_log if run % 2 else _damage_page
        if not damage(case, chance):
            harmless += 1
        elif _starts(case):
            silent += 1
        shutil.rmtree(case)
    lost = _restored(whole, folder)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a damaged page, or a cut write-ahead log",
        lost=lost,
        figures=(Bar(name="silent_starts", value=float(silent), unit="", bar=0.0),),
        extra={"harmless": harmless},
    )


def _damage_page(folder: Path, chance: random.Random) -> bool:
    """Overwrite a part of the database or its log; False where every row reads as before: unused bytes were hit."""
    path = folder / "journal.sqlite-wal"
    if chance.random() < 0.5 or not path.exists():
        path = folder / "journal.sqlite"
        connection = sqlite3.connect(path)  # moves what the log holds into the database
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    data = bytearray(path.read_bytes())
    at = chance.randrange(0, max(1, len(data) - 600))
    before = _rows(folder)
    data[at : at + 512] = chance.randbytes(len(data[at : at + 512]))
    path.write_bytes(data)
    return _rows(folder) != before


def _rows(folder: Path) -> list[object] | None:
    """Return every row of every table as a copy of the database says it, None where it cannot be read to the end."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        for part in folder.glob("journal.sqlite*"):
            shutil.copy(part, scratch)
        connection = sqlite3.connect(Path(scratch) / "journal.sqlite")
        try:
            tables = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
            names = [name for name, sql in tables if sql and sql.upper().startswith("CREATE TABLE")]
            return [*tables, *(row for name in names for row in connection.execute(f'SELECT * FROM "{name}"'))]
        except sqlite3.Error:
            return None
        finally:
            connection.close()


def _cut_log(folder: Path, chance: random.Random) -> bool:
    """Cut the write-ahead log short; False where there is none."""
    path = folder / "journal.sqlite-wal"
    if not path.exists() or path.stat().st_size < 5000:
        return False
    with path.open("r+b") as file:
        file.truncate(chance.randrange(0, path.stat().st_size - 4200))
    return True


def _starts(folder: Path) -> bool:
    """Say whether an engine starts on the folder although something of it is gone."""
    try:
        engine = Engine(folder, default_policy(), default_predictor(), Objective(), Watcher(), EngineSettings())
    except DnamlError:
        return False
    engine.close()
    return True


def _restored(whole: Path, folder: Path) -> int:
    """Back the whole folder up, damage it, restore it, let an engine finish, and return how many jobs are lost."""
    copy = folder / "backup"
    backup(StateFolder(whole), copy)
    (whole / "journal.sqlite").write_bytes(b"no database")
    accepted = (whole / "accepted.txt").read_text()
    restore(copy, StateFolder(whole), force=True)
    (whole / "accepted.txt").write_text(accepted)
    with child(whole, "--finish") as last:
        last.wait()
    return counted(whole).lost
