"""A Ray node as resources: its cores, and one for each accelerator, with Ray's labels and amounts as features.

A node may say more by labels: `dnaml-id` names its resource, `price-usd-per-h` prices it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dnaml.core.resource import Kind, Resource, Site

ID_LABEL, PRICE_LABEL = "dnaml-id", "price-usd-per-h"
_OWN_KEY = "ray.io/node-id"
_TYPE_KEY, _TYPE_PREFIX = "ray.io/accelerator-type", "accelerator_type:"
_ACCELERATORS: Mapping[str, Kind] = {
    "GPU": Kind.GPU,
    "TPU": Kind.ASIC,
    "HPU": Kind.ASIC,
    "NPU": Kind.ASIC,
    "neuron_cores": Kind.ASIC,
    "FPGA": Kind.FPGA,
    "fpga": Kind.FPGA,
}
_STATED = ("memory_bytes", "price_usd_per_h", "latency_s", "bandwidth_bytes_per_s", "power_w")
_ANYWHERE = Resource(id="anywhere").domain  # what a description says that names no domain
_BUILT_IN = frozenset({"CPU", "memory", "object_store_memory", *_ACCELERATORS})


def resource_id_of(node: Mapping[str, Any]) -> str:  # Any: one entry of ray.nodes()
    """Return the id of a node's resource: the one it is labelled with, else its host and the start of its Ray id."""
    return str(node["Labels"].get(ID_LABEL) or f"{node['NodeManagerHostname']}-{node['NodeID'][:8]}")


def takes_work(amounts: Mapping[str, float]) -> bool:
    """Say whether a node offers a core or an accelerator: a head that only manages offers none."""
    return any(amounts.get(name, 0) >= 1 for name in ("CPU", *_ACCELERATORS))


def labels_of(labels: Mapping[str, str], amounts: Mapping[str, float]) -> dict[str, str]:
    """Return what constraints can ask for: Ray's labels, its custom resources by name, the accelerator's type."""
    found = {name: value for name, value in labels.items() if name not in (_OWN_KEY, ID_LABEL)}
    for name, amount in amounts.items():
        if name.startswith(_TYPE_PREFIX):
            found["accelerator"] = name.removeprefix(_TYPE_PREFIX)
        elif not name.startswith("node:"):
            found.setdefault(name, f"{amount:g}") if name not in _BUILT_IN else None
    if _TYPE_KEY in labels:
        found["accelerator"] = labels[_TYPE_KEY]
    return found


def declared(
    resource_id: str, hostname: str, labels: Mapping[str, str], amounts: Mapping[str, float]
) -> tuple[Resource, ...]:
    """Return the resources of a node as Ray declares them: the cores first, then its accelerators."""
    shown = labels_of(labels, amounts)
    price = _price(labels)
    custom = {f"ray_{name}": float(shown_amount) for name, shown_amount in _custom(amounts)}
    memory = int(amounts.get("memory", 0)) or None
    cores = Resource(
        id=resource_id,
        site=Site.ON_PREM,
        domain=f"{hostname}/{resource_id}",
        slots=max(1, int(amounts.get("CPU", 1))),
        memory_bytes=memory,
        price_usd_per_h=price,
        labels=shown,
        spec=custom,
        description=f"Ray node {hostname}",
    )
    others = [
        replace(cores, id=f"{resource_id}:{name.lower()}", kind=kind, slots=int(amounts[name]), memory_bytes=None)
        for name, kind in _ACCELERATORS.items()
        if amounts.get(name, 0) >= 1
    ]
    return (cores, *others)


def _custom(amounts: Mapping[str, float]) -> list[tuple[str, float]]:
    return [
        (name, amount)
        for name, amount in amounts.items()
        if name not in _BUILT_IN and not name.startswith(("node:", _TYPE_PREFIX))
    ]


def _price(labels: Mapping[str, str]) -> float | None:
    """Return the price that a node is labelled with; a label that is no number prices nothing."""
    try:
        return float(labels[PRICE_LABEL])
    except (KeyError, ValueError):
        return None


def described(stated: Resource, told: Resource) -> Resource:
    """Return a node as its user states it; what is left open, and where it stands, is as the node tells of itself.

    A node whose processes are held back (`environment`, `cpu_quota_share`) is not what it measured of itself.
    """
    as_it_is = not stated.environment and stated.cpu_quota_share is None
    known = [*_STATED, *(("unit_type",) if as_it_is else ())]
    left_open = {name: getattr(told, name) for name in known if getattr(stated, name) is None}
    return replace(
        stated,
        **left_open,
        site=told.site if stated.site is Site.LOCAL else stated.site,
        domain=told.domain if stated.domain == _ANYWHERE else stated.domain,
        spec={**told.spec, **stated.spec} if as_it_is else stated.spec,
        labels={**told.labels, **stated.labels},
        description=stated.description or told.description,
    )


def on_this_machine(plan_resources: tuple[Resource, ...]) -> tuple[Resource, ...]:
    """Return the resources with what this machine tells of itself in milliseconds; GPUs as NVML shows them."""
    from dnaml.telemetry.gpu import gpu_resources
    from dnaml.telemetry.local import this_machine

    cores, *others = plan_resources
    here = this_machine()
    known = min(filter(None, (cores.memory_bytes, here.memory_bytes)), default=None)
    found = [
        replace(
            cores,
            unit_type=here.unit_type,
            memory_bytes=known,
            spec={**here.spec, **cores.spec, "cores": float(cores.slots)},
            description=f"{cores.description}: {here.description}",
        )
    ]
    for other in others:
        boards = gpu_resources(cores.price_usd_per_h) if other.kind is Kind.GPU else ()
        found += [
            replace(
                board,
                id=f"{cores.id}:{board.id}",
                site=cores.site,
                domain=cores.domain,
                labels={**cores.labels, **board.labels},
            )
            for board in boards[: other.slots]
        ] or [other]
    return tuple(found)


def probed(resources: tuple[Resource, ...]) -> tuple[Resource, ...]:
    """Return the resources with their micro-probes' findings: some seconds of one core; what fails stays as it was."""
    from dnaml.core.errors import DnamlError
    from dnaml.telemetry.profile import profile_resource

    found = []
    for resource in resources:
        if resource.kind not in (Kind.CPU, Kind.GPU):
            found.append(resource)
            continue
        try:
            measured = profile_resource(replace(resource, site=Site.LOCAL))
        except (DnamlError, OSError):
            found.append(resource)
        else:
            found.append(replace(measured, site=resource.site, latency_s=resource.latency_s))
    return tuple(found)
