"""A batch of calls on its way to a worker: pickled once, its large arrays written once for all batches of a call.

A worker maps such an array read-only from the file, so sixty fits on one data set carry it once and share its pages.
"""

import io
import pickle
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

LARGE_BYTES = 1 << 20  # joblib's own limit


class SharedArrays:
    """The large arrays of one `Parallel` call, as files of a temporary folder; `close` removes them."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._kept: dict[int, tuple[object, str]] = {}  # the object is held, so that its id stays its own

    def path_of(self, value: object) -> str | None:
        """Return the file of a large plain array, written now if it is new; None for anything else."""
        if type(value) is not np.ndarray or value.nbytes < LARGE_BYTES or value.dtype.hasobject:
            return None
        known = self._kept.get(id(value))
        if known is None:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="dnaml-joblib-"))
            path = str(self._folder / f"{len(self._kept)}.npy")
            np.save(path, value, allow_pickle=False)
            known = self._kept[id(value)] = (value, path)
        return known[1]

    def close(self) -> None:
        """Forget the arrays and remove their files; a worker that has one mapped keeps what it mapped."""
        self._kept.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle ships no types
    def __init__(self, file: io.BytesIO, shared: SharedArrays) -> None:
        super().__init__(file, protocol=5)
        self._shared = shared

    def persistent_id(self, obj: object) -> str | None:
        return self._shared.path_of(obj)


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: str) -> Any:  # as the base class declares it
        return np.load(pid, mmap_mode="r", allow_pickle=False)


def packed(batch: Callable[[], list[Any]], shared: SharedArrays) -> bytes:
    """Return a batch as bytes; raises what pickling its parts raises."""
    body = io.BytesIO()
    _Pickler(body, shared).dump(batch)
    return body.getvalue()


def run_batch(body: bytes) -> list[Any]:  # whatever the calls return
    """Run the calls of a batch one after another, in a worker, and return their results."""
    batch: Callable[[], list[Any]] = _Unpickler(io.BytesIO(body)).load()
    return batch()
