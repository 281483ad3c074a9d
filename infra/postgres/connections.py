"""Connections to one ledger, and translation of PostgreSQL's errors.

A ledger named `x` is the schema `ledger_x`. Only the connection's search_path determines
which ledger a statement uses.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import wraps
from typing import Any, Final, ParamSpec, Protocol, TypeVar

import psycopg
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.errors import (
    ClockError,
    LedgerClosedError,
    LedgerUnavailableError,
    LoginRefusedError,
    MissingGrantError,
    PoolerError,
    QueryTimeoutError,
    ReadOnlyServerError,
    SchemaError,
    StorageFullError,
)
from jobledger.infra.postgres.ending import CONNECTIONS, STOPPING
from jobledger.infra.postgres.session import set_async_session, set_session
from jobledger.infra.settings import Settings, query_milliseconds
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Connection = psycopg.Connection[tuple[Any, ...]]
AsyncConnection = psycopg.AsyncConnection[tuple[Any, ...]]


class Pool(Protocol):
    """A pool of connections for readers."""

    @property
    def closed(self) -> bool:
        """Whether the pool is closed."""

    def connection(self) -> AbstractContextManager[Connection]:
        """Lends a connection in autocommit mode for the block."""

    def close(self) -> None:
        """Closes the connections that are not in use; later borrowers are refused."""


REFUSALS: Final = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf",
    "not permitted to log in",
    "permission denied for database",
)
"""Parts of messages of a server that refuses a login."""
ENDED: Final = {"57P01", "57P02", "57P05", "25P03", "25P04"}
"""SQLSTATEs for which the server closes the connection: a shutdown, a crash, or a timeout, also of a transaction."""
LOST: Final = (errors.IdleInTransactionSessionTimeout, errors.TransactionTimeout)
"""Errors of those that are no OperationalError."""
REFUSED_PARAMETER: Final = "unsupported startup parameter"
"""A part of pgbouncer's message if it does not pass `options` on."""
LIMIT_QUERIES: Final = "SELECT set_config('statement_timeout', %s, false)"
LIMIT_IN_TRANSACTION: Final = "SELECT set_config('statement_timeout', %s, true)"
PLAN_ONCE: Final = """
SELECT set_config('plan_cache_mode', 'force_generic_plan', false)
WHERE to_regproc('citus_schema_distribute') IS NULL
"""
"""For the session: prepared statements, and those of functions, are planned once. Citus cannot plan a statement without its parameters."""
SEE_CLIENT_LEAVE: Final = "SET client_connection_check_interval = '1s'"
"""How often PostgreSQL checks during a query whether the client is connected; if not, it ends the query."""
KEEPALIVES: Final = {
    "keepalives_idle": "60", "keepalives_interval": "10", "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}  # fmt: skip
"""A server that is gone without a word, as behind a firewall that forgot the connection, is noticed in 90 s."""
MAX_IDLE_SECONDS: Final = 60.0
"""An unused connection of a reader is closed after this time."""
CLOCK: Final = "plausible_clock"
"""The name in `append` of the rule that the server's clock is not far ahead of a writer's."""
_LEDGER: Final = re.compile(r"[a-z][a-z0-9_]{0,54}", re.ASCII)


def schema_of(ledger: str) -> str:
    """Returns the schema of a ledger; raises InvalidFieldError if the ledger's name is not valid."""
    if _LEDGER.fullmatch(ledger) is None:
        raise InvalidFieldError(
            "ledger",
            f"{ledger!r} is not a lowercase letter, then up to 54 of a-z, 0-9 and _, such as main",
        )
    return f"ledger_{ledger}"


def conninfo(dsn: str, schema: str) -> str:
    """Returns the connection string for one schema of a database; its sessions are in UTC.

    JIT is off: before PostgreSQL 18 a plan that is kept to indexes looks expensive enough to compile.

    Args:
        dsn: The connection string of the database.
        schema: The schema.

    Returns:
        The connection string.

    Raises:
        InvalidFieldError: `dsn` is not a connection string.
    """
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise InvalidFieldError("dsn", f"is not a connection string: {error}".strip()) from None
    values = {key: str(value) for key, value in given.items() if value is not None}
    options = (
        f"{given.get('options') or ''} -c search_path={schema} -c TimeZone=UTC -c jit=off".strip()
    )
    return make_conninfo(**KEEPALIVES | values | {"options": options, "client_encoding": "utf8"})


def connect(info: str) -> Connection:
    """Opens a connection in autocommit mode; raises LedgerUnavailableError."""
    with translated():
        connection = psycopg.connect(info, autocommit=True)
        try:
            set_session(connection)
        except BaseException:
            connection.close()
            raise
    return connection


async def connect_async(info: str) -> AsyncConnection:
    """Does the same for the running asyncio loop."""
    with translated():
        connection = await psycopg.AsyncConnection.connect(info, autocommit=True)
        try:
            await set_async_session(connection)
        except BaseException:
            await connection.close()
            raise
    return connection


def open_pool(info: str, size: int) -> Pool:
    """Opens a pool for readers, whose connections are opened when needed; raises InvalidFieldError for a wrong setting."""
    from jobledger.infra.postgres.cancellable_pool import CancellablePool

    query_milliseconds(Settings().query_timeout)  # The pool itself would only log the error.
    pool = CancellablePool(info, **pool_options(size))
    CONNECTIONS.add_pool(pool)
    return pool


def pool_options(size: int) -> dict[str, Any]:
    """Returns the options of a pool for readers."""
    return {
        "min_size": 0, "max_size": size, "configure": set_up_reader, "open": True, "timeout": 30,
        "num_workers": 1, "max_idle": MAX_IDLE_SECONDS,
    }  # fmt: skip


def set_up_reader(connection: Connection) -> None:
    """Sets up a connection for reading; raises InvalidFieldError for a wrong JOBLEDGER_QUERY_TIMEOUT.

    Planning a page of the past takes longer than reading it, so it is planned once per connection.
    """
    set_session(connection)
    connection.execute(PLAN_ONCE)
    if milliseconds := query_milliseconds(Settings().query_timeout):
        connection.execute(LIMIT_QUERIES, (str(milliseconds),))
    # PostgreSQL does not support this check on its platform.
    with suppress(errors.InvalidParameterValue):
        connection.execute(SEE_CLIENT_LEAVE)


def limit_queries(connection: Connection, seconds: float | None) -> None:
    """Limits the time of each query until the end of the transaction; None changes nothing."""
    if seconds is not None:
        connection.execute(LIMIT_IN_TRANSACTION, (str(max(1, round(1_000 * seconds))),))


async def set_up_async_reader(connection: AsyncConnection) -> None:
    """Sets the same limits for a connection on an asyncio loop."""
    if milliseconds := query_milliseconds(Settings().query_timeout):
        await connection.execute(LIMIT_QUERIES, (str(milliseconds),))
    with suppress(errors.InvalidParameterValue):
        await connection.execute(SEE_CLIENT_LEAVE)


class Translation:
    """Translates PostgreSQL's errors in a block. It is a class, because entering a generator takes longer."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, psycopg.Error):
            _raise_translated(error)


_TRANSLATION: Final = Translation()


def translated() -> Translation:
    """Translates PostgreSQL's errors in a block into the ledger's, by SQLSTATE and not by message."""
    return _TRANSLATION


def _raise_translated(given: Exception) -> None:
    """Raises the ledger's error for an error of PostgreSQL, if there is one."""
    try:
        raise given
    except (errors.DiskFull, errors.ConfigurationLimitExceeded) as error:
        raise StorageFullError(str(error).splitlines()[0]) from None
    except errors.InsufficientPrivilege as error:
        raise MissingGrantError(error.diag.message_primary or str(error)) from None
    except (errors.UndefinedTable, errors.UndefinedFunction, errors.InvalidSchemaName) as error:
        why = f"lacks what this program needs ({error.diag.message_primary}); bring it up to date with"
        raise SchemaError("", f"{why}: jobledger init", "jobledger init") from None
    except errors.DatetimeFieldOverflow as error:
        if error.diag.constraint_name == CLOCK:
            raise ClockError(error.diag.message_primary or "") from None
    except errors.QueryCanceled as error:
        if CONNECTIONS.ended:
            raise LedgerUnavailableError(STOPPING) from None
        raise QueryTimeoutError(error.diag.message_primary or str(error)) from None
    except errors.ReadOnlySqlTransaction:
        raise ReadOnlyServerError from None
    except (*LOST, psycopg.OperationalError, psycopg.InterfaceError) as error:
        if _is_of_pool(error, "PoolClosed") and not CONNECTIONS.ended:
            raise LedgerClosedError from None
        if REFUSED_PARAMETER in str(error):
            advice = "set ignore_startup_parameters = options (and pool_mode = session) there"
            raise PoolerError("the pooler refuses the parameter `options`", advice) from None
        if _is_refused(error):
            raise LoginRefusedError(_first_reason(error)) from None
        if CONNECTIONS.ended:
            raise LedgerUnavailableError(STOPPING) from None
        raise LedgerUnavailableError(str(error), lost=_is_lost(error)) from None


def reading_again(
    read: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Decorates a read: if its connection breaks, it is repeated once, on another connection.

    Args:
        read: Reads, changes nothing that repeating it would change again, and raises PostgreSQL's
            errors as the ledger's.

    Returns:
        The read that is tried twice.
    """

    @wraps(read)
    def read_again(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return read(*args, **kwargs)
        except LedgerUnavailableError as error:
            if not error.lost:
                raise
        return read(*args, **kwargs)

    return read_again


def iterating_again(
    read: Callable[Parameters, Iterator[Result]],
) -> Callable[Parameters, Iterator[Result]]:
    """Does the same for an iteration that has not yielded anything yet."""

    @wraps(read)
    def read_again(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Iterator[Result]:
        has_given = is_again = False
        while True:
            try:
                for value in read(*args, **kwargs):
                    has_given = True
                    yield value
            except LedgerUnavailableError as error:
                if has_given or is_again or not error.lost:
                    raise
                is_again = True
            else:
                return

    return read_again


def _is_of_pool(error: psycopg.Error, name: str) -> bool:
    """Whether the error is that one of psycopg_pool, which is imported only if there is a pool."""
    module = sys.modules.get("psycopg_pool")
    return module is not None and isinstance(error, getattr(module, name))


def _is_lost(error: psycopg.Error) -> bool:
    """Whether an open connection broke: the server ended it, or did not answer the last statement."""
    if _is_of_pool(error, "PoolTimeout") or error.pgconn is not None:
        return False  # The pool gave out no connection.
    return error.sqlstate is None or error.sqlstate in ENDED


def _is_refused(error: psycopg.Error) -> bool:
    """Whether the login was refused; libpq gives no SQLSTATE for that."""
    failed = error.pgconn
    return failed is not None and (
        failed.needs_password or any(refusal in str(error) for refusal in REFUSALS)
    )


def _first_reason(error: psycopg.Error) -> str:
    """Returns the last reason in a failed connection's message."""
    lines = str(error).strip().splitlines()
    fatal = [line for line in lines if "FATAL:" in line] or lines
    return fatal[-1].rpartition("FATAL:")[2].strip()
