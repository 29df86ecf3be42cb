"""Runs kernels on chosen resources through an executor and reads back what they took."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from dnaml.client import Executor
from dnaml.core.protocols import Run
from dnaml.core.resource import Resource
from dnaml.core.work import Constraints
from dnaml.demo.kernels import KERNELS, Kernel, warm_up
from dnaml.futures import Future
from dnaml.history import History
from dnaml.submission import Call, Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One kernel at one size on one resource."""

    kernel: str
    size: int
    resource_id: str

    @property
    def pair(self) -> tuple[str, str]:
        """Return (computation id, resource id), the key of run tables."""
        return (KERNELS[self.kernel].computation(self.size).id, self.resource_id)


def call_of(kernel: Kernel, size: int, *, seed: int, resource_id: str | None = None) -> Call[object]:
    """Return the call of a kernel at a size, bound to one resource if one is named."""
    only = Constraints(resource_ids=(resource_id,)) if resource_id else Constraints()
    options = Options(name=kernel.name, computation=kernel.computation(size), constraints=only)
    return Call(fn=kernel.function, args=(size, seed), options=options)


def cells_of(kernels: Sequence[Kernel], resources: Sequence[Resource]) -> list[Cell]:
    """Return every kernel at every size on every resource."""
    return [
        Cell(kernel=kernel.name, size=size, resource_id=resource.id)
        for kernel, resource in product(kernels, resources)
        for size in kernel.sizes
    ]


def hold_back(cells: Sequence[Cell], share: float, *, seed: int) -> set[Cell]:
    """Draw the cells that are never run before the batch; every computation keeps at least two resources."""
    rng = np.random.default_rng(seed)
    held: set[Cell] = set()
    left: dict[tuple[str, int], int] = {}
    for cell in cells:
        left[cell.kernel, cell.size] = left.get((cell.kernel, cell.size), 0) + 1
    wanted = round(share * len(cells))
    for index in rng.permutation(len(cells)):
        cell = cells[index]
        if len(held) < wanted and left[cell.kernel, cell.size] > 2:
            held.add(cell)
            left[cell.kernel, cell.size] -= 1
    return held


def warm(executor: Executor) -> Iterator[int]:
    """Bring one worker of every resource to a steady state; yields as each is done."""
    calls: list[Call[int]] = [
        Call(fn=warm_up, options=Options(name="warm-up", constraints=Constraints(resource_ids=(resource.id,))))
        for resource in executor.resources
    ]
    for done, future in enumerate(executor.submit_all(calls), 1):
        future.result()
        yield done


def run_cells(executor: Executor, cells: Iterable[Cell], *, repeats: int, seed: int) -> Iterator[Future[object]]:
    """Run cells in a drawn order, each `repeats` times with inputs of its own; yields futures as they end."""
    rng = np.random.default_rng(seed)
    work = [(cell, repeat) for cell in cells for repeat in range(repeats)]
    order = rng.permutation(len(work))
    calls = [
        call_of(KERNELS[cell.kernel], cell.size, seed=seed * 1000 + repeat, resource_id=cell.resource_id)
        for cell, repeat in (work[index] for index in order)
    ]
    for future in executor.submit_all(calls):
        future.result()
        yield future


def runs_of(executor: Executor, futures: Iterable[Future[object]]) -> list[Run]:
    """Return the ended runs behind futures, from the journal."""
    wanted = {future.job_id for future in futures}
    return [run for job_id, run in History.read(executor.state).runs_by_job() if job_id in wanted and not run.censored]
