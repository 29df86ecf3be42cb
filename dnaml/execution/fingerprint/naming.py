"""Names a call: which kernel it runs, how large its arguments are, and so which computation it repeats.

The *kernel* is the function's qualified name and eight digits of the digest of its code (constants it reads apart),
with the value of each option: a parameter whose default is text. A name given by the caller replaces name and
digits. The *id* is the kernel with every size feature rounded to a quarter of an octave (steps of 19 %; whole
numbers up to 8 stay exact), so calls of one kernel at nearly one size share an id; `size` keeps the exact values.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from dnaml.core.errors import InputError
from dnaml.core.work import Computation
from dnaml.execution.callables import carried_function, parameter_names, unwrapped
from dnaml.execution.code_digests import Code, code_of
from dnaml.execution.digests import qualified_name, short_digest
from dnaml.execution.file_digests import file_digest, named_file

CONTEXT = "context"  # the parameter by which a function receives its Context
_NO_SIZE = frozenset({CONTEXT, "seed", "random_state", "rng"})  # what is done may depend on it, how much does not
_FIELDS = frozenset({"memory_bytes", "input_bytes", "divisible", "checkpointable"})
_MOST_KEPT = 1000
_MOST_DIMENSIONS = 4
_EXACT = 8
_OPTION_LENGTH = 40

Declared = Mapping[str, float]


def computation_of(
    fn: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    declared: Declared | None = None,
    paths: Sequence[str] = (),
) -> Computation:
    """Return the computation that a call repeats, without running it; about 5 µs once the function is known.

    `declared` gives demands (and memory_bytes, input_bytes, divisible, checkpointable); `paths` names the parameters
    that are paths, whose file sizes then count.
    """
    if name is None and not isinstance(fn, FunctionType):
        name = _name_of_object(fn)
    function, args, kwargs = unwrapped(fn, args, kwargs or {})
    shape = _shape(function)
    size = dict(shape.size)
    bulk = 0.0
    options: dict[str, str] | None = None
    given = zip(shape.names, args, strict=False)
    for parameter, value in (*given, *kwargs.items()) if kwargs else given:
        kind = type(value)
        if parameter in _NO_SIZE:
            continue
        if kind is int or kind is float:
            size[parameter] = value
        elif parameter in shape.options:
            options = {**(options or {}), parameter: _option(value)}
        elif parameter in paths:
            bulk += _measure_path(size, parameter, value)
        else:
            bulk += _measure(size, parameter, value)
    if len(args) > len(shape.names):
        size["extra_len"] = len(args) - len(shape.names)
    kernel = shape.kernel(name, options)
    return _computation(kernel, size, int(bulk), shape.checkpointable, declared)


def computation_of_argv(
    argv: Sequence[str],
    *,
    workdir: str | os.PathLike[str],
    name: str | None = None,
    inputs: Sequence[str | os.PathLike[str]] = (),
    declared: Declared | None = None,
) -> Computation:
    """Return the computation that a command repeats.

    The kernel is its name, or its program and the files that its words name; numbers among its words are sizes
    (`--trees 200` and `--trees=200` give trees), and so are the bytes of its inputs.
    """
    if not argv:
        raise InputError("argv must not be empty")
    size: dict[str, float] = {}
    words = [os.path.basename(argv[0])]
    flag = ""
    for position, word in enumerate(argv[1:], 1):
        key, equals, text = word.partition("=") if word.startswith("-") else (flag or f"argument{position}", "=", word)
        file = named_file(os.path.join(workdir, word))
        if equals and _is_number(text):
            size[key.strip("-").replace("-", "_") or f"argument{position}"] = float(text)
        elif file is not None:
            words.append(f"{word}@{file_digest(file).rpartition(':')[2][:8]}")
        elif word.startswith("-"):
            words.append(word)
        flag = word if word.startswith("-") and not equals else ""
    kernel = name or " ".join(words)
    bulk = sum(_measure_path(size, f"input{at}", os.path.join(workdir, path)) for at, path in enumerate(inputs))
    return _computation(kernel, size, int(bulk), False, declared)


def _computation(
    kernel: str, size: dict[str, float], bulk: int, checkpointable: bool, declared: Declared | None
) -> Computation:
    for key, value in list(size.items()):
        try:
            if not math.isfinite(value):
                del size[key]
        except OverflowError:  # an integer beyond any float: how many bits it has stands for it
            size[key] = float(int(value).bit_length())
    computation_id = f"{kernel}[{','.join([f'{key}={_bucket(value)}' for key, value in sorted(size.items())])}]"
    if declared is None:
        return Computation(
            id=computation_id, kernel=kernel, size=size, input_bytes=bulk or None, checkpointable=checkpointable
        )
    fields: dict[str, Any] = {key: declared[key] for key in _FIELDS & declared.keys()}  # Any: int or bool by field
    for key in ("memory_bytes", "input_bytes"):
        if key in fields:
            fields[key] = int(fields[key])
    demand = {key: float(value) for key, value in declared.items() if key not in _FIELDS}
    fields = {"input_bytes": bulk or None, "checkpointable": checkpointable, **fields}
    return Computation(id=computation_id, kernel=kernel, size=size, demand=demand, **fields)


def _name_of_object(fn: Any) -> str | None:
    """Name an object that calls a function it holds, and bears its name: `module.function@digits(Chunk)`."""
    carried = carried_function(fn) if "__qualname__" in getattr(fn, "__dict__", ()) else None
    if carried is None or hasattr(fn, "__wrapped__"):
        return None
    return f"{qualified_name(carried)}@{code_of(carried).kernel[:8]}({type(fn).__name__})"


@dataclass(slots=True, kw_only=True)
class _Shape:
    """What is known of a function before a call: parameter names, sizes of its defaults, options, kernel names."""

    code: Code
    plain: str
    names: tuple[str, ...]
    size: dict[str, float]
    options: dict[str, str]
    checkpointable: bool
    kernels: dict[tuple[str | None, tuple[str, ...]], str] = field(default_factory=dict)

    def kernel(self, name: str | None, options: Mapping[str, str] | None) -> str:
        """Return the kernel's name for these options, the others being at their defaults."""
        chosen = tuple({**self.options, **options}.values()) if options else tuple(self.options.values())
        known = self.kernels.get((name, chosen))
        if known is None:
            plain = name or self.plain
            told = [f"{key}={value}" for key, value in zip(self.options, chosen, strict=True)]
            known = f"{plain}({','.join(told)})" if told else plain
            if len(self.kernels) < _MOST_KEPT:
                self.kernels[name, chosen] = known
        return known


_shapes: dict[int, _Shape] = {}


def _shape(fn: Callable[..., Any]) -> _Shape:
    code = code_of(fn)
    shape = _shapes.get(id(fn))
    if shape is None or shape.code is not code:
        while len(_shapes) >= _MOST_KEPT:
            _shapes.pop(next(iter(_shapes)))
        shape = _shapes[id(fn)] = _new_shape(fn, code)
    return shape


def _new_shape(fn: Any, code: Code) -> _Shape:  # Any: a function, a class or a builtin
    inner: Any = vars(fn).get("__init__") if isinstance(fn, type) else fn
    names = parameter_names(fn)
    defaults = dict(zip(reversed(names), reversed(getattr(inner, "__defaults__", None) or ()), strict=False))
    defaults.update(getattr(inner, "__kwdefaults__", None) or {})
    size: dict[str, float] = {}
    for parameter, value in sorted(defaults.items()):
        if not isinstance(value, str) and parameter not in _NO_SIZE:
            _measure(size, parameter, value)
    told = getattr(inner, "__code__", None)
    by_name = () if told is None else told.co_varnames[told.co_argcount : told.co_argcount + told.co_kwonlyargcount]
    return _Shape(
        code=code,
        plain=f"{qualified_name(fn)}@{code.kernel[:8]}",
        names=names,
        size=size,
        options={parameter: _option(value) for parameter, value in sorted(defaults.items()) if isinstance(value, str)},
        checkpointable=CONTEXT in (*names, *by_name),
    )


def _option(value: object) -> str:
    return (value if isinstance(value, str) else short_digest(value))[:_OPTION_LENGTH]


def _measure(size: dict[str, float], name: str, value: Any) -> float:
    """Add the size features of one argument; return the bytes it brings along, 0 where that is nothing to speak of."""
    if value is None:
        size.pop(name, None)
        return 0
    if isinstance(value, (bool, int, float)):
        size[name] = float(value) if isinstance(value, bool) else value  # a stored size is a number, never true
        return 0
    size.pop(name, None)  # the default's
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return _measure_array(size, name, value, shape)
    if isinstance(value, (bytes, bytearray, memoryview)):
        size[f"{name}_bytes"] = len(value)
        return len(value)
    try:
        size[f"{name}_len"] = len(value)
    except (TypeError, ValueError, AttributeError, LookupError, RuntimeError):
        pass  # no size to tell
    return 0


def _measure_array(size: dict[str, float], name: str, value: Any, shape: tuple[int, ...]) -> float:
    if not shape:  # a number in an array's clothes
        try:
            size[name] = float(value)
        except (TypeError, ValueError, RuntimeError):
            pass
        return 0
    for axis, length in enumerate(shape[:_MOST_DIMENSIONS]):
        size[f"{name}_dim{axis}"] = length
    nbytes = getattr(value, "nbytes", None)
    if not isinstance(nbytes, int):
        return 0
    size[f"{name}_bytes"] = nbytes
    return nbytes


def _measure_path(size: dict[str, float], name: str, value: Any) -> float:
    try:
        status = os.stat(value)
    except (OSError, TypeError, ValueError):
        return 0
    size[f"{name}_bytes"] = status.st_size
    return status.st_size


def _bucket(value: float) -> str:
    if -_EXACT <= value <= _EXACT and value == int(value):
        return str(int(value))
    step = round(4 * math.log2(abs(value)))
    text = _STEPS.get(step)
    if text is None:
        text = _STEPS[step] = f"{2.0 ** (step / 4):.4g}"  # at most 8500 steps between the smallest and largest float
    return text if value > 0 else "-" + text


_STEPS: dict[int, str] = {}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
