"""The log as files, read by an independent reader of C2SP tlog-tiles and tlog-checkpoint."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from jobledger.domain.events import Created, Event
from jobledger.domain.proof.leaves import Entry
from jobledger.infra import Ledger
from jobledger.infra.adapter.recorder import Factory
from jobledger.infra.errors import ForkedError, ProofError
from jobledger.infra.proof import tiles as exporting
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.publishing.checkpointer import Checkpointer
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.keys import create_key
from jobledger.infra.proof.signing.notes import Note, SigningKey
from jobledger.infra.proof.tiles import Exported, export_tiles, tile_path
from jobledger.infra.settings import Settings
from psycopg.conninfo import conninfo_to_dict

BEGIN: Final = datetime(2026, 6, 1, tzinfo=UTC)


class Reader:
    """Reads a folder as tlog-tiles says it is to be served; every assertion is a MUST of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        text, blank, signatures = (folder / "checkpoint").read_text("utf-8").rpartition("\n\n")
        assert blank
        assert signatures.startswith("\u2014 ")
        self.origin, size, root = text.split("\n")[:3]
        self.size, self.root = int(size), base64.b64decode(root)

    def width(self, level: int, number: int) -> int:
        """How wide a tile is in the tree of the checkpoint's size; 0 where there is none."""
        hashes: int = self.size // 256**level
        return max(0, min(256, hashes - number * 256))

    def read(self, level: int | str, number: int, width: int) -> bytes:
        return (self.folder / self.path(level, number, width)).read_bytes()

    def path(self, level: int | str, number: int, width: int) -> str:
        elements = [f"{number % 1000:03d}"]
        while number := number // 1000:
            elements.insert(0, f"x{number % 1000:03d}")
        suffix = "" if width == 256 else f".p/{width}"
        return f"tile/{level}/{'/'.join(elements)}{suffix}"

    def tile(self, level: int, number: int) -> list[bytes]:
        width = self.width(level, number)
        content = self.read(level, number, width)
        assert len(content) == 32 * width
        return [content[at : at + 32] for at in range(0, len(content), 32)]

    def level(self, level: int) -> list[bytes]:
        """All hashes of a level."""
        hashes = list[bytes]()
        while self.width(level, len(hashes) // 256) and len(hashes) % 256 == 0:
            hashes += self.tile(level, len(hashes) // 256)
        return hashes

    def entries(self, number: int) -> list[bytes]:
        content = self.read("entries", number, self.width(0, number))
        found = []
        while content:
            end = 2 + int.from_bytes(content[:2], "big")
            assert len(content) >= end
            found.append(content[2:end])
            content = content[end:]
        return found

    def check(self, empty: frozenset[int] = frozenset()) -> list[bytes]:
        """That all is there, and what it is; returns the leaves' hashes. Of these leaves entries are `empty`."""
        leaves = below = self.level(0)
        assert len(leaves) == self.size
        assert mth(leaves) == self.root
        for level in range(1, 64):
            full = len(below) // 256
            hashes = self.level(level)
            assert hashes == [mth(below[at * 256 : at * 256 + 256]) for at in range(full)]
            if not hashes:
                break
            below = hashes
        for number in range((self.size + 255) // 256):
            for leaf, entry in enumerate(self.entries(number), start=number * 256):
                assert (entry == b"") is (leaf in empty)
                assert leaf in empty or hashlib.sha256(b"\0" + entry).digest() == leaves[leaf]
        return leaves

    def files(self) -> set[str]:
        """Those that are there."""
        paths = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix() for path in paths}

    def wanted(self) -> set[str]:
        """Returns the files of a tree of this size."""
        found = {"checkpoint"}
        for level in range(64):
            for number in range(self.size // 256**level // 256 + 1):
                if width := self.width(level, number):
                    found.add(self.path(level, number, width))
                    if level == 0:
                        found.add(self.path("entries", number, width))
        return found


def mth(hashes: list[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    return hashlib.sha256(b"\1" + mth(hashes[:middle]) + mth(hashes[middle:])).digest()


@pytest.fixture
def quiet(
    dsn: str, ledger_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    """A ledger that nobody seals but the test, with a key."""
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("JOBLEDGER_SIGNING_KEY", raising=False)
    monkeypatch.setenv("JOBLEDGER_SEAL", "false")
    with Ledger.open(dsn, ledger_name) as opened:
        with opened.connection() as connection:
            create_key(Settings(), Tree().log_state(connection).origin)
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "public" / "log"


def write(ledger: Ledger, count: int) -> None:
    first = ledger.size()
    ledger.append_many(
        Event(f"projects/p/jobs/j{first + number}", 1, Created(), BEGIN, actor="Z\u00fcrich")
        for number in range(count)
    )


def seal(ledger: Ledger) -> Note:
    with closing(Checkpointer(ledger.conninfo, Settings())) as sealer:
        note = sealer.checkpoint()
    assert note is not None
    return note


def export(ledger: Ledger, folder: Path, note: Note) -> Exported:
    with ledger.connection() as connection:
        return export_tiles(connection, Tree(), folder, note)


def grown(ledger: Ledger, count: int) -> Note:
    write(ledger, count)
    return seal(ledger)


@pytest.mark.parametrize(
    ("number", "path"),
    [
        (0, "000"), (7, "007"), (999, "999"), (1000, "x001/000"), (1_234_067, "x001/x234/067"),
        (12_000_005, "x012/x000/005"), (10**9, "x001/x000/x000/000"),
    ],
)  # fmt: skip
def test_tiles_are_where_clients_look_for_them(number: int, path: str) -> None:
    assert tile_path(0, number) == f"tile/0/{path}"
    assert tile_path(3, number, 17) == f"tile/3/{path}.p/17"
    assert tile_path("entries", number, 1) == f"tile/entries/{path}.p/1"


@pytest.mark.slow
@pytest.mark.parametrize(
    "size", [1, 255, 256, 257, 1000, pytest.param(256 * 256 + 300, marks=pytest.mark.slow)]
)
def test_a_tree_is_written_whole_and_then_only_what_is_new(
    quiet: Ledger, folder: Path, size: int
) -> None:
    note = grown(quiet, size)
    exported = export(quiet, folder, note)
    reader = Reader(folder)
    assert (reader.size, reader.origin) == (size, Checkpoint.parse(note.text).origin)
    leaves = reader.check()
    assert reader.files() == reader.wanted()
    assert exported.bundles == -(-size // 256)
    assert exported.tiles + exported.bundles + 1 == len(reader.files())
    assert exported.missing == 0
    assert (folder / "checkpoint").read_text() == str(note)

    before = {path: (folder / path).read_bytes() for path in reader.files() - {"checkpoint"}}
    times = {path: (folder / path).stat().st_mtime_ns for path in before}
    assert export(quiet, folder, note) == (0, 0, 0, 0)
    for more in (1, 300):
        exported = export(quiet, folder, grown(quiet, more))
        grown_reader = Reader(folder)
        assert grown_reader.check()[:size] == leaves
        assert grown_reader.wanted() <= grown_reader.files()
        assert exported.bundles <= 3
    assert before == {path: (folder / path).read_bytes() for path in before}
    assert times == {path: (folder / path).stat().st_mtime_ns for path in before}


def test_an_empty_tree_is_a_checkpoint(quiet: Ledger, folder: Path) -> None:
    assert export(quiet, folder, seal(quiet)) == (0, 0, 0, 0)
    assert Reader(folder).check() == []
    assert Reader(folder).files() == {"checkpoint"}
    export(quiet, folder, grown(quiet, 257))
    Reader(folder).check()


def test_the_example_of_the_specification() -> None:
    """70,000 leaves: which tiles, and how wide."""
    reader = Reader.__new__(Reader)
    reader.size = 70_000
    wanted = {path for path in reader.wanted() if not path.startswith("tile/entries/")}
    assert len(wanted) == 1 + 273 + 1 + 1 + 1 + 1
    assert {path for path in wanted if ".p/" in path} == {
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    }


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 200, 256, 300])
def test_the_tiles_are_those_of_the_checkpoint_though_the_log_went_on(
    quiet: Ledger, folder: Path, size: int
) -> None:
    note = grown(quiet, size)
    grown(quiet, 700)
    export(quiet, folder, note)
    reader = Reader(folder)
    reader.check()
    assert reader.files() == reader.wanted()


def test_entries_hold_the_events(quiet: Ledger, folder: Path) -> None:
    export(quiet, folder, grown(quiet, 3))
    entries = [Entry.decode(entry) for entry in Reader(folder).entries(0)]
    assert [entry.name for entry in entries] == [f"projects/p/jobs/j{n}" for n in range(3)]
    assert {entry.actor for entry in entries} == {"Z\u00fcrich"}


@pytest.mark.slow
def test_pruned_events_are_left_out_and_reported(quiet: Ledger, folder: Path) -> None:
    note = grown(quiet, 600)
    with quiet.connection() as connection:
        connection.execute("INSERT INTO pruned (first, last, record) VALUES (257, 300, 600)")
        connection.execute("DELETE FROM events WHERE position BETWEEN 257 AND 300")
    exported = export(quiet, folder, note)
    assert (exported.bundles, exported.missing, exported.empty) == (3, 0, 44)
    Reader(folder).check(empty=frozenset(range(256, 300)))
    assert export(quiet, folder, grown(quiet, 1)).empty == 0
    Reader(folder).check(empty=frozenset(range(256, 300)))


@pytest.mark.plain_server
def test_a_bundle_with_missing_events_is_left_out(quiet: Ledger, folder: Path) -> None:
    note = grown(quiet, 300)
    with quiet.connection() as connection:
        # As somebody with a superuser's rights may.
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM events WHERE position = 258")
    exported = export(quiet, folder, note)
    assert (exported.bundles, exported.missing) == (1, 1)


def test_entries_are_empty_once_the_salts_are_destroyed(quiet: Ledger, folder: Path) -> None:
    note = grown(quiet, 300)
    with quiet.connection() as connection:
        connection.execute("INSERT INTO pruned (first, last, record) VALUES (1, 256, 300)")
        connection.execute("DELETE FROM events WHERE position <= 256")
        connection.execute("UPDATE tiles SET key = NULL WHERE level = 0 AND number = 0")
    assert export(quiet, folder, note).empty == 256
    Reader(folder).check(empty=frozenset(range(256)))


def test_an_entry_that_is_too_long_for_a_bundle_is_empty(
    dsn: str, quiet: Ledger, folder: Path
) -> None:
    from eventsourcing.persistence import StoredEvent

    given = conninfo_to_dict(dsn)
    names = {
        "DBNAME": "dbname",
        "HOST": "host",
        "PORT": "port",
        "USER": "user",
        "PASSWORD": "password",
    }
    values = {
        "DBNAME": "postgres",
        "HOST": "127.0.0.1",
        "PORT": "5432",
        "USER": "postgres",
        "PASSWORD": "",
    }
    factory = Factory(
        {f"POSTGRES_{key}": str(given.get(name) or values[key]) for key, name in names.items()}
        | {"PERSISTENCE_MODULE": "jobledger.infra.recorder", "POSTGRES_SCHEMA": quiet.name}
    )  # fmt: skip
    try:
        recorder = factory.application_recorder()
        recorder.insert_events([StoredEvent("long", 1, "x" * 65_536, b"")])
    finally:
        factory.close()
    assert export(quiet, folder, seal(quiet)) == (1, 1, 0, 1)


@pytest.mark.slow
def test_a_reader_who_comes_before_the_checkpoint_changes_finds_what_it_needs(
    quiet: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at between any two files: the checkpoint that is there is complete."""
    export(quiet, folder, grown(quiet, 300))
    looked = 0
    real = exporting._write

    def write_and_look(path: Path, content: bytes) -> None:
        nonlocal looked
        real(path, content)
        Reader(folder).check()
        looked += 1

    monkeypatch.setattr(exporting, "_write", write_and_look)
    export(quiet, folder, grown(quiet, 500))
    assert looked > 6


@pytest.mark.slow
def test_an_export_that_was_stopped_is_finished_by_the_next(
    quiet: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, real = grown(quiet, 600), exporting._write
    for allowed in range(6):
        left = allowed

        def write_some(path: Path, content: bytes) -> None:
            nonlocal left
            if left == 0:
                raise OSError(28, "No space left on device", str(path))
            left -= 1
            real(path, content)

        with monkeypatch.context() as patch:
            patch.setattr(exporting, "_write", write_some)
            with pytest.raises(ProofError, match="No space left"):
                export(quiet, folder, note)
        assert not (folder / "checkpoint").exists()
    export(quiet, folder, note)
    reader = Reader(folder)
    reader.check()
    assert reader.files() == reader.wanted()


def signed(checkpoint: Checkpoint) -> Note:
    key = SigningKey.generate(checkpoint.origin)
    return Note(checkpoint.text, (key.sign(checkpoint.text),))


def test_nothing_is_written_for_a_note_that_is_not_of_this_tree(
    quiet: Ledger, folder: Path
) -> None:
    now = Checkpoint.parse(grown(quiet, 10).text)
    for wrong, kind in (
        (now._replace(size=11), "rolled back"),
        (now._replace(root=bytes(32)), "forked"),
        (now._replace(size=9), "forked"),
    ):
        with pytest.raises(ForkedError) as caught:
            export(quiet, folder, signed(wrong))
        assert caught.value.kind == kind
    with pytest.raises(ProofError, match=r"example\.com/other"):
        export(quiet, folder, signed(now._replace(origin="example.com/other")))
    assert not folder.exists()


@pytest.mark.slow
def test_a_folder_refuses_an_older_checkpoint_and_another_log(quiet: Ledger, folder: Path) -> None:
    older = grown(quiet, 10)
    export(quiet, folder, grown(quiet, 10))
    whole = (folder / "checkpoint").read_text()
    with pytest.raises(ForkedError):
        export(quiet, folder, older)
    assert (folder / "checkpoint").read_text() == whole

    now = Checkpoint.parse(Note.parse(whole).text)
    for other, error in (
        (now._replace(origin="example.com/other"), ProofError),
        (now._replace(root=bytes(32)), ForkedError),
    ):
        published = str(signed(other))
        (folder / "checkpoint").write_text(published)
        with pytest.raises(error):
            export(quiet, folder, grown(quiet, 1))
        assert (folder / "checkpoint").read_text() == published


@pytest.mark.plain_server
def test_an_event_that_differs_from_the_signed_one_is_not_published(
    quiet: Ledger, folder: Path
) -> None:
    note = grown(quiet, 300)
    with quiet.connection() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE events SET actor = 'nobody' WHERE position = 270")
    with pytest.raises(ForkedError) as caught:
        export(quiet, folder, note)
    assert (caught.value.kind, caught.value.position) == ("forked", 270)
    assert not (folder / "checkpoint").exists()


def test_new_signatures_under_the_same_tree_are_published(quiet: Ledger, folder: Path) -> None:
    note = grown(quiet, 10)
    export(quiet, folder, note)
    witnessed = note.with_signatures([SigningKey.generate("example.com/w").sign(note.text)])
    assert export(quiet, folder, witnessed) == (0, 0, 0, 0)
    assert (folder / "checkpoint").read_text() == str(witnessed)


def test_an_unwritable_folder_is_reported_in_one_sentence(quiet: Ledger, folder: Path) -> None:
    note = grown(quiet, 10)
    folder.parent.mkdir(parents=True)
    folder.write_text("a file")
    with pytest.raises(ProofError) as caught:
        export(quiet, folder, note)
    assert "\n" not in str(caught.value)
