"""Sends a planned job to a resource that came free, by the terms of the plan that there is: no new one is made.

A job's J where it is planned falls while its turn comes nearer; on the resource that came free it does not wait at
all. The job that gains most goes. What one end changes is found in some microseconds, however many resources there are.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from dnaml.core.attempt import Placement
from dnaml.core.plan import FloatArray, IntArray, Problem
from dnaml.schedule.objective import Terms


class Redirect:
    """Knows what each job of a plan is worth where it is planned; gangs, parts and copies stay there.

    `weighed` has a row for each kind of job, `row_of` says which is a job's.
    """

    def __init__(
        self,
        problem: Problem,
        weighed: Terms,
        queues: Mapping[str, Sequence[Placement]],
        row_of: Mapping[str, int],
    ) -> None:
        rows = {job.id: row_of[job.id] for job in problem.jobs if job.resilience.replicas == 1}
        self._at_s, self._weighed = problem.at_s, weighed
        self._placed: list[Placement] = []
        found, starts_s = list[tuple[int, int]](), list[float]()
        for column, resource in enumerate(problem.resources):
            start_s = float(problem.free_in_s[column])
            for placement in queues.get(resource.id, ()):
                row = rows.get(placement.job_id)
                if row is not None and placement.parts == 1 and placement.units == 1:
                    self._placed.append(placement)
                    found.append((row, column))
                    starts_s.append(start_s)
                    start_s += float(weighed.runtime_s[row, column]) / resource.slots
        pairs = np.array(found, dtype=np.int64).reshape(len(found), 2)
        self._rows = pairs[:, 0]  # [P] of each placement
        self._start_s = np.array(starts_s)  # [P] after which its turn is expected
        self._per_s, self._rest = self._now(pairs[:, 0], pairs[:, 1])  # [P] J of a second, and J without waiting

    def _now(self, rows: IntArray, columns: IntArray | int) -> tuple[FloatArray, FloatArray]:
        """Return the J of a second of waiting, and J if the job could start on the resource now."""
        weighed = self._weighed
        wait_s = weighed.wait_s[rows, columns]
        with np.errstate(invalid="ignore"):  # what may not run there is infinite, and may be NaN
            per_s = weighed.parts["latency"][rows, columns] / (weighed.runtime_s[rows, columns] + wait_s)
            return per_s, weighed.score[rows, columns] - per_s * wait_s

    def best(self, column: int, at_s: float) -> Placement | None:
        """Return the placement of the job that gains most by a start on a resource now, once; None if none gains."""
        if not self._placed:
            return None
        left_s = np.maximum(self._start_s - (at_s - self._at_s), 0.0)
        gain = self._rest + self._per_s * left_s - self._now(self._rows, column)[1]  # [P]
        place = int(np.where(gain > 0, gain, 0.0).argmax())
        if not gain[place] > 0:
            return None
        self._rest[place] = -np.inf
        return self._placed[place]
