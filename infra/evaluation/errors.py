"""The errors of labeling tasks.

```
LedgerError (domain)
├── TaskNotFoundError     the run has no labeling task: name, run
├── TaskClosedError       the run accepts no more answers: name, run
├── AnsweredTwiceError    the annotator gave another answer before: name, run, sample, annotator
└── EnoughAnswersError    the sample has all its answers already: name, run, sample
```
"""

from jobledger.domain.errors import LedgerError


class TaskNotFoundError(LedgerError):
    """The run has no labeling task, or the job has no such run (google.rpc NOT_FOUND).

    Attributes:
        name: The evaluation job's resource name.
        run: The run's number, from 1.
    """

    def __init__(self, name: str, run: int) -> None:
        self.name = name
        self.run = run
        super().__init__(f"run {run} of {name} has no labeling task")


class TaskClosedError(LedgerError):
    """The run accepts no more answers (google.rpc FAILED_PRECONDITION); nothing was recorded.

    Attributes:
        name: The evaluation job's resource name.
        run: The run's number, from 1.
    """

    def __init__(self, name: str, run: int) -> None:
        self.name = name
        self.run = run
        super().__init__(f"the labeling task of run {run} of {name} is closed")


class AnsweredTwiceError(LedgerError):
    """The annotator gave another answer before (google.rpc ALREADY_EXISTS); nothing was recorded.

    Attributes:
        name: The evaluation job's resource name.
        run: The run's number, from 1.
        sample: The sample's number, from 1.
        annotator: The annotator.
    """

    def __init__(self, name: str, run: int, sample: int, annotator: str) -> None:
        self.name = name
        self.run = run
        self.sample = sample
        self.annotator = annotator
        super().__init__(
            f"{annotator} already gave another answer for sample {sample}; an answer cannot be changed"
        )


class EnoughAnswersError(LedgerError):
    """The sample has all its answers already (google.rpc FAILED_PRECONDITION); nothing was recorded.

    Attributes:
        name: The evaluation job's resource name.
        run: The run's number, from 1.
        sample: The sample's number, from 1.
    """

    def __init__(self, name: str, run: int, sample: int) -> None:
        self.name = name
        self.run = run
        self.sample = sample
        super().__init__(f"sample {sample} has all the answers that were asked for already")
