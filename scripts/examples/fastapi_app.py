"""A FastAPI application that starts jobs in the background, and records them with AsyncLedger.

Serve it with `uvicorn fastapi_app:app`. Run by itself, it sends requests to itself and prints the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException, Request
from jobledger import AsyncLedger, JobNotFoundError


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Opens the ledger once for all requests, and waits for jobs before it closes it."""
    async with await AsyncLedger.open() as ledger, asyncio.TaskGroup() as tasks:
        app.state.ledger, app.state.tasks = ledger, tasks
        yield


app = FastAPI(lifespan=lifespan)


async def summarize(ledger: AsyncLedger, name: str, text: str) -> None:
    """The job: counts words."""
    async with ledger.run(name, spec={"characters": len(text)}) as run:
        await asyncio.sleep(0.05)
        run.output = {"words": len(text.split())}


@app.post("/summaries/{job}", status_code=202)
async def start(job: str, text: str, request: Request) -> dict[str, str]:
    """Starts a job, and answers at once."""
    name = f"projects/demo/jobs/{job}"
    request.app.state.tasks.create_task(summarize(request.app.state.ledger, name, text))
    return {"job": name}


@app.get("/summaries/{job}")
async def read(job: str, request: Request) -> dict[str, Any]:
    """The job as it is."""
    try:
        found = await request.app.state.ledger.get(f"projects/demo/jobs/{job}")
    except JobNotFoundError as error:
        raise HTTPException(404, str(error)) from error
    return {"state": found.state.name if found.state else None, "output": found.output}


async def main() -> None:
    transport = httpx.ASGITransport(app=app)
    async with (
        lifespan(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        started = await client.post("/summaries/report_1", params={"text": "three short words"})
        print(started.status_code, started.json())
        while (answer := await client.get("/summaries/report_1")).json().get("output") is None:
            await asyncio.sleep(0.02)
        print(answer.status_code, answer.json())
        print((await client.get("/summaries/absent")).status_code)


if __name__ == "__main__":
    asyncio.run(main())
