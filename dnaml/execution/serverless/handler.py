"""The other side of the wire: a handler that runs stated functions, and one that plans.

A handler takes the JSON object of a request and returns the JSON object of its answer, so any provider's few lines
around it will do. Only functions that were stated are ever called. Planning needs numpy only, and no engine.
"""

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from dnaml.core.errors import InputError

Handler = Callable[[Mapping[str, Any]], dict[str, Any]]
_BORN_S = time.monotonic()


def call_handler(*functions: Callable[..., Any]) -> Handler:
    """Return a handler that calls these functions by their names `module:function` and meters each call."""
    known = {f"{one.__module__}:{one.__qualname__}": one for one in functions}
    first = threading.Lock()

    def handle(event: Mapping[str, Any]) -> dict[str, Any]:
        echo = {name: event[name] for name in ("attempt_id", "epoch") if name in event}
        function = known.get(str(event.get("function")))
        cold = first.acquire(blocking=False)
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        if function is None:
            error = {"type": "InputError", "message": f"function {event.get('function')!r} is not served here"}
            return {"error": error, "metered": {}, **echo}
        said: dict[str, Any]
        try:
            said = {"result": function(*event.get("args", ()), **event.get("kwargs", {}))}
        except Exception as error:  # noqa: BLE001  # the edge at which a crash of user work becomes an answer
            said = {"error": {"type": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}}
        metered = {
            "wall_s": time.perf_counter() - wall_s,
            "cpu_s": time.thread_time() - cpu_s,
            "peak_memory_bytes": _peak_bytes(),
            "cold_start": cold,
        }
        return {**said, "metered": metered, **echo}

    return handle


def plan_handler(event: Mapping[str, Any]) -> dict[str, Any]:
    """Plan a problem given as JSON: jobs, resources, predictions and an objective in, placements out.

    `event` holds `resources` (id, slots, price_usd_per_h, startup_s, ...), `jobs` (id, and runtimes by resource id
    under `runtime_s`), and may hold `policy`, `objective`, `free_in_s` and `seed`. Raises nothing: a problem that
    breaks a rule is answered with `{"error": ...}`.
    """
    from dnaml.execution.serverless.problems import read_problem, written_plan

    try:
        problem, policy = read_problem(event)
        return {"result": written_plan(policy.plan(problem))}
    except (InputError, TypeError, KeyError, ValueError, AttributeError) as error:
        return {"error": {"type": "InputError", "message": str(error) or type(error).__name__}}


def _peak_bytes() -> int:
    import resource
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
