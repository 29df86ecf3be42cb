"""The interpretable half of the DNA of everything in a run table, kept beside the model that learned from it."""

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from dnaml.core.dna import RAW_SLOTS, ComputationDNA, ResourceDNA
from dnaml.core.errors import InputError
from dnaml.core.types import Computation, Kind, Resource, UnitType
from dnaml.datasets.table import feature_columns
from dnaml.dna.space import VERSION, computation_dna, resource_dna
from dnaml.predict.paired.grid import Entity, FloatArray

if TYPE_CHECKING:
    import pandas as pd

MOST = 20_000  # members described


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Described:
    """Raw slots of one side. Shapes: names [M], raw [M, 16] (NaN where unknown), runs [M]."""

    names: tuple[str, ...]
    raw: FloatArray
    runs: FloatArray

    @classmethod
    def of(cls, frame: "pd.DataFrame", entity: Entity) -> "Described":
        """Return the raw slots of every resource or computation of a run table, by the first row of each."""
        column, prefixes = f"{entity.value}_id", ("r_",) if entity is Entity.RESOURCE else ("c_", "s_")
        ids = frame[column].astype(str)
        runs = ids.value_counts(sort=False).sort_index()
        names = tuple(str(name) for name in runs.index[:MOST])
        first = frame[~ids.duplicated().to_numpy()]
        features = feature_columns(frame, *prefixes)
        rows = zip(*(first[feature].tolist() for feature in features), strict=True) if features else repeat(())
        by_name = dict(zip(first[column].astype(str), rows))  # noqa: B905 - without features the rows never end
        vector = _resource if entity is Entity.RESOURCE else _computation
        raw = [vector(name, dict(zip(features, by_name[name], strict=True))) for name in names]
        return cls(
            names=names,
            raw=np.array(raw, dtype=np.float64).reshape(len(names), RAW_SLOTS),
            runs=np.asarray(runs.to_numpy(dtype=float)[: len(names)], dtype=np.float64),
        )

    def updated(self, frame: "pd.DataFrame", entity: Entity) -> "Described":
        """Return these members and the new ones of more runs; runs add up, the first description stays."""
        place = {name: i for i, name in enumerate(self.names)}
        ids = [str(name) for name in frame[f"{entity.value}_id"].tolist()]
        runs = self.runs.copy()
        np.add.at(runs, [place[name] for name in ids if name in place], 1.0)
        fresh = np.array([name not in place for name in ids], dtype=np.bool_)
        if not fresh.any():
            return Described(names=self.names, raw=self.raw, runs=runs)
        new = Described.of(frame[fresh], entity)
        return Described(
            names=(*self.names, *new.names),
            raw=np.concatenate([self.raw, new.raw]),
            runs=np.concatenate([runs, new.runs]),
        )

    def resource(self, name: str) -> ResourceDNA:
        """Return the raw Resource DNA of a member, all unknown for a name without a description."""
        vector, runs = self._vector(name)
        return ResourceDNA(owner_id=name, vector=vector, version=VERSION, runs=runs)

    def computation(self, name: str) -> ComputationDNA:
        """Return the raw Computation DNA of a member, all unknown for a name without a description."""
        vector, runs = self._vector(name)
        return ComputationDNA(owner_id=name, vector=vector, version=VERSION, runs=runs)

    def _vector(self, name: str) -> "tuple[np.ndarray[tuple[int], np.dtype[np.float32]], int]":
        whole = np.full(2 * RAW_SLOTS, np.nan, dtype=np.float32)
        if name not in self.names:
            return whole, 0
        place = self.names.index(name)
        whole[:RAW_SLOTS] = self.raw[place]
        return whole, int(self.runs[place])


def _numbers(record: dict[str, object], prefix: str) -> dict[str, float]:
    cut = len(prefix)
    found = {k[cut:]: float(v) for k, v in record.items() if k.startswith(prefix) and isinstance(v, (int, float))}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _resource(name: str, record: dict[str, object]) -> FloatArray:
    numbers = _numbers(record, "r_")
    memory_bytes = numbers.pop("memory_bytes", 0.0)
    unit, kind = str(record.get("r_unit_type")), str(record.get("r_kind"))
    try:
        resource = Resource(
            id=name,
            kind=Kind(kind) if kind in {k.value for k in Kind} else Kind.CPU,
            unit_type=UnitType(unit) if unit in {u.value for u in UnitType} else None,
            memory_bytes=int(memory_bytes) if memory_bytes > 0 else None,
            startup_s=numbers.pop("startup_s", None),
            latency_s=numbers.pop("latency_s", None),
            bandwidth_bytes_per_s=numbers.pop("bandwidth_bytes_per_s", None),
            power_w=numbers.pop("power_w", None),
            spec=numbers,
        )
    except InputError:  # a description that no resource can have describes nothing
        return np.full(RAW_SLOTS, np.nan)
    return np.asarray(resource_dna(resource).vector[:RAW_SLOTS], dtype=np.float64)


def _computation(name: str, record: dict[str, object]) -> FloatArray:
    try:
        computation = Computation(
            id=name,
            kernel=str(record.get("c_kernel", name)),
            demand=_numbers(record, "c_"),
            size=_numbers(record, "s_"),
        )
    except InputError:
        return np.full(RAW_SLOTS, np.nan)
    return np.asarray(computation_dna(computation).vector[:RAW_SLOTS], dtype=np.float64)
