"""U2: the CPU time of one plan over many resources, asked of the application in this process, and plans by the batch.

Each computation of a request is new to the service (another size and demand), its kernel is not.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.api.direct import Asgi, ask
from benchmarks.report import Op, Row
from dnaml.core.resource import Resource, Site
from dnaml.rest.app import create_app
from dnaml.rest.service import Service
from dnaml.rest.settings import Limits, ServiceSettings

RATES = {"fp64_flop_per_s": (1e10, 1e13), "sequential_bytes_per_s": (1e9, 1e12), "random_access_per_s": (1e6, 1e9)}


def rows(quick: bool) -> list[Row]:
    """Return the rows of U2."""
    count = 300 if quick else 2_000
    small, _ = _measured(100, count, batch=1)
    large, _ = _measured(10_000, count // 2, batch=1)
    _, one_rate = _measured(100, count, batch=1)
    _, rate = _measured(10_000, max(20, count // 20), batch=100)
    told = "in process: gate, body, scores and answer, without the socket; kernels that never ran, every demand new"
    return [
        Row(id="U2.100", metric="plan over 100 resources, CPU", value=small, unit="us", bar=400.0, note=told),
        Row(id="U2.10000", metric="plan over 10,000 resources, CPU", value=large, unit="us", bar=1_500.0),
        Row(id="U2.rate", metric="decisions over 100", value=one_rate, unit="1/s CPU", op=Op.AT_LEAST, bar=1_500.0),
        Row(
            id="U2.batch", metric="same over 10,000, 100 a request", value=rate, unit="1/s", op=Op.AT_LEAST, bar=1_500.0
        ),
    ]


def pool_of(count: int, seed: int = 0) -> tuple[Resource, ...]:
    """Return unlike rented machines, rates and prices over three powers of ten."""
    rng = np.random.default_rng(seed)
    return tuple(
        Resource(
            id=f"r{n}",
            site=Site.CLOUD,
            domain=f"r{n}",
            memory_bytes=int(2 ** rng.integers(32, 40)),
            price_usd_per_h=float(10 ** rng.uniform(-2, 1)),
            spec={
                "cores": float(2 ** rng.integers(0, 7)),
                **{name: float(10 ** rng.uniform(*np.log10(ends))) for name, ends in RATES.items()},
            },
        )
        for n in range(count)
    )


def _measured(resources: int, requests: int, *, batch: int) -> tuple[float, float]:
    """Return microseconds of CPU a request, and decisions a second of CPU."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ServiceSettings(
            state=Path(folder) / "state",
            root=Path(folder),
            resources=(Resource(id="here", site=Site.LOCAL),),
            limits=Limits(requests_per_s=1e6, burst=10_000_000),
        )
        service = Service(settings)
        try:
            service.declare(pool_of(resources))
            service.remove_resource("here")
            app = create_app(settings, service)
            used_s = asyncio.run(_ask(app, bodies(requests + 5, batch)))
        finally:
            service.close()
    return used_s / requests * 1e6, requests * batch / used_s


async def _ask(app: Asgi, bodies: list[bytes]) -> float:
    began_s = 0.0
    for place, body in enumerate(bodies):
        if place == 5:
            began_s = time.process_time()
        answer = await ask(app, "POST", "/api/v1/plans", body, headers={"content-type": "application/json"})
        assert answer.status == 200, answer.body
    return time.process_time() - began_s


def bodies(count: int, batch: int) -> list[bytes]:
    """Return requests for plans, each computation unlike the others."""
    rng = np.random.default_rng(1)
    return [
        json.dumps(
            {
                "computations": [
                    {
                        "id": f"c{n}-{b}",
                        "kernel": f"kernel-{b % 7}",
                        "size": {"rows": float(rng.integers(1, 1 << 20))},
                        "demand": {
                            "fp64_flop": float(10 ** rng.uniform(9, 14)),
                            "memory_traffic_bytes": float(10 ** rng.uniform(8, 12)),
                            "random_accesses": float(10 ** rng.uniform(5, 9)),
                            "parallelism": float(2 ** rng.integers(0, 6)),
                        },
                    }
                    for b in range(batch)
                ],
                "k": 1 if batch > 1 else 5,
            }
        ).encode()
        for n in range(count)
    ]
