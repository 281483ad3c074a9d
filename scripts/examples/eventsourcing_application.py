"""An eventsourcing Application on a ledger: it saves events of jobs, and reads jobs as aggregates."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from eventsourcing.application import Application
from jobledger import Event, Ledger
from jobledger.domain.events import Created, Started
from jobledger.domain.job import Job, project_job
from psycopg.conninfo import conninfo_to_dict


def environment() -> dict[str, str]:
    """The application's settings, for the ledger that JOBLEDGER_DSN and JOBLEDGER_LEDGER name."""
    server: dict[str, Any] = conninfo_to_dict(os.environ["JOBLEDGER_DSN"])
    return {
        "PERSISTENCE_MODULE": "jobledger.infra.recorder",
        "MAPPER_TOPIC": "jobledger.infra.mapping:JobMapper",
        "ORIGINATOR_ID_TYPE": "text",
        "POSTGRES_DBNAME": str(server["dbname"]),
        "POSTGRES_HOST": str(server["host"]),
        "POSTGRES_PORT": str(server.get("port", 5432)),
        "POSTGRES_USER": str(server["user"]),
        "POSTGRES_PASSWORD": str(server.get("password") or ""),
        "POSTGRES_SCHEMA": os.environ.get("JOBLEDGER_LEDGER", "default"),
    }


def main() -> None:
    name, now = "projects/demo/jobs/from_application", datetime.now(UTC)
    with Ledger.open() as ledger, Application[str](env=environment()) as application:
        application.save(
            Event(name, 1, Created(labels={"team": "data"}), now, "application"),
            Event(name, 2, Started(worker="node-1"), now, "application"),
        )
        ledger.succeeded(name)  # The ledger's own verbs go on from there.

        job: Job = application.repository.get(name, projector_func=project_job)
        print(job.state.name if job.state else None, job.version, job.labels)
        print([event.topic for event in application.recorder.select_events(name)])


if __name__ == "__main__":
    main()
