"""One method for each command, and one for each report.

All take the job's name first, and by keyword what `About` lists; all return the
job as it is afterwards. A command may raise IllegalTransitionError, which a
report never does: one that cannot be true is recorded as `Contradicted`. Both
raise JobNotFoundError for an unknown job, InvalidFieldError for what is not
accepted, and LedgerUnavailableError.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypedDict, TypeVar, Unpack

from jobledger.domain import commands
from jobledger.domain.data import Data, parse
from jobledger.domain.reports import parse_report

Answer = TypeVar("Answer")
Fields = Mapping[str, Any]
"""A JSON object."""


class About(TypedDict, total=False):
    """What can be said of any event, besides its data."""

    occurred_time: datetime
    """When it happened: any time zone, from 1970 to a day ahead; now, if not said."""
    actor: str
    """Who asked for it or reported it: 1 to 256 printable characters."""
    request_id: str
    """The same request is answered again and never written twice (AIP-155)."""
    trace_parent: str
    """W3C Trace Context."""


class AboutReport(About, total=False):
    """What can be said of any report."""

    attempt: int
    """The number of the attempt it speaks of, from 1, as the job shows it."""
    run_id: str
    """Or an id that the reporter gave to that attempt: 1 to 256 printable characters."""


class Verbs(Generic[Answer]):
    """Commands and reports. Each hands `ask` a function that makes a request of its arguments.

    `Answer` is the job as it is afterwards, or an awaitable of it. `data` of a report holds
    further fields, kept as they are given. A report that names its attempt (`attempt` or `run_id`)
    changes nothing else if the job is in a later one; domain/attempts.py says when one begins.
    """

    def __init__(
        self, ask: Callable[[str, Callable[[], commands.JobCommand | Data], About], Answer]
    ) -> None:
        self._ask = ask

    def create(
        self,
        name: str,
        labels: Mapping[str, str] = {},
        spec: Fields = {},
        *,
        preparing: bool = False,
        **about: Unpack[About],
    ) -> Answer:
        """Makes a job, QUEUED; or PENDING, if it is made ready to run at once (`preparing`).

        Raises JobExistsError if the name is taken.
        """
        said = {"labels": labels, "spec": spec, "preparing": preparing}
        return self._ask(name, partial(parse, commands.CreateJob, said), about)

    def cancel(self, name: str, reason: str | None = None, **about: Unpack[About]) -> Answer:
        """Asks for its end; a waiting or paused job is CANCELLED at once, others are CANCELLING."""
        return self._ask(name, partial(parse, commands.CancelJob, {"reason": reason}), about)

    def pause(self, name: str, reason: str | None = None, **about: Unpack[About]) -> Answer:
        """Stops it so that it can be resumed."""
        return self._ask(name, partial(parse, commands.PauseJob, {"reason": reason}), about)

    def resume(self, name: str, *, running: bool = False, **about: Unpack[About]) -> Answer:
        """Lets a paused job wait to run again, or run again at once (`running`)."""
        return self._ask(name, partial(parse, commands.ResumeJob, {"running": running}), about)

    def update(
        self,
        name: str,
        spec: Fields = {},
        labels: Mapping[str, str] | None = None,
        etag: str | None = None,
        **about: Unpack[About],
    ) -> Answer:
        """Begins a change of a running job's configuration; `updated` reports its outcome.

        New labels hold at once. Raises EtagMismatchError unless the job's etag is `etag`, if given.
        """
        said = {"spec": spec, "labels": labels, "etag": etag}
        return self._ask(name, partial(parse, commands.UpdateJob, said), about)

    def change_config(
        self, name: str, spec: Fields, etag: str | None = None, **about: Unpack[About]
    ) -> Answer:
        """Replaces a live job's configuration at once; `etag` as in `update`."""
        return self._ask(
            name, partial(parse, commands.ChangeConfig, {"spec": spec, "etag": etag}), about
        )

    def retry(self, name: str, reason: str | None = None, **about: Unpack[About]) -> Answer:
        """Begins a new attempt at a job that has ended."""
        return self._ask(name, partial(parse, commands.RetryJob, {"reason": reason}), about)

    def change_labels(
        self, name: str, labels: Mapping[str, str], etag: str | None = None, **about: Unpack[About]
    ) -> Answer:
        """Replaces all its labels; `etag` as in `update`."""
        return self._ask(
            name, partial(parse, commands.ChangeLabels, {"labels": labels, "etag": etag}), about
        )

    def change_policy(
        self, name: str, policy: Fields, etag: str | None = None, **about: Unpack[About]
    ) -> Answer:
        """Says who may do what with it (google.iam.v1.Policy); the ledger keeps it. `etag` as in `update`."""
        return self._ask(
            name, partial(parse, commands.ChangePolicy, {"policy": policy, "etag": etag}), about
        )

    def delete(self, name: str, *, stop: bool = False, **about: Unpack[About]) -> Answer:
        """Takes a job that has ended, or is stopped now (`stop`), out of lists; its history is kept."""
        return self._ask(name, partial(parse, commands.DeleteJob, {"stop": stop}), about)

    def queued(
        self,
        name: str,
        queue_position: int | None = None,
        data: Fields = {},
        **about: Unpack[AboutReport],
    ) -> Answer:
        """It waits; at this place in the line (0: about to begin), if that is known.

        A running job was sent back to the queue by that: a new attempt begins.
        """
        said = {"queuePosition": queue_position, **data}
        return self._ask(name, partial(parse_report, "Queued", said), about)

    def preparing(self, name: str, data: Fields = {}, **about: Unpack[AboutReport]) -> Answer:
        """Something is being made ready for it: PENDING."""
        return self._ask(name, partial(parse_report, "Preparing", data), about)

    def started(self, name: str, data: Fields = {}, **about: Unpack[AboutReport]) -> Answer:
        """It runs; in a new attempt, if the report names one that has not begun yet."""
        return self._ask(name, partial(parse_report, "Started", data), about)

    def updating(self, name: str, data: Fields = {}, **about: Unpack[AboutReport]) -> Answer:
        """Its configuration is being changed."""
        return self._ask(name, partial(parse_report, "Updating", data), about)

    def updated(
        self,
        name: str,
        spec: Fields | None = None,
        error: Fields | str | None = None,
        data: Fields = {},
        **about: Unpack[AboutReport],
    ) -> Answer:
        """The change is over: `spec` is the new one whole, or `error` says why it failed."""
        said = {"spec": spec, "error": error, **data}
        return self._ask(name, partial(parse_report, "Updated", said), about)

    def paused(
        self, name: str, reason: str | None = None, data: Fields = {}, **about: Unpack[AboutReport]
    ) -> Answer:
        """It was stopped, and can be resumed."""
        return self._ask(name, partial(parse_report, "Paused", {"reason": reason, **data}), about)

    def resumed(self, name: str, data: Fields = {}, **about: Unpack[AboutReport]) -> Answer:
        """It waits to run again after a pause."""
        return self._ask(name, partial(parse_report, "Resumed", data), about)

    def cancelling(
        self, name: str, reason: str | None = None, data: Fields = {}, **about: Unpack[AboutReport]
    ) -> Answer:
        """Its end was asked for elsewhere."""
        return self._ask(
            name, partial(parse_report, "Cancelling", {"reason": reason, **data}), about
        )

    def cancelled(
        self, name: str, reason: str | None = None, data: Fields = {}, **about: Unpack[AboutReport]
    ) -> Answer:
        """It ended because that was asked for."""
        return self._ask(
            name, partial(parse_report, "Cancelled", {"reason": reason, **data}), about
        )

    def succeeded(
        self,
        name: str,
        output: Fields | None = None,
        data: Fields = {},
        **about: Unpack[AboutReport],
    ) -> Answer:
        """It ended well; `output` is what it made."""
        return self._ask(
            name, partial(parse_report, "Succeeded", {"output": output, **data}), about
        )

    def partially_succeeded(
        self,
        name: str,
        output: Fields | None = None,
        data: Fields = {},
        **about: Unpack[AboutReport],
    ) -> Answer:
        """It ended, and some results may be missing."""
        return self._ask(
            name, partial(parse_report, "PartiallySucceeded", {"output": output, **data}), about
        )

    def failed(
        self,
        name: str,
        error: Fields | str | None = None,
        data: Fields = {},
        **about: Unpack[AboutReport],
    ) -> Answer:
        """It ended badly; `error` is a google.rpc.Status, or its message (code 2, UNKNOWN)."""
        return self._ask(name, partial(parse_report, "Failed", {"error": error, **data}), about)

    def expired(
        self, name: str, reason: str | None = None, data: Fields = {}, **about: Unpack[AboutReport]
    ) -> Answer:
        """Its time ran out."""
        return self._ask(name, partial(parse_report, "Expired", {"reason": reason, **data}), about)

    def retried(
        self, name: str, reason: str | None = None, data: Fields = {}, **about: Unpack[AboutReport]
    ) -> Answer:
        """A new attempt began elsewhere."""
        return self._ask(name, partial(parse_report, "Retried", {"reason": reason, **data}), about)

    def progress_reported(
        self,
        name: str,
        output: Fields | None = None,
        data: Fields = {},
        **about: Unpack[AboutReport],
    ) -> Answer:
        """How far it is; `output` is what it has made so far."""
        return self._ask(
            name, partial(parse_report, "ProgressReported", {"output": output, **data}), about
        )

    def labels_changed(
        self, name: str, labels: Mapping[str, str], data: Fields = {}, **about: Unpack[AboutReport]
    ) -> Answer:
        """Its labels were replaced elsewhere."""
        return self._ask(
            name, partial(parse_report, "LabelsChanged", {"labels": labels, **data}), about
        )

    def config_changed(
        self, name: str, spec: Fields, data: Fields = {}, **about: Unpack[AboutReport]
    ) -> Answer:
        """Its configuration was replaced elsewhere."""
        return self._ask(
            name, partial(parse_report, "ConfigChanged", {"spec": spec, **data}), about
        )

    def policy_changed(
        self, name: str, policy: Fields, data: Fields = {}, **about: Unpack[AboutReport]
    ) -> Answer:
        """Who may do what with it was changed elsewhere."""
        return self._ask(
            name, partial(parse_report, "PolicyChanged", {"policy": policy, **data}), about
        )

    def commented(
        self, name: str, note: str, data: Fields = {}, **about: Unpack[AboutReport]
    ) -> Answer:
        """Adds a note to its history; `actor` is the author."""
        return self._ask(name, partial(parse_report, "Commented", {"note": note, **data}), about)

    def deleted(self, name: str, data: Fields = {}, **about: Unpack[AboutReport]) -> Answer:
        """It was deleted elsewhere."""
        return self._ask(name, partial(parse_report, "Deleted", data), about)
