"""Programs that use AsyncLedger: a FastAPI application, and scripts that end in every way."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from textwrap import dedent

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, HTTPException
from jobledger import AsyncLedger, IllegalTransitionError, JobNotFoundError, Ledger
from jobledger.infra.upkeep.verify import verify

from tests.loops import Factory
from tests.tasks import commits


def application(dsn: str, ledger_name: str) -> FastAPI:
    """Somebody's own service, which keeps its jobs in a ledger."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with await AsyncLedger.open(dsn, ledger_name) as ledger:
            app.state.ledger = ledger
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/jobs/{job}", status_code=201)
    async def create(job: str, labels: dict[str, str]) -> str:
        ledger: AsyncLedger = app.state.ledger
        return (await ledger.create(f"projects/p/jobs/{job}", labels)).etag

    @app.post("/jobs/{job}/resume")
    async def resume(job: str) -> str:
        try:
            state = (await app.state.ledger.resume(f"projects/p/jobs/{job}")).state
        except IllegalTransitionError as error:
            raise HTTPException(409, str(error)) from error
        return str(state.name)

    @app.get("/jobs/{job}")
    async def get(job: str, as_of: str | None = None) -> dict[str, str]:
        try:
            found = await app.state.ledger.get(f"projects/p/jobs/{job}", as_of=as_of)
        except JobNotFoundError as error:
            raise HTTPException(404, str(error)) from error
        return dict(found.labels)

    @app.get("/jobs")
    async def names() -> list[str]:
        return [found.name async for found in app.state.ledger.scan("labels.team = a")]

    return app


async def use(client: httpx.AsyncClient) -> None:
    made = await asyncio.gather(
        *(client.post(f"/jobs/j{n}", json={"team": "ab"[n % 2]}) for n in range(40))
    )
    assert Counter(answer.status_code for answer in made) == {201: 40}
    assert (await client.get("/jobs/j3")).json() == {"team": "b"}
    assert (await client.get("/jobs/j3", params={"as_of": "v1"})).json() == {"team": "b"}
    assert (await client.get("/jobs/nobody")).status_code == 404
    assert (await client.post("/jobs/j3/resume")).status_code == 409
    assert len((await client.get("/jobs")).json()) == 20


@pytest.mark.slow
async def test_an_application_in_this_loop(
    dsn: str, ledger_name: str, loop_factory: Factory
) -> None:
    app = application(dsn, ledger_name)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        await use(client)
        assert len(await commits(app.state.ledger)) < 40


@pytest.mark.slow
async def test_an_application_under_uvicorn(
    dsn: str, ledger_name: str, loop_factory: Factory
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(application(dsn, ledger_name), log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        async with httpx.AsyncClient(
            base_url="http://{}:{}".format(*listening.getsockname())
        ) as client:
            await use(client)
        server.should_exit = True
        await serving
    with Ledger.open(dsn, ledger_name) as ledger:
        assert ledger.size() == 40


PROGRAM = """
import asyncio, sys
from jobledger import AsyncLedger

async def write(ledger, number, done):
    for n in range(number * 1000, number * 1000 + 1000):
        await ledger.create(f"projects/p/jobs/j{n}")
        done.append(n)
        print(n, flush=True)

"""
ENDINGS = {
    "it closes the ledger": """
        async def main():
            async with await AsyncLedger.open(*sys.argv[1:]) as ledger:
                async with asyncio.TaskGroup() as tasks:
                    for number in range(5):
                        tasks.create_task(ledger.create(f"projects/p/jobs/j{number}"))
                print(*[job.name[-1] async for job in ledger.scan(order_by="name")], sep="\\n")
    """,
    "it closes the ledger while tasks write": """
        async def main():
            done = []
            async with await AsyncLedger.open(*sys.argv[1:]) as ledger:
                tasks = [asyncio.create_task(write(ledger, n, done)) for n in range(8)]
                while len(done) < 40:
                    await asyncio.sleep(0.01)
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert "was closed" in str(outcome), outcome
    """,
    "it returns while tasks write": """
        async def main():
            done = []
            ledger = await AsyncLedger.open(*sys.argv[1:])
            tasks = [asyncio.create_task(write(ledger, n, done)) for n in range(8)]
            while len(done) < 40:
                await asyncio.sleep(0.01)
    """,
    "it fails while tasks write": """
        async def main():
            done = []
            async with await AsyncLedger.open(*sys.argv[1:]) as ledger, asyncio.TaskGroup() as tasks:
                for number in range(8):
                    tasks.create_task(write(ledger, number, done))
                while len(done) < 40:
                    await asyncio.sleep(0.01)
                raise SystemExit(7)
    """,
    "it is interrupted while tasks write": """
        async def main():
            async with await AsyncLedger.open(*sys.argv[1:]) as ledger, asyncio.TaskGroup() as tasks:
                for number in range(8):
                    tasks.create_task(write(ledger, number, []))
    """,
}
NOT_CLOSED = {"it returns while tasks write"}
"""Programs for which Python reports unclosed resources."""
LOOPS = {
    "asyncio": "asyncio.run(main(), debug=True)",
    "uvloop": "import uvloop; uvloop.run(main(), debug=True)",
}


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_program_ends_and_its_acknowledged_writes_are_stored(
    dsn: str, ledger_name: str, ending: str, loop: str
) -> None:
    """In Python's development mode, which tells of coroutines, tasks and connections left behind."""
    program = PROGRAM + dedent(ENDINGS[ending]) + LOOPS[loop]
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", program, dsn, ledger_name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = ""
    if "interrupted" in ending:
        first = "".join([process.stdout.readline() for _ in range(40)])
        process.send_signal(signal.SIGINT)
    message, complaints = process.communicate(timeout=60)
    output = {int(line) for line in (first + message).split()}
    assert len(output) >= 5
    with Ledger.open(dsn, ledger_name) as ledger:
        stored = Counter(event.name for event in ledger.events(follow=False))
        with ledger.connection() as connection:
            assert verify(connection).findings == []
        # And others go on.
        assert ledger.create("projects/p/jobs/next").version == 1
    assert {f"projects/p/jobs/j{n}" for n in output} <= stored.keys()
    assert set(stored.values()) == {1}
    if "interrupted" in ending:
        assert complaints.splitlines()[-1] == "KeyboardInterrupt"
    elif ending in NOT_CLOSED:
        assert process.returncode == 0
        assert "was never" not in complaints
    else:
        # Slow callbacks are the machine's fault.
        assert [
            line for line in complaints.splitlines() if not line.startswith("Executing <")
        ] == []
        assert process.returncode == (7 if "fails" in ending else 0)
