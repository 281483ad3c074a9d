"""Reports of a job's end, of a new attempt, and of its deletion."""

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


class EndReports(Methods[Answer]):
    """Reports that lead to a terminal state, or away from one."""

    def cancelled(
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
        """Reports that the job ended because its cancellation was requested: CANCELLED.

        As JOB_STATE_CANCELLED of Vertex AI.

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
            >>> ledger.cancelled(job.name, "quota").error_message
            'quota'
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(report_of, "Cancelled", data, {"reason": reason}), about)

    def succeeded(
        self,
        name: str,
        output: Fields | None = None,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that the job ended successfully: SUCCEEDED.

        `Job.end_time` is the time of the report, as `end_time` of CustomJob in Vertex AI.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            output: What the job produced, as a JSON object (`Job.output`).
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
            >>> ledger.succeeded(job.name, {"accuracy": 0.93}).output
            {'accuracy': 0.93}
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(report_of, "Succeeded", data, {"output": output}), about)

    def partially_succeeded(
        self,
        name: str,
        output: Fields | None = None,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that the job ended and some results may be missing: PARTIALLY_SUCCEEDED.

        As JOB_STATE_PARTIALLY_SUCCEEDED of Vertex AI.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            output: What the job produced, as a JSON object (`Job.output`).
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
            >>> ledger.partially_succeeded(job.name, {"rows": 7}).state.name
            'PARTIALLY_SUCCEEDED'
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(
            name, partial(report_of, "PartiallySucceeded", data, {"output": output}), about
        )

    def failed(
        self,
        name: str,
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
        """Reports that the job failed: FAILED.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            error: Why: a google.rpc.Status as JSON, or its message (code 2, UNKNOWN).
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
            >>> ledger.failed(job.name, {"code": 8, "message": "out of memory"}).error_message
            'out of memory'
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(report_of, "Failed", data, {"error": error}), about)

    def expired(
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
        """Reports that the job's time ran out: EXPIRED.

        As JOB_STATE_EXPIRED of Vertex AI.

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
            >>> ledger.expired(job.name, "1 h is over").state.name
            'EXPIRED'
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(report_of, "Expired", data, {"reason": reason}), about)

    def retried(
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
        """Reports that a new attempt began elsewhere: QUEUED.

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
            >>> _ = ledger.failed(job.name)
            >>> ledger.retried(job.name).attempt
            2
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(report_of, "Retried", data, {"reason": reason}), about)

    def deleted(
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
        """Reports that a job that has ended was deleted elsewhere.

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
            >>> _ = ledger.succeeded(job.name)
            >>> ledger.deleted(job.name).delete_time is None
            False
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(parse_report, "Deleted", data), about)
