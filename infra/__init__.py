"""Everything that touches the world: the ledger's API, its recorder, its server, its command line."""

from jobledger.infra.ledger import Ledger
from jobledger.infra.rows import RecordedEvent
from jobledger.infra.writing import Recorded

__all__ = ["Ledger", "Recorded", "RecordedEvent"]
