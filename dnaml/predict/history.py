"""What ran so far, in the few numbers a prediction needs: per kernel a bounded set of cells, copied on write.

A cell is one (size bucket, computation, resource) with the count, mean and scatter of ln runtime. Failed runs teach
nothing about runtime; censored ones are only lower bounds and are left out here too (they count for hazard).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from dnaml.core.protocols import Run
from dnaml.core.types import Computation
from dnaml.predict.bound import traits
from dnaml.predict.pooled import Cells, FloatArray, IntArray, Points

Bucket = tuple[tuple[str, int], ...]
CellKey = tuple[Bucket, str, str]
CellValue = tuple[float, float, float, float]  # count, mean, scatter, number of the run that came last

STEPS_PER_OCTAVE = 32  # one bucket spans 2 % of a size
MOST_CELLS = 64
MEMORY = 30.0  # runs that a cell remembers: older ones fade, so that a machine may change
FIRM = 2.0  # runs after which one that disagrees is not believed in full
LARGEST_STEP = 0.5  # ln seconds: the disagreement that is believed, so that one bad run moves little
CLOSE_TO_ZERO_S = 1e-9


def log_size(value: float) -> float:
    """Return sign(v) ln(1 + |v|): a logarithm that zero and negative sizes survive."""
    return math.copysign(math.log1p(abs(value)), value)


def bucket_of(size: Mapping[str, float]) -> Bucket:
    """Return the bucket of a size: equal for sizes within about 2 %."""
    scale = STEPS_PER_OCTAVE / math.log(2)
    return tuple(sorted((name, round(scale * log_size(value))) for name, value in size.items()))


def _sizes(bucket: Bucket) -> dict[str, float]:
    return {name: step * math.log(2) / STEPS_PER_OCTAVE for name, step in bucket}


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelRuns:
    """The cells of one kernel; `codes` numbers resources and only ever grows."""

    cells: Mapping[CellKey, CellValue]
    codes: Mapping[str, int]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the size features seen so far, sorted."""
        return tuple(sorted({name for bucket, _, _ in self.cells for name, _ in bucket}))

    @cached_property
    def buckets(self) -> Mapping[Bucket, int]:
        """Number the buckets in a fixed order."""
        return {bucket: code for code, bucket in enumerate(sorted({key[0] for key in self.cells}))}

    @cached_property
    def items(self) -> Mapping[str, int]:
        """Number the computations in a fixed order."""
        return {item: code for code, item in enumerate(sorted({key[1] for key in self.cells}))}

    @cached_property
    def centre(self) -> FloatArray:
        """Return the mean ln size [F] over buckets."""
        centre: FloatArray = np.mean([self._row(bucket) for bucket in self.buckets], axis=0)
        return centre

    @cached_property
    def arrays(self) -> Cells:
        """Return the cells as arrays, in an order that does not depend on when they ran."""
        keys = sorted(self.cells)
        rows = np.array([self._row(bucket) for bucket, _, _ in keys]).reshape(len(keys), len(self.names))
        values = np.array([self.cells[key][:3] for key in keys])
        at = Points(
            size=rows - self.centre,
            bucket=np.array([self.buckets[key[0]] for key in keys], dtype=np.int64),
            item=np.array([self.items[key[1]] for key in keys], dtype=np.int64),
            resource=np.array([self.codes[key[2]] for key in keys], dtype=np.int64),
        )
        return Cells(at=at, count=values[:, 0], mean=values[:, 1], scatter=values[:, 2])

    def points(self, bucket: Bucket, item: str | None, resources: IntArray) -> Points:
        """Return one size and computation on every resource as points; what was never seen has code -1."""
        count = len(resources)
        return Points(
            size=np.broadcast_to(self._row(bucket) - self.centre, (count, len(self.names))),
            bucket=np.full(count, self.buckets.get(bucket, -1)),
            item=np.full(count, self.items.get(item, -1) if item is not None else -1),
            resource=resources,
        )

    def _row(self, bucket: Bucket) -> FloatArray:
        sizes = _sizes(bucket)
        return np.array([sizes.get(name, 0.0) for name in self.names], dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """All kernels' cells, the codes of resources and what their specs suggest (`traits`); values never change."""

    kernels: Mapping[str, KernelRuns] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)
    traits: tuple[tuple[float, ...], ...] = ()
    runs: int = 0

    def knows(self, computation: Computation) -> bool:
        """Say whether this very computation ran before (and is still kept)."""
        kernel = self.kernels.get(computation.kernel)
        return kernel is not None and computation.id in kernel.items

    def updated(self, runs: Sequence[Run], expected: Sequence[float] | None = None) -> "History":
        """Return a history that holds these runs too; runs without a usable runtime only add their resource.

        With `expected` (ln seconds, one a run) the cells hold what is left after a model's answer.
        """
        codes, specs = dict(self.codes), list(self.traits)
        for run in runs:
            if run.resource.id not in codes:
                codes[run.resource.id] = len(codes)
                specs.append(traits(run.resource.spec))
        kernels, touched, count = dict(self.kernels), dict[str, dict[CellKey, CellValue]](), self.runs
        for place, run in enumerate(runs):
            if run.failed or run.censored or not CLOSE_TO_ZERO_S < run.runtime_s < math.inf:
                continue
            count += 1
            name = run.computation.kernel
            if name not in touched:
                touched[name] = dict(kernels[name].cells) if name in kernels else {}
            _add(touched[name], run, math.log(run.runtime_s) - (expected[place] if expected else 0.0), count)
        for name, cells in touched.items():
            kernels[name] = KernelRuns(cells=cells, codes=codes)
        return History(kernels=kernels, codes=codes, traits=tuple(specs), runs=count)

    def largest(self, most: int) -> list[Cells]:
        """Return the cells of the kernels that know most, in a fixed order: what a prior is learned from."""
        order = sorted(self.kernels, key=lambda name: (-len(self.kernels[name].cells), name))
        return [self.kernels[name].arrays for name in order[:most]]


def _add(cells: dict[CellKey, CellValue], run: Run, value: float, number: int) -> None:
    key = (bucket_of(run.computation.size), run.computation.id, run.resource.id)
    count, mean, scatter, _ = cells.get(key, (0.0, 0.0, 0.0, 0.0))
    if count >= MEMORY:
        count, scatter = count - 1, scatter * (count - 1) / count
    step = value - mean
    if count >= FIRM:
        step = max(-LARGEST_STEP, min(LARGEST_STEP, step))
    mean += step / (count + 1)
    cells[key] = (count + 1, mean, scatter + step * step * count / (count + 1), float(number))
    if len(cells) > MOST_CELLS:
        del cells[min(cells, key=lambda k: cells[k][3])]
