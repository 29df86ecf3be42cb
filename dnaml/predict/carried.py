"""What is known of a few resources, carried to any others by their specs: memory grows with how many are asked about.

Only resources that the kept cells name have a place in the learned prior. All others, those that never ran and those
whose cells were dropped, are Gaussian given these through what specs tell: `kin(n, m) = t_n . t_m / P` of traits.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dnaml.predict.pooled import SHIFT_SD, UNTOLD_SD, Cells, FloatArray, IntArray, Prior

BoolArray = npt.NDArray[np.bool_]

APART = UNTOLD_SD**2 + SHIFT_SD**2  # variance of a resource that specs do not tell


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Carrier:
    """A prior over the resources with codes `members` [A], rising, and what it says of others by their P traits.

    Shapes: level [P], pulled [P, A], core [P, P]: of a resource with traits t they give the shift beside its spec's,
    the covariance with each member, and that with others.
    """

    prior: Prior
    members: IntArray
    level: FloatArray
    pulled: FloatArray
    core: FloatArray

    @classmethod
    def of(cls, prior: Prior, members: IntArray) -> "Carrier":
        """Return the carrier of a prior whose resources have these codes."""
        told = prior.traits[:, 1:]  # [A, P]
        width = max(told.shape[1], 1)
        # t (T'T / P + U^2)^-1 T' / P is kin(t, T) (kin(T, T) + U^2)^-1, without a matrix of members by members
        inner = told.T @ told / width + UNTOLD_SD**2 * np.eye(told.shape[1])
        weights = np.linalg.solve(inner, told.T) / width  # [P, A]
        pulled = weights @ prior.covariance
        by_specs = (weights @ told) @ (weights @ told).T / width + UNTOLD_SD**2 * weights @ weights.T
        return cls(
            prior=prior,
            members=members,
            level=weights @ (prior.shift + prior.traits[:, 0]),
            pulled=pulled,
            core=np.eye(told.shape[1]) / width + pulled @ weights.T - by_specs,
        )

    def shift(self, codes: IntArray, traits: FloatArray) -> FloatArray:
        """Return the expected shift [N] of resources with codes [N] and traits [N, 1 + P]."""
        place, known = located(codes, self.members)
        carried = traits[:, 1:] @ self.level - traits[:, 0]
        carried[known] = self.prior.shift[place[known]]
        found: FloatArray = carried
        return found

    def over(self, codes: IntArray, traits: FloatArray, ran: int) -> Prior:
        """Return the prior over resources with codes [N] and traits [N, 1 + P], the first `ran` of which have cells.

        Its covariance is [N, ran]; its resources are numbered by their places here.
        """
        place, known = located(codes, self.members)
        told = traits[:, 1:]
        covariance = told @ (self.core @ told[:ran].T)  # [N, ran]
        covariance[np.arange(ran), np.arange(ran)] += APART
        member = np.flatnonzero(known[:ran])
        covariance[:, member] = told @ self.pulled[:, place[member]]
        rows = np.flatnonzero(known)
        covariance[rows] = self.pulled[:, place[rows]].T @ told[:ran].T
        covariance[np.ix_(rows, member)] = self.prior.covariance[np.ix_(place[rows], place[member])]
        own = ((told @ self.core) * told).sum(axis=1) + APART
        own[rows] = np.diagonal(self.prior.covariance)[place[rows]]
        shift = self.shift(codes, traits)
        return replace(self.prior, shift=shift, covariance=covariance, traits=traits, own=own)


def located(codes: IntArray, members: IntArray) -> tuple[IntArray, BoolArray]:
    """Return the place [N] of each code among the members [A], rising, and whether it is one."""
    if not len(members):
        return np.zeros(len(codes), dtype=np.int64), np.zeros(len(codes), dtype=np.bool_)
    place = np.minimum(np.searchsorted(members, codes), len(members) - 1)
    return place, members[place] == codes


def members_of(kernels: list[Cells]) -> IntArray:
    """Return the codes of all resources that have cells, rising."""
    named = {code for cells in kernels for code in cells.at.resource.tolist()}
    return np.array(sorted(named), dtype=np.int64)


def renumbered(cells: Cells, members: IntArray) -> Cells:
    """Return cells whose resources are numbered by their places among the members, which hold them all."""
    return replace(cells, at=replace(cells.at, resource=np.searchsorted(members, cells.at.resource)))
