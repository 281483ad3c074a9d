"""What is refused of labelling tasks, and why.

LedgerError (domain)
├── TaskNotFoundError     nobody was asked anything of that run: name, run
├── TaskClosedError       the run waits for no answers any more: name, run
├── AnsweredTwiceError    the same person answered otherwise before: name, run, sample, annotator
└── EnoughAnswersError    as many people as were asked for answered already: name, run, sample
"""

from jobledger.domain.errors import LedgerError


class TaskNotFoundError(LedgerError):
    """The job has no such run, or people were asked nothing of it (google.rpc NOT_FOUND)."""

    def __init__(self, name: str, run: int) -> None:
        self.name = name
        self.run = run
        super().__init__(f"there is no labelling task of run {run} of {name}")


class TaskClosedError(LedgerError):
    """The run waits for no answers any more (google.rpc FAILED_PRECONDITION); nothing was kept."""

    def __init__(self, name: str, run: int) -> None:
        self.name = name
        self.run = run
        super().__init__(f"the labelling task of run {run} of {name} is closed")


class AnsweredTwiceError(LedgerError):
    """The same person answered otherwise before (google.rpc ALREADY_EXISTS); nothing was kept."""

    def __init__(self, name: str, run: int, sample: int, annotator: str) -> None:
        self.name = name
        self.run = run
        self.sample = sample
        self.annotator = annotator
        super().__init__(f"{annotator} answered otherwise of sample {sample} before")


class EnoughAnswersError(LedgerError):
    """As many people as were asked for answered already (google.rpc FAILED_PRECONDITION); nothing was kept."""

    def __init__(self, name: str, run: int, sample: int) -> None:
        self.name = name
        self.run = run
        self.sample = sample
        super().__init__(f"enough others answered of sample {sample} already")
