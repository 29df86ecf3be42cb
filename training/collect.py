"""Collects telemetry: runs the kernel suite on many local resources that really differ, into one run table.

The resources are this machine under switches of its libraries (see `dnaml.demo.pool`): each is one draw of how far
back in time each library is held. Every run goes through the engine as any user's work does.

    nice -n 5 python -m training.collect --config training/configs/telemetry.toml
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from dnaml.client import Executor
from dnaml.core.protocols import Run
from dnaml.core.resource import Resource, Site
from dnaml.core.work import Computation, Constraints
from dnaml.datasets.data_card import card_of
from dnaml.datasets.table import RunTable
from dnaml.demo.collect import runs_of, warm
from dnaml.demo.kernels import KERNELS, Kernel
from dnaml.demo.pool import Host, Member, Numpy, Switch, environment_of
from dnaml.engine import EngineSettings
from dnaml.execution.fingerprint import measured
from dnaml.execution.fingerprint.demand import AMOUNTS
from dnaml.futures import Future
from dnaml.schedule.planning import ControllerSettings
from dnaml.schedule.policies import by_name
from dnaml.submission import Call, Options
from dnaml.telemetry.processor import model_name
from dnaml.telemetry.profile import profile_resource
from training.configured import configured

T = TypeVar("T")


@dataclass(frozen=True)
class Config:
    """Runs kernels at many sizes on many local resources and writes what they took as a run table."""

    out: str = "data/telemetry"
    """folder for runs.parquet and its CARD.md"""
    resources: int = 28
    """how many local resources to draw; the first is this machine as it is"""
    at_once: int = 7
    """resources whose workers are alive at the same time: each takes about 0.5 GB of memory"""
    kernels: int = len(KERNELS)
    """how many kernels of the suite, from its beginning"""
    sizes: int = 6
    """sizes of each kernel, in equal ratios from a little below its smallest to its largest"""
    share: float = 0.6
    """share of the cells (kernel at a size on a resource) that are run"""
    repeats: int = 1
    """runs of each cell, with inputs of their own"""
    cores: int = 1
    """attempts at once"""
    seed: int = 0


# From what the processor has to what one of 2006 had; None leaves the library as it is.
GRADES: Mapping[str, tuple[str | None, ...]] = {
    "OPENBLAS_CORETYPE": (None, "Haswell", "Sandybridge", "Prescott", "Nehalem"),
    "MKL_CBWR": (None, "COMPATIBLE"),
    "ONEDNN_MAX_CPU_ISA": (None, "AVX512_CORE_VNNI", "AVX512_CORE", "AVX2", "SSE41"),
    "ATEN_CPU_CAPABILITY": (None, "avx2", "default"),
}
NUMPY = (Numpy.AVX512, Numpy.AVX2, Numpy.BASELINE)
SCATTER = 0.35  # how far one library may be from the age of its machine, of the whole range


def main(config: Config) -> int:
    """Collect, write table and card, say what was written."""
    began_s, load = time.monotonic(), [os.getloadavg()[0]]
    pool = draw_pool(config.resources, seed=config.seed)
    kernels = list(KERNELS.values())[: config.kernels]
    shares = dict(shown("measuring what kernels demand", ((k.name, shares_of(k)) for k in kernels), len(kernels)))
    work = [computation for kernel in kernels for computation in computations_of(kernel, shares[kernel.name], config)]
    runs: list[Run] = []
    for at in range(0, len(pool), config.at_once):
        some = pool[at : at + config.at_once]
        some = tuple(shown(f"profiling from {some[0].id}", map(profile_resource, some), len(some)))
        runs += collect(some, work, config, seed=config.seed + at)
        load.append(os.getloadavg()[0])
    table = RunTable.from_runs(runs)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    compact(table).to_parquet(out / "runs.parquet", index=False, compression="zstd", compression_level=19)
    minutes = (time.monotonic() - began_s) / 60
    (out / "CARD.md").write_text(card(table, pool, config, minutes=minutes, load=load))
    print(f"{len(table)} runs on {len(pool)} resources in {minutes:.1f} min: {out / 'runs.parquet'}")
    return 0


# -- resources ---------------------------------------------------------------------------------------------------------


def draw_pool(count: int, *, seed: int) -> tuple[Resource, ...]:
    """Return local resources not yet profiled: the machine as it is, then draws of an age and each library around it.

    Ages cover the range evenly in a drawn order, so that few resources cover it too; no two resources are equal.
    """
    rng, host = np.random.default_rng(seed), Host.here()
    environments: list[dict[str, str]] = [environment_at(0.0, host, None)]
    ages = (rng.permutation(count) + rng.random(count)) / count
    for age in ages[: count - 1]:
        drawn = environment_at(float(age), host, rng)
        while drawn in environments:
            drawn = environment_at(float(age), host, rng)
        environments.append(drawn)
    return tuple(
        Resource(
            id=f"local-{number:02d}",
            site=Site.LOCAL,
            environment=environment,
            labels={"pool": "telemetry"},
            description="this machine" + ("" if number == 0 else " with libraries held back"),
        )
        for number, environment in enumerate(environments)
    )


def environment_at(age: float, host: Host, rng: np.random.Generator | None) -> dict[str, str]:
    """Return the variables of a machine of an age in [0, 1], 0 the newest; each library lies around it, drawn."""

    def grade(grades: Sequence[T]) -> T:
        own = age + (0.0 if rng is None else SCATTER * rng.standard_normal())
        return grades[int(np.clip(own * len(grades), 0, len(grades) - 1))]

    numpy = grade(NUMPY)
    kept = (Switch.MEMORY, Switch.PYTHON, Switch.HASHING)
    has = frozenset(switch for switch in kept if grade((True, False)))
    found = environment_of(Member(id="drawn", numpy=numpy, has=has | {Switch.BLAS, Switch.MKL, Switch.MATRIX}), host)
    if host.system == "linux" and host.machine in ("x86_64", "AMD64"):
        levels = {name: grade(grades) for name, grades in GRADES.items()}
        found.update({name: level for name, level in levels.items() if level is not None})
    return found


# -- computations ------------------------------------------------------------------------------------------------------


def shares_of(kernel: Kernel) -> dict[str, float]:
    """Return the demands of a kernel that do not depend on its size, as a pilot of its middle size saw them."""
    found = measured(kernel.function, (kernel.sizes[1], 0), budget_s=10.0).computation.demand
    return {name: value for name, value in found.items() if name not in AMOUNTS and not name.endswith("_confidence")}


def computations_of(kernel: Kernel, shares: Mapping[str, float], config: Config) -> list[Computation]:
    """Return a kernel at its sizes; what its formula says goes before what the pilot saw."""
    small, _, large = kernel.sizes
    steps = np.geomspace(small * (small / large) ** 0.3, large, config.sizes)
    known = (kernel.computation(int(size)) for size in dict.fromkeys(np.maximum(np.rint(steps), 1).tolist()))
    return [replace(one, demand={**shares, **one.demand}) for one in known]


# -- runs --------------------------------------------------------------------------------------------------------------


def collect(resources: Sequence[Resource], work: Sequence[Computation], config: Config, *, seed: int) -> list[Run]:
    """Run a drawn share of all cells on some resources, in a drawn order, and return the runs."""
    rng = np.random.default_rng(seed)
    calls = [
        call_of(computation, resource, seed=seed * 1000 + repeat)
        for computation in work
        for resource in resources
        if rng.random() < config.share
        for repeat in range(config.repeats)
    ]
    settings = EngineSettings(controller=ControllerSettings(own_clocks=True, window_jobs=1024))
    policy = by_name("round_robin")  # every call may run on one resource alone: there is nothing to decide
    with (
        tempfile.TemporaryDirectory(prefix="dnaml-collect-") as state,
        Executor(resources, state=state, cores=config.cores, seed=seed, settings=settings, policy=policy) as executor,
    ):
        shown("warming workers", warm(executor), len(resources))
        order = [calls[index] for index in rng.permutation(len(calls))]
        futures: list[Future[object]] = shown("running kernels", ended(executor.submit_all(order)), len(order))
        return runs_of(executor, futures)


def call_of(computation: Computation, resource: Resource, *, seed: int) -> Call[object]:
    """Return the call of a kernel at a size, bound to one resource."""
    kernel = KERNELS[computation.kernel]
    only = Constraints(resource_ids=(resource.id,))
    options = Options(name=kernel.name, computation=computation, constraints=only)
    return Call(fn=kernel.function, args=(int(computation.size["size"]), seed), options=options)


def ended(futures: Iterable[Future[object]]) -> Iterator[Future[object]]:
    """Yield each future once it has its result."""
    for future in futures:
        future.result()
        yield future


def shown(title: str, steps: Iterable[T], total: int) -> list[T]:
    """Work through steps under a progress bar and return what they yielded."""
    return list(track(steps, title, total=total, console=Console(stderr=True)))


# -- what is written ---------------------------------------------------------------------------------------------------


def compact(table: RunTable) -> pd.DataFrame:
    """Return the frame with measurements at single precision: their noise is far above its last digit."""
    frame = table.frame.sort_values("at_s", kind="stable")
    wide = [name for name in frame.columns if frame[name].dtype == np.float64 and name != "at_s"]
    return frame.astype(dict.fromkeys(wide, np.float32)).reset_index(drop=True)


def card(table: RunTable, pool: Sequence[Resource], config: Config, *, minutes: float, load: Sequence[float]) -> str:
    """Return the card of the collected table."""
    held = "\n".join(f"| {one.id} | {_held(one)} |" for one in pool)
    return CARD.format(
        command=COMMAND,
        table="\n".join(card_of(table).lines()),
        day=date.today().isoformat(),
        machine=f"{model_name()}, {os.cpu_count()} virtual processors, {platform.system()}",
        versions=", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "scikit-learn")),
        minutes=f"{minutes:.1f}",
        least_load=f"{min(load):.1f}",
        most_load=f"{max(load):.1f}",
        held=held,
        config=", ".join(f"{key} = {value}" for key, value in vars(config).items()),
    )


def _held(resource: Resource) -> str:
    found = [f"`{name}={value}`" for name, value in sorted(resource.environment.items()) if len(value) < 40]
    return ", ".join(found) or "as it is"


COMMAND = "nice -n 5 python -m training.collect --config training/configs/telemetry.toml"

CARD = """# Telemetry of our own

Runs of the kernel suite (`dnaml/demo/kernels`) on local resources that really differ, collected by the engine.

{table}

- Made by `{command}` on {day} in {minutes} minutes ({config}). A second run gives other figures: they are measured.
- Licence: Apache-2.0, as the rest of the project. No third-party data.
- Machine: {machine}; {versions}. The one-minute load was {least_load} to {most_load}: other work ran beside.
- A runtime is the attempt's own clock (CPU time of its process tree plus time blocked on I/O), so waiting for a core
  does not count; that the other hardware thread of a core is busy still slows it.

## Columns

`resource_id`, `computation_id`, `runtime_s`, `at_s` (Unix time), `failed`, `censored`; `r_*` what the micro-probes and
the system tell of the resource, `c_*` what the computation demands (by formula, shares by one pilot run), `s_size` its
size, `t_*` telemetry measured during the run. Units end the names.

## What is real and what is emulated

All resources are this machine. Times are real; what makes the resources differ are documented switches of libraries in
their worker processes, which take instruction sets and memory policies away. `GLIBC_TUNABLES` is set everywhere, to
keep memory and huge pages or to give them back. No CPU quotas: they stretch the wall clock, and leave the clock that
is predicted as it is.

| resource | held back by |
|---|---|
{held}

## Known limits

- One processor: all resources share its clock, caches and memory, so nothing here tells how runtimes move with them.
- 18 kernels of one core and mostly 5-500 ms; no GPU, no network, hardly any disk.
- Inputs are drawn, so their effect on the runtime of a kernel is small.
"""


if __name__ == "__main__":
    sys.exit(main(configured(Config)))
