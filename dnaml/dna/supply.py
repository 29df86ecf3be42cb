"""What a pool supplies, as contiguous arrays: u of each resource, how sure it is, price, feasibility, hazard.

`Supply` is what a caller hands over. It becomes `Columns`, checked once, here, with the name of the resource at fault;
the bank that is searched trusts them.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.dna.geometry import DIRECTIONS, log_price

FloatArray = npt.NDArray[np.float64]
FloatRows = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

LARGEST_POOL = 100_000
PACKED = DIRECTIONS * (DIRECTIONS + 1) // 2
_UPPER = np.triu_indices(DIRECTIONS)
_DIAGONAL = _UPPER[0] == _UPPER[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supply:
    """Resources as arrays over N: u [N, 14] and what else is known; None means that nothing is.

    `spread` says how sure u is: its covariance [N, 14, 14], that packed to its upper triangle [N, 105], or plainly the
    standard deviation of ln seconds [N]. A price of NaN is one that nobody knows; `feasible` False bars a resource.
    """

    ids: tuple[str, ...]
    latent: FloatArray
    spread: npt.NDArray[np.floating] | None = None
    price_usd_per_h: FloatArray | None = None
    feasible: BoolArray | None = None
    hazard_per_h: FloatArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """Checked arrays. Shapes: latent [N, 14]; spread [N, P], P = 105, 1 (variances) or 0 (unknown); all others [N].

    `log_price` has the usual price where `price_usd_per_h` is NaN.
    """

    latent: FloatArray
    spread: FloatRows
    log_price: FloatArray
    price_usd_per_h: FloatArray
    feasible: BoolArray
    hazard_per_h: FloatArray

    @classmethod
    def of(cls, supply: Supply, log_price_usual: float) -> Self:
        """Return the arrays of a supply; raise InputError, naming the resource, for a value that breaks its rule."""
        n = len(supply.ids)
        if n > LARGEST_POOL:
            raise InputError(f"supply: must hold at most {LARGEST_POOL} resources, got {n}")
        latent = _checked(supply, "latent", (n, DIRECTIONS), np.isfinite, "finite")
        price = _checked(supply, "price_usd_per_h", (n,), lambda p: ~((p < 0) | np.isinf(p)), "finite and non-negative")
        hazard = _checked(supply, "hazard_per_h", (n,), lambda h: np.isfinite(h) & (h >= 0), "finite and non-negative")
        feasible = np.ones(n, dtype=np.bool_) if supply.feasible is None else np.array(supply.feasible, dtype=np.bool_)
        if feasible.shape != (n,):
            raise InputError(f"supply: feasible must be [{n}], got {list(feasible.shape)}")
        return cls(
            latent=latent,
            spread=_packed(supply),
            log_price=log_price(price, log_price_usual),
            price_usd_per_h=price,
            feasible=feasible,
            hazard_per_h=hazard,
        )

    def __len__(self) -> int:
        return len(self.latent)

    @property
    def nbytes(self) -> int:
        """Return the memory of the arrays in bytes."""
        return sum(getattr(self, one.name).nbytes for one in fields(self))

    def rows(self, index: IntArray) -> Self:
        """Return copies of the rows at some places."""
        return type(self)(**{one.name: getattr(self, one.name)[index] for one in fields(self)})

    def joined(self, other: Self) -> Self:
        """Return these rows and then the other ones."""
        pairs = {one.name: (getattr(self, one.name), getattr(other, one.name)) for one in fields(self)}
        return type(self)(**{name: np.concatenate(both) for name, both in pairs.items()})

    def with_rows(self, index: IntArray, other: Self) -> Self:
        """Return a copy with the rows at these places replaced."""
        if len(index) == 0:
            return self
        copies = {one.name: getattr(self, one.name).copy() for one in fields(self)}
        for name, copy in copies.items():
            copy[index] = getattr(other, name)
        return type(self)(**copies)


def variances(spread: FloatRows, phi: FloatArray) -> FloatArray:
    """Return the variance of phi . u [C, N] for loadings [C, 14] over packed covariances [N, P]; one row at C = 1."""
    if spread.shape[1] == 0:
        return np.zeros((len(phi), len(spread)))
    if spread.shape[1] == 1:
        return np.repeat(spread.T.astype(np.float64), len(phi), axis=0)
    found: FloatArray = (_products(phi).astype(np.float32) @ spread.T).astype(np.float64)
    return np.maximum(found, 0.0, out=found)


def row_variances(spread: FloatRows, phi: FloatArray) -> FloatArray:
    """Return the same [N] for one loading [14], each row summed by itself: equal rows give equal bits."""
    if spread.shape[1] <= 1:
        found: FloatArray = variances(spread, phi[None, :])[0]
    else:
        found = np.maximum((spread * _products(phi[None, :])[0]).sum(axis=1), 0.0)
    return found


def _products(phi: FloatArray) -> FloatArray:
    """Return what each entry of a packed covariance is multiplied by [C, 105]."""
    found: FloatArray = phi[:, _UPPER[0]] * phi[:, _UPPER[1]] * np.where(_DIAGONAL, 1.0, 2.0)
    return found


def _checked(
    supply: Supply, name: str, shape: tuple[int, ...], rule: Callable[[FloatArray], BoolArray], said: str
) -> FloatArray:
    """Return a copy of one field as float64; NaN for an absent price, zeros for an absent hazard."""
    given = getattr(supply, name)
    absent = np.nan if name == "price_usd_per_h" else 0.0
    values = np.full(shape, absent) if given is None else np.array(given, dtype=np.float64, order="C")
    if values.shape != shape:
        raise InputError(f"supply: {name} must be {list(shape)}, got {list(values.shape)}")
    broken = ~rule(values)
    if broken.any():
        place = np.argwhere(broken)[0]
        raise InputError(f"{supply.ids[int(place[0])]}: {name} must be {said}, got {values[tuple(place)]}")
    return values


def _packed(supply: Supply) -> FloatRows:
    """Return the spread as float32 [N, P]."""
    n = len(supply.ids)
    if supply.spread is None:
        return np.zeros((n, 0), dtype=np.float32)
    given = np.asarray(supply.spread)
    if given.shape == (n, DIRECTIONS, DIRECTIONS):
        packed = given[:, _UPPER[0], _UPPER[1]].astype(np.float32)
    elif given.shape == (n, PACKED):
        packed = np.array(given, dtype=np.float32, order="C")
    elif given.shape == (n,):
        packed = np.where(given >= 0, given.astype(np.float64) ** 2, np.nan).astype(np.float32)[:, None]
    else:
        raise InputError(f"supply: spread must be [{n}], [{n}, {PACKED}] or [{n}, 14, 14], got {list(given.shape)}")
    own = packed[:, _DIAGONAL] if packed.shape[1] == PACKED else packed
    broken = ~(np.isfinite(packed).all(axis=1) & (own >= 0).all(axis=1))
    if broken.any():
        raise InputError(f"{supply.ids[int(np.argmax(broken))]}: spread must be finite with variances >= 0")
    return packed
