"""What one seed draws: resources, jobs, and everything that goes wrong, each with its moment."""

import random
from dataclasses import dataclass, field

from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints, Job, Resilience

HEAL_S = 30.0  # from here on nothing new goes wrong
LAST_ARRIVAL_S = 18.0
LIAR = "r1"  # the one resource whose results are wrong, where a script has one
NO_LIMITS = Constraints()


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Is one seed's world before anything happened; times are seconds of the virtual clock."""

    seed: int
    resources: tuple[Resource, ...]
    jobs: tuple[tuple[float, Job, Computation], ...]
    seconds: dict[str, float]
    cancels: tuple[tuple[float, str, bool], ...]
    cancels_at_end: frozenset[str]
    """jobs that are cancelled in the very moment in which their result is on its way"""
    migrations: tuple[tuple[float, str], ...]
    flaps: tuple[tuple[float, str, float], ...]
    notices: tuple[tuple[float, str], ...]
    prices: tuple[tuple[float, str, float], ...]
    crashes: tuple[tuple[float, int], ...]
    """moments from which an engine dies after so many further steps"""
    drop: float
    repeat: float
    delay_s: float
    disk: float
    dies: float
    freezes: float
    lies: bool
    fifo: bool
    window_jobs: int = 64
    wide_resources: int = 64
    wall_jumps_s: tuple[float, ...] = field(default=())


def script_of(seed: int) -> Script:
    """Draw a script."""
    rng = random.Random(seed)
    resources = tuple(
        Resource(id=f"r{k}", slots=rng.choice((1, 1, 2)), domain=rng.choice(("here", "there")), price_usd_per_h=1.0)
        for k in range(rng.choice((3, 3, 4)))
    )
    jobs = tuple(_job(rng, number, len(resources)) for number in range(rng.randrange(3, 10)))
    names, places = [job.id for _, job, _ in jobs], [resource.id for resource in resources]

    def moments(most: int) -> list[float]:
        return [rng.uniform(0.0, HEAL_S) for _ in range(rng.randrange(most + 1))]

    return Script(
        seed=seed,
        resources=resources,
        jobs=jobs,
        seconds={place: rng.choice((0.5, 1.0, 2.0, 4.0)) for place in places},
        cancels=tuple((at_s, rng.choice(names), rng.random() < 0.5) for at_s in moments(2)),
        cancels_at_end=frozenset(name for name in names if rng.random() < 0.15),
        migrations=tuple((at_s, rng.choice(names)) for at_s in moments(2)),
        flaps=tuple((at_s, rng.choice(places), rng.uniform(0.05, 8.0)) for at_s in moments(3)),
        notices=tuple((at_s, rng.choice(places)) for at_s in moments(1)),
        prices=tuple((at_s, rng.choice(places), rng.choice((0.1, 10.0))) for at_s in moments(2)),
        crashes=tuple((at_s, rng.randrange(8)) for at_s in moments(3)),
        drop=rng.choice((0.0, 0.0, 0.05, 0.3)),
        repeat=rng.choice((0.0, 0.3, 1.0)),
        delay_s=rng.choice((0.01, 1.0, 5.0, 30.0)),
        disk=rng.choice((0.0, 0.0, 0.01, 0.05)),
        dies=rng.choice((0.0, 0.1, 0.3)),
        freezes=rng.choice((0.0, 0.1, 0.3)),
        lies=rng.random() < 0.5,
        fifo=rng.random() < 0.3,
        window_jobs=rng.choice((2, 64)),
        wall_jumps_s=tuple(rng.choice((0.0, 864_000.0, -864_000.0)) for _ in range(8)),
        wide_resources=rng.choice((64, 64, 1)),  # 1: even these few are planned for as many are
    )


def _job(rng: random.Random, number: int, places: int) -> tuple[float, Job, Computation]:
    kind = rng.choice(("plain", "plain", "plain", "saves", "saves", "votes", "copies", "splits"))
    at_s = rng.uniform(0.0, LAST_ARRIVAL_S)
    tied = kind == "plain" and rng.random() < 0.2
    computation = Computation(id=kind, kernel=kind, checkpointable=kind == "saves", divisible=kind == "splits")
    replicas = {"votes": 3, "copies": 2}.get(kind, 1)
    job = Job(
        id=f"j{number}",
        computation_id=kind,
        submitted_at_s=at_s,
        priority=rng.randrange(3),
        constraints=Constraints(resource_ids=(f"r{rng.randrange(places)}",)) if tied else NO_LIMITS,
        resilience=Resilience(replicas=replicas, max_restarts=rng.randrange(3), vote=kind == "votes"),
        max_parts=None if kind == "splits" else 1,
    )
    return at_s, job, computation
