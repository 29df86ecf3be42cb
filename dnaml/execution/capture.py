"""Captures what makes a computation repeatable: the state it starts from and the state it ends in, as digests.

Equal initial states mean the same code on the same arguments, inputs and environment. The values are small, frozen
and JSON-able by msgspec; `changed` and `compare` say by name what differs between two of them.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from dnaml.core.errors import InputError
from dnaml.execution.callables import carried_function, parameter_names, unwrapped
from dnaml.execution.code_digests import Code, code_of
from dnaml.execution.code_references import is_library
from dnaml.execution.digests import is_opaque, mapping_digest, short_digest, text_digest
from dnaml.execution.environment import Environment, environment_differences, environment_digest, named_differences
from dnaml.execution.file_digests import file_digest, named_file
from dnaml.execution.summary import Element, elements_of, largest_difference, within

_EMPTY: Mapping[str, str] = {}

_OF_NO_FILES = mapping_digest({})


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialState:
    """What a computation starts from. Every mapping is name -> digest; `environment` names an Environment.

    `code` holds the functions, classes and files of the user's own, `values` the constants they read, `arguments` the
    arguments by parameter name, `inputs` the files by path, `variables` the environment variables of the job itself.
    """

    code: Mapping[str, str]
    arguments: Mapping[str, str]
    environment: str
    digest: str
    values: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def comparable(self) -> bool:
        """Say whether every argument has content to compare; only then may a stored result be reused."""
        return not any(map(is_opaque, self.arguments.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalState:
    """What a computation ended in: its result, element by element, and the digests of the files it wrote."""

    digest: str
    elements: Mapping[str, Element]
    outputs: Mapping[str, str] = field(default_factory=dict)


def initial_state(
    fn: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    inputs: Iterable[str | os.PathLike[str]] = (),
    environment: Environment | str | None = None,
) -> InitialState:
    """Capture what a call starts from: its code, arguments, input files and environment (default: this process's).

    Text and path arguments that name a file are inputs too. Takes about 6 µs for numbers and short text once `fn` is
    known; large arrays and files take the time to hash them. Raises InputError for an input that cannot be read.
    """
    function, args, kwargs = unwrapped(fn, args, kwargs or {})
    code = code_of(function)
    members, values, code_digest = code.members, code.values, code.digest
    for value in (*args, *kwargs.values()):
        if type(value).__module__ != "builtins" or type(value) is FunctionType:
            brought = _brought(value)
            if brought is not None:  # its class, or it, is code of the user's own
                members, values = {**brought.members, **members}, {**brought.values, **values}
                code_digest = text_digest((code_digest, brought.digest))
    names = parameter_names(function)
    arguments = {name: short_digest(value) for name, value in zip(names, args, strict=False)}
    files: dict[str, str] | None = None
    for position in range(len(names), len(args)):
        arguments[f"*{position}"] = short_digest(args[position])
    for name, value in kwargs.items():
        arguments[name] = short_digest(value)
    for value in (*args, *kwargs.values()):
        path = named_file(value)
        if path is not None:
            files = {**(files or {}), path: file_digest(path)}
    if inputs:
        files = {**(files or {}), **{os.fspath(path): file_digest(path) for path in inputs}}
    if environment is None:
        environment = environment_digest()
    elif isinstance(environment, Environment):
        environment = environment.digest
    parts = [code_digest, environment, *(part for item in sorted(arguments.items()) for part in item)]
    if files:
        parts.append(mapping_digest(files))
    return InitialState(
        code=members,
        values=values,
        arguments=arguments,
        inputs=files or _EMPTY,
        environment=environment,
        variables=_EMPTY,
        digest=text_digest(parts),
    )


def _brought(value: object) -> Code | None:
    """Return the code that an argument brings: itself, its class, or the function that a library's object holds."""
    bringer: Any = value if isinstance(value, (FunctionType, type)) else type(value)  # Any: both have __module__
    if bringer.__module__ is None or is_library(bringer.__module__):
        bringer = carried_function(value)
    return None if bringer is None or is_library(bringer.__module__ or "?") else code_of(bringer)


def initial_state_of_argv(
    argv: Sequence[str],
    *,
    workdir: str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str]] = (),
    envs: Mapping[str, str] | None = None,
    environment: Environment | str | None = None,
) -> InitialState:
    """Capture what a command starts from: its words, the program, the files its words name, inputs and variables.

    Paths are taken from `workdir`; the values of `envs` are kept as digests only.
    """
    if not argv:
        raise InputError("argv must not be empty")
    import shutil

    code: dict[str, str] = {}
    program = shutil.which(argv[0], path=(envs or {}).get("PATH")) or os.path.join(workdir, argv[0])
    if os.path.isfile(program):
        code["program"] = file_digest(program)
    for word in argv[1:]:
        if named_file(os.path.join(workdir, word)):
            code[word] = file_digest(os.path.join(workdir, word))
    files = {os.fspath(path): file_digest(os.path.join(workdir, path)) for path in inputs}
    variables = {name: "sha256:" + text_digest((value,)) for name, value in sorted((envs or {}).items())}
    environment = environment.digest if isinstance(environment, Environment) else environment or environment_digest()
    arguments = {f"argv[{position}]": word for position, word in enumerate(argv)}
    told = (code, arguments, files, variables)
    return InitialState(
        code=code,
        arguments=arguments,
        inputs=files,
        environment=environment,
        variables=variables,
        digest=text_digest((environment, *map(mapping_digest, told))),
    )


def terminal_state(result: object, *, outputs: Iterable[str | os.PathLike[str]] = ()) -> TerminalState:
    """Capture what a computation ended in; imports nothing that the result did not bring along.

    An output that was not written counts as `missing`.
    """
    elements = elements_of(result)
    files = {os.fspath(path): file_digest(path) if os.path.exists(path) else "missing" for path in outputs}
    of_files = mapping_digest(files) if files else _OF_NO_FILES
    parts = [part for name, element in elements.items() for part in (name, element.digest)]
    return TerminalState(digest=text_digest((*parts, of_files)), elements=elements, outputs=files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Says whether a computation repeated; if not, `differences` names each output that differs and how."""

    repeated: bool
    differences: tuple[str, ...]
    tolerance: str


def compare(first: TerminalState, second: TerminalState, *, rtol: float = 0.0, atol: float = 0.0) -> Comparison:
    """Compare two terminal states: exactly, or numbers within `atol + rtol * |first|` (files always exactly)."""
    if not (0 <= rtol < float("inf") and 0 <= atol < float("inf")):
        raise InputError(f"tolerances must be finite and not negative, got rtol={rtol}, atol={atol}")
    differences = [f"{name}: only in the {_side(name, first.elements)} run" for name in _lost(first, second)]
    for name in first.elements.keys() & second.elements.keys():
        told = _difference(first.elements[name], second.elements[name], rtol, atol)
        if told:
            differences.append(f"{name}: {told}")
    for path in first.outputs.keys() | second.outputs.keys():
        was, now = first.outputs.get(path, "not an output"), second.outputs.get(path, "not an output")
        if was != now:
            differences.append(f"output {path}: {_brief(was)} became {_brief(now)}")
    tolerance = "exact" if not (rtol or atol) else f"numbers within atol={atol:g} + rtol={rtol:g} * |first|"
    return Comparison(repeated=not differences, differences=tuple(sorted(differences)), tolerance=tolerance)


def _lost(first: TerminalState, second: TerminalState) -> list[str]:
    return sorted(first.elements.keys() ^ second.elements.keys())


def _side(name: str, elements: Mapping[str, Element]) -> str:
    return "first" if name in elements else "second"


def _difference(was: Element, now: Element, rtol: float, atol: float) -> str | None:
    if was.digest == now.digest and not is_opaque(was.digest):
        return None
    if is_opaque(was.digest):
        return f"a {was.kind} cannot be compared"
    if was.kind != now.kind and not (was.numbers and now.numbers):
        return f"{was.kind} became {now.kind}"
    if (rtol or atol) and within(was, now, rtol=rtol, atol=atol):
        return None
    return f"{was.kind}: {_brief(was.digest)} became {_brief(now.digest)}{_largest(was, now)}"


def _largest(was: Element, now: Element) -> str:
    largest = largest_difference(was, now)
    return "" if largest is None else f" (differs by {largest:.3g})"


def _brief(digest: str) -> str:
    name, colon, hexadecimal = digest.partition("sha256:")
    return f"{name}{colon}{hexadecimal[:12]}" if colon else digest


def changed(
    first: InitialState, now: InitialState, *, environments: tuple[Environment, Environment] | None = None
) -> tuple[str, ...]:
    """Return what differs between two initial states, by name: code, constants, arguments, inputs, variables and,
    when the two environments themselves are given, Python, platform, packages and their variables."""
    told: list[str] = []
    for what, was, is_now in (
        ("code", first.code, now.code),
        ("value", first.values, now.values),
        ("argument", first.arguments, now.arguments),
        ("input", first.inputs, now.inputs),
        ("variable", first.variables, now.variables),
    ):
        told += named_differences(what, was, is_now)
    if first.environment != now.environment:
        if environments is not None:
            told += environment_differences(*environments)
        else:
            told.append(f"environment {first.environment[:12]} became {now.environment[:12]}")
    return tuple(told)
