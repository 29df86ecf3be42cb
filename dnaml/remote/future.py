"""What a client holds of a job in a service: a standard Future with its decision and record."""

import concurrent.futures
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from dnaml.core.errors import ComputationFailed, ComputationStopped, NotFoundError
from dnaml.remote.wire import Wire

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
OVER = ("SUCCEEDED", "FAILED", "CANCELLED")


class RemoteDecision:
    """A decision of the service with its table."""

    def __init__(self, told: Mapping[str, Any]) -> None:  # JSON values
        self.record = told

    def explain(self) -> "pd.DataFrame":
        """Return one row per candidate, best score first, with what was predicted and why it lost."""
        import pandas as pd

        return pd.DataFrame(list(self.record["candidates"]))


class RemoteFuture(concurrent.futures.Future[T]):
    """A standard Future of one job in a service; `job_id` finds it again from any process."""

    def __init__(self, job_id: str, wire: Wire) -> None:
        super().__init__()
        self.job_id, self._wire = job_id, wire

    def cancel(self) -> bool:
        """Withdraw a job that has not started; False once it runs."""
        if self.running() or self.done() or not super().cancel():
            return self.cancelled()
        self._wire.ask("DELETE", f"/jobs/{self.job_id}")
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

    def _tell(self, told: Mapping[str, Any]) -> bool:  # JSON values
        """Take in what the service says of the job; True once it is over."""
        if self.done():
            return True
        state = told["state"]
        if state in ("RUNNING", "RECOVERING", *OVER) and not self.running() and not self.set_running_or_notify_cancel():
            return True
        if state not in OVER:
            return False
        if state == "SUCCEEDED" and not told["result_note"]:
            self.set_result(told["result"])
        elif state == "CANCELLED":
            self.set_exception(ComputationStopped(f"job {self.job_id}: {told['error'] or 'was cancelled'}"))
        else:
            self.set_exception(ComputationFailed(f"job {self.job_id}: {told['error'] or told['result_note']}"))
        return True
