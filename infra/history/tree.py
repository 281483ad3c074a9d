"""The jobs that a job is a parent of, and theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Moment
from jobledger.infra.eventstore.json_view import job_json
from jobledger.infra.read.reader import Reader

MAX_JOBS: Final = 10_000
"""The most jobs of a tree; further ones are left out."""
MAX_DEPTH: Final = 100
"""The most levels below the job; deeper ones are left out."""
NAMES_ASKED: Final = 100
"""How many parents one query asks for."""


class Tree(NamedTuple):
    """A job, and the jobs below it.

    Attributes:
        job: The job.
        children: The trees of the jobs that name it as their parent, the oldest first.
    """

    job: Job
    children: list[Tree]

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Job]]:
        """Yields each job with its depth, parents before their children."""
        yield depth, self.job
        for child in self.children:
            yield from child.walk(depth + 1)


def tree(reader: Reader, name: str, moment: Moment) -> Tree:
    """Returns the tree of jobs below a job as of a moment.

    Args:
        reader: The ledger.
        name: The job's resource name.
        moment: The moment.

    Returns:
        The tree. A job with several parents is below the first of them that is found, once.

    Raises:
        JobNotFoundError: There was no such job at the moment.
    """
    top = Tree(reader.get(name, as_of=moment), [])
    seen, level = {top.job.name: top}, [top]
    for _ in range(MAX_DEPTH):
        if not level or len(seen) >= MAX_JOBS:
            break
        level = [
            _placed(child, seen)
            for child in _children(reader, [each.job.name for each in level], moment)
            if child.name not in seen
        ][: MAX_JOBS - len(seen)]
    return top


def tree_json(found: Tree, sees: Callable[[str], bool] = lambda name: True) -> JsonObject:
    """Returns the tree as JSON, without jobs for which `sees` is false and their descendants."""
    children = [tree_json(child, sees) for child in found.children if sees(child.job.name)]
    return job_json(found.job) | {"children": children}


def _placed(child: Job, seen: dict[str, Tree]) -> Tree:
    found = Tree(child, [])
    seen[next(name for name in child.parents if name in seen)].children.append(found)
    seen[child.name] = found
    return found


def _children(reader: Reader, names: Sequence[str], moment: Moment) -> Iterator[Job]:
    """Jobs with one of these parents, the oldest first."""
    for start in range(0, len(names), NAMES_ASKED):
        asked = " OR ".join(f'parent = "{name}"' for name in names[start : start + NAMES_ASKED])
        yield from reader.scan(asked, order_by="create_time", as_of=moment)
