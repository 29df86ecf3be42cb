"""The learned space drawn flat: two coordinates for each resource and computation, as data that anything can plot.

Resources lie near those that run the same work alike. Computations are arrows of the same map: ln seconds falls along
the arrow, so a computation points at the resources that suit it better than they suit the usual computation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.dna.geometry import DIRECTIONS, one_version
from dnaml.dna.learned import Loading

FloatArray = npt.NDArray[np.float64]

_TIE = 1.0 - 1e-9  # entries as large as the largest but for rounding: the first of them decides the sign


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """Named points of a map: xy [N, 2] in the order of the names."""

    names: tuple[str, ...]
    xy: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """Two axes of the learned space. Shapes: axes [14, 2] orthonormal, middle [14], explained_share [2].

    Distances in the map are differences of ln seconds over the usual computations, as far as two axes show them:
    `explained_share` of the variance lies along each. `version` is that of the space.
    """

    axes: FloatArray
    middle: FloatArray
    explained_share: FloatArray
    version: str

    @classmethod
    def of(cls, latent: FloatArray, version: str, weights: FloatArray | None = None) -> Self:
        """Return the leading axes of u [N, 14] by weighted PCA, each with its largest entry positive.

        Weights [N] say how much each resource counts; one resource, or many equal ones, give a map of one point.
        """
        latent = np.asarray(latent, dtype=np.float64)
        if latent.ndim != 2 or latent.shape[1] != DIRECTIONS or len(latent) == 0 or not np.isfinite(latent).all():
            raise InputError(f"projection: u must be [N, {DIRECTIONS}], finite, N > 0, got {list(latent.shape)}")
        given = np.ones(len(latent)) if weights is None else np.asarray(weights, dtype=np.float64)
        if given.shape != (len(latent),) or not (np.isfinite(given).all() and (given >= 0).all() and given.sum() > 0):
            raise InputError(f"projection: weights must be [{len(latent)}], non-negative with a positive sum")
        shares = given / given.sum()
        middle = shares @ latent
        centred = latent - middle
        values, vectors = np.linalg.eigh((centred * shares[:, None]).T @ centred)
        values = np.maximum(values[::-1], 0.0)
        return cls(
            axes=_signed(vectors[:, ::-1][:, :2]),
            middle=middle,
            explained_share=values[:2] / values.sum() if values.sum() > 0 else np.zeros(2),
            version=version,
        )

    def resources(self, names: Sequence[str], latent: FloatArray) -> Placed:
        """Return where resources lie, from u [N, 14]: those the axes were made of, or others of the same space."""
        latent = np.asarray(latent, dtype=np.float64)
        if latent.shape != (len(names), DIRECTIONS):
            raise InputError(f"projection: u must be [{len(names)}, {DIRECTIONS}], got {list(latent.shape)}")
        return Placed(names=tuple(names), xy=(latent - self.middle) @ self.axes)

    def computations(self, names: Sequence[str], loadings: Sequence[Loading]) -> Placed:
        """Return the arrow's end of each computation: minus what phi has beyond the usual one's, which is (1, 0, ...).

        The scalar product of an arrow and a resource's point is by how much ln seconds is less than usual there.
        """
        if len(names) != len(loadings):
            raise InputError(f"projection: must be one name a loading, got {len(names)} and {len(loadings)}")
        one_version({self.version, *(loading.version for loading in loadings)})
        phi = np.array([loading.phi for loading in loadings]).reshape(len(names), DIRECTIONS)
        usual = np.zeros(DIRECTIONS)
        usual[0] = 1.0
        return Placed(names=tuple(names), xy=-(phi - usual) @ self.axes)


def _signed(axes: FloatArray) -> FloatArray:
    """Return axes [14, 2] turned so that the largest entry of each is positive."""
    size = np.abs(axes)
    first = np.argmax(size >= _TIE * size.max(axis=0), axis=0)
    signed: FloatArray = axes * np.where(axes[first, np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    return signed
