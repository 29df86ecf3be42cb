"""Which known resources meet a job's wishes: cores, memory, accelerators, place, spot, labels.

A resource that does not tell a figure cannot meet a wish about it. On rented machines `cpus: 4` means a machine of
exactly 4, as it does to SkyPilot; on one's own machines it means 4 of those there are.
"""

from collections.abc import Callable, Iterator, Sequence

from dnaml.core.errors import InputError
from dnaml.core.resource import Kind, Resource, Site
from dnaml.jobfile.document import ResourceWishes
from dnaml.jobfile.sizes import GIB, AtLeast, parse_count, parse_memory

Test = Callable[[Resource], bool]
CPU_COUNT = "cores"  # the key of Resource.spec
ACCELERATOR_COUNT = "accelerator_count"
_OWN_PLACES = {"local": Site.LOCAL, "on_prem": Site.ON_PREM, "ssh": Site.ON_PREM, "serverless": Site.SERVERLESS}


def candidate_ids(wishes: ResourceWishes, resources: Sequence[Resource], *, source: str) -> tuple[str, ...]:
    """Return the ids of the resources that meet every wish, () when nothing is wished.

    Raises InputError when no resource meets a wish, naming the wish and the most that there is.
    """
    left = list(resources)
    wished = False
    for rule, test, most in _tests(wishes):
        wished = True
        fitting = [one for one in left if test(one)]
        if not fitting:
            raise InputError(f"{source}: {rule}: no known resource meets it; {most(left)}")
        left = fitting
    return tuple(one.id for one in left) if wished else ()


def _tests(wishes: ResourceWishes) -> Iterator[tuple[str, Test, Callable[[Sequence[Resource]], str]]]:
    if wishes.infra is not None:
        wanted = wishes.infra
        yield f"resources.infra {wanted!r}", lambda one: _is_at(one, wanted), _places
    if wishes.use_spot is not None:
        spot = str(wishes.use_spot).lower()
        yield f"resources.use_spot {spot}", lambda one: one.labels.get("use_spot", "false") == spot, _count
    if wishes.labels:
        yield f"resources.labels {wishes.labels}", lambda one: one.carries(wishes.labels), _count
    if wishes.accelerators is not None:
        choices = wishes.accelerator_choices()
        yield f"resources.accelerators {wishes.accelerators!r}", lambda one: _accelerates(one, choices), _accelerators
    if wishes.cpus is not None:
        cores = parse_count(wishes.cpus, what="resources.cpus")
        yield f"resources.cpus {wishes.cpus}", lambda one: _allows(cores, one, one.spec.get(CPU_COUNT)), _most_cores
    if wishes.memory is not None:
        size = parse_memory(wishes.memory, what="resources.memory")
        yield f"resources.memory {wishes.memory}", lambda one: _allows(size, one, one.memory_bytes), _most_memory


def _allows(wish: AtLeast, resource: Resource, offered: float | None) -> bool:
    if offered is None:
        return False
    rented = resource.site is Site.CLOUD
    return wish.allows(offered) if rented else offered >= wish.amount


def _is_at(resource: Resource, infra: str) -> bool:
    place, *rest = infra.strip("/").split("/")
    if place in _OWN_PLACES:
        return resource.site is _OWN_PLACES[place]
    keys = ("provider", "region", "zone")
    return all(want in ("*", resource.labels.get(key)) for key, want in zip(keys, (place, *rest), strict=False))


def _accelerates(resource: Resource, choices: Sequence[tuple[str, int]]) -> bool:
    if resource.kind is Kind.CPU:
        return False
    name = resource.labels.get("accelerator", resource.description).casefold()
    count = resource.spec.get(ACCELERATOR_COUNT, 1.0)
    return any(wanted.casefold() in name and count >= least for wanted, least in choices)


def _places(resources: Sequence[Resource]) -> str:
    known = {one.labels.get("provider", one.site.value) for one in resources}
    return f"there is {', '.join(sorted(known)) or 'none at all'}"


def _accelerators(resources: Sequence[Resource]) -> str:
    known = {one.labels.get("accelerator", one.id) for one in resources if one.kind is not Kind.CPU}
    return f"there is {', '.join(sorted(known)) or 'no accelerator'}"


def _most_cores(resources: Sequence[Resource]) -> str:
    most = max(resources, key=lambda one: one.spec.get(CPU_COUNT, 0.0), default=None)
    if most is None:
        return _count(resources)
    return f"the largest is {most.id} with {most.spec.get(CPU_COUNT, 0):g}"


def _most_memory(resources: Sequence[Resource]) -> str:
    most = max(resources, key=lambda one: one.memory_bytes or 0, default=None)
    if most is None:
        return _count(resources)
    return f"the largest is {most.id} with {(most.memory_bytes or 0) / GIB:.1f}GB"


def _count(resources: Sequence[Resource]) -> str:
    return f"{len(resources)} were looked at"
