"""A call with its options as the JSON of a job; what a service does not take is refused before it is sent."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from dnaml.core.errors import InputError
from dnaml.core.work import Constraints, Objective, Resilience
from dnaml.remote.names import check_json, name_of
from dnaml.submission import PLAIN, Options

_TRAVELS = frozenset(
    {
        "name",
        "objective",
        "constraints",
        "resilience",
        "inputs",
        "outputs",
        "memory_bytes",
        "divisible",
        "max_parts",
        "idempotency_key",
    }
)
MOST_IN_BATCH = 500  # jobs sent in one request
Json = dict[str, Any]
"""a JSON object"""


def body_of(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Options) -> Json:
    """Return the job that a call is; raise InputError for a function, argument or option that does not travel."""
    name = name_of(fn)
    check_json(list(args), "args")
    check_json(dict(kwargs), "kwargs")
    if args and kwargs:
        raise InputError(f"{name}: give all arguments by position or all by name; a job's args are one of both")
    for field in fields(Options):
        if field.name not in _TRAVELS and getattr(options, field.name) != getattr(PLAIN, field.name):
            raise InputError(f"option {field.name}: is not taken by a service; it takes {', '.join(sorted(_TRAVELS))}")
    body: Json = {"computation": name, "args": dict(kwargs) or list(args)}
    told = {
        "name": options.name,
        "objective": None if options.objective is None else _weights(options.objective),
        "constraints": _limits(options.constraints),
        "resilience": _protection(options.resilience),
        "resources": _wishes(options),
        "inputs": list(options.inputs),
        "outputs": list(options.outputs),
        "split": _split(options, args, name),
    }
    return body | {key: value for key, value in told.items() if value}


def _weights(objective: Objective) -> Json:
    return {field.name: getattr(objective, field.name) for field in fields(Objective)}


def _limits(constraints: Constraints) -> Json:
    for name in ("kinds", "resource_ids"):
        if getattr(constraints, name):
            raise InputError(
                f"constraints: {name} is not taken by a service, labels are; got {getattr(constraints, name)}"
            )
    told = {
        "deadline": None if constraints.deadline_s is None else _plainly(constraints.deadline_s),
        "max_cost": constraints.max_cost_usd,
        "max_hourly_cost": constraints.max_price_usd_per_h,
    }
    return {key: value for key, value in told.items() if value is not None}


def _protection(resilience: Resilience) -> Json:
    if resilience == Resilience():
        return {}
    if resilience.vote:
        raise InputError("resilience: vote is not taken by a service")
    every_s = resilience.checkpoint_every_s
    checkpoint = (
        {"interval": _plainly(every_s)} if every_s is not None and resilience.checkpoint else resilience.checkpoint
    )
    told: Json = {"replicas": resilience.replicas, "checkpoint": checkpoint, "max_restarts": resilience.max_restarts}
    return told if resilience.completion is None else {**told, "completion": resilience.completion}


def _wishes(options: Options) -> Json:
    wishes: Json = {"labels": dict(options.constraints.labels)} if options.constraints.labels else {}
    if options.memory_bytes is not None:
        wishes["memory"] = f"{_plainly(Decimal(options.memory_bytes) / 1024)}K+"
    return wishes


def _split(options: Options, args: tuple[Any, ...], name: str) -> Json:
    if not options.divisible:
        return {}
    if not args or not isinstance(args[0], list):
        raise InputError(f"{name}: a divisible call's first argument must be a list to travel to a service")
    return {"max_parts": max(1, options.max_parts or len(args[0]))}


def _plainly(number: float | Decimal) -> str:
    """Return a number without an exponent, as sizes and durations are written."""
    return format(Decimal(repr(number)) if isinstance(number, float | int) else number.normalize(), "f")
