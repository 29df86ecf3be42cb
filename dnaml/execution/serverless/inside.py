"""What runs inside a function that carries pickled calls: unpickle, call, meter, and answer with bytes.

It needs the package in the function's runtime. Nothing is saved on the way: a call that is lost begins anew.
"""

import time
import traceback
from typing import Any

import msgspec

from dnaml.execution import messages, pickling
from dnaml.execution.capture import terminal_state
from dnaml.execution.metering import Meter

_BORN_S = time.monotonic()
_calls = 0


def run_call(body: bytes, part: int, parts: int, start: float, share: float) -> bytes:
    """Run the work of a payload (or its part) and return an encoded Ended message; user errors are inside."""
    global _calls
    _calls += 1
    payload, meter = messages.decode_payload(body), Meter()
    meter.start()
    try:
        result = _call(payload, parts, start, share)
        metered = meter.stop()
        pickled = pickling.dumps(result)
        terminal = msgspec.json.encode(terminal_state(result, outputs=payload.outputs))
        outcome = messages.encode(messages.Outcome(pickled, b"", "", terminal))
        ended = messages.Ended("", 0, "done", outcome, pickling.digest(pickled), metered, None)
    except BaseException as error:  # noqa: BLE001  # the edge at which a crash of user work becomes the FAILED outcome
        text = "".join(traceback.format_exception(error))
        outcome = messages.encode(messages.Outcome(b"", pickling.dumps_exception(error), text, b""))
        line = " ".join(f"{type(error).__name__}: {error}".split())
        ended = messages.Ended("", 0, "failed", outcome, "", meter.stop(), line)
        ended.out_of_memory = isinstance(error, MemoryError)
    ended.metered.extra["cold_start"] = float(_calls == 1)
    ended.metered.extra["instance_age_s"] = time.monotonic() - _BORN_S
    return messages.encode(ended)


def _call(payload: messages.Payload, parts: int, start: float, share: float) -> Any:  # Any: the user's result
    function = pickling.loads(payload.function)
    args, kwargs = pickling.loads(payload.arguments)
    if parts > 1:
        from dnaml.execution.parts import sliced

        args = sliced(args, kwargs, start, share)
    return function(*args, **kwargs)
