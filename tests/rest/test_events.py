"""Streams: numbered events that a client may take up again, signs of life, logs that are followed."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dnaml.rest.hub import Hub
from dnaml.rest.problems import Problem
from dnaml.rest.streams import event_stream, number_after
from tests.rest.conftest import Client


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith('data: {"')]


def test_a_jobs_stream_tells_all_of_it_and_ends(api: Client) -> None:
    job_id = api.submit("say", "hello")
    text = api.get(f"/jobs/{job_id}/events").text
    found = events_of(text)
    assert [one["kind"] for one in found] == ["submitted", "started", "attempt_ended", "ended"]
    assert found[-1]["state"] == "SUCCEEDED"
    assert text.rstrip().endswith("data: {}")
    numbers = [one["id"] for one in found]
    assert numbers == sorted(set(numbers))
    rest = api.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": str(numbers[1])}).text
    assert [one["id"] for one in events_of(rest)] == numbers[2:]


def test_a_tenants_stream_goes_on_where_a_client_left(api: Client) -> None:
    first = api.submit("double", 1)
    api.ended(first)
    seen = events_of(api.get("/events?once=true", headers={"Last-Event-ID": "0"}).text)
    second = api.submit("double", 2)
    api.ended(second)
    later = events_of(api.get("/events?once=true", headers={"Last-Event-ID": str(seen[-1]["id"])}).text)
    assert {one.get("job_id") for one in later} == {second}
    assert api.get("/events", headers={"Last-Event-ID": "x"}).status_code == 400


def test_a_log_is_followed_to_the_end_of_its_job(api: Client) -> None:
    job_id = api.submit("say", "hello", 0.2)
    assert api.get(f"/jobs/{job_id}/logs?follow=true").text == "hello\nend\n"
    assert api.get(f"/jobs/{job_id}/logs?offset=6").text == "end\n"


def test_a_stream_gives_signs_of_life_and_news_from_another_thread() -> None:
    async def run() -> list[bytes]:
        hub = Hub()
        stream = event_stream(hub, hub.since, after=0, heartbeat_s=0.01)
        parts = stream.body_iterator.__aiter__()
        found = [await parts.__anext__(), await parts.__anext__()]
        await asyncio.to_thread(hub.tell, "submitted", 1.0, job_id="j")
        while b"submitted" not in found[-1]:
            found.append(await parts.__anext__())
        hub.close()
        async for part in parts:
            found.append(part)
        return [bytes(part) for part in found]

    found = asyncio.run(run())
    assert found[1] == b": still here\n\n"
    assert found[-1].startswith(b"event: end")


def test_numbers_rise_also_where_times_do_not() -> None:
    hub = Hub()
    numbers = [hub.tell("x", at_s).number for at_s in (5.0, 5.0, 4.0, 6.0)]
    assert numbers == [5_000_000, 5_000_001, 5_000_002, 6_000_000]
    assert [one.number for one in hub.since(5_000_001)] == numbers[2:]


@pytest.mark.parametrize("text", ["-1", "1.5", "٣", "9" * 30])
def test_an_event_id_that_no_stream_told_is_refused(text: str) -> None:
    with pytest.raises(Problem):
        number_after(text)


def test_a_stream_of_a_client_that_left_is_forgotten(api: Client, tmp_path: Path) -> None:
    async def leave(client: Any) -> None:
        task = asyncio.create_task(client.get("/api/v1/events"))
        while api.app.state.gate.patient == 0:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    api.call(leave)
    assert api.app.state.gate.patient == 0
