"""Data Labeling v1beta1 `projects.annotationSpecSets`: the labels that evaluation jobs may use."""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from jobledger.domain import errors
from jobledger.domain.errors import shown
from jobledger.domain.states import MAY_EXECUTE
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import parse_name
from jobledger.infra.google.wire import messages
from jobledger.infra.google.wire.calls import Call, Method, in_thread
from jobledger.infra.google.wire.paging import cursor_of, token_of
from jobledger.infra.google.wire.resources import bare
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, reading_again, translated

READ_SPEC_SET: Final = sql.load(__package__, "read_spec_set")
LIST_SPEC_SETS: Final = sql.load(__package__, "list_spec_sets")
KEEP_SPEC_SET: Final = sql.load(__package__, "keep_spec_set")
DELETE_SPEC_SET: Final = sql.load(__package__, "delete_spec_set")
READ_BLOCKING: Final = sql.load(__package__, "read_blocking")

API: Final = messages.load("datalabeling_v1beta1")
REQUEST: Final = "CreateAnnotationSpecSetRequest"
FIELD: Final = "annotationSpecSet"
DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE: Final = 1_000
MAX_DISPLAY_NAME: Final = 64
MAX_DESCRIPTION: Final = 10_000
MAX_LABELS: Final = 2_000


class SpecSetNotFoundError(errors.JobNotFoundError):
    """The annotation spec set does not exist, or was deleted."""

    def __init__(self, name: str) -> None:
        errors.LedgerError.__init__(self, f"there is no annotation spec set {name}")
        self.name = name


class SpecSetUsedError(errors.IllegalTransitionError):
    """An evaluation job that is not stopped uses the set (google.rpc FAILED_PRECONDITION)."""

    def __init__(self, name: str, job: str) -> None:
        errors.LedgerError.__init__(self, f"{name} is used by {job}, which has to be deleted first")
        self.name = name
        self.job = job


def create(call: Call) -> JsonObject:
    """Creates a set with a random number (annotationSpecSets.create); several sets may have the same display name."""
    given = API.parse(REQUEST, call.body).get(FIELD)
    if given is None:
        raise errors.InvalidFieldError(FIELD, "is missing; give the annotation spec set")
    _check(given)
    specs = [{**spec, "index": n} for n, spec in enumerate(given["annotationSpecs"])]
    about = (given["displayName"], given.get("description", ""), orjson.dumps(specs).decode())
    while True:
        name = parse_name(f"{_collection(call)}/{secrets.randbelow(9 * 10**15) + 10**15}")
        with translated(), call.reader.pool.connection() as connection:
            kept = connection.execute(KEEP_SPEC_SET, (name, *about)).fetchone()
        if kept == (True,):
            return get(call._replace(ids=(*call.ids, name.rpartition("/")[2])))


@reading_again
def get(call: Call) -> JsonObject:
    """Gets an annotation spec set (annotationSpecSets.get)."""
    name = _name(call)
    with translated(), call.reader.pool.connection() as connection:
        row = connection.execute(READ_SPEC_SET, (name,)).fetchone()
        if row is None:
            raise SpecSetNotFoundError(name)
        (shown,) = _shown(connection, [row])
    return shown


@reading_again
def list_sets(call: Call) -> JsonObject:
    """Lists annotation spec sets, newest first (annotationSpecSets.list)."""
    if call.query.get("filter"):
        raise errors.InvalidFieldError(
            "filter", "is not supported: the API defines no filters of annotation spec sets"
        )
    collection = parse_name(f"{_collection(call)}/1").removesuffix("/1")
    size = call.page_size(DEFAULT_PAGE_SIZE, MAX_PAGE)
    place = cursor_of(call, collection)
    time, behind = (None, "") if place is None or place.after is None else place.after
    given = {"parent": call.project, "time": time, "name": behind, "limit": size + 1}
    with translated(), call.reader.pool.connection() as connection:
        rows = connection.execute(LIST_SPEC_SETS, given).fetchall()
        shown = _shown(connection, rows[:size])
    token = None
    if len(rows) > size:
        name, *_, time = rows[size - 1]
        token = token_of(call, (collection,), after=(time.isoformat(), name))
    return bare({"annotationSpecSets": shown, "nextPageToken": token})


def delete(call: Call) -> JsonObject:
    """Deletes a set (annotationSpecSets.delete); raises SpecSetUsedError if a job that may still run uses it."""
    name = _name(call)
    with translated(), call.reader.pool.connection() as connection:
        if connection.execute(READ_SPEC_SET, (name,)).fetchone() is None:
            raise SpecSetNotFoundError(name)
        if jobs := _blocking(connection, [name])[name]:
            raise SpecSetUsedError(name, jobs[0])
        connection.execute(DELETE_SPEC_SET, (name,))
    return {}


def _check(given: JsonObject) -> None:
    """Checks values as the API's reference describes them."""
    _check_named(given, FIELD)
    specs = given.get("annotationSpecs", [])
    field = f"{FIELD}.annotationSpecs"
    if not 1 <= len(specs) <= MAX_LABELS:
        raise errors.InvalidFieldError(
            field, f"has {len(specs)} labels, and needs 1 to {MAX_LABELS}"
        )
    seen: set[str] = set()
    for n, spec in enumerate(specs):
        _check_named(spec, f"{field}[{n}]")
        if spec["displayName"] in seen:
            raise errors.InvalidFieldError(
                f"{field}[{n}].displayName",
                f"{shown(spec['displayName'])} is the name of another label; give each label a name of its own",
            )
        seen.add(spec["displayName"])


def _check_named(given: Mapping[str, str], at: str) -> None:
    name = given.get("displayName", "")
    if not name:
        raise errors.InvalidFieldError(
            f"{at}.displayName", f"is missing; give 1 to {MAX_DISPLAY_NAME} characters"
        )
    if len(name) > MAX_DISPLAY_NAME:
        why = f"has {len(name)} characters; the limit is {MAX_DISPLAY_NAME}"
        raise errors.InvalidFieldError(f"{at}.displayName", why)
    if len(given.get("description", "")) > MAX_DESCRIPTION:
        why = f"has {len(given['description'])} characters; the limit is {MAX_DESCRIPTION}"
        raise errors.InvalidFieldError(f"{at}.description", why)


def _shown(connection: Connection, rows: Iterable[tuple[Any, ...]]) -> list[JsonObject]:
    """Returns AnnotationSpecSet messages."""
    rows = list(rows)
    blocking = _blocking(connection, [name for name, *_ in rows])
    return [
        bare(
            {
                "name": name,
                "displayName": display_name,
                "description": description or None,
                "annotationSpecs": specs,
                "blockingResources": blocking[name],
            }
        )
        for name, display_name, description, specs, _ in rows
    ]


def _blocking(connection: Connection, names: Sequence[str]) -> Mapping[str, list[str]]:
    """Returns the evaluation jobs that use each set."""
    found = defaultdict[str, list[str]](list)
    wanted = {"spec_sets": names, "states": [state.name for state in MAY_EXECUTE]}
    for spec_set, job in connection.execute(READ_BLOCKING, wanted):
        found[spec_set].append(job)
    return found


def _collection(call: Call) -> str:
    return f"{call.project}/annotationSpecSets"


def _name(call: Call) -> str:
    return parse_name(f"{_collection(call)}/{call.ids[1]}")


_SETS: Final = "v1beta1/projects/*/annotationSpecSets"
_SERVICE: Final = "datalabeling.projects.annotationSpecSets"
METHODS: Final = (
    Method(f"{_SERVICE}.create", "POST", _SETS, in_thread(create), body=REQUEST),
    Method(f"{_SERVICE}.get", "GET", f"{_SETS}/*", in_thread(get)),
    Method(
        f"{_SERVICE}.list", "GET", _SETS, in_thread(list_sets),
        frozenset({"filter", "pageSize", "pageToken"}),
    ),
    Method(f"{_SERVICE}.delete", "DELETE", f"{_SETS}/*", in_thread(delete)),
)  # fmt: skip
