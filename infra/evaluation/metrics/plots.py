"""Pictures of evaluations: curves of precision and recall, confusion matrices, and what became of them.

The same numbers make the same file. Each function raises InvalidFieldError for a name that does not
end in .svg or .png, for a file that cannot be written, and where matplotlib is not installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.analytics.pictures import dates_of_pictures, draw_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES: Final = (8, 6)
"""Inches."""
MAX_CURVES: Final = 10
"""How many labels' curves are drawn with the aggregate's."""
MAX_NUMBERED_LABELS: Final = 20
"""Labels up to which a matrix has its numbers written in."""
MAX_NAMED_LABELS: Final = 50
MAX_NAME_LETTERS: Final = 30
"""Letters of a name."""


def draw_pr_curve(evaluations: list[JsonObject], path: Path) -> None:
    """Precision over recall, of each `{"prCurve"}`: the aggregate's as a thick line, labels' as thin."""
    curves = [each["prCurve"] for each in evaluations]
    draw_picture(path, SIZE_INCHES, lambda axes: _fill_curves(axes, curves))


def draw_confusion(evaluation: JsonObject, path: Path) -> None:
    """Draws a confusion matrix: true labels down, predicted labels across."""
    draw_picture(
        path, SIZE_INCHES, lambda axes: _fill_matrix(axes, evaluation["confusionMatrix"]["row"])
    )


def draw_map_over_time(
    points: Sequence[tuple[datetime, float]], minimum: float | None, path: Path
) -> None:
    """Mean average precision of each run, at its time, and the least that is accepted."""
    draw_picture(path, SIZE_INCHES, lambda axes: _fill_times(axes, points, minimum))


def _fill_curves(axes: Axes, curves: Sequence[JsonObject]) -> None:
    aggregates = [curve for curve in curves if "annotationSpec" not in curve]
    labels = [curve for curve in curves if "annotationSpec" in curve]
    for curve in labels[:MAX_CURVES]:
        name = _short(curve["annotationSpec"]["displayName"])
        label = f"{name} (AP {curve['meanAveragePrecision']:.3f})"
        axes.plot(*_line(curve), label=label, linewidth=1, marker=".", markersize=3)
    for curve in aggregates:
        label = f"all labels (mAP {curve['meanAveragePrecision']:.3f})"
        axes.plot(*_line(curve), label=label, linewidth=2.5, color="black")
    title = "Precision and recall"
    if len(labels) > MAX_CURVES:
        title += f": the first {MAX_CURVES} of {len(labels)} labels"
    axes.set_title(title)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.grid(visible=True, alpha=0.3)
    if curves:
        axes.legend(loc="lower left", fontsize="small")


def _line(curve: JsonObject) -> tuple[list[float], list[float]]:
    """Returns recalls and precisions; points without a precision are left out."""
    entries = [entry for entry in curve["confidenceMetricsEntries"] if entry["recall"]]
    return [entry["recall"] for entry in entries], [entry["precision"] for entry in entries]


def _fill_matrix(axes: Axes, rows: Sequence[JsonObject]) -> None:
    names = [_short(row["annotationSpec"]["displayName"]) for row in rows]
    places = {row["annotationSpec"]["index"]: place for place, row in enumerate(rows)}
    counts = [[0] * len(rows) for _ in rows]
    for row, line in zip(rows, counts, strict=True):
        for entry in row["entries"]:
            line[places[entry["annotationSpec"]["index"]]] += entry["itemCount"]
    axes.set_title("Confusion matrix")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if not rows:
        return
    # Shades are of each row's whole: a rare label's mistakes are to be seen as well.
    axes.imshow([[count / (sum(line) or 1) for count in line] for line in counts],
                cmap="Blues", vmin=0, vmax=1)  # fmt: skip
    if len(rows) <= MAX_NAMED_LABELS:
        axes.set_xticks(range(len(rows)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(rows)), names)
    if len(rows) > MAX_NUMBERED_LABELS:
        return
    for down, line in enumerate(counts):
        for across, count in enumerate(line):
            if count:
                color = "white" if count > sum(line) / 2 else "black"
                axes.text(across, down, str(count), ha="center", va="center", color=color)


def _fill_times(
    axes: Axes, points: Sequence[tuple[datetime, float]], minimum: float | None
) -> None:
    dates = dates_of_pictures()
    ordered = sorted(points)
    times = [float(dates.date2num(time)) for time, _ in ordered]
    if times:
        axes.plot(times, [value for _, value in ordered], marker="o", label="each run")
        locator = dates.AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    if minimum is not None:
        label = f"least accepted: {minimum:g}"
        axes.axhline(minimum, color="tab:red", linestyle="--", label=label)
    axes.set_title("Mean average precision")
    axes.set_xlabel("UTC")
    axes.set_ylim(0, 1.02)
    axes.grid(visible=True, alpha=0.3)
    if minimum is not None:
        axes.legend()


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME_LETTERS else name[: MAX_NAME_LETTERS - 1] + "…"
