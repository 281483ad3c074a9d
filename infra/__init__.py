"""Everything that touches the world: the ledger's API, its recorder, its server, its command line."""

from jobledger.infra.ledger import Ledger, Recorded
from jobledger.infra.rows import RecordedEvent

__all__ = ["Ledger", "Recorded", "RecordedEvent"]
