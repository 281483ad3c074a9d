"""Predictions as they are recorded for sampling, and the outcomes of recording them and their ground truth."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple


class Prediction(NamedTuple):
    """One prediction of a model version.

    Attributes:
        input: JSON, in which the job's data_json_key or reference_json_key is found.
        output: JSON, in which its label, score and box keys are found.
        time: When it was made, with a time zone.
        key: Identifies the example, if its data or reference does not.
        truth: The ground truth, if it is known: a label, labels, or an object like the output.
    """

    input: Any
    output: Any
    time: datetime
    key: str | None = None
    truth: Any = None


class RejectedPrediction(NamedTuple):
    """A prediction that could not be sampled.

    Attributes:
        place: Its index in the call, from 0.
        why: What is wrong with it.
    """

    place: int
    why: str


class Sampled(NamedTuple):
    """The outcomes of the predictions of one call; each prediction counts in one of them.

    Attributes:
        sampled: How many were sampled.
        repeated: How many are of examples that were sampled before.
        passed_over: How many were left out by exampleSamplePercentage.
        beyond_count: How many were left out because the interval has its exampleCount.
        rejected: Those that could not be sampled, with the reasons.
    """

    sampled: int
    repeated: int
    passed_over: int
    beyond_count: int
    rejected: Sequence[RejectedPrediction]

    @property
    def spoilt(self) -> Sequence[RejectedPrediction]:
        """Deprecated: the former name of `rejected`."""
        warnings.warn("Sampled.spoilt is now Sampled.rejected", DeprecationWarning, stacklevel=2)
        return self.rejected


class TruthOutcome(NamedTuple):
    """The outcomes of the ground truths of one call.

    Attributes:
        outcomes: One for each: "told" if it was recorded, "repeated" if the same was recorded
            before, "differs" if another one was, "taken" if a run has the sample already, and
            "unknown" if no such example was sampled.
    """

    outcomes: Sequence[str]
