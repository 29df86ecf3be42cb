"""Which jobs a client waits for, and what a stream of events says of them; the same for threads and for asyncio.

It touches no network and holds no lock.
"""

import json
from collections import OrderedDict
from typing import Any, Generic, TypeVar

from dnaml.remote.job import OVER
from dnaml.remote.sse import ServerEvent

J = TypeVar("J")
"""what a client holds of a job"""

FEW = 20  # jobs that are asked about one by one
PAGE = 500
_REMEMBERED = 50_000  # ends of jobs that nobody here waits for, or not yet


class Book(Generic[J]):
    """The open jobs, and the ends that were told before anybody here knew the job's id."""

    def __init__(self) -> None:
        self.open: dict[str, J] = {}
        self.round = 0  # rises when a stream begins
        self._ended: OrderedDict[str, None] = OrderedDict()

    def keep(self, job_id: str, job: J, expected: int) -> bool:
        """Note an open job; True when its end may have been told since the round in which it was submitted."""
        self.open[job_id] = job
        return self.round != expected or job_id in self._ended

    def close(self, job_id: str) -> None:
        """Forget a job that is over."""
        self.open.pop(job_id, None)
        self._ended.pop(job_id, None)

    def take(self, event: ServerEvent) -> tuple[J, bool] | None:
        """Return the open job that an event is about and whether it ended by it; None for other events."""
        if event.kind not in ("started", "ended"):
            return None
        job_id = json.loads(event.data).get("job_id", "")
        job, ended = self.open.get(job_id), event.kind == "ended"
        if job is not None:
            return job, ended
        if ended:
            self._ended[job_id] = None
            if len(self._ended) > _REMEMBERED:
                self._ended.popitem(last=False)
        return None


class Sweep(Generic[J]):
    """Sorts many open jobs by the newest pages of all jobs: which have to be asked about one by one."""

    def __init__(self, waiting: dict[str, J]) -> None:
        self.ended: dict[str, J] = {}
        self.left = dict(waiting)
        self._cursor: str | None = ""
        self._pages = 2 + 2 * len(waiting) // PAGE

    @property
    def more(self) -> bool:
        """Say whether another page would help."""
        return bool(self.left) and self._cursor is not None and self._pages > 0

    def params(self) -> dict[str, Any]:
        """Return what to ask for next."""
        return {"limit": PAGE, **({"cursor": self._cursor} if self._cursor else {})}

    def take(self, page: dict[str, Any]) -> None:  # JSON values
        """Take a page in."""
        for told in page["items"]:
            job = self.left.pop(told["id"], None)
            if job is not None and told["state"] in OVER:
                self.ended[told["id"]] = job
        self._cursor, self._pages = page["next"], self._pages - 1

    def wanted(self) -> list[J]:
        """Return the jobs that ended, and those that no page showed."""
        return [*self.ended.values(), *self.left.values()]
