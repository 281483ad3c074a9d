"""Commands on the life of a job: create, cancel, pause, resume, retry, delete."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from jobledger.domain import commands
from jobledger.domain.data import parse
from jobledger.infra.eventstore.methods.request import Answer, Fields, Methods, about_command


class Commands(Methods[Answer]):
    """Commands that lead to another state; a command is refused if the lifecycle table forbids it."""

    def create(
        self,
        name: str,
        labels: Mapping[str, str] = {},
        spec: Fields = {},
        *,
        preparing: bool = False,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Answer:
        """Creates a job in the state QUEUED, or PENDING if `preparing` is true.

        Follows AIP-133. A deleted job keeps its name: the name cannot be used again.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            labels: The job's labels: at most 64, with keys and values as in Google Cloud's labels.
            spec: The job's configuration, as a JSON object.
            preparing: Whether something is being prepared for it already (PENDING).
            occurred_time: When it happened (valid time): a time with a time zone, from 1970 to one
                day ahead. None is now, by this machine's clock.
            actor: The user or program that asks for it: 1 to 256 printable characters.
            request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
                returns the first call's answer and writes nothing. 1 to 256 printable characters.
            trace_parent: The caller's W3C Trace Context (`traceparent`).

        Returns:
            The job after the event.

        Raises:
            JobExistsError: The name is taken, also by a deleted job.
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a", {"team": "vision"}, {"gpus": 8})
            >>> job.state.name, job.version, job.labels
            ('QUEUED', 1, {'team': 'vision'})
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        fields = {"labels": labels, "spec": spec, "preparing": preparing}
        return self._send(name, partial(parse, commands.CreateJob, fields), about)

    def cancel(
        self,
        name: str,
        reason: str | None = None,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Answer:
        """Asks for the end of a job.

        A QUEUED or PAUSED job is CANCELLED at once; any other live job is CANCELLING until its end
        is reported. A job that is CANCELLING already stays as it is, and nothing is written. As
        JobService.CancelCustomJob of Vertex AI.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            reason: Why, for people. It becomes the job's `error_message`.
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
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.cancel(job.name, "wrong data set", actor="ada").state.name
            'CANCELLED'
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        fields = {"reason": reason}
        return self._send(name, partial(parse, commands.CancelJob, fields), about)

    def pause(
        self,
        name: str,
        reason: str | None = None,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Answer:
        """Pauses a job, so that it can be resumed.

        As JobService.PauseModelDeploymentMonitoringJob of Vertex AI and evaluationJobs.pause of Data
        Labeling.

        A job that is PAUSED already stays as it is, and nothing is written.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            reason: Why, for people.
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
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.pause(job.name, "maintenance").state.name
            'PAUSED'
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        fields = {"reason": reason}
        return self._send(name, partial(parse, commands.PauseJob, fields), about)

    def resume(
        self,
        name: str,
        *,
        running: bool = False,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Answer:
        """Resumes a paused job: it is QUEUED, or RUNNING if `running` is true.

        As JobService.ResumeModelDeploymentMonitoringJob of Vertex AI and evaluationJobs.resume of
        Data Labeling.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            running: Whether it runs again at once.
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
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.pause(job.name)
            >>> ledger.resume(job.name).state.name
            'QUEUED'
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        fields = {"running": running}
        return self._send(name, partial(parse, commands.ResumeJob, fields), about)

    def retry(
        self,
        name: str,
        reason: str | None = None,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Answer:
        """Begins a new attempt at a job that has ended; it is QUEUED again.

        `Job.attempt` is one greater, and `end_time` and `error` are empty again.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            reason: Why, for people.
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
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.failed(job.name, "out of memory")
            >>> job = ledger.retry(job.name, "more memory")
            >>> job.state.name, job.attempt
            ('QUEUED', 2)
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        fields = {"reason": reason}
        return self._send(name, partial(parse, commands.RetryJob, fields), about)

    def delete(
        self,
        name: str,
        *,
        stop: bool = False,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Answer:
        """Deletes a job that has ended: lists leave it out, and its history is kept.

        Follows AIP-135. `Ledger.erase` removes personal data, and `Ledger.prune` removes history.

        Args:
            name: The job's resource name (AIP-122), such as `projects/demo/jobs/train_1`.
            stop: Whether a live job is cancelled first.
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
            InvalidFieldError: A value is not accepted; the error names the field.
            RequestReusedError: `request_id` was used before for something else.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.delete(job.name, stop=True).delete_time is None
            False
            >>> ledger.list()
            []
            >>> [event.type for event in ledger.history(job.name)][-1]
            'Deleted'
        """
        about = about_command(occurred_time, actor, request_id, trace_parent)
        fields = {"stop": stop}
        return self._send(name, partial(parse, commands.DeleteJob, fields), about)
