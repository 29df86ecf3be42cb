"""What a run table holds, in a dozen figures: the data card that every training keeps beside its model."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from dnaml.datasets.table import PREFIXES, RunTable


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """The figures of one run table; `columns` counts features by prefix, `digest` names content and order of rows."""

    rows: int
    set_aside: dict[str, int]
    resources: int
    computations: int
    kernels: int
    pairs: int
    failed: int
    censored: int
    least_s: float
    median_s: float
    most_s: float
    columns: dict[str, int]
    missing_share: float
    digest: str

    def flat(self) -> dict[str, object]:
        """Return the figures by dotted names, one level deep."""
        found: dict[str, object] = {}
        for name, value in asdict(self).items():
            if isinstance(value, dict):
                found.update({f"{name}.{key}": one for key, one in value.items()})
            else:
                found[name] = value
        return found

    def lines(self) -> list[str]:
        """Return the figures as lines of a Markdown table."""
        aside = ", ".join(f"{count} because {why}" for why, count in sorted(self.set_aside.items())) or "none"
        columns = ", ".join(f"{count} `{prefix}*`" for prefix, count in self.columns.items())
        rows = (
            ("runs", f"{self.rows} of {self.pairs} pairs; {self.failed} failed, {self.censored} censored"),
            ("set aside", aside),
            ("resources", str(self.resources)),
            ("computations", f"{self.computations} of {self.kernels} kernels"),
            ("runtime", f"{self.least_s:.3g} to {self.most_s:.3g} s, median {self.median_s:.3g} s"),
            ("feature columns", f"{columns}; {100 * self.missing_share:.1f} % of their values missing"),
            ("digest", f"`{self.digest}`"),
        )
        return ["| what | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def card_of(table: RunTable) -> DataCard:
    """Return the data card of a run table; runtimes of an empty table are NaN."""
    frame = table.frame
    features = table.features(*PREFIXES)
    kernels = frame["c_kernel"] if "c_kernel" in frame else frame["computation_id"]
    return DataCard(
        rows=len(frame),
        set_aside=dict(table.reasons()),
        resources=int(frame["resource_id"].nunique()),
        computations=int(frame["computation_id"].nunique()),
        kernels=int(kernels.nunique()),
        pairs=len(frame[["resource_id", "computation_id"]].drop_duplicates()),
        failed=int(frame["failed"].sum()),
        censored=int(frame["censored"].sum()),
        least_s=float(frame["runtime_s"].min()),
        median_s=float(frame["runtime_s"].median()),
        most_s=float(frame["runtime_s"].max()),
        columns={prefix: sum(name.startswith(prefix) for name in features) for prefix in PREFIXES},
        missing_share=float(frame[features].isna().mean().mean()) if features and len(frame) else 0.0,
        digest=_digest(frame),
    )


def _digest(frame: Any) -> str:  # Any: a DataFrame, whose type is pandas' own affair
    """Return 16 hexadecimal digits of the SHA-256 over columns and rows, in their order."""
    import pandas as pd

    rows = pd.util.hash_pandas_object(frame.astype(object).where(frame.notna(), None).astype(str), index=False)
    named = hashlib.sha256("\x1f".join(map(str, frame.columns)).encode())
    named.update(rows.to_numpy().tobytes())
    return named.hexdigest()[:16]
