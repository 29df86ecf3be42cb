"""What the pilot's process is told to do and what it tells back, as JSON lines on a socket."""

from enum import Enum

import msgspec


class Task(Enum):
    """Is what the pilot's process is asked to run."""

    CALL = "call"  # the user's function
    SEQUENTIAL = "sequential"  # our own streaming through memory, as a yardstick
    RANDOM = "random"  # our own reading of random places, as a yardstick


class State(Enum):
    """Is where the pilot's process stands."""

    READY = "ready"  # the function is loaded; nothing ran yet
    BROKEN = "broken"  # the function or its arguments could not be loaded
    RUNNING = "running"  # a snapshot of what was seen so far
    RETURNED = "returned"  # the run ended well
    RAISED = "raised"  # the run ended in an exception
    EXITED = "exited"  # the run asked its process to exit


class Order(msgspec.Struct, kw_only=True):
    """One run: what, with how many threads for numerical libraries, and whether it is watched by page."""

    task: Task
    threads: int = 1
    small_pages: bool = False


class Report(msgspec.Struct, kw_only=True):
    """What was seen of one run. `own_s` is its wall time less the time it waited for a core.

    `precision` counts samples by kind of number (fp64, fp32, low, integer, unknown), `flop` counts operations of
    torch by precision, `torch_weight` weighs all of torch's operations by precision; `torch_s` is time inside torch.
    """

    state: State
    message: str = ""
    wall_s: float = 0.0
    own_s: float = 0.0
    cpu_s: float = 0.0
    blocked_s: float = 0.0
    start_memory_bytes: float = 0.0
    peak_memory_bytes: float = 0.0
    read_bytes: float | None = None
    written_bytes: float | None = None
    samples: int = 0
    precision: dict[str, float] = {}
    has_arrays: bool = True
    flop: dict[str, float] = {}
    torch_weight: dict[str, float] = {}
    torch_s: float = 0.0
    watches_torch: bool = False
    checkpoint_bytes: float | None = None

    @property
    def ended(self) -> bool:
        """Say whether the run is over."""
        return self.state in (State.RETURNED, State.RAISED, State.EXITED)


_encode = msgspec.json.Encoder().encode
_order = msgspec.json.Decoder(Order)
_report = msgspec.json.Decoder(Report)


def encode(message: Order | Report) -> bytes:
    """Return a message as one line."""
    return _encode(message) + b"\n"


def decode_order(line: bytes) -> Order:
    """Return the order that a line stands for."""
    return _order.decode(line)


def decode_report(line: bytes) -> Report:
    """Return the report that a line stands for; raise msgspec.MsgspecError on anything else."""
    return _report.decode(line)
