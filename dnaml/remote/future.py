"""What a client holds of a job in a service: a standard Future with its decision and record."""

import concurrent.futures
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from dnaml.core.errors import NotFoundError
from dnaml.remote.answers import Conflict
from dnaml.remote.job import BEGUN, OVER, Told, failure_of, is_over
from dnaml.remote.wire import Wire

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


class RemoteDecision:
    """A decision of the service with its table."""

    def __init__(self, told: Mapping[str, Any]) -> None:  # JSON values
        self.record = told

    def explain(self) -> "pd.DataFrame":
        """Return one row per candidate, best score first, as a decision of the embedded engine does."""
        import pandas as pd

        rows = []
        for told in self.record["candidates"]:
            terms = {f"score_{name}": value for name, value in told.get("terms", {}).items()}
            rows.append({**told, **terms})
        return pd.DataFrame(rows).drop(columns="terms", errors="ignore")

    def __repr__(self) -> str:
        """Return the choice in one line."""
        told = self.record
        return f"<decision: {told['chosen']} of {len(told['candidates'])} by {told['predicted_by']}>"


class RemoteFuture(concurrent.futures.Future[T]):
    """A standard Future of one job in a service; `job_id` finds it again from any process."""

    def __init__(self, job_id: str, wire: Wire) -> None:
        super().__init__()
        self.job_id, self._wire = job_id, wire
        self._telling = threading.Lock()

    def cancel(self) -> bool:
        """Withdraw a job that has not started; False once it runs or is over."""
        with self._telling:  # nothing that the service says comes between
            if self.running() or self.done():
                return self.cancelled()
            try:
                self._wire.ask("DELETE", f"/jobs/{self.job_id}")
            except Conflict:  # it has ended, and the news is on its way
                return False
            super().cancel()
            self.set_running_or_notify_cancel()
            return True

    def stop(self) -> None:
        """Ask a waiting or running job to end; `result` then raises ComputationStopped."""
        if not self.done():
            self._wire.ask("DELETE", f"/jobs/{self.job_id}")

    @property
    def decision(self) -> RemoteDecision:
        """Return the newest decision about this job; waits until it was placed."""
        while True:
            try:
                return RemoteDecision(self._wire.ask("GET", f"/jobs/{self.job_id}/decision"))
            except NotFoundError:
                if self.done():
                    raise
            concurrent.futures.wait([self], timeout=0.2)

    @property
    def record(self) -> dict[str, Any]:  # JSON values
        """Return what the service tells of this job: its row, result and attempts."""
        told: dict[str, Any] = self._wire.ask("GET", f"/jobs/{self.job_id}")
        return told | {"attempts": self._wire.ask("GET", f"/jobs/{self.job_id}/attempts")["items"]}

    # -- called by who follows the service -------------------------------------------------------------------------

    def _tell(self, told: Told) -> bool:
        """Take in what the service says of the job; True once it is over."""
        with self._telling:
            if self.done():
                return True
            begun = told["state"] in BEGUN or told["state"] in OVER
            if begun and not self.running() and not self.set_running_or_notify_cancel():
                return True
            if not is_over(told):
                return False
            failure = failure_of(told)
            if failure is None:
                self.set_result(told["result"])
            else:
                self.set_exception(failure)
            return True

    def _begin(self) -> None:
        """Take in that the job runs."""
        with self._telling:
            if not self.done() and not self.running():
                self.set_running_or_notify_cancel()

    def _fail(self, error: BaseException) -> None:
        """Take in that nothing more can be heard of the job."""
        with self._telling:
            if not self.done():
                self.set_exception(error)
