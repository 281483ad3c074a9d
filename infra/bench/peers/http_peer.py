"""The server's peer: fastapi endpoints that answer a constant to any request."""

import json
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI


def constant_app(constant: dict[str, Any]) -> FastAPI:
    """Returns an application that answers a constant to a GET and to a POST of a job."""
    app = FastAPI()

    @app.get("/v1/projects/{project}/jobs/{job}")
    async def get(project: str, job: str) -> dict[str, Any]:  # noqa: ARG001
        return constant

    @app.post("/v1/projects/{project}/jobs")
    async def create(project: str, job: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
        return constant

    @app.post("/api/v1/lineage")
    async def lineage(event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
        return constant

    return app


if __name__ == "__main__":
    port, said = sys.argv[1:]
    uvicorn.run(constant_app(json.loads(said)), port=int(port), access_log=False, log_level="error")
