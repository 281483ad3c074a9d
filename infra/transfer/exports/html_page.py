"""One job's history as a single HTML file with all data and scripts, which needs no server.

It is the page of a job in `jobledger serve`. Data is as it is stored: personal values stay
encrypted.
"""

import base64
import hashlib
from collections.abc import Iterable
from typing import BinaryIO, Final

from jobledger.infra.eventstore.stored_event import RecordedEvent, up_to
from jobledger.infra.transfer.exports.selection import Selection
from jobledger.infra.web import assets
from jobledger.infra.web.job_page.history import Outline, happened
from jobledger.infra.web.job_page.page import page_of
from jobledger.infra.web.rendering import render

ENTRY: Final = 'import "jobledger/job";'
POLICY: Final = (
    "default-src 'none'; script-src {map} {entry} data:; style-src 'unsafe-inline';"
    " img-src data: blob:; base-uri 'none'; form-action 'none'"
)


def write(out: BinaryIO, wanted: Selection, events: Iterable[RecordedEvent]) -> None:
    """Writes the page of one job; `events` are in the order of versions."""
    known = [event for event in up_to(list(events), wanted.moment) if event.schema]
    clock = wanted.moment.clock
    outline = Outline(wanted.name, clock, wanted.moment.position, map(happened, known))
    page = page_of(wanted.ledger, outline, known)
    data = page.data | {
        "offline": True,
        "receipts": {str(version): text for version, text in wanted.receipts.items()},
        "keys": list(wanted.keys),
    }
    import_map = assets.import_map_within("jobledger/job")
    html = render(
        "job_file.html",
        job=page._replace(data=data),
        moment=wanted.moment,
        ledger=wanted.ledger,
        style=assets.text("page.css"),
        import_map=import_map,
        entry=ENTRY,
        policy=POLICY.format(map=_hash(import_map), entry=_hash(ENTRY)),
    )
    out.write(html.encode())


def _hash(script: str) -> str:
    """Returns a script's hash in the form of a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
