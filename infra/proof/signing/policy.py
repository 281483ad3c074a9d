"""Which signatures suffice: logs, witnesses and their quorum, from a policy file (C2SP tlog-policy)."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from jobledger.infra.errors import ProofError, UnknownAlgorithmError
from jobledger.infra.proof.signing import notes
from jobledger.infra.proof.signing.checkpoints import Checkpoint, open_checkpoint
from jobledger.infra.proof.signing.keys import read_bytes

NONE: Final = "none"
"""The quorum that takes no cosignature."""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SPACE: Final = re.compile(r"[ \t]+")


class Known(NamedTuple):
    """A log or a witness: its public key, and its address if it has one."""

    key: notes.VerifierKey
    url: str | None


class Group(NamedTuple):
    """A group of witnesses, of which that many must cosign."""

    least: int
    members: tuple[str, ...]


class Policy(NamedTuple):
    """When a checkpoint is accepted: one of the logs signed it, and the quorum cosigned it."""

    logs: tuple[Known, ...]
    witnesses: dict[str, Known]
    """The witnesses, by their names in the policy."""
    groups: dict[str, Group]
    """The groups by name; each comes after its members."""
    quorum: str
    """The name of a witness or a group, or NONE."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a policy file; bytes beyond ASCII have no meaning in it; raises ProofError."""
        return cls.parse(read_bytes(path, "policy").decode("utf-8", "surrogateescape"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a policy file's text; raises ProofError, which names the line."""
        reader = _Reader()
        lines = text.split("\n")
        for number, line in enumerate(lines, start=1):
            try:
                reader.read(line)
            except ProofError as error:
                raise ProofError("policy", f"line {number}: {error.why}") from None
        if reader.quorum is None:
            raise ProofError("policy", f"line {len(lines)}: the policy ends without a quorum line")
        policy = cls(tuple(reader.logs), reader.witnesses, reader.groups, reader.quorum)
        policy._check_skipped(reader.skipped, reader.skipped_logs)
        return policy

    def _check_skipped(self, witnesses: Sequence[str], logs: Sequence[str]) -> None:
        """Raises ProofError if the quorum cannot be met without the keys of unknown algorithms."""
        is_met = self.is_met(witness.key for witness in self.witnesses.values())
        missing = [*([] if is_met else witnesses), *([] if self.logs else logs)]
        if missing:
            names = ", ".join(repr(name[:80]) for name in missing)
            why = f"takes keys of no type known here, of {names}: use a newer jobledger"
            raise ProofError("policy", why)

    def is_met(self, keys: Iterable[notes.VerifierKey]) -> bool:
        """Whether the witnesses of these keys are a quorum; other keys are ignored."""
        cosigned = set(keys)
        seen = {name for name, witness in self.witnesses.items() if witness.key in cosigned}
        for name, group in self.groups.items():
            if sum(member in seen for member in group.members) >= group.least:
                seen.add(name)
        return self.quorum == NONE or self.quorum in seen

    def check(self, note: notes.Note) -> Checkpoint:
        """Returns the note's checkpoint; raises ProofError unless the policy accepts its signatures."""
        checkpoint = open_checkpoint(note, [log.key for log in self.logs])
        signed = note.signed_by(witness.key for witness in self.witnesses.values())
        cosigned = {key for key, _ in signed}
        if not self.is_met(cosigned):
            names = ", ".join(sorted(repr(key.name) for key in cosigned)) or "none of them"
            why = f"the quorum {self.quorum[:80]!r} has not cosigned it, of the witnesses {names}"
            raise ProofError("checkpoint", why)
        return checkpoint


class _Reader:
    """The lines that were read so far."""

    def __init__(self) -> None:
        self.logs: list[Known] = []
        self.witnesses: dict[str, Known] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self.skipped: list[str] = []
        """Names of witnesses whose keys have an unknown algorithm."""
        self.skipped_logs: list[str] = []
        """Names of logs likewise."""
        self._members: set[str] = set()

    def read(self, line: str) -> None:
        """Reads one more line; raises ProofError."""
        if _CONTROL.search(line):
            raise ProofError("policy", "contains a control character; only tabs are allowed")
        words = [word for word in _SPACE.split(line) if word]
        if not words or words[0].startswith("#"):
            return
        match words:
            case ["log", key, *url] if len(url) < 2:
                self._add_log(key, url)
            case ["witness", name, key, *url] if len(url) < 2:
                self._check_new(name)
                self._add_witness(name, key, url)
            case ["group", name, least, *members] if members:
                self._check_new(name)
                self.groups[name] = self._group(least, members)
            case ["quorum", name]:
                self._set_quorum(name)
            case _:
                raise ProofError(
                    "policy",
                    f"{line.strip()[:60]!r} is not a line of a policy: log, witness, group or quorum",
                )

    def _add_log(self, vkey: str, url: Sequence[str]) -> None:
        try:
            self.logs.append(_known(vkey, url, self.logs, is_log=True))
        except UnknownAlgorithmError:
            self.skipped_logs.append(vkey.partition("+")[0])

    def _add_witness(self, name: str, vkey: str, url: Sequence[str]) -> None:
        try:
            self.witnesses[name] = _known(vkey, url, self.witnesses.values(), is_log=False)
        except UnknownAlgorithmError:
            self.skipped.append(name)

    def _check_new(self, name: str) -> None:
        if name == NONE:
            raise ProofError("policy", f"the name {NONE!r} is reserved: it means no witness")
        if self._is_defined(name):
            raise ProofError(
                "policy", f"the name {name[:80]!r} is defined already; give each name once"
            )

    def _is_defined(self, name: str) -> bool:
        return name in self.witnesses or name in self.groups or name in self.skipped

    def _group(self, least: str, members: Sequence[str]) -> Group:
        for member in members:
            if not self._is_defined(member):
                raise ProofError("policy", f"{member[:80]!r} is not defined by a line before")
            if member in self._members:
                raise ProofError("policy", f"{member[:80]!r} is in a group already")
            self._members.add(member)
        shorthands = {"any": 1, "all": len(members)}
        count = shorthands[least] if least in shorthands else notes.parse_number(least, "policy")
        if not 1 <= count <= len(members):
            raise ProofError(
                "policy", f"the group needs 1 to {len(members)} of its members, not {count}"
            )
        return Group(count, tuple(members))

    def _set_quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise ProofError("policy", "has a second quorum line; keep one")
        if name != NONE and not self._is_defined(name):
            raise ProofError("policy", f"{name[:80]!r} is not defined by a line before")
        self.quorum = name


def _known(vkey: str, url: Sequence[str], others: Iterable[Known], *, is_log: bool) -> Known:
    """Parses a log's or a witness's line; `others` are the earlier lines of its kind."""
    key = notes.VerifierKey.parse(vkey)
    if not (key.algorithm.is_of_log if is_log else key.algorithm.is_of_witness):
        kinds = ("a witness's", "a log's") if is_log else ("a log's", "a witness's")
        raise ProofError("policy", f"the key of {key.name[:80]!r} is {kinds[0]}, not {kinds[1]}")
    if any(other.key.public == key.public for other in others):
        raise ProofError("policy", f"the key of {key.name[:80]!r} is given twice")
    return Known(key, url[0] if url else None)
