"""The form of a prediction task: a history, a few probes of one new resource or computation, and what to predict.

Every draw comes from a generator seeded by the task's own name, so that a task is the same wherever and in whatever
order it is made. The protocols on each data set are in the modules beside this one.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

RESOURCE, COMPUTATION, RUNTIME, PRICE = "resource_id", "computation_id", "runtime_s", "price_usd_per_s"
_DEFAULT_FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """One question. Tasks of one `key` have the same `train`; `draw` numbers the choices of probes for one target."""

    protocol: str
    probe_count: int
    target: str
    draw: int
    train: pd.DataFrame
    probes: pd.DataFrame
    query: pd.DataFrame
    key: str

    @property
    def truth_s(self) -> npt.NDArray[np.float64]:
        """Return the runtimes [N] that are to be predicted."""
        return self.query[RUNTIME].to_numpy(dtype=np.float64)

    @property
    def pairs(self) -> pd.DataFrame:
        """Return what a predictor may see of the query: no runtime, no telemetry."""
        return unseen(self.query)


def data_folder() -> Path:
    """Return the folder of the public data: the environment's DNAML_DATA, else the one beside the checkout."""
    return Path(os.environ.get("DNAML_DATA", _DEFAULT_FOLDER))


def unseen(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows without what only a run tells."""
    return rows.drop(columns=[RUNTIME, *(name for name in rows if str(name).startswith("t_"))])


def generator(*parts: object) -> np.random.Generator:
    """Return the generator of a name."""
    return np.random.default_rng(zlib.crc32("|".join(map(str, parts)).encode()))


def one_hot(values: pd.Series, prefix: str) -> pd.DataFrame:
    """Return one column of 0 and 1 for each value, float32."""
    columns = pd.get_dummies(values.astype(str)).astype("float32")
    return columns.set_axis([f"{prefix}{name}" for name in columns], axis=1)


def held_out(
    data: str,
    protocol: str,
    *,
    train: pd.DataFrame,
    rows: pd.DataFrame,
    side: str,
    key: str,
    counts: Sequence[int],
    draws: Sequence[int],
) -> Iterator[Task]:
    """Yield the tasks of one target, all rows of which are given: each count of probes, each draw of them.

    `side` is the column in which the target is one id.
    """
    target = str(rows[side].iloc[0])
    for count in counts:
        for draw in draws:
            chosen = np.zeros(len(rows), dtype=bool)
            chosen[generator(data, protocol, key, target, count, draw).permutation(len(rows))[:count]] = True
            yield Task(
                protocol=f"{data}/{protocol}",
                probe_count=count,
                target=target,
                draw=draw,
                train=train,
                probes=rows[chosen].reset_index(drop=True),
                query=rows[~chosen].reset_index(drop=True),
                key=key,
            )
