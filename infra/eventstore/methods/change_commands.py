"""Commands that change a job's configuration, labels or policy."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from jobledger.domain import commands
from jobledger.domain.data import parse
from jobledger.infra.eventstore.methods.request import Answer, Fields, Methods, about_command


class ChangeCommands(Methods[Answer]):
    """Commands that replace a part of a job, and may require its etag (AIP-154)."""

    def update(
        self,
        name: str,
        spec: Fields = {},
        labels: Mapping[str, str] | None = None,
        etag: str | None = None,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Answer:
        """Begins a change of a running job's configuration; `updated` reports its outcome.

        The job is UPDATING, and keeps its present configuration until the outcome is reported. New
        labels apply once the update has succeeded. Follows AIP-134; only a RUNNING job can be
        updated, as in Vertex AI.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            spec: The new configuration, as a whole JSON object.
            labels: All labels of the job once it has succeeded; None keeps the present ones.
            etag: The etag that the job must still have (AIP-154); None skips the check.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that asks for it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job, or it was deleted.
            IllegalTransitionError: The job's state does not allow the command.
            EtagMismatchError: The job has changed since `etag` was read.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.started(job.name)
            >>> ledger.update(job.name, {"gpus": 16}).state.name
            'UPDATING'
            >>> ledger.updated(job.name, {"gpus": 16}).spec
            {'gpus': 16}
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        fields = {"spec": spec, "labels": labels, "etag": etag}
        return self._send(name, partial(parse, commands.UpdateJob, fields), about)

    def change_config(
        self,
        name: str,
        spec: Fields,
        etag: str | None = None,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Answer:
        """Replaces a live job's configuration at once.

        If the configuration is the same already, nothing is written.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            spec: The new configuration, as a whole JSON object.
            etag: The etag that the job must still have (AIP-154); None skips the check.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that asks for it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job, or it was deleted.
            IllegalTransitionError: The job's state does not allow the command.
            EtagMismatchError: The job has changed since `etag` was read.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.change_config(job.name, {"gpus": 4}, etag=job.etag).spec
            {'gpus': 4}
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        fields = {"spec": spec, "etag": etag}
        return self._send(name, partial(parse, commands.ChangeConfig, fields), about)

    def change_labels(
        self,
        name: str,
        labels: Mapping[str, str],
        etag: str | None = None,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Answer:
        """Replaces all labels of a job, also of one that has ended.

        As projects.jobs.patch of AI Platform with the update mask `labels`.

        If the labels are the same already, nothing is written.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            labels: All labels of the job from now on: at most 64.
            etag: The etag that the job must still have (AIP-154); None skips the check.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that asks for it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job, or it was deleted.
            IllegalTransitionError: The job's state does not allow the command.
            EtagMismatchError: The job has changed since `etag` was read.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.change_labels(job.name, {"team": "speech"}).labels
            {'team': 'speech'}
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        fields = {"labels": labels, "etag": etag}
        return self._send(name, partial(parse, commands.ChangeLabels, fields), about)

    def change_policy(
        self,
        name: str,
        policy: Fields,
        etag: str | None = None,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Answer:
        """Records a job's IAM policy (google.iam.v1.Policy).

        The ledger stores the policy and does not enforce it.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            policy: The policy, as JSON.
            etag: The etag that the job must still have (AIP-154); None skips the check.
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that asks for it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).

        Returns:
            The job after the event.

        Raises:
            JobNotFoundError: There is no such job, or it was deleted.
            IllegalTransitionError: The job's state does not allow the command.
            EtagMismatchError: The job has changed since `etag` was read.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.change_policy(job.name, {"bindings": []}).version
            2
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        fields = {"policy": policy, "etag": etag}
        return self._send(name, partial(parse, commands.ChangePolicy, fields), about)
