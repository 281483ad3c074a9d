"""Celery's tasks as jobs, by its signals: a task is a job, each of its tries an attempt.

In the module of the app, for clients and workers:

    from jobledger.infra.plugins import celery as jobledger_celery

    jobledger_celery.connect(project="shop")
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from celery import signals
from jobledger.domain.running import exception_message
from jobledger.infra.plugins.recorder import Recorder

MAX_TEXT: Final = 4_000
"""The most characters of arguments and tracebacks."""
SIGNALS: Final = (
    "before_task_publish",
    "task_received",
    "task_prerun",
    "task_success",
    "task_failure",
    "task_retry",
    "task_revoked",
    "worker_process_shutdown",
    "worker_shutdown",
)


def connect(project: str = "default", recorder: Recorder | None = None) -> CeleryTasks:
    """Records all tasks of this process from now on.

    Args:
        project: The project of the jobs.
        recorder: What records them; by default, the ledger that JOBLEDGER_DSN and JOBLEDGER_LEDGER name.

    Returns:
        What listens to Celery's signals; keep it only to disconnect it.
    """
    tasks = CeleryTasks(recorder or Recorder("celery", project))
    for name in SIGNALS:
        getattr(signals, name).connect(getattr(tasks, name), weak=False)
    return tasks


class CeleryTasks:
    """Listens to Celery's signals."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def disconnect(self) -> None:
        """Listens no more."""
        for name in SIGNALS:
            getattr(signals, name).disconnect(getattr(self, name))

    def before_task_publish(self, **signal: Any) -> None:
        """A client sends a task; what a try sends to be tried again begins when a worker has it."""
        headers, now = signal.get("headers") or {}, datetime.now(UTC)
        if (id_ := headers.get("id")) is None or headers.get("retries"):
            return
        queue = signal.get("routing_key")
        self._created(id_, headers.get("task"), headers, queue, now)
        self.recorder.report(id_, "Queued", now, run_id=_run_id(0), queue=queue)

    def task_received(self, request: Any = None, **_: Any) -> None:
        """Reports that a worker received the task; a retry may arrive before the previous try has ended."""
        if (request.request_dict or {}).get("retries"):
            return
        now = datetime.now(UTC)
        about = {"parent_id": request.parent_id, "root_id": request.root_id}
        self._created(request.id, request.name, about, None, now)
        self.recorder.report(request.id, "Preparing", now, run_id=_run_id(0))

    def task_prerun(self, task_id: str = "", task: Any = None, **_: Any) -> None:
        """A try begins."""
        request, now = task.request, datetime.now(UTC)
        about = {
            "parent_id": request.parent_id,
            "root_id": request.root_id,
            "argsrepr": repr(request.args),
            "kwargsrepr": repr(request.kwargs),
        }
        self._created(task_id, task.name, about, None, now)
        self.recorder.report(
            task_id, "Started", now, run_id=_run_id(request.retries), worker=request.hostname
        )

    def task_success(self, sender: Any = None, result: Any = None, **_: Any) -> None:
        """A try ended well; a dict that it returns is the output."""
        request = sender.request
        output = result if isinstance(result, dict) else None
        self._ended(request.id, "Succeeded", request.retries, output=output)

    def task_failure(
        self, sender: Any = None, task_id: str = "", exception: Any = None, **signal: Any
    ) -> None:
        """A try raised an exception, and no other follows."""
        error = _error(exception, signal.get("einfo"))
        self._ended(task_id, "Failed", sender.request.retries, error=error)

    def task_retry(self, request: Any = None, reason: Any = None, **signal: Any) -> None:
        """A try raised an exception, and another follows."""
        cause = getattr(reason, "exc", None) or reason
        self._ended(request.id, "Failed", request.retries, error=_error(cause, signal.get("einfo")))

    def task_revoked(self, request: Any = None, expired: bool = False, **signal: Any) -> None:
        """Records that a task was revoked, expired or was killed."""
        type_ = "Expired" if expired else "Cancelled"
        reason = "expired" if expired else "terminated" if signal.get("terminated") else "revoked"
        self.recorder.report(request.id, type_, datetime.now(UTC), reason=reason)

    def worker_process_shutdown(self, **_: Any) -> None:
        """The process ends, without what Python does at an exit."""
        self.recorder.close()

    worker_shutdown = worker_process_shutdown

    def _created(
        self, id_: str, task: str | None, about: dict[str, Any], queue: str | None, at: datetime
    ) -> None:
        parent, root = about.get("parent_id"), about.get("root_id")
        spec = {"displayName": task, "task": task} | {
            key.removesuffix("repr"): about[key][:MAX_TEXT]
            for key in ("argsrepr", "kwargsrepr")
            if about.get(key)
        }
        self.recorder.created(
            id_,
            at,
            labels={"source": "celery"} | ({"queue": queue} if queue else {}),
            spec={key: value for key, value in spec.items() if value},
            parents=[parent] if parent else [],
            root=root if root != id_ else None,
        )

    def _ended(self, id_: str, type_: str, retries: int | None, **data: Any) -> None:
        self.recorder.report(id_, type_, datetime.now(UTC), run_id=_run_id(retries), **data)


def _run_id(retries: int | None) -> str:
    return f"try-{(retries or 0) + 1}"


def _error(exception: Any, info: Any) -> dict[str, Any]:
    traceback = getattr(info, "traceback", None)
    return {
        "code": 2,
        "message": exception_message(exception),
        **({"stackTrace": str(traceback)[-MAX_TEXT:]} if traceback else {}),
    }
