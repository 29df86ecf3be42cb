"""N4: submissions that survive power loss: in batches, and one by one from sixteen threads that share flushes."""

import gc
import threading
import time
from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier, percentile
from benchmarks.report import Op
from dnaml.client import default_policy, default_predictor
from dnaml.core.work import Computation, Job, Objective
from dnaml.datasets.database import Durability
from dnaml.durable.settings import StorageSettings
from dnaml.engine import Engine, EngineSettings, Watcher
from dnaml.execution import messages

ID = "N4"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 5}
_BATCH, _BATCHES, _CLIENTS, _EACH = 100, 40, 16, 60
_FIT = Computation(id="fit", kernel="fit")


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Submit in both ways to an engine without resources, whose journal is flushed too; then restart and count."""
    batch_per_s, single_per_s, waits_s, lost = [], [], [], 0
    for run in range(runs):
        engine = _engine(folder / str(run))
        began_s = time.perf_counter()
        for number in range(_BATCHES):
            engine.submit(*(_job(f"b{number}-{place}") for place in range(_BATCH)), durable=True)
        batch_per_s.append(_BATCH * _BATCHES / (time.perf_counter() - began_s))
        elapsed_s, waited_s = _one_by_one(engine)
        single_per_s.append(_CLIENTS * _EACH / elapsed_s)
        waits_s += waited_s
        engine.close()
        again = _engine(folder / str(run))
        lost += _BATCH * _BATCHES + _CLIENTS * _EACH - len(again.controller.ledger.open)
        again.close()
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="submissions that survive power loss",
        lost=lost,
        figures=(
            Bar(name="in_batches", value=min(batch_per_s), unit="1/s", op=Op.AT_LEAST, bar=2000.0),
            Bar(
                name="one_by_one_of_16",
                value=min(single_per_s),
                unit="1/s",
                op=Op.AT_LEAST,
                bar=300.0,
                peer="one flush each",
                peer_value=156.0,
            ),
            Bar(name="one_by_one_p99", value=percentile(tuple(waits_s), 0.99), unit="s", bar=0.1),
        ),
    )


def _engine(folder: Path) -> Engine:
    storage = StorageSettings(durability=Durability.POWER)
    settings = EngineSettings(storage=storage)
    engine = Engine(folder, default_policy(), default_predictor(), Objective(), Watcher(), settings)
    gc.collect()
    gc.freeze()  # as the service does once it answers
    return engine


def _job(name: str) -> tuple[Job, Computation, messages.Payload]:
    payload = messages.Payload(b"", b"f" * 400, "", b"a" * 100, b"{}", False)
    return Job(id=name, computation_id="fit", submitted_at_s=time.time(), idempotency_key=name), _FIT, payload


def _one_by_one(engine: Engine) -> tuple[float, list[float]]:
    """Submit from threads, each the next when the last is safe; return the seconds in all and of each."""
    waits_s: list[float] = []

    def client(number: int) -> None:
        for place in range(_EACH):
            began_s = time.perf_counter()
            engine.submit_once(*_job(f"c{number}-{place}"), durable=True)
            waits_s.append(time.perf_counter() - began_s)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(_CLIENTS)]
    began_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began_s, waits_s
