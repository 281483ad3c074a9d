"""The leaves of the proof: their bytes never change, and PostgreSQL sends what Python encodes."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_DNS, uuid5

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jobledger.domain.events import Created, Event, Started
from jobledger.domain.proof import leaves, merkle
from jobledger.domain.proof.hashing import hash_rows
from jobledger.domain.proof.leaves import Entry
from jobledger.infra import Ledger
from jobledger.infra.adapter.recorder import Factory
from jobledger.infra.proof.log.leaves import Stored, are_at, copy_rows
from psycopg.conninfo import conninfo_to_dict

from tests.databases import is_waiting
from tests.interrupts import interrupted_when
from tests.ledgers import odd_jobs

BEGIN: Final = datetime(2026, 6, 1, tzinfo=UTC)


class Golden(NamedTuple):
    """An event, its salt, its entry, and the hash of its leaf."""

    entry: Entry
    salt: bytes
    data: bytes
    encoded: str
    leaf: str


def golden(entry: tuple[Any, ...], salt: bytes, data: bytes, encoded: str, leaf: str) -> Golden:
    """Readable text; `#` begins a comment."""
    plain = "".join("".join(line.partition("#")[0].split()) for line in encoded.splitlines())
    return Golden(Entry._make((*entry, leaves.commit(salt, data))), salt, data, plain, leaf)


GOLDEN: Final = {
    "all fields": golden(
        (
            "projects/p/jobs/train_1", 2, "Started", 1,
            datetime(2026, 6, 1, 10, 0, 0, 250_000, tzinfo=UTC), datetime(2026, 6, 1, 10, 0, 1, tzinfo=UTC),
            "ada@scheduler", "r-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        bytes(range(32)),
        b'{"worker":"w1"}',
        """
        01                                                         # version of the encoding
        00000017 70726f6a656374732f702f6a6f62732f747261696e5f31    # name: 23 bytes, projects/p/jobs/train_1
        00000004 00000002                                          # version: 2
        00000007 53746172746564                                    # type: 7 bytes, Started
        00000002 0001                                              # schema: 1
        00000008 0002f62d06ba3890                                  # occurred: 833 623 200 250 000 microseconds
        00000008 0002f62d06c5aa40                                  # recorded: 833 623 201 000 000
        0000000d 616461407363686564756c6572                        # actor: 13 bytes, ada@scheduler
        00000003 722d31                                            # request id: 3 bytes, r-1
        00000037 30302d306166373635313931366364343364643834343865  # trace parent: 55 bytes,
                 6232313163383033313963                            #   00-0af7651916cd43dd8448eb211c80319c
                 2d623761643662373136393230333333312d3031          #   -b7ad6b7169203331-01
        f394710828b253a6b9b65dd589d805760fcae934f55d639c50eb0b95ad17a45d  # commitment
        """,
        "97e2cf7907d8f72ac0c6e76b56e43365e683a6b3f3cbc44f3fc7ab716bdcd622",
    ),
    "absent fields": golden(
        (
            "projects/p/jobs/a", 1, "Created", 1,
            datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC),
            None, None, None,
        ),
        bytes(32),
        b"{}",
        """
        01                                                         # version of the encoding
        00000011 70726f6a656374732f702f6a6f62732f61                # name: 17 bytes, projects/p/jobs/a
        00000004 00000001                                          # version: 1
        00000007 43726561746564                                    # type: 7 bytes, Created
        00000002 0001                                              # schema: 1
        00000008 0002ea470ae86000                                  # occurred: 820 540 800 000 000 microseconds
        00000008 0002ea470ae86000                                  # recorded: the same
        ffffffff                                                   # actor: absent
        ffffffff                                                   # request id: absent
        ffffffff                                                   # trace parent: absent
        fb1634c4e6cd4b1f1afe3ce2d6ef080f7ac5d1f357d723ad4dfca782733b62db  # commitment
        """,
        "03af9195ab19938c6197b461114cd3e840c07654979d3319f59fac6e42f19648",
    ),
    "another aggregate": golden(
        (
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8", 0, "app:Training.Registered", 0,
            None, datetime(2026, 6, 1, tzinfo=UTC),
            None, None, None,
        ),
        b"\xff" * 32,
        b"\x00\x01\xfe\xff",
        """
        01                                                         # version of the encoding
        00000024 36626137623831302d396461642d313164312d383062342d  # name: 36 bytes, 6ba7b810-9dad-11d1-80b4-
                 303063303466643433306338                          #   00c04fd430c8
        00000004 00000000                                          # version: 0
        00000017 6170703a547261696e696e672e52656769737465726564    # type: 23 bytes, app:Training.Registered
        00000002 0000                                              # schema: 0
        ffffffff                                                   # occurred: absent
        00000008 0002f624a4f20000                                  # recorded: 833 587 200 000 000 microseconds
        ffffffff                                                   # actor: absent
        ffffffff                                                   # request id: absent
        ffffffff                                                   # trace parent: absent
        fefa811e75dacf4695d12bdae3c88e253650817028e051226ffa9f9869c5a226  # commitment
        """,
        "54969835ea5fc5db94ce3fd0424b64df93de5d7405b881ad5e60ac0060c58fa9",
    ),
    "empty, not ASCII, before 2000": golden(
        (
            "", 2**31 - 1, "", 2**15 - 1,
            datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC),
            "", "Z\u00fcrich \U0001f680", "",
        ),
        bytes(range(32, 64)),
        b"",
        """
        01                                                         # version of the encoding
        00000000                                                   # name: empty, which is not absent
        00000004 7fffffff                                          # version: 2 147 483 647
        00000000                                                   # type: empty
        00000002 7fff                                              # schema: 32 767
        00000008 ffffffffffffffff                                  # occurred: -1 microsecond
        00000008 fffc96188bae6100                                  # recorded: -960 867 740 000 000 microseconds
        00000000                                                   # actor: empty
        0000000c 5ac3bc7269636820f09f9a80                          # request id: 12 bytes
        00000000                                                   # trace parent: empty
        72dbb7336c76780023f83da4c355f2eeea85733b13d3477697917790c1229084  # commitment
        """,
        "d7c158c6643211ecb256b839e84ff2926a47943ad63e431bb44eef6384ccaa7c",
    ),
}  # fmt: skip


def written(values: Iterable[object]) -> bytes:
    """The fields as domain/proof/leaves.py tells of them, and nothing of its code."""

    def field(value: object) -> bytes:
        match value:
            case None:
                return bytes.fromhex("ffffffff")
            case str():
                packed = value.encode("utf-8")
            case datetime():
                since = value - datetime(2000, 1, 1, tzinfo=UTC)
                microseconds = (since.days * 86_400 + since.seconds) * 10**6 + since.microseconds
                packed = struct.pack(">q", microseconds)
            case (int() as number, str() as format_):
                packed = struct.pack(format_, number)
        return struct.pack(">i", len(packed)) + packed

    return b"".join(map(field, values))


@pytest.mark.parametrize("case", GOLDEN.values(), ids=list(GOLDEN))
def test_the_bytes_of_an_entry_never_change(case: Golden) -> None:
    entry, encoded = case.entry, bytes.fromhex(case.encoded)

    assert entry.encode() == encoded
    assert Entry.decode(encoded) == entry
    assert merkle.hash_leaf(encoded).hex() == case.leaf

    name, version, type_, schema, *others, commitment = entry
    fields = written([name, (version, ">i"), type_, (schema, ">h"), *others])
    assert commitment == hashlib.sha256(case.salt + case.data).digest()
    assert encoded == b"\1" + fields + commitment
    assert hashlib.sha256(b"\0" + encoded).hexdigest() == case.leaf


def test_the_salts_of_a_tile_never_change() -> None:
    key = bytes(range(32))
    salts = leaves.salts(key)
    assert len(salts) == 256 * 32
    assert salts == hashlib.shake_256(key).digest(8192)
    assert leaves.salt_at(salts, 0).hex() == (
        "69f07c8840ce80024db30939882c3d5bbc9c98b3e31e4513ebd2ca9b4503cdd3"
    )
    assert leaves.salt_at(salts, 255).hex() == (
        "934bf94ea958e8bd6fb7b144a2f1f63d73034f5a5be822fc252c994f4751e838"
    )


@pytest.mark.slow
@given(st.binary(min_size=32, max_size=32), st.integers(0, 31), st.integers(1, 255))
def test_each_leaf_has_a_salt_of_its_own_and_another_key_changes_all(
    key: bytes, at: int, bits: int
) -> None:
    salts = leaves.salts(key)
    each = [leaves.salt_at(salts, index) for index in range(256)]
    assert b"".join(each) == salts
    assert len(set(each)) == 256
    # Places are those of the whole log; a tile has its own key.
    assert [leaves.salt_at(salts, 256 * 7 + index) for index in range(256)] == each

    other = leaves.salts(key[:at] + bytes([key[at] ^ bits]) + key[at + 1 :])
    assert not set(each) & {leaves.salt_at(other, index) for index in range(256)}


TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TIMES: Final = st.datetimes(timezones=st.just(UTC))
ENTRIES: Final = st.builds(
    Entry,
    name=TEXT,
    version=st.integers(-(2**31), 2**31 - 1),
    type=TEXT,
    schema=st.integers(-(2**15), 2**15 - 1),
    occurred_time=st.none() | TIMES,
    recorded_time=TIMES,
    actor=st.none() | TEXT,
    request_id=st.none() | TEXT,
    trace_parent=st.none() | TEXT,
    commitment=st.binary(min_size=32, max_size=32),
)


@pytest.mark.slow
@given(ENTRIES)
def test_an_entry_is_decoded_to_what_was_encoded(entry: Entry) -> None:
    assert Entry.decode(entry.encode()) == entry


@pytest.mark.slow
@given(st.lists(ENTRIES, min_size=2, max_size=2, unique=True))
def test_two_entries_are_never_written_alike(two: list[Entry]) -> None:
    one, other = two
    assert one.encode() != other.encode()


def decoded(encoded: bytes) -> Entry | None:
    """None for what is no entry; any other exception than ValueError is a fault."""
    try:
        return Entry.decode(encoded)
    except ValueError:
        return None


def assert_changed_is_another(entry: Entry, bits: int) -> None:
    """Every truncation and every changed byte."""
    encoded = entry.encode()
    for end in range(len(encoded)):
        assert decoded(encoded[:end]) is None
    assert decoded(encoded + bytes(1)) is None
    for at in range(len(encoded)):
        changed = encoded[:at] + bytes([encoded[at] ^ bits]) + encoded[at + 1 :]
        read = decoded(changed)
        assert read is None or (read != entry and read.encode() == changed)


@pytest.mark.slow
@given(ENTRIES, st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_changed_or_truncated_entry_never_decodes_to_the_same(entry: Entry, bits: int) -> None:
    assert_changed_is_another(entry, bits)


@pytest.mark.parametrize("case", GOLDEN.values(), ids=list(GOLDEN))
def test_no_bit_of_a_golden_entry_can_change(case: Golden) -> None:
    for bit in range(8):
        assert_changed_is_another(case.entry, 1 << bit)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\1" + b"\xff" * 68)
@example(b"\1" + b"\x7f\xff\xff\xff" * 17)
def test_only_canonical_entries_are_decoded(encoded: bytes) -> None:
    for candidate in (encoded, b"\1" + encoded):
        entry = decoded(candidate)
        assert entry is None or entry.encode() == candidate


def unusual(actor: str) -> dict[str, Any]:
    return {
        "actor": actor,
        "request_id": f"request {actor}",
        "trace_parent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }


def write_unusual(ledger: Ledger) -> None:
    """Names, texts and times as long and as odd as they may be."""
    longest = "x" * 128
    ledger.create(f"projects/{longest}/jobs/{longest}", {"a": "b"}, actor="x" * 256)
    ledger.create(
        "projects/p/jobs/unusual", **unusual("Z\u00fcrich \U0001f680 \u4e2d\u6587 'quoted' \\back")
    )
    ledger.progress_reported("projects/p/jobs/unusual", {"text": "\u00fc\U0001f680\\\n\t\"'"})
    ledger.started("projects/p/jobs/unusual", actor="\U0001f680" * 256)
    past = Event("projects/p/jobs/old", 1, Created(), datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC))
    late = Event("projects/p/jobs/new", 1, Created(), BEGIN + timedelta(microseconds=999_999))
    ledger.append_many([past, late, *odd_jobs()])


def write_foreign(dsn: str, ledger: Ledger) -> None:
    """Events of other aggregates, as eventsourcing's library writes them: any name, any bytes."""
    from eventsourcing.persistence import StoredEvent

    given_ = conninfo_to_dict(dsn)
    factory = Factory(
        {
            "PERSISTENCE_MODULE": "jobledger.infra.recorder",
            "POSTGRES_DBNAME": str(given_.get("dbname") or "postgres"),
            "POSTGRES_HOST": str(given_.get("host") or "127.0.0.1"),
            "POSTGRES_PORT": str(given_.get("port") or "5432"),
            "POSTGRES_USER": str(given_.get("user") or "postgres"),
            "POSTGRES_PASSWORD": str(given_.get("password") or ""),
            "POSTGRES_SCHEMA": ledger.name,
        }
    )
    try:
        recorder = factory.application_recorder()
        id_ = uuid5(NAMESPACE_DNS, "training")
        recorder.insert_events(
            [
                StoredEvent(id_, 0, "app:Training.Registered", b"\x00\x01\xfe\xff"),
                StoredEvent(id_, 1, "app:Training.Stepped", b""),
                StoredEvent(id_, 2, "Z\u00fcrich \U0001f680", bytes(range(256)) * 40),
            ]
        )
    finally:
        factory.close()


@pytest.mark.slow
def test_postgresql_sends_what_python_encodes(dsn: str, ledger: Ledger) -> None:
    write_unusual(ledger)
    write_foreign(dsn, ledger)
    key = bytes(range(32))
    salts = leaves.salts(key)
    with ledger.connection() as connection:
        rows = list(copy_rows(connection, 1, ledger.size()))
        read = connection.execute(
            "SELECT position, data, name, version, type, schema, occurred_time, recorded_time,"
            " actor, request_id, trace_parent FROM events ORDER BY position"
        ).fetchall()

    assert are_at(rows, 1, len(read))
    hashes = []
    for row, (position, data, *fields) in zip(rows, read, strict=True):
        stored, salt = Stored.of(row), leaves.salt_at(salts, position - 1)
        entry = Entry._make((*fields, leaves.commit(salt, data)))
        assert (stored.position, stored.data, stored.name) == (position, data, entry.name)
        assert stored.entry(salt) == entry.encode()
        assert stored.hash(salt) == merkle.hash_leaf(entry.encode())
        assert Entry.decode(stored.entry(salt)) == entry
        hashes.append(stored.hash(salt))
    assert hash_rows(rows, salts) == b"".join(hashes)
    assert {entry[5] for entry in read} == {0, 1, Created.schema_number, Started.schema_number}
    assert any(entry[6] is None for entry in read)


def test_the_feed_shows_jobs_as_their_leaves_have_them(ledger: Ledger) -> None:
    write_unusual(ledger)
    with ledger.connection() as connection:
        rows = list(copy_rows(connection, 1, ledger.size()))
    events = list(ledger.events(follow=False))
    for row, event in zip(rows, events, strict=True):
        entry = Entry(
            event.name, event.version, event.type, event.schema, event.occurred_time, event.recorded_time,
            event.actor, event.request_id, event.trace_parent, leaves.commit(bytes(32), event.stored),
        )  # fmt: skip
        assert Stored.of(row).entry(bytes(32)) == entry.encode()


def test_a_range_with_a_gap_is_not_complete(ledger: Ledger) -> None:
    for number in range(5):
        ledger.create(f"projects/p/jobs/j{number}")
    with ledger.connection() as connection:
        rows = list(copy_rows(connection, 2, 4))
        assert list(copy_rows(connection, 6, 9)) == []
        assert list(copy_rows(connection, 4, 3)) == []
    assert [Stored.of(row).position for row in rows] == [2, 3, 4]
    assert are_at(rows, 2, 4)
    assert are_at([], 2, 1)
    assert not are_at(rows, 2, 5)
    assert not are_at(rows, 1, 3)
    assert not are_at(rows[1:], 2, 4)
    assert not are_at(rows[::2], 2, 4)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        (-1, b"\2", "is an entry of an unknown version"),
        (0, None, "is not an entry"),
        (1, b"\0" * 3, "is not an entry"),
        (1, None, "is not an entry"),
        (2, None, "is not an entry"),
        (3, b"\0", "is not an entry"),
        (3, None, "is not an entry"),
        (4, b"\x7f" * 8, "holds a time beyond all time"),
        (5, b"\x7f" * 8, "holds a time beyond all time"),
        (5, None, "is not an entry"),
        (9, b"\0" * 31, "is not an entry"),
        (9, b"\0" * 33, "is not an entry"),
    ],
)
def test_an_invalid_entry_is_refused_with_the_reason(
    field: int, value: bytes | None, why: str
) -> None:
    time = (0).to_bytes(8)
    fields: list[bytes | None] = [
        b"projects/p/jobs/x", (1).to_bytes(4), b"Created", (1).to_bytes(2), time, time, None, None, None
    ]  # fmt: skip
    commitment = bytes(32)
    if 0 <= field < 9:
        fields[field] = value
    elif field == 9:
        commitment = value or b""
    encoded = b"".join(
        leaves.ABSENT if each is None else len(each).to_bytes(4) + each for each in fields
    )
    with pytest.raises(ValueError, match=f"^{why}$"):
        Entry.decode((value or b"" if field == -1 else leaves.VERSION) + encoded + commitment)


def test_ranges_of_positions_are_named_by_a_digest() -> None:
    assert leaves.digest_of_positions([]) == hashlib.sha256(b"").hexdigest()
    ranges = [(1, 3), (7, 7)]
    assert leaves.digest_of_positions(ranges) == hashlib.sha256(b"1-3\n7-7\n").hexdigest()


def test_ctrl_c_ends_the_wait_for_a_lock_on_the_events(ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/a")
    with ledger.connection() as other, ledger.connection() as reader:
        with other.transaction(force_rollback=True):
            other.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            with interrupted_when(partial(is_waiting, other)):
                list(copy_rows(reader, 1, 1))
        assert len(list(copy_rows(reader, 1, 1))) == 1
