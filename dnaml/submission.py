"""What a submission may carry beside the call itself, and how items of a map are bundled."""

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, Self, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from dnaml.core.errors import InputError
from dnaml.core.work import Computation, Constraints, Job, Objective, Resilience
from dnaml.execution import messages, pickling
from dnaml.execution.capture import InitialState, initial_state
from dnaml.execution.fingerprint.naming import computation_of

T = TypeVar("T")
Accepted = tuple[Job, Computation, messages.Payload]
"""what an engine takes in of one job"""
_encode_json = msgspec.json.Encoder().encode
_wants: "WeakKeyDictionary[Callable[..., Any], bool]" = WeakKeyDictionary()


class Submits(Protocol):
    """Is an executor, on this machine or in front of a service, as `.remote(...)` uses it."""

    _closed: bool

    # The function's own arguments; what comes back is a standard Future with `decision`, `record` and `stop`.
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Submit a call."""
        ...


innermost_executor: ContextVar[Submits | None] = ContextVar("dnaml_executor", default=None)
"""the executor that was opened last in this thread of control"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a submission may carry beside the call itself; see `Executor.options`."""

    name: str = ""
    objective: Objective | None = None
    constraints: Constraints = Constraints()
    resilience: Resilience = Resilience()
    priority: int = 0
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    demand: Mapping[str, float] | None = None
    memory_bytes: int | None = None
    computation: Computation | None = None
    divisible: bool = False
    max_parts: int | None = None
    """of a divisible call; None for as many as pay"""
    join: Callable[[list[Any]], Any] | None = None
    cache: bool = False
    tenant: str = ""
    idempotency_key: str | None = None

    def changed(self, **wanted: Any) -> Self:  # Any: each option has its own type, checked below
        """Return these options with some replaced; raise InputError for an unknown one."""
        known = set(self.__dataclass_fields__)
        for name in wanted:
            if name not in known:
                raise InputError(f"there is no option {name!r}; options are {', '.join(sorted(known))}")
        parts = wanted.get("max_parts")
        if parts is not None and parts < 1:
            raise InputError(f"max_parts must be at least 1, got {parts}")
        if wanted.get("objective") is not None:
            wanted["objective"] = Objective.of(wanted["objective"])
        return replace(self, **wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One call of a batch; see `Executor.submit_all`."""

    fn: Callable[..., T]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Options = Options()


class Chunk:
    """Calls a function on every item of a chunk, inside one worker."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__qualname__ = getattr(function, "__qualname__", "chunk")
        self.__module__ = getattr(function, "__module__", __name__)

    def __call__(self, items: tuple[tuple[Any, ...], ...]) -> list[Any]:
        """Return the results of a chunk in order."""
        return [self._function(*item) for item in items]


PLAIN = Options()
"""what a submission carries when nothing is said"""


def wants_context(function: Callable[..., Any]) -> bool:
    """Say whether a function has a parameter named `context`: it then gets one and can checkpoint."""
    try:
        known = _wants.get(function)
        if known is None:
            known = _wants[function] = "context" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # not hashable, not weakly referable, or without a signature: none of ours
        return False
    return known


def accepted(
    call: Call[Any], *, job_id: str, at_s: float, started: InitialState | None = None
) -> Accepted:  # Any: what the function returns does not matter here
    """Return what the engine takes in of a call, its initial state captured unless `started` is that already.

    Raises UnpicklableError when the function or an argument cannot travel.
    """
    options, args, kwargs = call.options, call.args, dict(call.kwargs)
    function: Callable[..., Any] = getattr(call.fn, "function", call.fn)
    body, digest = pickling.dumps_function(function)
    arguments = pickling.dumps_arguments(args, kwargs)
    computation = options.computation or computation_of(function, args, kwargs, declared=options.demand)
    with_context = wants_context(function) and "context" not in kwargs
    if with_context or options.memory_bytes or options.divisible:
        computation = replace(
            computation,
            checkpointable=with_context,
            divisible=options.divisible,
            memory_bytes=options.memory_bytes or computation.memory_bytes,
        )
    started = started or initial_state(function, args, kwargs, inputs=options.inputs)
    payload = messages.Payload(
        b"", body, digest, arguments, _encode_json(started), with_context, tuple(options.outputs)
    )
    job = Job(
        id=job_id,
        computation_id=computation.id,
        submitted_at_s=at_s,
        name=options.name,
        priority=options.priority,
        objective=options.objective,
        constraints=options.constraints,
        resilience=options.resilience,
        idempotency_key=options.idempotency_key,
        tenant=options.tenant,
        max_parts=options.max_parts if options.divisible else 1,
    )
    return job, computation, payload
