"""Links from a job's page to other systems, made from the operator's templates.

`JOBLEDGER_LINK_TEMPLATES` holds NAME=ADDRESS pairs separated by spaces, such as
`Logs=https://logs.example/search?q={id}&from={start}`. In an address `{name}`, `{project}`, `{id}`,
`{start}` and `{end}` are replaced by the job's values, percent-encoded; a time that is not known is left empty.
"""

from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote

from jobledger.domain.values.names import project_of
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.settings import Settings

SCHEMES: Final = ("https://", "http://")


class LogLink(NamedTuple):
    """A link's text and its address."""

    title: str
    address: str


def log_links(name: str, start: datetime | None, end: datetime | None) -> list[LogLink]:
    """Returns the job's links; templates that are not NAME=ADDRESS, with http or https, are left out."""
    values = {
        "{name}": name,
        "{project}": project_of(name) or "",
        "{id}": name.rpartition("/")[2],
        "{start}": "" if start is None else str(time_text(start)),
        "{end}": "" if end is None else str(time_text(end)),
    }
    links = []
    for pair in Settings().link_templates.split():
        title, _, address = pair.partition("=")
        if title and address.startswith(SCHEMES):
            for place, value in values.items():
                address = address.replace(place, quote(value, safe=""))
            links.append(LogLink(title, address))
    return links
