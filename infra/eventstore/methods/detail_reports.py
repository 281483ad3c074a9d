"""Reports that leave the state as it is: progress, labels, configuration, policy, comments."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from jobledger.infra.eventstore.methods.request import (
    Answer,
    Fields,
    Methods,
    about_report,
    report_of,
)


class DetailReports(Methods[Answer]):
    """Reports that change or add details of a job, and not its state."""

    def progress_reported(
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
        """Reports a live job's progress; the state stays as it is.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            output: What the job has produced so far, as a JSON object (`Job.output`).
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
            >>> ledger.progress_reported(job.name, {"epoch": 3}).output
            {'epoch': 3}
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(
            name, partial(report_of, "ProgressReported", data, {"output": output}), about
        )

    def labels_changed(
        self,
        name: str,
        labels: Mapping[str, str],
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that all labels of the job were replaced elsewhere.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            labels: All labels of the job from now on.
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
            >>> ledger.labels_changed(job.name, {"team": "speech"}).labels
            {'team': 'speech'}
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(
            name, partial(report_of, "LabelsChanged", data, {"labels": labels}), about
        )

    def config_changed(
        self,
        name: str,
        spec: Fields,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that a live job's configuration was replaced elsewhere.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            spec: The new configuration, as a whole JSON object.
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
            >>> ledger.config_changed(job.name, {"gpus": 4}).spec
            {'gpus': 4}
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(report_of, "ConfigChanged", data, {"spec": spec}), about)

    def policy_changed(
        self,
        name: str,
        policy: Fields,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Reports that the job's IAM policy (google.iam.v1.Policy) was changed elsewhere.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            policy: The policy, as JSON.
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
            >>> ledger.policy_changed(job.name, {"bindings": []}).version
            2
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(
            name, partial(report_of, "PolicyChanged", data, {"policy": policy}), about
        )

    def commented(
        self,
        name: str,
        note: str,
        data: Fields = {},
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Answer:
        """Adds a note to the job's history; `actor` is the author.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            note: The text of the note.
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
            >>> _ = ledger.commented(job.name, "node-7 was out of disk", actor="ada")
            >>> ledger.history(job.name)[-1].json
            {'note': 'node-7 was out of disk'}
        """
        about = about_report(occurred_time, actor, request_id, trace_parent, attempt, run_id)
        return self._send(name, partial(report_of, "Commented", data, {"note": note}), about)
