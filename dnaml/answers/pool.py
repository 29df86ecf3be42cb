"""The resources that a state folder keeps: declared or probed, in one file that is replaced whole."""

from collections.abc import Sequence
from pathlib import Path

from dnaml.core.errors import StateFolderError
from dnaml.core.resource import Resource


def known_resources(state: Path) -> tuple[Resource, ...]:
    """Return the resources that were declared or probed before, none if there are none."""
    path = state / "resources.toml"
    if not path.exists():
        return ()
    from dnaml.telemetry.declared import read_resources

    return tuple(read_resources(path))


def keep(state: Path, resources: Sequence[Resource]) -> None:
    """Store resources over those of the same id; makes the state folder."""
    known = {one.id: one for one in known_resources(state)}
    replace_all(state, tuple({**known, **{one.id: one for one in resources}}.values()))


def replace_all(state: Path, resources: Sequence[Resource]) -> None:
    """Write the whole list of resources; StateFolderError where the folder does not let us."""
    from dnaml.telemetry.declared import write_resources

    path = state / "resources.toml"
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_resources(path, resources)
    except OSError as error:
        raise StateFolderError(f"{path}: cannot be written: {error.strerror or error}") from error
