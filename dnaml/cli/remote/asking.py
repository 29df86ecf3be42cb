"""Verbs that ask a service without running a job: predict, match, resources, prices, telemetry export, train."""

import time
from pathlib import Path
from typing import Any

from dnaml.cli import match as match_verb
from dnaml.cli import predict as predict_verb
from dnaml.cli import prices as prices_verb
from dnaml.cli import resources as resources_verb
from dnaml.cli import telemetry as telemetry_verb
from dnaml.cli.remote.desk import PAGE, Desk, Json
from dnaml.cli.remote.running import body_of
from dnaml.cli.screen import Screen
from dnaml.core.errors import InputError
from dnaml.core.resource import Kind, Resource, Site, UnitType
from dnaml.jobfile import JobFile
from dnaml.jobfile.sizes import parse_count, parse_memory

_LOOK_EVERY_S = 0.3
_LONG_S = 60.0  # the first look at models opens their registry


def predict(screen: Screen, desk: Desk, *, source: str) -> None:
    """Predict a job's time and cost on every resource of a service."""
    pool = {one["id"]: one for one in desk.items("/resources")}
    ask = {"jobs": [body_of(JobFile.read(source))], "k": min(max(1, len(pool)), PAGE), "unfit": True}
    (told,) = desk.post("/predictions", ask)["predictions"]
    rows: list[Json] = [
        {
            "resource_id": one["resource_id"],
            "site": pool[one["resource_id"]]["site"],
            "runtime_s_p10": one["runtime_p10_s"],
            "runtime_s": one["runtime_p50_s"],
            "runtime_s_p90": one["runtime_p90_s"],
            "cost_usd": one["cost_usd"],
            "cost_usd_p90": one["cost_p90_usd"],
            "price_usd_per_h": pool[one["resource_id"]]["price_usd_per_h"],
            "price_date": one["price_date"],
            "feasible": one["feasible"],
        }
        for one in told["resources"]
        if one["resource_id"] in pool
    ]
    predict_verb.show(screen, told["computation_id"], told["predicted_by"], rows)


def match(screen: Screen, desk: Desk, *, source: str, metric: match_verb.Metric, count: int, slots: bool) -> None:
    """Rank the resources of a service by the likeness of their DNA to a job's."""
    ask = {"jobs": [body_of(JobFile.read(source))], "metric": metric.value, "k": count}
    (told,) = desk.post("/matches", ask)["matches"]
    names = [one["resource_id"] for one in told["matches"]]
    value = {
        "computation_id": told["computation_id"],
        "metric": told["metric"],
        "matches": told["matches"],
        "version": told["version"],
        "slots": told["slots"],
        "computation_dna": told["vector"],
        "resource_dna": {name: desk.get(f"/resources/{name}/dna")["vector"] for name in names},
    }
    match_verb.show(screen, value, slots=slots)


def resources(screen: Screen, desk: Desk) -> None:
    """List the resources of a service."""
    known = [resource_of(one) for one in desk.items("/resources")]
    table = (resources_verb.resource_table(known),) if known else ("none yet",)
    screen.answer(known, *table)


def known_prices(screen: Screen, desk: Desk) -> None:
    """Say which prices a service knows."""
    prices_verb.show_providers(screen, desk.get("/prices", limit=1, summary=True)["providers"])


def prices(
    screen: Screen,
    desk: Desk,
    *,
    instance_type: str | None,
    provider: str | None,
    region: str | None,
    accelerator: str | None,
    cpus: str | None,
    memory: str | None,
    spot: bool,
    limit: int,
) -> int:
    """Find the cheapest machines of a service's prices that fit; exit code 1 if there is none."""
    found = desk.items(
        "/prices",
        limit,
        instance_type=instance_type,
        provider=provider,
        region=region,
        accelerator=accelerator,
        cpus=parse_count(cpus, what="--cpus").amount if cpus else None,
        memory_bytes=int(parse_memory(memory, what="--memory").amount) if memory else None,
        spot=spot,
    )
    rows = [
        {
            "id": one["id"],
            "price_usd_per_h": one["usd_per_h"],
            "spot": spot,
            "price_date": one["price_date"],
            "source": one["source"],
            "vcpus": one["vcpus"],
            "memory_bytes": one["memory_bytes"],
            "accelerator": one["accelerator"] or None,
            "accelerator_count": one["accelerator_count"] or 1.0 if one["accelerator"] else None,
        }
        for one in found
    ]
    return prices_verb.show_prices(screen, rows, f"at least {len(rows)}" if len(rows) == limit else f"{len(rows)}")


def export(screen: Screen, desk: Desk, *, file: Path, what: telemetry_verb.What, since: str | None) -> None:
    """Write the runs of one's tenant to a file here; samples belong to the machine of the service."""
    if what is not telemetry_verb.What.RUNS:
        raise InputError("--what samples: a service tells runs; export samples on its own machine, with --state")
    telemetry_verb.check(file)
    from pandas import DataFrame

    from dnaml.datasets.table import RunTable

    with screen.working(f"writing {file}"):
        found = list(desk.items("/runs", since_s=telemetry_verb.moment(since)))
        runs = RunTable.from_frame(DataFrame(found)) if found else RunTable.from_runs([])
        rows, set_aside = telemetry_verb.write_runs(runs, file)
    telemetry_verb.show(screen, file, what, rows, set_aside)


def train(
    screen: Screen,
    desk: Desk,
    *,
    file: Path | None,
    from_state: bool,
    name: str,
    alias: str | None,
    out: Path | None,
    seed: int,
    held: Any,  # None, the service does not judge
    folds: int,
    track: bool,
) -> int:
    """Have a service learn from its own runs, or from a table below its folder; exit code 1 if that failed."""
    if (file is None) != from_state:
        raise InputError("name either a TABLE below the service's folder or --from-state")
    if alias is not None or out is not None or held or not track:
        raise InputError(
            "--alias, --out, --held, --no-track: belong to this machine; a service registers what it learns"
        )
    body = {"name": name, "seed": seed, **({} if file is None else {"table": str(file)})}
    began = desk.post("/models/train", body, once=True)
    with screen.working(f"{desk.url} learns {name}"):
        while (told := desk.wire.ask("GET", "/models", wait_s=_LONG_S)["training"])["state"] == "running":
            time.sleep(_LOOK_EVERY_S)
    done = told["state"] == "done" and told["started_at_s"] >= began["started_at_s"]
    line = f"learned {name}: {told['detail']}" if done else f"{name} was not learned: {told['detail']}"
    screen.answer({"address": told["detail"] if done else None, "state": told["state"], "detail": told["detail"]}, line)
    return 0 if done else 1


def resource_of(told: Json) -> Resource:
    """Return a resource of a service as the command line's tables take it."""
    fields = {key: value for key, value in told.items() if key != "available"}
    unit = told["unit_type"]
    fields |= {
        "kind": Kind(told["kind"]),
        "site": Site(told["site"]),
        "unit_type": None if unit is None else UnitType(unit),
    }
    return Resource(**fields)
