"""E10: a provider of functions throttles, starts cold, answers late or twice: calls back off, results commit once."""

import json
import random
import time
from collections import Counter
from pathlib import Path

import dnaml
from benchmarks.faults.calls import waits
from benchmarks.faults.local_case import seen
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.function_provider import provided
from dnaml.core.resource import Site
from dnaml.engine import EngineSettings
from dnaml.execution.serverless import HttpFunction, Retrying, call_handler, serverless

ID = "E10"
RUNS = {Tier.QUICK: 12, Tier.SOAK: 400}
_WHAT = "functions throttled, cold, dropped, late and invoked twice while jobs wait for them"
_FAULTS = ("429", "500", "drop", "garbage", "stale", "hang", "ok", "ok")


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Send jobs to functions whose provider misbehaves; count what was lost, and what was committed twice."""
    draw = random.Random(seed)
    faults = ["429", "hang", "500", *draw.choices(_FAULTS, k=runs)]
    handler = call_handler(waits)
    rule = Retrying(most=12, base_s=0.05, most_wait_s=5.0)
    begun_s = time.monotonic()
    with provided(handler, cold_s=0.3, warm_s=0.5, faults=faults, hang_s=1.0) as provider:
        function = HttpFunction(url=provider.url, timeout_s=0.8, retrying=rule)
        settings = EngineSettings(open_backend=serverless({"fn": function}))
        resource = dnaml.Resource(id="fn", site=Site.SERVERLESS, domain="away", slots=4)
        with dnaml.Executor([resource], state=folder / "state", settings=settings) as executor:
            futures = [executor.submit(waits, 0.02, number) for number in range(runs)]
            answers = [future.result(120) for future in futures]
        requests = list(provider.requests)
    told = seen(folder)
    calls = Counter(json.dumps([one["attempt_id"], one["epoch"]]) for one in requests)
    commits = Counter(event.attempt_id.rpartition(".")[0] for event in told.ended if event.outcome.value == "done")
    wrong = sum(answer != number for number, answer in enumerate(answers))
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what=_WHAT,
        recover_s=(time.monotonic() - begun_s,),
        lost=told.lost(),
        duplicated=sum(count - 1 for count in commits.values()),
        figures=(
            Bar(name="wrong_results", value=float(wrong), unit="", bar=0.0),
            Bar(name="most_calls_of_an_attempt", value=float(max(calls.values())), unit="", bar=13.0),
        ),
        extra={"invoked_again": float(sum(calls.values()) - len(calls))},
    )
