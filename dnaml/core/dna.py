"""The two vectors: fixed length, versioned, mirrored slot by slot; NaN marks what is not known."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError

DNA_LENGTH = 32
RAW_SLOTS = 16
Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Dna:
    owner_id: str
    vector: Vector  # [D]; NaN where unknown
    version: str
    runs: int = 0
    at_s: float = 0.0

    def __post_init__(self) -> None:
        if self.vector.shape != (DNA_LENGTH,) or self.vector.dtype != np.float32:
            raise InputError(
                f"{self.owner_id}: DNA must be float32 of shape ({DNA_LENGTH},), "
                f"got {self.vector.dtype} {self.vector.shape}"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResourceDNA(_Dna):
    """What a resource supplies: float32 [32]; slots 0-15 are interpretable, 16-31 learned (NaN until a model is).

    >>> import numpy as np, dnaml
    >>> dnaml.ResourceDNA(owner_id="cpu0", vector=np.zeros(32, np.float32), version="raw-1").vector.shape
    (32,)
    """


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComputationDNA(_Dna):
    """What a computation demands, mirrored: slot i is the demand for what slot i of ResourceDNA supplies.

    >>> import numpy as np, dnaml
    >>> dnaml.ComputationDNA(owner_id="fit", vector=np.zeros(32, np.float32), version="raw-1").runs
    0
    """
