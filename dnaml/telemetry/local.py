"""The resources an engine starts with when nobody names any: those of the state folder, else this machine unprobed."""

import os
from pathlib import Path

from dnaml.core.resource import Kind, Resource, Site
from dnaml.telemetry import processor
from dnaml.telemetry.declared import read_resources


def this_machine() -> Resource:
    """Return this machine as far as it tells without a probe: memory, cores, clocks, unit type; costs milliseconds."""
    import psutil

    unit = processor.hardware_unit(processor.cpu_flags(), os.uname().machine)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Resource(
        id="local",
        kind=Kind.CPU,
        site=Site.LOCAL,
        unit_type=unit,
        slots=cores,
        memory_bytes=int(psutil.virtual_memory().total),
        spec={**processor.clocks(), "cores": float(cores)},
        description=processor.model_name(),
    )


def resources_of(folder: Path) -> tuple[Resource, ...]:
    """Return the local resources that a state folder keeps in `resources.toml`, else this machine."""
    path = folder / "resources.toml"
    kept = read_resources(path) if path.exists() else ()
    return tuple(resource for resource in kept if resource.site is Site.LOCAL) or (this_machine(),)
