"""How a script of this folder gets its `Config` (defaults, then a TOML file, then the command line) and its commit."""

import difflib
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import tyro

from dnaml.core.errors import InputError

C = TypeVar("C")
FLAG = "--config"


def configured(kind: type[C], arguments: Sequence[str] | None = None) -> C:
    """Return the config of a command line; `--config FILE.toml` gives defaults that other options replace."""
    left = list(sys.argv[1:] if arguments is None else arguments)
    default = kind()
    if FLAG in left:
        place = left.index(FLAG)
        if place + 1 == len(left):
            raise InputError(f"{FLAG} needs a file")
        default = from_toml(kind, Path(left[place + 1]))
        del left[place : place + 2]
    epilog = f"{FLAG} FILE.toml gives other defaults."
    return tyro.cli(kind, args=left, default=default, description=f"{kind.__doc__}\n\n{epilog}")


def from_toml(kind: type[C], path: Path) -> C:
    """Return a config of a TOML file; a key that the config does not know is an error naming the nearest it knows."""
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: must be a readable TOML file: {error}") from error
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]  # every config is a dataclass
    for name, value in found.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise InputError(f"{path}: there is no {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if isinstance(value, list):
            found[name] = tuple(value)
    return kind(**found)


def commit() -> str:
    """Return the checkout's commit, with `-dirty` if tracked files differ from it, or `unknown` outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
