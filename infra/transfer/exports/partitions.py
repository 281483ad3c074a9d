"""How the Parquet files of an export are laid out in folders, as Hive does: `day=2011-05-02/kind=jobs/part-0.parquet`."""

from enum import StrEnum
from pathlib import Path
from typing import Final

from jobledger.domain.values.names import kind_of
from jobledger.infra.eventstore.stored_event import RecordedEvent

PART: Final = "part-0.parquet"
"""The name of the file in each folder."""
FILES: Final = "day=*/**/*.parquet"
"""The pattern of an export's files."""


class Partition(StrEnum):
    """The columns that the files of an export are partitioned by, outermost first.

    `kind` is a column of the files if they are not partitioned by it.
    """

    DAY = "day"
    DAY_KIND = "day,kind"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, one by one."""
        return tuple(self.value.split(","))

    def folder_of(self, event: RecordedEvent) -> str:
        """Returns the folder of an event: the day (UTC) that it occurred, and its job's kind."""
        day = f"day={event.occurred_time.date()}"
        return day if self is Partition.DAY else f"{day}/kind={kind_of(event.name)}"


def parquet_files(folder: Path) -> list[Path]:
    """Returns the files of an export, in the order of their paths."""
    return sorted(folder.glob(FILES))
