"""What was measured of jobs that share their units: how much of its speed alone each keeps beside the other.

Two jobs may share where both were measured to make progress together, hold equally many units, and fit into the memory
of those units at once. What was never measured is never tried.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ALONE = -1
"""the partner of a job that shares with nobody, and the class of a job of which nothing was measured"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Together:
    """The measured classes of the jobs at hand, and who shares now.

    Shapes: `kept` [Q, Q, K] the share of its speed alone that a job of the first class keeps beside one of the second
    in each configuration (0: never measured, or one of them cannot run). Per job [J]: its class `kind` (-1: unknown),
    the number of its `partner` now (-1: none), and `fill` [J, K], the share of its units' memory that it needs (0:
    unknown).
    """

    kept: FloatArray
    kind: IntArray
    partner: IntArray
    fill: FloatArray

    def of(self, rows: IntArray) -> "Together":
        """Return the same of some of the jobs."""
        return replace(self, kind=self.kind[rows], partner=self.partner[rows], fill=self.fill[rows])

    def speeds(self, a: IntArray, b: IntArray, k: IntArray) -> FloatArray:
        """Return the shares of their speed [..., 2] that rows `a` and `b` keep together in configurations `k`.

        Both are 0 where the pair may not share.
        """
        kinds = self.kind[a], self.kind[b]
        both = np.stack([self.kept[kinds[0], kinds[1], k], self.kept[kinds[1], kinds[0], k]], axis=-1)
        may = (kinds[0] >= 0) & (kinds[1] >= 0) & (a != b) & (both > 0).all(axis=-1)
        may &= self.fill[a, k] + self.fill[b, k] <= 1.0
        speeds: FloatArray = np.where(may[..., None], both, 0.0)
        return speeds
