"""Writes an evaluation as `report.html` (one file with all plots inside), `metrics.json`, `per_class.csv` and `thresholds.json`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from detection_core.evaluation.bootstrap import Interval
from detection_core.evaluation.evaluated import USUAL_IOU, Evaluated, ModelEvaluation
from detection_core.evaluation.plots import Line, bars, histogram, legend, line_chart, matrix
from detection_core.formats.csv_table import BYTE_ORDER_MARK, as_cell
from detection_core.formats.target import Target
from detection_core.formats.thresholds import thresholds_file

REPORT_FILE, METRICS_FILE, CLASSES_FILE, THRESHOLDS_FILE = "report.html", "metrics.json", "per_class.csv", "thresholds.json"
_STYLE = Path(__file__).with_name("report.css")
# Classes in a drawn matrix; metrics of all classes are in the table.
_MOST_CLASSES = 20
_MOST_IMAGES = 12
_WHAT = {"bbox": "boxes", "segm": "masks", "keypoints": "keypoints"}


def write_report(evaluated: Evaluated, folder: Path, *, iou: float = USUAL_IOU) -> None:
    """Writes the four files.

    Args:
        evaluated: The evaluation.
        folder: The folder, which is made if need be; existing files of these names are replaced.
        iou: Lowest IoU of a match for precision, recall, confusion and calibration.

    Raises:
        OSError: If a file cannot be written.
    """
    target = Target(folder)
    rows = evaluated.per_class(iou)
    target.write(METRICS_FILE, json.dumps(evaluated.metrics(iou), indent=1, allow_nan=False).encode())
    target.write(CLASSES_FILE, _table_file(rows).encode())
    target.write(THRESHOLDS_FILE, thresholds_file({model.name: model.chosen_thresholds() for model in evaluated.models}))
    target.write(REPORT_FILE, html_report(evaluated, rows, iou=iou).encode())


def _table_file(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    columns = list(rows[0]) if rows else ["model", "class", "objects"]
    writer = csv.DictWriter(text, columns, lineterminator="\r\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: as_cell(value) for name, value in row.items()})
    return BYTE_ORDER_MARK + text.getvalue()


def html_report(evaluated: Evaluated, rows: Sequence[dict[str, Any]], *, iou: float = USUAL_IOU) -> str:
    """Returns the report as one HTML page that needs no other file.

    Args:
        evaluated: The evaluation.
        rows: The result of its `per_class`.
        iou: Lowest IoU of a match for precision, recall, confusion and calibration.
    """
    models = evaluated.models
    objects, images = int(evaluated.truth.objects.sum()), len(evaluated.truth.images)
    what = _WHAT[evaluated.truth.iou_type]
    classes, resamples = len(evaluated.truth.categories) - 1, models[0].resamples if models else 0
    intervals = f"; below each, the interval of 95 % of {resamples} resampled sets of images" if resamples else ""
    about = f"{objects:,} objects of {classes:,} classes on {images:,} images. AP and AR as COCO defines them{intervals}."
    sections = [f"<h1>Evaluation of {what}</h1><p class='faint'>{about}</p>", _notes(evaluated)]
    if models:
        sections += [_summary(models, iou), _differences(evaluated, iou), _curves(models, iou), _confusions(models, iou), _errors(models)]
        sections += [_calibrations(models, iou), _classes(rows)]
    body = "\n".join(section for section in sections if section)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation of {what}</title><style>{_STYLE.read_text('utf-8')}</style></head><body>{body}</body></html>\n"
    )


def _notes(evaluated: Evaluated) -> str:
    notes = [*evaluated.notes, *(f"{name} is not evaluated: {reason}" for name, reason in evaluated.failed.items())]
    notes += [f"{model.name}: {note}" for model in evaluated.models for note in model.notes]
    return f'<div class="notes"><ul>{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul></div>' if notes else ""


def _summary(models: Sequence[ModelEvaluation], iou: float) -> str:
    columns = []
    for model in models:
        bounds = model.resampled.intervals() if model.resamples else {}
        point, cost = model.point(iou), model.cost
        column = {name: _with_interval(value, bounds.get(name)) for name, value in model.figures.summary.items()}
        column |= {"Threshold": _thresholds(model), "Precision": _number(point.precision), "Recall": _number(point.recall)}
        column |= {
            "F1": _number(point.f1),
            "Time of an image": "–" if cost.seconds is None else f"{1000 * cost.seconds:.0f} ms",
            "Memory": "–" if cost.memory is None else f"{cost.memory / 2**20:.0f} MiB",
            "Weights file": "–" if cost.file_size is None else f"{cost.file_size:.1f} MiB",
        }
        columns.append(column)
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    text = f"Precision, recall and F1 are those of all classes together at each model's threshold, at an IoU of {iou:g}."
    return f"<h2>Models</h2><p class='faint'>{text}</p>{_table(['', *(escape(model.name) for model in models)], rows)}"


def _differences(evaluated: Evaluated, iou: float) -> str:
    rows, tables = [], []
    for a, b in evaluated.pairs():
        difference, bounds = evaluated.difference(a, b)
        found = evaluated.compare(a, b, iou)
        names = f"{escape(a.name)} − {escape(b.name)}"
        verdict = "–" if bounds is None else "yes" if bounds.low > 0 or bounds.high < 0 else "no"
        counts = [found.both, len(found.only_a), len(found.only_b), found.neither]
        rows.append([names, _with_interval(difference, bounds, "+.3f"), verdict, *map(str, counts), f"{found.p_value:.2g}"])
        images = [[escape(each.file_name), str(each.errors_a), str(each.errors_b)] for each in found.images[:_MOST_IMAGES]]
        if images:
            heads = ["Image", f"Errors of {escape(a.name)}", f"Errors of {escape(b.name)}"]
            tables.append(f"<div><h3>{names}: largest differences</h3>{_table(heads, images)}</div>")
    if not rows:
        return ""
    heads = ["Pair", "Difference of AP", "Clear", "Both find", "Only the first", "Only the second", "Neither", "McNemar p"]
    text = (
        "A difference is clear if its interval on resampled images does not contain 0. Objects are found at each model's threshold; p is "
        "the probability of so uneven a division of the objects that only one model finds if both were equally good."
    )
    return f"<h2>Differences</h2><p class='faint'>{text}</p>{_table(heads, rows)}<div class='row'>{''.join(tables)}</div>"


def _curves(models: Sequence[ModelEvaluation], iou: float) -> str:
    recall, f1 = [], []
    for number, model in enumerate(models):
        curves = model.curves(iou)
        curve, point = curves.curve().thinned(), model.point(iou)
        mark = None if point.recall is None or point.precision is None else (point.recall, point.precision)
        recall.append(Line(model.name, curve.recall, curve.precision, number, mark))
        mark = None if point.f1 is None else (model.threshold, point.f1)
        f1.append(Line(model.name, curve.scores, curve.f1, number, mark))
    charts = line_chart("Precision by recall", recall, "Recall", "Precision"), line_chart("F1 by threshold", f1, "Threshold", "F1")
    best = ", ".join(f"{escape(model.name)} {threshold:.2f}" for model in models if (threshold := model.curves(iou).best()) is not None)
    text = f"All classes together, at an IoU of {iou:g}; dots: each model's threshold. Highest F1 at: {best or 'none'}."
    return f"<h2>Precision, recall and F1</h2><p class='faint'>{text}</p>{legend([m.name for m in models])}{_row(charts)}"


def _confusions(models: Sequence[ModelEvaluation], iou: float) -> str:
    figures = []
    for model in models:
        confusion = model.confusion(iou=iou)
        counts, shares = confusion.counts, confusion.normalized()
        names = model.matches.truth.categories
        # The classes with the most objects and errors; label 0 stands for no object and comes last.
        weight = counts.sum(axis=0) + counts.sum(axis=1)
        ranked = [label for label in np.argsort(-weight, kind="stable").tolist() if label and weight[label]]
        labels = [*sorted(ranked[:_MOST_CLASSES]), 0]
        rows = [names[label] if label else "false positive" for label in labels]
        columns = [names[label] if label else "missed" for label in labels]
        grid = np.ix_(labels, labels)
        left = f", the {_MOST_CLASSES} most frequent of {len(ranked)} classes" if len(ranked) > _MOST_CLASSES else ""
        caption = f"{escape(model.name)} at threshold {_thresholds(model)}{left}"
        figures.append(f"<h3>{caption}</h3><div class='scroll'>{matrix(caption, rows, columns, counts[grid], shares[grid])}</div>")
    text = (
        "Rows: what is annotated; columns: what is detected. A darker cell is a larger part of its row. Point at a cell for its percentage."
    )
    return f"<h2>Confusion</h2><p class='faint'>{text}</p>{_row(figures)}"


def _errors(models: Sequence[ModelEvaluation]) -> str:
    figures = []
    for model in models:
        kinds = model.error_kinds["all"]
        values = [(str(kind), gain, f"+{gain:.3f} ({kinds.counts[kind]:,})") for kind, gain in kinds.gains.items()]
        by_size = {size: errors for size, errors in model.error_kinds.items() if size != "all"}
        heads = ["AP50 gained (errors)", *by_size]
        rows = [
            [str(kind), *(f"+{errors.gains[kind]:.3f} ({errors.counts[kind]:,})" for errors in by_size.values())] for kind in kinds.gains
        ]
        chart = bars(f"Errors of {model.name}", values)
        figures.append(f"<h3>{escape(model.name)}</h3>{chart}<details><summary>By object size</summary>{_table(heads, rows)}</details>")
    text = (
        "What AP at an IoU of 0.5 would gain if all errors of a kind were corrected, and their number, of all detections down to the "
        "lowest score (after TIDE, Bolya et al. 2020): the right class in a wrong place, a wrong class in the right place, a duplicate, "
        "background, both place and class, a missed object."
    )
    return f"<h2>Kinds of errors</h2><p class='faint'>{text}</p>{_row(figures)}"


def _calibrations(models: Sequence[ModelEvaluation], iou: float) -> str:
    lines, figures = [], []
    for number, model in enumerate(models):
        result = model.calibration(iou)
        lines.append(Line(model.name, result.mean_score, result.precision, number))
        error = "–" if result.error is None else f"{result.error:.3f}"
        spread = model.calibration(iou, bins=20)
        chart = histogram(f"Scores of {model.name}", spread.right, spread.wrong, "Score", "Detections")
        figures.append(f"<h3>{escape(model.name)}: calibration error {error}</h3>{chart}")
    text = "Precision of detections by their score; on the diagonal, a score is the probability to be right. Bars: right (blue) and wrong."
    chart = line_chart("Precision by score", lines, "Mean score", "Precision", diagonal=True)
    names = legend([model.name for model in models])
    return f"<h2>Calibration</h2><p class='faint'>{text}</p>{names}{_row([chart, *figures])}"


def _classes(rows: Sequence[dict[str, Any]]) -> str:
    known = [row for row in rows if row["objects"]]
    heads = ["Model", "Class", "Objects", "AP", "AP50", "AP75", "AR", "Threshold", "Precision", "Recall", "F1", "Best threshold"]
    table = [
        [
            escape(row["model"]),
            escape(row["class"]),
            f"{row['objects']:,}",
            _with_interval(row["AP"], None if row["AP_low"] is None else Interval(row["AP_low"], row["AP_high"])),
            *(_number(row[name]) for name in ("AP50", "AP75", "AR")),
            f"{row['threshold']:g}",
            *(_number(row[name]) for name in ("precision", "recall", "f1")),
            _number(row["best_threshold"], ".2f"),
        ]
        for row in sorted(known, key=lambda row: (row["class"], row["model"]))
    ]
    return f'<h2>Classes</h2><div class="tall" tabindex="0" role="region" aria-label="Classes">{_table(heads, table)}</div>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(figures: Sequence[str]) -> str:
    return f'<div class="row">{"".join(f"<figure>{figure}</figure>" for figure in figures)}</div>'


def _number(value: float | None, form: str = ".3f") -> str:
    return "–" if value is None else format(value, form)


def _thresholds(model: ModelEvaluation) -> str:
    number = len(model.class_thresholds)
    own = f"; {number} {'class has its' if number == 1 else 'classes have their'} own" if number else ""
    return f"{model.threshold:g}{own}"


def _with_interval(value: float | None, bounds: Interval | None, form: str = ".3f") -> str:
    text = _number(value, form)
    return text if bounds is None or value is None else f"{text}<small>{bounds.low:.3f} – {bounds.high:.3f}</small>"
