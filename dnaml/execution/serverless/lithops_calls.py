"""Calls functions through Lithops, on whichever provider it is configured for; its one door in the project."""

import threading
import time
from typing import Any

from dnaml.core.attempt import Cause
from dnaml.core.errors import InputError, MissingExtra
from dnaml.execution import messages
from dnaml.execution.serverless.backoff import Again, Attempts, Refused
from dnaml.execution.serverless.functions import LithopsFunction
from dnaml.execution.serverless.inside import run_call
from dnaml.execution.serverless.invocation import Answer, Invocation, Verdict, nothing_metered

_LOOK_EVERY_S = 0.02


class LithopsCaller:
    """Calls functions of one Lithops configuration; opening reads it and reaches for its storage.

    Raises MissingExtra without Lithops, InputError where Lithops does not accept its configuration.
    """

    def __init__(self, resource_id: str, function: LithopsFunction) -> None:
        try:
            import lithops
        except ImportError as error:
            raise MissingExtra("Lithops is not installed; install it with: pip install 'dnaml[serverless]'") from error
        self._name, self._function = resource_id, function
        self.idle_s, self.most_runtime_s = function.idle_s, function.most_runtime_s
        self._sending = threading.Lock()
        config = _without_telemetry(function.config)
        try:
            self._executor: Any = lithops.FunctionExecutor(config=config, log_level="ERROR")
        except Exception as error:  # Lithops raises bare Exception on a configuration it refuses
            raise InputError(f"{resource_id}: Lithops does not accept its configuration: {error}") from error

    def refusal(self, invocation: Invocation) -> str:
        """Return why these functions cannot take an invocation, before anything is sent."""
        if messages.decode_payload(invocation.payload).wants_context:
            return "a function has no context to save progress with"
        size, most = len(invocation.payload), self._function.most_request_bytes
        return f"its payload of {size} bytes is over the function's limit of {most}" if size > most else ""

    def invoke(self, invocation: Invocation) -> Answer:
        """Call until there is an answer; what Lithops measured stands among the telemetry."""
        begun_s = time.monotonic()
        attempts = Attempts(self._function.retrying, invocation.stopped, invocation.deadline_s)
        try:
            ended, stats = attempts.make(lambda: self._call(invocation))
        except Refused as error:
            over = invocation.deadline_s is not None and time.monotonic() >= invocation.deadline_s
            return Answer(
                verdict=Verdict.FAILED if over else Verdict.LOST,
                metered=nothing_metered(time.monotonic() - begun_s, calls=float(attempts.calls)),
                error=f"{self._name}: {error}",
                cause=Cause.OVERRAN if over else None,
            )
        ended.metered.extra |= {**_statistics(stats), "calls": float(attempts.calls)}
        ended.metered.extra["round_trip_s"] = time.monotonic() - begun_s
        return Answer(
            verdict=Verdict.DONE if ended.state == "done" else Verdict.FAILED,
            metered=ended.metered,
            outcome=ended.outcome,
            digest=ended.digest,
            error=ended.error,
            cause=Cause.OUT_OF_MEMORY if ended.out_of_memory else None,
        )

    def close(self) -> None:
        """Remove what Lithops keeps for these calls."""
        try:
            self._executor.clean(clean_cloudobjects=False)
        except Exception:  # noqa: BLE001  # what is left there is temporary, and the provider may be gone
            return

    def _call(self, invocation: Invocation) -> tuple[messages.Ended, dict[str, Any]]:
        call = (invocation.payload, invocation.part, invocation.parts, invocation.start, invocation.share)
        until_s = time.monotonic() + self._function.timeout_s
        if invocation.deadline_s is not None:
            until_s = min(until_s, invocation.deadline_s)
        try:
            with self._sending:
                future = self._executor.call_async(run_call, call)
            while not (future.ready or future.success or future.error or future.done):
                if invocation.stopped.wait(_LOOK_EVERY_S):
                    raise Refused("nobody waits for it any more")
                if time.monotonic() > until_s:
                    raise Again(f"no answer within {self._function.timeout_s:g} s")
            body = future.result()
        except (Again, Refused):
            raise
        except Exception as error:  # providers' libraries raise anything
            raise Again(f"Lithops: {type(error).__name__}: {error}") from error
        message = messages.decode_from_worker(body)
        if not isinstance(message, messages.Ended):
            raise Again("Lithops brought something that is no answer")
        return message, dict(future.stats)


def _without_telemetry(config: Any) -> dict[str, Any] | None:  # Any: a mapping of mappings, as Lithops has it
    from lithops.config import load_config

    try:
        full = {name: dict(part) for name, part in (config if config is not None else load_config()).items()}
    except Exception as error:  # an unreadable file raises whatever its parser does
        raise InputError(f"Lithops' configuration cannot be read: {error}") from error
    full["lithops"] = {**full.get("lithops", {}), "telemetry": False}
    return full


def _statistics(stats: dict[str, Any]) -> dict[str, float]:
    """Return what Lithops measured of a call, in units of the project."""
    found = {}
    begun_s, sent_s = stats.get("worker_start_tstamp"), stats.get("host_submit_tstamp")
    if begun_s is not None and sent_s is not None:
        found["queue_s"] = max(0.0, float(begun_s) - float(sent_s))
    names = {"worker_func_exec_time": "function_s", "worker_func_rss": "resident_bytes", "worker_exec_time": "billed_s"}
    return found | {ours: float(stats[theirs]) for theirs, ours in names.items() if theirs in stats}
