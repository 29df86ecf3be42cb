"""Run tables: tidy rows, one a run, over a pandas DataFrame; what cannot be true is set aside and counted.

Columns: `resource_id`, `computation_id`, `runtime_s`; optional `cost_usd`, `energy_j`, `failed`, `censored`, `at_s`,
`price_usd_per_s`, `group`; features by prefix `r_` resource, `c_` computation, `s_` size and context, `t_` telemetry.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.protocols import Run
from dnaml.core.types import Resource

if TYPE_CHECKING:
    import pandas as pd

IDS = ("resource_id", "computation_id")
TARGET = "runtime_s"
PREFIXES = ("r_", "c_", "s_", "t_")
_MOST_COLUMNS, _MOST_HEADER_BYTES = 10_000, 1 << 20
LONGEST_S = 1e10  # over three centuries: a runtime beyond it is a broken clock or unit
LARGEST = 1e100  # of a feature; beyond it, and at infinity, the value counts as unknown

BoolArray = npt.NDArray[np.bool_]


class Hold(Enum):
    """Is what a split keeps out of training as a whole."""

    RESOURCE = "resource"  # every run on a resource
    COMPUTATION = "computation"  # every run of a computation
    CELL = "cell"  # every run of a computation on a resource
    ROW = "row"  # single runs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunTable:
    """Holds runs that passed the border, and beside them those that did not with the reason in column `why`.

    >>> import dnaml, pandas as pd
    >>> runs = pd.DataFrame({"resource_id": ["a", "b"], "computation_id": ["f", "f"], "runtime_s": [1.0, -2.0]})
    >>> table = dnaml.RunTable.from_frame(runs)
    >>> len(table), len(table.set_aside)
    (1, 1)
    """

    frame: "pd.DataFrame"
    set_aside: "pd.DataFrame"

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def from_frame(cls, frame: "pd.DataFrame") -> "RunTable":
        """Return the table of a DataFrame; raise InputError when a column that every run needs is absent."""
        missing = [name for name in (*IDS, TARGET) if name not in frame.columns]
        if missing:
            raise InputError(f"run table: column {missing[0]!r} is required, got {list(frame.columns)[:8]}")
        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise InputError(f"run table: columns must have names of their own, got {twice!r} twice")
        why = _objections(frame)
        good = why == ""
        if good.all():  # nothing to copy: an update with a few runs takes milliseconds
            return cls(frame=_cleaned(frame.reset_index(drop=True)), set_aside=frame.iloc[:0].assign(why=""))
        aside = frame[~good].assign(why=why[~good]).reset_index(drop=True)
        return cls(frame=_cleaned(frame[good].reset_index(drop=True)), set_aside=aside)

    @classmethod
    def from_runs(cls, runs: Sequence[Run]) -> "RunTable":
        """Return the table of runs: `r_*` from the resource, `c_*` from demand and kernel, `s_*` from size."""
        import pandas as pd

        rows = [run_row(run) for run in runs]
        return cls.from_frame(pd.DataFrame(rows, columns=None if rows else [*IDS, TARGET]))

    def reasons(self) -> Mapping[str, int]:
        """Return how many rows were set aside for each reason."""
        if not len(self.set_aside):
            return {}
        return {str(reason): int(count) for reason, count in self.set_aside.get("why", _empty()).value_counts().items()}

    def features(self, *prefixes: str) -> list[str]:
        """Return the feature columns with these prefixes (all but telemetry when none is given), sorted."""
        return feature_columns(self.frame, *prefixes)

    def rows(self, chosen: BoolArray) -> "RunTable":
        """Return the table of some rows; what was set aside stays with the whole."""
        return RunTable(frame=self.frame[chosen].reset_index(drop=True), set_aside=self.set_aside.iloc[:0])

    def split(self, hold: Hold, share: float, *, seed: int = 0) -> tuple["RunTable", "RunTable"]:
        """Return (train, held): about `share` of the groups (or rows) are held, whole, drawn by `seed`.

        Order of rows does not matter. Raises InputError when there are fewer than two groups to part.
        """
        held = held_groups(groups(self.frame, hold), share, seed=seed)
        return self.rows(~held), self.rows(held)

    def without(self, hold: Hold, names: Iterable[str]) -> tuple["RunTable", "RunTable"]:
        """Return (train, held) where every run of the named resources (or computations) is held."""
        if hold not in (Hold.RESOURCE, Hold.COMPUTATION):
            raise InputError(f"run table: only resources and computations can be named, got {hold.value}")
        held = groups(self.frame, hold).isin(list(names)).to_numpy()
        return self.rows(~held), self.rows(held)

    def before(self, at_s: float) -> tuple["RunTable", "RunTable"]:
        """Return (earlier, later): runs that ended before a moment, and the others; rows without a time are earlier."""
        later = (self.frame["at_s"] >= at_s).to_numpy() if "at_s" in self.frame else np.zeros(len(self), dtype=bool)
        return self.rows(~later), self.rows(later)


def load_runs(source: "str | Path | pd.DataFrame | RunTable | Sequence[Run]") -> RunTable:
    """Return a run table from a parquet or CSV file, a DataFrame, runs, or a table itself.

    Rows that cannot be true (runtime missing, infinite, zero, negative or absurd; no id) are set aside and counted.

    >>> import dnaml, pandas as pd
    >>> len(dnaml.load_runs(pd.DataFrame({"resource_id": ["a"], "computation_id": ["f"], "runtime_s": [1.0]})))
    1
    """
    import pandas as pd

    if isinstance(source, RunTable):
        return source
    if isinstance(source, pd.DataFrame):
        return RunTable.from_frame(source)
    if isinstance(source, (str, Path)):
        return _from_file(Path(source))
    runs = [run for run in source if isinstance(run, Run)] if isinstance(source, Sequence) else []
    if isinstance(source, Sequence) and len(runs) == len(source):
        return RunTable.from_runs(runs)
    raise InputError(f"run table: must be a file, a DataFrame, a RunTable or runs, got {type(source).__name__}")


def _from_file(path: Path) -> RunTable:
    import pandas as pd

    if not path.is_file():
        raise InputError(f"{path}: a run table must be a file, got {'a folder' if path.is_dir() else 'nothing'}")
    _check_header(path)
    try:
        frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: a run table must be readable parquet or .csv: {error}") from error
    return RunTable.from_frame(frame)


def _check_header(path: Path) -> None:
    """Raise InputError for a CSV of too many columns: names that repeat cost their square to tell apart."""
    if path.suffix != ".csv":
        return
    with path.open("rb") as file:
        columns = file.readline(_MOST_HEADER_BYTES).count(b",") + 1
    if columns > _MOST_COLUMNS:
        raise InputError(f"{path}: a run table must have at most {_MOST_COLUMNS} columns, got {columns} or more")


def feature_columns(frame: "pd.DataFrame", *prefixes: str) -> list[str]:
    """Return the feature columns of a frame, sorted; all but telemetry when no prefix is given."""
    return sorted(str(name) for name in frame.columns if str(name).startswith(prefixes or ("r_", "c_", "s_")))


def groups(frame: "pd.DataFrame", hold: Hold) -> "pd.Series[str]":
    """Return the name of each row's group; for single rows, equal rows count as one group."""
    if hold is Hold.RESOURCE or hold is Hold.COMPUTATION:
        return frame[f"{hold.value}_id"].astype(str)
    cell = frame["computation_id"].astype(str) + "\x1f" + frame["resource_id"].astype(str)
    if hold is Hold.CELL:
        return cell
    order = frame.groupby(cell.to_numpy())[TARGET].rank(method="first").astype(int).astype(str)
    return cell + "\x1f" + order


def held_groups(names: "pd.Series[str]", share: float, *, seed: int) -> BoolArray:
    """Return which rows are held when about `share` of the groups is drawn by `seed`, at least one and never all."""
    distinct = np.unique(names.to_numpy(dtype=str))
    if len(distinct) < 2 or not 0 < share < 1:
        raise InputError(f"run table: a split needs two groups and a share in (0, 1), got {len(distinct)} and {share}")
    count = min(max(round(share * len(distinct)), 1), len(distinct) - 1)
    drawn = np.random.default_rng(seed).permutation(len(distinct))[:count]
    return np.asarray(names.isin(distinct[drawn]).to_numpy(), dtype=np.bool_)


def refuse_leak(train: RunTable, held: RunTable, hold: Hold) -> None:
    """Raise InputError when a group stands on both sides of a split; single rows are no groups and cannot."""
    if hold is Hold.ROW:
        return
    both = set(groups(train.frame, hold)) & set(groups(held.frame, hold))
    if both:
        name = sorted(both)[0].replace("\x1f", " on ")
        raise InputError(f"split by {hold.value}: {name} must be on one side, got it on both ({len(both)} such)")


def _empty() -> "pd.Series[str]":
    import pandas as pd

    return pd.Series(dtype=str)


def _objections(frame: "pd.DataFrame") -> "npt.NDArray[np.str_]":
    """Return why each row cannot be used, "" where it can."""
    import pandas as pd

    runtime = pd.to_numeric(frame[TARGET], errors="coerce").to_numpy(dtype=float)
    why = np.full(len(frame), "", dtype="<U32")
    why[runtime > LONGEST_S] = "runtime_s is absurdly long"
    why[np.isinf(runtime)] = "runtime_s is infinite"
    why[runtime == 0] = "runtime_s is zero"
    why[runtime < 0] = "runtime_s is negative"
    why[np.isnan(runtime)] = "runtime_s is not a number"
    for name in IDS:
        ids = frame[name]
        why[ids.isna().to_numpy() | ids.isin([""]).to_numpy()] = f"{name} is missing"
    return why


def _cleaned(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows with ids as text, flags as bool, the target as float and impossible feature values unknown."""
    import pandas as pd

    fixed: dict[str, object] = {name: frame[name].astype(str).array for name in IDS}
    fixed[TARGET] = pd.to_numeric(frame[TARGET]).to_numpy(dtype=np.float64)
    for name in ("failed", "censored"):
        fixed[name] = np.zeros(len(frame), dtype=np.bool_)
        if name in frame:
            fixed[name] = frame[name].map(lambda value: bool(value) and value == value).to_numpy(dtype=np.bool_)
    features = feature_columns(frame, *PREFIXES)
    plain = [name for name in features if frame[name].dtype.kind in "fiub"]
    other = [name for name in features if name not in plain and pd.api.types.is_numeric_dtype(frame[name])]
    if plain:
        known = np.column_stack([frame[name].to_numpy(dtype=np.float64) for name in plain])
        known[~(np.abs(known) < LARGEST)] = np.nan
        fixed.update(zip(plain, known.T, strict=True))
    for name in [*other, *(c for c in ("at_s", "price_usd_per_s", "cost_usd", "energy_j") if c in frame)]:
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        fixed[name] = np.where(np.abs(values) < LARGEST, values, np.nan)
    rest = {str(name): frame[name].array for name in frame.columns if str(name) not in fixed}
    return pd.DataFrame({**fixed, **rest}, index=frame.index)


_RESOURCE_FIELDS = ("slots", "memory_bytes", "startup_s", "latency_s", "bandwidth_bytes_per_s", "power_w")


def resource_features(resource: Resource) -> dict[str, float | str]:
    """Return the `r_*` columns of a resource: kind, unit type, numeric fields and spec; what is unknown is absent."""
    found: dict[str, float | str] = {"r_kind": resource.kind.value, "r_site": resource.site.value}
    if resource.unit_type is not None:
        found["r_unit_type"] = resource.unit_type.value
    for name in _RESOURCE_FIELDS:
        value = getattr(resource, name)
        if value is not None:
            found[f"r_{name}"] = float(value)
    return found | {f"r_{name}": float(value) for name, value in resource.spec.items()}


def run_row(run: Run) -> dict[str, object]:
    """Return one run as a row of the table: `r_*` of the resource, `c_*` of demand and kernel, `s_*` of size."""
    computation, resource = run.computation, run.resource
    row: dict[str, object] = {
        "resource_id": resource.id,
        "computation_id": computation.id,
        TARGET: run.runtime_s,
        "failed": run.failed,
        "censored": run.censored,
        "at_s": run.at_s,
        "c_kernel": computation.kernel,
        **resource_features(resource),
        **{f"c_{name}": value for name, value in computation.demand.items()},
        **{f"s_{name}": value for name, value in computation.size.items()},
        **{f"t_{name}": value for name, value in run.telemetry.items()},
    }
    for name, value in (("cost_usd", run.cost_usd), ("energy_j", run.energy_j)):
        if value is not None:
            row[name] = value
    if resource.price_usd_per_h is not None:
        row["price_usd_per_s"] = resource.price_usd_per_h / 3600
    return row
