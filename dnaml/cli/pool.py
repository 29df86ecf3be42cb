"""The resources a verb works with: those declared or probed in the state folder, else this machine, measured first."""

import os
from collections.abc import Sequence

from dnaml.answers.pool import keep as keep
from dnaml.answers.pool import known_resources as known_resources
from dnaml.answers.pool import replace_all as replace_all
from dnaml.cli.screen import Screen
from dnaml.core.errors import InputError
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
