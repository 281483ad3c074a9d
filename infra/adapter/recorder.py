"""A ledger as eventsourcing's PostgreSQL recorder: PERSISTENCE_MODULE=jobledger.infra.recorder.

Configured by the library's own POSTGRES_* settings. POSTGRES_SCHEMA names the
ledger ("x" or "ledger_x"; "default" without one), and is another one for each application of a
System (ORDERS_POSTGRES_SCHEMA for the application "orders"). Any aggregate's events can be
written, as well as those of jobs; with MAPPER_TOPIC=jobledger.infra.mapping:JobMapper
an Application reads and writes jobs too. What views and snapshots need is kept by
the library's own recorders, in tables of the ledger's schema.
"""

import weakref
from collections.abc import Callable
from types import TracebackType

from eventsourcing import persistence, postgres
from eventsourcing.utils import Environment, EnvType
from jobledger.infra.adapter.application_recorder import (
    LedgerApplicationRecorder,
    LedgerProcessRecorder,
)
from jobledger.infra.adapter.applications import APPLICATION, APPLICATIONS
from jobledger.infra.adapter.datastore import conninfo_of, ledger_of, make_ledger, one_at_a_time
from jobledger.infra.eventstore.commit.committer import Committer
from jobledger.infra.postgres.connections import connect, schema_of


class Factory(postgres.PostgresFactory):
    """Makes the recorders of one environment; they share one committer.

    The only factory in this module's names, as the library demands of PERSISTENCE_MODULE.
    """

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        named = self.env.get(self.POSTGRES_SCHEMA) or "default"
        schema = schema_of(ledger_of(named.replace(APPLICATION, self.env.name.lower())))
        self.datastore.schema = schema
        # The ledger's statements are unqualified; the application's own tables may be in public.
        assert isinstance(self.datastore.pool.kwargs, dict)
        self.datastore.pool.kwargs["options"] = (
            f"-c search_path={schema},public -c TimeZone=UTC -c jit=off"
        )
        self._committer = Committer(lambda: connect(conninfo_of(self.datastore)))
        self._entered: list[Callable[[], object]] = []

    def _enter(self) -> None:
        """Raises OSError where another application uses the ledger."""
        kwargs = self.datastore.pool.kwargs
        assert isinstance(kwargs, dict)
        place = [str(kwargs.get(key)) for key in ("host", "port", "dbname")]
        entered = "\0".join([*place, self.datastore.schema]), self.env.name
        APPLICATIONS.enter(*entered, self.datastore.schema)
        # Also if the factory is never closed.
        self._entered.append(weakref.finalize(self, APPLICATIONS.leave, *entered))

    def _leave(self) -> None:
        while self._entered:
            self._entered.pop()()

    def application_recorder(self) -> persistence.ApplicationRecorder:
        """Creates the recorder that reads and writes the ledger; creates the ledger unless CREATE_TABLE says no.

        Returns:
            The recorder.

        Raises:
            OSError: Another application of this process uses the same ledger.
        """
        self._enter()
        recorder = LedgerApplicationRecorder(self.datastore, self._committer)
        if self.env_create_table():
            recorder.create_table()
        return recorder

    def process_recorder(self) -> persistence.ProcessRecorder:
        """Creates a recorder that also tracks the positions of followed applications."""
        self._enter()
        table = f"{self.env.name.lower() or 'notification'}_tracking"
        recorder = LedgerProcessRecorder(
            self.datastore, committer=self._committer, tracking_table_name=table
        )
        if self.env_create_table():
            recorder.create_table()
        return recorder

    def tracking_recorder(
        self, tracking_recorder_class: type[postgres.TPostgresTrackingRecorder] | None = None
    ) -> postgres.TPostgresTrackingRecorder:
        """Creates the library's own tracking recorder; its table lies in the ledger's schema."""
        if self.env_create_table():
            make_ledger(self.datastore)
        with one_at_a_time(self.datastore):
            return super().tracking_recorder(tracking_recorder_class)

    def aggregate_recorder(self, purpose: str = "events") -> persistence.AggregateRecorder:
        """Creates the library's own recorder, for snapshots."""
        if self.env_create_table():
            make_ledger(self.datastore)
        with one_at_a_time(self.datastore):
            return super().aggregate_recorder(purpose)

    def close(self) -> None:
        """Commits the writes that are still waiting."""
        self._committer.close()
        self._leave()
        super().close()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._committer.close()
        self._leave()
        super().__exit__(exc_type, exc_val, exc_tb)
