"""Reports of an entry into a state. A report is recorded whatever the job's state is."""

from datetime import datetime
from functools import partial

from jobledger.domain.reports import parse_report
from jobledger.infra.eventstore.methods.request import (
    Answer,
    Fields,
    Methods,
    about_report,
    report_of,
)


class StateReports(Methods[Answer]):
    """Reports that lead to a state of google.cloud.aiplatform.v1.JobState, if the lifecycle table allows it."""

    def queued(
        self,
        name: str,
        queue_position: int | None = None,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that the job waits in a queue: QUEUED.

        As JOB_STATE_QUEUED of Vertex AI: the job was created or resumed, and does not run yet.

        A running job that is reported as queued was sent back to the queue: a new attempt begins.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            queue_position: Its place in the queue, from 0 (next to run); None if that is not known.
            data: Further fields of the event as JSON, stored as given.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that reports it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).
            attempt: The number of the attempt that the report is about, from 1 (`Job.attempt`).
                None is the current attempt.
            run_id: The reporter's own id of that attempt, instead of its number: 1 to 256 printable
                characters. domain/attempts.py defines when a report begins a new attempt.

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.queued(job.name, 3).state.name
            'QUEUED'
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(
            name, partial(report_of, "Queued", data, {"queuePosition": queue_position}), about
        )

    def preparing(
        self,
        name: str,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that resources are being prepared for the job: PENDING.

        As JOB_STATE_PENDING of Vertex AI.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            data: Further fields of the event as JSON, stored as given.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that reports it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).
            attempt: The number of the attempt that the report is about, from 1 (`Job.attempt`).
                None is the current attempt.
            run_id: The reporter's own id of that attempt, instead of its number: 1 to 256 printable
                characters. domain/attempts.py defines when a report begins a new attempt.

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.preparing(job.name, {"image": "train:7"}).state.name
            'PENDING'
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(parse_report, "Preparing", data), about)

    def started(
        self,
        name: str,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that the job runs: RUNNING.

        `Job.start_time` is the time of the first such report, as `start_time` of CustomJob in
        Vertex AI. A report that names an attempt which has not begun yet begins it.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            data: Further fields of the event as JSON, stored as given.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that reports it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).
            attempt: The number of the attempt that the report is about, from 1 (`Job.attempt`).
                None is the current attempt.
            run_id: The reporter's own id of that attempt, instead of its number: 1 to 256 printable
                characters. domain/attempts.py defines when a report begins a new attempt.

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.started(job.name, {"worker": "node-7"}, actor="node-7").state.name
            'RUNNING'
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(parse_report, "Started", data), about)

    def updating(
        self,
        name: str,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that a running job's configuration is being changed: UPDATING.

        As JOB_STATE_UPDATING of Vertex AI, which only follows RUNNING.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            data: Further fields of the event as JSON, stored as given.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that reports it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).
            attempt: The number of the attempt that the report is about, from 1 (`Job.attempt`).
                None is the current attempt.
            run_id: The reporter's own id of that attempt, instead of its number: 1 to 256 printable
                characters. domain/attempts.py defines when a report begins a new attempt.

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.started(job.name)
            >>> ledger.updating(job.name).state.name
            'UPDATING'
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(parse_report, "Updating", data), about)

    def updated(
        self,
        name: str,
        spec: Fields | None = None,
        error: Fields | str | None = None,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports the outcome of an update: the job is RUNNING again.

        Give `spec` if the update succeeded, or `error` if it failed and the job runs as before.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            spec: The new configuration, as a whole JSON object.
            error: Why the update failed: a google.rpc.Status as JSON, or its message (code 2,
                UNKNOWN).
            data: Further fields of the event as JSON, stored as given.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that reports it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).
            attempt: The number of the attempt that the report is about, from 1 (`Job.attempt`).
                None is the current attempt.
            run_id: The reporter's own id of that attempt, instead of its number: 1 to 256 printable
                characters. domain/attempts.py defines when a report begins a new attempt.

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.started(job.name)
            >>> _ = ledger.update(job.name, {"gpus": 16})
            >>> ledger.updated(job.name, error="no capacity").spec
            {}
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(
            name, partial(report_of, "Updated", data, {"spec": spec, "error": error}), about
        )

    def paused(
        self,
        name: str,
        reason: str | None = None,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that the job was paused and can be resumed: PAUSED.

        As JOB_STATE_PAUSED of Vertex AI: the job has been stopped, and can be resumed.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            reason: Why, for people.
            data: Further fields of the event as JSON, stored as given.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that reports it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).
            attempt: The number of the attempt that the report is about, from 1 (`Job.attempt`).
                None is the current attempt.
            run_id: The reporter's own id of that attempt, instead of its number: 1 to 256 printable
                characters. domain/attempts.py defines when a report begins a new attempt.

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.paused(job.name, "preempted").state.name
            'PAUSED'
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(report_of, "Paused", data, {"reason": reason}), about)

    def resumed(
        self,
        name: str,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that a paused job waits to run again: QUEUED.

        As JOB_STATE_QUEUED of Vertex AI, the state of a resumed job.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            data: Further fields of the event as JSON, stored as given.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that reports it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).
            attempt: The number of the attempt that the report is about, from 1 (`Job.attempt`).
                None is the current attempt.
            run_id: The reporter's own id of that attempt, instead of its number: 1 to 256 printable
                characters. domain/attempts.py defines when a report begins a new attempt.

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.paused(job.name)
            >>> ledger.resumed(job.name).state.name
            'QUEUED'
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(parse_report, "Resumed", data), about)

    def cancelling(
        self,
        name: str,
        reason: str | None = None,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that cancellation of the job was requested elsewhere: CANCELLING.

        As JOB_STATE_CANCELLING of Vertex AI. The job can then only succeed, fail or be cancelled.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            reason: Why, for people. It becomes the job's `error_message`.
            data: Further fields of the event as JSON, stored as given.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that reports it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).
            attempt: The number of the attempt that the report is about, from 1 (`Job.attempt`).
                None is the current attempt.
            run_id: The reporter's own id of that attempt, instead of its number: 1 to 256 printable
                characters. domain/attempts.py defines when a report begins a new attempt.

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.cancelling(job.name, "quota").state.name
            'CANCELLING'
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(report_of, "Cancelling", data, {"reason": reason}), about)
