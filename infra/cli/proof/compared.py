"""Compares an exported history with a receipt, and finds the versions that the receipt covers."""

from pathlib import Path
from typing import NamedTuple

from jobledger.infra.errors import InputError, ProofError
from jobledger.infra.eventstore.stored_event import RecordedEvent, entered_state
from jobledger.infra.proof.receipts import Receipt
from jobledger.infra.transfer.imports.history_file import History
from jobledger.infra.transfer.imports.read_export import open_history


class Compared(NamedTuple):
    """An event in a file that its receipt proves."""

    file: Path
    event: RecordedEvent
    uncovered: list[int]
    """Versions in the file that the receipt does not cover."""

    @property
    def is_state_covered(self) -> bool:
        """Whether the event itself leads to the shown state; otherwise earlier events do."""
        event = self.event
        return entered_state(event.type, event.schema, event.stored) is not None

    @property
    def sentences(self) -> list[str]:
        """Returns sentences about what the receipt covers, and what it does not."""
        event = self.event
        state = "none" if event.state is None else event.state.name
        origin = f"version {event.version}" if self.is_state_covered else "earlier versions"
        parts = [
            f"{self.file}: version {event.version} has the recorded data, times, actor and request",
            f"{self.file}: the state {state} was set by {origin}",
        ]
        if self.uncovered:
            noun = "version" if len(self.uncovered) == 1 else "versions"
            numbers = ", ".join(map(str, self.uncovered))
            parts.append(
                f"not covered by this receipt: {noun} {numbers}, and the file's first line;"
                " for a receipt of each version: jobledger receipt NAME --version N"
            )
        return parts


def compare_file(made: Receipt, file: Path) -> Compared:
    """Compares the event of a verified receipt with the same event in an export.

    Args:
        made: The receipt.
        file: A history that `export` wrote.

    Returns:
        The event, and the other versions that the file contains.

    Raises:
        ProofError: The events differ, the event is not in the file, or no export wrote the file.
        InputError: The file cannot be read.
    """
    name, version = made.entry.name, made.entry.version
    events = _history_of(file, name).events
    event = next((each for each in events if each.version == version), None)
    if event is None:
        raise ProofError("receipt", f"{file} has no version {version} of {name}")
    made.verify_event(event)
    return Compared(file, event, [e.version for e in events if e.version != version])


def _history_of(file: Path, name: str) -> History:
    """Returns the job's history in the file; raises ProofError for content that no export of the job has."""
    try:
        return open_history(file, name, exact=True)
    except InputError as error:
        if not file.is_file():
            raise
        raise ProofError("receipt", str(error)) from None
