"""The resources a verb works with: those declared or probed in the state folder, else this machine, measured first."""

import os
from collections.abc import Sequence
from pathlib import Path

from dnaml.cli.screen import Screen
from dnaml.core.errors import InputError, StateFolderError
from dnaml.core.resource import Resource, Site


def this_machine() -> Resource:
    """Return this machine before it is measured: a slot for each core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Resource(id="local", slots=cores, spec={"cores": float(cores)})


def measured(screen: Screen, target: Resource) -> Resource:
    """Return the resource with its spec measured by micro-probes; takes about four seconds, shown."""
    from dnaml.telemetry.profile import profile_resource

    with screen.working(f"profiling {target.id} with micro-probes"):
        return profile_resource(target)


def known_resources(state: Path) -> tuple[Resource, ...]:
    """Return the resources that were declared or probed before, none if there are none."""
    path = state / "resources.toml"
    if not path.exists():
        return ()
    from dnaml.telemetry.declared import read_resources

    return tuple(read_resources(path))


def resources_or_this_machine(screen: Screen) -> tuple[Resource, ...]:
    """Return the known resources; where there are none this machine, measured now (and not yet kept)."""
    return known_resources(screen.state) or (measured(screen, this_machine()),)


def drivable(resources: Sequence[Resource]) -> tuple[Resource, ...]:
    """Return the resources on which work can be started from here; InputError when all are only declared."""
    here = tuple(one for one in resources if one.site is Site.LOCAL)
    if resources and not here:
        names = ", ".join(one.id for one in resources)
        raise InputError(f"no resource can be driven from here, these are declared only: {names}; see dnaml probe")
    return here


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
