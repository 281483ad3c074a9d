"""Labeling tasks for tests: a job with samples, whose run asks people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobledger.domain.events import parse_data
from jobledger.infra import Ledger
from jobledger.infra.evaluation.samples.outcomes import Prediction

from tests.evaluation_jobs import BEGIN, TEXT, make_job, spec_of

IMAGE = "IMAGE_CLASSIFICATION_ANNOTATION"
BOXES = "IMAGE_BOUNDING_BOX_ANNOTATION"
LABELS = ("cat", "dog", "bird")
TIME = "2026-06-01T10:00:00Z"


def tell(ledger: Ledger, name: str, type_: str, **expected: Any) -> None:
    events = ledger.report(name, parse_data(type_, {"run": 1, **expected})).events
    assert [event.type for event in events][:1] == [type_]


def box(label: str, *corners: float) -> dict[str, Any]:
    x0, y0, x1, y1 = corners
    return {
        "label": label,
        "top_left": {"x": x0, "y": y0},
        "bottom_right": {"x": x1, "y": y1},
    }


def ask_people(
    ledger: Ledger,
    examples: Sequence[Any] = ("a", "b", "c"),
    *,
    annotation: str = TEXT,
    multi_label: bool = False,
    replicas: int = 1,
    aggregation: str = "MAJORITY_VOTE",
    labels: Sequence[str] = LABELS,
    truths: Sequence[Any] = (),
    project: str = "p",
) -> str:
    """A job whose run 1 asks of its samples, numbered from 1; the first ones have truths. Its name."""
    spec = spec_of(annotation, people=True, multi_label=multi_label, replicas=replicas)
    name = make_job(ledger, spec, project)
    output: dict[str, Any] = {"label": ["cat"], "score": [0.9]}
    if annotation == BOXES:
        output["box"] = [box("cat", 0.1, 0.1, 0.2, 0.2)]
    given = [
        Prediction(
            {"text": text}, output, BEGIN, key=str(n), truth=truths[n] if n < len(truths) else None
        )
        for n, text in enumerate(examples)
    ]
    assert ledger.record_predictions(name, given).sampled == len(given)
    tell(ledger, name, "RunStarted", runTime=TIME, cut=len(given))
    tell(ledger, name, "DatasetCreated", exampleCount=len(given))
    tell(
        ledger,
        name,
        "LabelingRequested",
        questionCount=len(given) - len(truths),
        replicaCount=replicas,
        aggregation=aggregation,
        instruction="Say what it is.",
        labels=list(labels),
        multiLabel=multi_label,
    )
    return name


def types(ledger: Ledger, name: str) -> list[str]:
    return [event.type for event in ledger.history(name)]
