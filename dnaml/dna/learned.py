"""The learned space: what two short vectors, u of a resource and phi of a computation, can hold of predictions.

Over a catalogue of at most 512 usual computations, ln seconds = offset + phi . u with phi[0] = 1: u[0] is how slow the
resource is on average, u[1:] are the 13 leading usage-weighted directions of what speed alone leaves. It knows no
predictor; it gets a matrix of predicted ln seconds. A `Space` is frozen, and its version is the digest of all it holds.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dnaml.core.dna import ComputationDNA, ResourceDNA
from dnaml.core.errors import InputError
from dnaml.dna import geometry
from dnaml.dna.geometry import DIRECTIONS, Weights

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LARGEST_CATALOGUE = 512
HEADROOM = 1.25  # norm M over the largest of the pool at hand
_FINEST = 1e-9  # variance of ln seconds that is as good as none: 0.003 %


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loading:
    """How one computation's ln seconds depend on u: `log_offset_s` + phi [14] . u; phi[0] is 1.

    `rmse_log` is what the plane misses of the row it was fitted to: large means that exact rescoring is needed.
    """

    phi: FloatArray
    log_offset_s: float
    version: str
    rmse_log: float = 0.0

    def __post_init__(self) -> None:
        """Raise InputError unless phi is [14] and all is finite."""
        if self.phi.shape != (DIRECTIONS,) or not np.isfinite([*self.phi, self.log_offset_s]).all():
            raise InputError(f"loading: must be {DIRECTIONS} finite numbers and an offset, got {self.phi.tolist()}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Space:
    """Shapes: basis [J, 14] with ones in column 0, log_centre_s [J], usage [J] of sum 1, variance [14].

    The columns of `basis` are orthonormal under `usage`. `variance` is that of u over the resources it was made of and
    `noise` the mean square that 14 directions leave: they say how much to trust few values. `log_price_usual`
    (ln USD/h) stands for a price that nobody knows; `norm` is M.
    """

    basis: FloatArray
    log_centre_s: FloatArray
    usage: FloatArray
    variance: FloatArray
    noise: float
    log_price_usual: float = 0.0
    norm: float = 1.0
    _version: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raise InputError unless shapes agree and all is finite; name the version."""
        rows = len(self.log_centre_s)
        shapes = (self.basis.shape, self.usage.shape, self.variance.shape)
        if shapes != ((rows, DIRECTIONS), (rows,), (DIRECTIONS,)):
            raise InputError(f"space: arrays must be [J, 14], [J], [14] with J = {rows}, got {shapes}")
        numbers = np.array([self.noise, self.log_price_usual, self.norm])
        arrays = (self.basis, self.log_centre_s, self.usage, self.variance, numbers)
        if not all(np.isfinite(array).all() for array in arrays):
            raise InputError("space: all values must be finite, got NaN or infinity")
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        object.__setattr__(self, "_version", f"learned-1-{digest.hexdigest()[:12]}")

    @property
    def version(self) -> str:
        """Name the space by the digest of all that it holds."""
        return self._version

    def resource(self, log_s: FloatArray) -> FloatArray:
        """Return u [14] of a resource from its predicted ln seconds on the catalogue [J]; NaN where not known."""
        latent: FloatArray = self.resources(np.asarray(log_s, dtype=np.float64)[:, None])[0]
        return latent

    def resources(self, log_s: FloatArray) -> FloatArray:
        """Return u [N, 14] from columns of predicted ln seconds [J, N]: a projection on the basis, shrunk a little.

        The shrinkage is that of the posterior under `variance` and `noise`: nothing to speak of for whole columns, and
        what keeps a column of few known values from running off. Raises InputError for a column without any.
        """
        log_s = np.asarray(log_s, dtype=np.float64)
        if log_s.ndim != 2 or len(log_s) != len(self.basis):
            raise InputError(f"resources: ln seconds must be [{len(self.basis)}, N], got {list(log_s.shape)}")
        known = ~np.isnan(log_s) & (self.usage > 0)[:, None]
        _refuse_infinite(log_s)
        if not known.any(axis=0).all():
            column = int(np.argmin(known.any(axis=0)))
            raise InputError(f"resources: column {column} must have a known value on a catalogue row that is used")
        residual = log_s - self.log_centre_s[:, None]
        latent = np.empty((log_s.shape[1], DIRECTIONS))
        for columns in _alike(known):
            mask = known[:, columns[0]]
            latent[columns] = self._projected(residual[np.ix_(mask, columns)], mask)
        return latent

    def projector(self) -> FloatArray:
        """Return P [14, J] with u = P (ln seconds - log_centre_s) for whole columns.

        It carries uncertainty over: a covariance C [J, J] of predicted ln seconds gives P C P' of u, and a posterior S
        of other latents z with catalogue loadings Phi gives (P Phi) S (P Phi)'.
        """
        return self._projected(np.eye(len(self.basis)), np.ones(len(self.basis), dtype=np.bool_)).T

    def computation(self, log_s: FloatArray, anchors: FloatArray, usage: FloatArray | None = None) -> Loading:
        """Return the loading of a computation from its predicted ln seconds [A] on resources of known u [A, 14].

        A ridge regression whose prior is the catalogue's own spread of loadings; NaN entries do not count.
        """
        log_s, anchors = np.asarray(log_s, dtype=np.float64), np.asarray(anchors, dtype=np.float64)
        if log_s.ndim != 1 or anchors.shape != (len(log_s), DIRECTIONS):
            raise InputError(f"computation: must be [A] and [A, 14], got {list(log_s.shape)} and {list(anchors.shape)}")
        _refuse_infinite(log_s)
        if not np.isfinite(anchors).all():
            raise InputError("computation: u of the anchors must be finite, got NaN or infinity")
        weights = _shares(usage, len(log_s), "anchors") * ~np.isnan(log_s)
        if not weights.sum() > 0:
            raise InputError(f"computation: at least one anchor must have a known value, got {len(log_s)} without")
        weights = weights / weights.sum()
        rest = np.where(np.isnan(log_s), 0.0, log_s) - anchors[:, 0]  # [A]; what phi[1:] and the offset explain
        middle, level = weights @ anchors[:, 1:], weights @ rest
        spread = anchors[:, 1:] - middle
        observed = max(1, int((weights > 0).sum()))
        ridge = (self.noise + _FINEST) / observed
        gram = (spread * weights[:, None]).T @ spread + ridge * np.eye(DIRECTIONS - 1)
        slopes = np.linalg.solve(gram, spread.T @ (weights * (rest - level)))
        left = np.where(weights > 0, rest - level - spread @ slopes, 0.0)
        return Loading(
            phi=np.concatenate([[1.0], slopes]),
            log_offset_s=float(level - middle @ slopes),
            version=self.version,
            rmse_log=float(np.sqrt(weights @ left**2)),
        )

    def catalogue(self, row: int) -> Loading:
        """Return the loading of a catalogue computation."""
        if not 0 <= row < len(self.basis):
            raise InputError(f"catalogue: row must be in [0, {len(self.basis)}), got {row}")
        return Loading(phi=self.basis[row], log_offset_s=float(self.log_centre_s[row]), version=self.version)

    def resource_dnas(
        self, raw: Sequence[ResourceDNA], latent: FloatArray, price_usd_per_h: FloatArray
    ) -> tuple[ResourceDNA, ...]:
        """Return whole vectors: the interpretable half of each, u [N, 14], ln price [N] and the completion.

        A price of NaN counts as the usual one (slot 14 stays NaN, which tells it from a known price). Where one u is
        larger than `norm`, these rows are completed to the largest instead; `match` copes with rows of both.
        """
        latent = np.asarray(latent, dtype=np.float64)
        if latent.shape != (len(raw), DIRECTIONS) or np.shape(price_usd_per_h) != (len(raw),):
            raise InputError(f"resource_dnas: must be [{len(raw)}, 14] and [{len(raw)}], got {list(latent.shape)}")
        if not np.isfinite(latent).all():
            name = raw[int(np.argmin(np.isfinite(latent).all(axis=1)))].owner_id
            raise InputError(f"{name}: learned slots must be finite, got NaN or infinity")
        prices = geometry.log_price(price_usd_per_h, self.log_price_usual)
        slots = geometry.supply_slots(latent, prices, self.norm)
        versions = {dna.version: geometry.version_of(geometry.raw_version(dna.version), self.version) for dna in raw}
        return tuple(
            ResourceDNA(
                owner_id=dna.owner_id,
                vector=np.concatenate([dna.vector[: geometry.LATENT.start], row]),
                version=versions[dna.version],
                runs=dna.runs,
                at_s=dna.at_s,
            )
            for dna, row in zip(raw, slots, strict=True)
        )

    def computation_dna(self, raw: ComputationDNA, loading: Loading, weights: Weights) -> ComputationDNA:
        """Return the whole vector of a computation that is asked about with these weights of time and cost."""
        geometry.one_version({loading.version, self.version})
        slots = geometry.demand_slots(loading.phi[None, :], weights)[0]
        return ComputationDNA(
            owner_id=raw.owner_id,
            vector=np.concatenate([raw.vector[: geometry.LATENT.start], slots]),
            version=geometry.version_of(geometry.raw_version(raw.version), self.version),
            runs=raw.runs,
            at_s=raw.at_s,
        )

    def _projected(self, residual: FloatArray, mask: npt.NDArray[np.bool_]) -> FloatArray:
        """Return u [M, 14] of columns [K, M] that are known on the same catalogue rows."""
        weighted = self.basis[mask] * self.usage[mask, None]  # [K, 14]
        ridge = (self.noise + _FINEST) / (len(self.basis) * (self.variance + _FINEST))
        gram = weighted.T @ self.basis[mask] + np.diag(ridge)
        latent: FloatArray = np.asarray(np.linalg.solve(gram, weighted.T @ residual).T, dtype=np.float64)
        return latent


def learn_space(
    log_s: FloatArray, usage: FloatArray | None = None, *, price_usd_per_h: FloatArray | None = None
) -> Space:
    """Return the space of a catalogue: predicted ln seconds [J, N], J <= 512, how much each computation is used [J].

    Prices [N] set the usual price and the norm. Raises InputError for values that are not finite or shapes that differ.
    Takes 0.3 s for 512 x 10,000.
    """
    log_s = np.asarray(log_s, dtype=np.float64)
    if log_s.ndim != 2 or not 1 <= log_s.shape[0] <= LARGEST_CATALOGUE or log_s.shape[1] < 1:
        raise InputError(f"catalogue: must be [J, N] with 1 <= J <= {LARGEST_CATALOGUE}, got {list(log_s.shape)}")
    if not np.isfinite(log_s).all():
        row, column = np.argwhere(~np.isfinite(log_s))[0]
        raise InputError(f"catalogue: ln seconds must be finite, got {log_s[row, column]} at [{row}, {column}]")
    shares = _shares(usage, len(log_s), "catalogue")
    centre = log_s.mean(axis=1)
    speed = shares @ (log_s - centre[:, None])  # [N]
    rest = log_s - centre[:, None] - speed
    interactions = _directions(rest, shares)
    basis = np.concatenate([np.ones((len(log_s), 1)), interactions], axis=1)
    latent = np.concatenate([speed[:, None], rest.T @ (interactions * shares[:, None])], axis=1)  # [N, 14]
    left = rest - interactions @ latent[:, 1:].T
    parts = {
        "basis": basis,
        "log_centre_s": centre,
        "usage": shares,
        "variance": latent.var(axis=0),
        "noise": float(shares @ (left**2).mean(axis=1)),
    }
    usual, norm = _price_and_norm(latent, price_usd_per_h)
    return Space(**parts, log_price_usual=usual, norm=norm)


def spread_out(latent: FloatArray, count: int) -> IntArray:
    """Return places [A] of resources that pin down any loading best: greedily those least like the ones before.

    It is the D-optimal design over rows (1, u [N, 14]) without repeats: where to predict a new computation.
    """
    rows = np.concatenate([np.ones((len(latent), 1)), latent], axis=1)
    count = min(count, len(rows))
    inverse = np.eye(rows.shape[1]) / _FINEST
    leverage = np.einsum("nd,de,ne->n", rows, inverse, rows)
    chosen = np.empty(count, dtype=np.int64)
    for i in range(count):
        place = int(np.argmax(leverage))
        moved = inverse @ rows[place]
        grown = 1.0 + float(rows[place] @ moved)
        inverse -= np.outer(moved, moved) / grown
        leverage -= (rows @ moved) ** 2 / grown
        leverage[place] = -np.inf
        chosen[i] = place
    return chosen


def _directions(rest: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the 13 leading directions [J, 13] of what speed leaves [J, N], orthonormal under the shares.

    Each has its largest weighted entry positive, so the same matrix gives the same space; directions beyond the rank
    of the matrix are zero.
    """
    weighted = rest * np.sqrt(shares)[:, None]
    small = weighted @ weighted.T if len(rest) <= rest.shape[1] else weighted.T @ weighted
    values, vectors = np.linalg.eigh(small)
    values, vectors = values[::-1][: DIRECTIONS - 1], vectors[:, ::-1][:, : DIRECTIONS - 1]
    real = values > max(values.max(initial=0.0) * 1e-12, _FINEST * rest.shape[1])
    values, vectors = values[real], vectors[:, real]
    right = weighted.T @ vectors / np.sqrt(values) if len(rest) <= rest.shape[1] else vectors  # [N, K], orthonormal
    loading = rest @ right / np.sqrt(values)  # [J, K]; rows of no usage get theirs too
    heaviest = np.argmax(np.abs(loading) * np.sqrt(shares)[:, None], axis=0)
    loading = loading * np.sign(loading[heaviest, np.arange(loading.shape[1])])
    found = np.zeros((len(rest), DIRECTIONS - 1))
    found[:, : loading.shape[1]] = loading
    return found


def _price_and_norm(latent: FloatArray, price_usd_per_h: FloatArray | None) -> tuple[float, float]:
    """Return the usual ln price, which is the median of the known ones, and M."""
    prices = np.full(len(latent), np.nan) if price_usd_per_h is None else np.asarray(price_usd_per_h, dtype=np.float64)
    if prices.shape != (len(latent),):
        raise InputError(f"catalogue: prices must be [{len(latent)}], got {list(prices.shape)}")
    known = geometry.log_price(prices[~np.isnan(prices)], 0.0)
    usual = float(np.median(known)) if len(known) else 0.0
    squares = (latent**2).sum(axis=1) + geometry.log_price(prices, usual) ** 2
    return usual, max(1.0, HEADROOM * float(np.sqrt(squares.max())))


def _shares(usage: FloatArray | None, count: int, thing: str) -> FloatArray:
    """Return usage as shares [J] of sum 1; equal ones where none is given."""
    if usage is None:
        return np.full(count, 1.0 / max(count, 1))
    usage = np.asarray(usage, dtype=np.float64)
    if usage.shape != (count,) or not np.isfinite(usage).all() or (usage < 0).any() or not usage.sum() > 0:
        raise InputError(
            f"{thing}: usage must be [{count}], finite and non-negative with a positive sum, "
            f"got {list(usage.shape)} {usage.tolist()[:4]}"
        )
    shares: FloatArray = usage / usage.sum()
    return shares


def _alike(known: npt.NDArray[np.bool_]) -> list[IntArray]:
    """Return the places of columns that are known on the same rows [J, N], group by group."""
    groups: dict[bytes, list[int]] = {}
    for place, bits in enumerate(np.ascontiguousarray(np.packbits(known, axis=0).T)):
        groups.setdefault(bits.tobytes(), []).append(place)
    return [np.array(places, dtype=np.int64) for places in groups.values()]


def _refuse_infinite(log_s: FloatArray) -> None:
    if np.isinf(log_s).any():
        raise InputError("ln seconds must be finite or NaN where not known, got infinity")
