"""The service from asyncio: results, reasons, many at once, and who leaves early."""

import asyncio
from pathlib import Path

import pytest

import dnaml
from dnaml.core.errors import ComputationStopped, InputError, NotFoundError
from dnaml.remote import AccessRefused, AsyncExecutor, NotReachable
from dnaml.rest.settings import Limits
from dnaml.submission import Call
from tests.remote.served import Served, served
from tests.rest import work


def test_results_decisions_and_records_are_awaited(service: Served) -> None:
    async def main() -> None:
        async with dnaml.connect(service.url).aio() as ex:
            job = await ex.submit(work.double, 4)
            assert await job == 8
            assert await job.result() == 8
            assert (await job.decision()).explain()["chosen"].sum() == 1
            assert len((await job.record())["attempts"]) == 1
            assert await (await ex.job(job.job_id)) == 8
            named = await ex.options(name="a").options(objective="min_cost").submit(work.double, 1)
            assert (await named.record())["name"] == "a"
            with pytest.raises(ValueError, match="of mine"):
                await (await ex.submit(work.fail, "of mine"))
            with pytest.raises(InputError, match="lambda"):
                await ex.submit(lambda: 1)
            with pytest.raises(NotFoundError):
                await ex.job("nothing")

    asyncio.run(main())


def test_many_jobs_are_waited_for_at_once_over_one_stream(service: Served) -> None:
    async def main() -> None:
        async with AsyncExecutor(service.url) as ex:
            jobs = await asyncio.gather(*(ex.submit(work.double, n) for n in range(30)))
            assert await asyncio.gather(*jobs) == [2 * n for n in range(30)]
            assert [value async for value in ex.map(work.double, range(25))] == [2 * n for n in range(25)]
            assert service.app.state.gate.patient <= 1
            done = await ex.submit_all([Call(fn=work.marked, args=(3,))])
            assert await done[0] == 9

    asyncio.run(main())


def test_a_waiter_that_gives_up_leaves_the_job_alone(service: Served, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def main() -> None:
        async with AsyncExecutor(service.url) as ex:
            job = await ex.submit(work.wait_for, str(gate))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(job.result(), 0.05)
            assert not job.done()
            gate.touch()
            assert await job == "there"
            stopped = await ex.submit(work.count, 100_000)
            await stopped.decision()
            await stopped.stop()
            with pytest.raises(ComputationStopped):
                await stopped

    asyncio.run(main())


def test_an_error_on_its_way_does_not_wait_for_open_jobs(service: Served, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def main() -> str:
        ex = AsyncExecutor(service.url)
        job = await ex.submit(work.wait_for, str(gate))
        await ex.__aexit__(KeyError, KeyError(), None)
        with pytest.raises(asyncio.CancelledError):
            await job
        return job.job_id

    job_id = asyncio.run(main())
    gate.touch()
    with dnaml.connect(service.url) as ex:
        assert ex.future(job_id).result(60) == "there"


def test_without_a_stream_jobs_are_asked_about(tmp_path: Path) -> None:
    async def main(found: Served) -> None:
        async with AsyncExecutor(found.url) as first, AsyncExecutor(found.url) as second:
            assert await (await first.submit(work.double, 1)) == 2
            assert [value async for value in second.map(work.double, range(25))] == [2 * n for n in range(25)]

    with served(tmp_path, limits=Limits(streams=1)) as found:
        asyncio.run(main(found))


def test_a_service_that_is_not_there_and_one_that_refuses_are_named(tmp_path: Path) -> None:
    async def main(url: str, error: type[Exception], timeout_s: float) -> None:
        async with AsyncExecutor(url, timeout_s=timeout_s) as ex:
            with pytest.raises(error, match="127"):
                await ex.submit(work.double, 1)

    asyncio.run(main("http://127.0.0.1:9", NotReachable, 0.2))
    with served(tmp_path, token_required=True) as found:
        asyncio.run(main(found.url, AccessRefused, 30.0))
