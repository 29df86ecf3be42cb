"""Submits durably one job after the other and tells which were acknowledged, for faults that strike the disk.

`python -m benchmarks.faults.storage_child FOLDER JOBS`: a line `ID SECONDS` for each job that was acknowledged, and
`refused ID ERROR` for each that was not. The engine has no resources, so that submissions are all that happens.
"""

import sys
import time
from pathlib import Path

from dnaml.client import default_policy, default_predictor
from dnaml.core.errors import StateFolderError
from dnaml.core.work import Computation, Job, Objective
from dnaml.durable.settings import StorageSettings
from dnaml.engine import Engine, EngineSettings, Watcher
from dnaml.execution import messages

_FIT = Computation(id="fit", kernel="fit")


def main() -> int:
    """Run from the command line."""
    folder, jobs = Path(sys.argv[1]), int(sys.argv[2])
    settings = EngineSettings(storage=StorageSettings(admission_patience_s=0.5))
    engine = Engine(folder, default_policy(), default_predictor(), Objective(), Watcher(), settings)
    print("ready", flush=True)
    for number in range(jobs):
        name, began_s = f"s{number}", time.perf_counter()
        payload = messages.Payload(b"", b"f" * 400, "", b"a", b"{}", False)
        try:
            engine.submit((Job(id=name, computation_id="fit", submitted_at_s=time.time()), _FIT, payload), durable=True)
        except StateFolderError as error:
            print(f"refused {name} {type(error).__name__}: {error}", flush=True)
        else:
            print(f"{name} {time.perf_counter() - began_s:.4f}", flush=True)
    engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
