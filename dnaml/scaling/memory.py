"""What scaling keeps over a restart, in one small file of the state folder: past demand, lead times, money, machines.

Decisions are not kept: they are made anew from what is. A file that is damaged is set aside and said so.
"""

import logging
from pathlib import Path

import msgspec

FILE = "scaling.json"  # in the state folder
MOST_BINS = 8192
UNKNOWN_USD = 1e15
"""counts as spent when it is not known what was: more than any cap"""
_log = logging.getLogger(__name__)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that was there when the file was written, and since when it is paid for."""

    id: str
    template: str
    provider: str
    since_s: float


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of work in each bin up to `end_s`, seconds that ordered machines took, what was spent until `at_s`."""

    template: str
    bin_s: float
    at_s: float = 0.0
    end_s: float = 0.0
    work_s: list[float] = []
    leads_s: list[float] = []
    spent_usd: float = 0.0
    machines: list[Held] = []

    def until(self, at_s: float) -> list[float]:
        """Return the work of the bins up to a time: in those between, nothing arrived for nobody took anything in."""
        missed = int(max(0.0, at_s - self.end_s) / self.bin_s)
        return [] if missed >= MOST_BINS else [*self.work_s, *[0.0] * missed][-MOST_BINS:]


def recalled(folder: Path, template: str, bin_s: float) -> Memory:
    """Return what a state folder remembers; of another template or bins only money and machines."""
    path = folder / FILE
    try:
        memory = msgspec.json.decode(path.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory(template=template, bin_s=bin_s)
    except (msgspec.MsgspecError, OSError) as error:
        _log.warning("%s cannot be read and is set aside; under a cap nothing more is bought: %s", path, error)
        path.replace(path.with_suffix(".damaged"))
        return Memory(template=template, bin_s=bin_s, spent_usd=UNKNOWN_USD)
    if (memory.template, memory.bin_s) == (template, bin_s):
        return memory
    return Memory(template=template, bin_s=bin_s, spent_usd=memory.spent_usd, machines=memory.machines)


def remember(folder: Path, memory: Memory) -> None:
    """Write what is to be remembered; the old file is replaced whole or not at all."""
    path = folder / FILE
    fresh = path.with_suffix(".new")
    try:
        fresh.write_bytes(msgspec.json.encode(memory))
        fresh.replace(path)
    except OSError as error:
        _log.warning("%s cannot be written: %s", path, error)
