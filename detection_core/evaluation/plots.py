"""Small SVG charts for the report: lines, bars and matrices, in the text's color."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Distinguishable under every simulated color blindness; lines differ in their dashes, too.
COLORS = ("#0072B2", "#C46B00", "#00805C", "#A0457F")
_DASHES = ("", "7 4", "2 3", "9 3 2 3")
_WIDTH, _HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 46
_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
_LARGEST_CELL = 34


@dataclass(frozen=True)
class Line:
    """A line of a chart, in units of 0–1 on both axes.

    Attributes:
        name: Text in the legend.
        x: Values, NaN where the line is broken.
        y: Values.
        number: Place of its color and dashes.
        mark: A point to be marked, or None.
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    number: int = 0
    mark: tuple[float, float] | None = None


def line_chart(title: str, lines: Sequence[Line], x_label: str, y_label: str, *, diagonal: bool = False) -> str:
    """Draws lines over axes from 0 to 1.

    Args:
        title: Text for people who do not see the chart.
        lines: The lines.
        x_label: Name of the horizontal axis.
        y_label: Name of the vertical axis.
        diagonal: Whether the diagonal is drawn for comparison.
    """
    parts = [_axes(x_label, y_label)]
    if diagonal:
        (x0, x1), (y0, y1) = _x(np.array([0, 1])), _y(np.array([0, 1]))
        parts.append(f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" class="grid" stroke-dasharray="4 4"/>')
    for line in lines:
        x, y = np.asarray(line.x, float), np.asarray(line.y, float)
        known = np.isfinite(x) & np.isfinite(y)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(_x(x[known]), _y(y[known]), strict=True))
        color, dashes = COLORS[line.number % len(COLORS)], _DASHES[line.number % len(_DASHES)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dashes}"/>')
        if diagonal:
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{color}"/>' for a, b in zip(_x(x[known]), _y(y[known]), strict=True)]
        if line.mark is not None and all(np.isfinite(line.mark)):
            a, b = _x(np.array(line.mark[0])), _y(np.array(line.mark[1]))
            parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="5" fill="{color}" stroke="var(--paper)" stroke-width="2"/>')
    return _svg(title, _WIDTH, _HEIGHT, parts)


def histogram(title: str, right: NDArray[np.int64], wrong: NDArray[np.int64], x_label: str, y_label: str) -> str:
    """Draws the numbers of right and wrong detections in equal intervals, side by side, on a logarithmic axis: wrong ones are many."""
    highest = max(int(np.max(right, initial=0)), int(np.max(wrong, initial=0)), 1)
    top = int(np.ceil(np.log10(highest + 1)))
    ticks = [(0.0, "0"), *((np.log10(10**power + 1) / top, f"{10**power:,}") for power in range(top))]
    parts = [_axes(x_label, y_label, [(min(place, 1), text) for place, text in ticks])]
    step = 1 / max(len(right), 1)
    for number, counts in enumerate((right, wrong)):
        for index, count in enumerate(counts.tolist()):
            place = np.array([(index + 0.12 + 0.38 * number) * step, (index + 0.5 + 0.38 * number) * step])
            (x0, x1), y = _x(place), float(_y(np.array(np.log10(count + 1) / top)))
            height = float(_y(np.array(0))) - y
            name = "right" if number == 0 else "wrong"
            parts.append(
                f'<rect x="{x0:.1f}" y="{y:.1f}" width="{x1 - x0:.1f}" height="{height:.1f}" fill="{COLORS[number]}">'
                f"<title>{count:,} {name}</title></rect>"
            )
    return _svg(title, _WIDTH, _HEIGHT, parts)


def bars(title: str, values: Sequence[tuple[str, float, str]]) -> str:
    """Draws horizontal bars with a text behind each.

    Args:
        title: Text for people who do not see the chart.
        values: Name, length and text of each bar.
    """
    row, left, right = 26, 96, 130
    longest = max((value for _, value, _ in values), default=0) or 1
    parts = []
    for number, (name, value, text) in enumerate(values):
        y, length = number * row, (_WIDTH - left - right) * value / longest
        parts.append(f'<text x="{left - 8}" y="{y + 17}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{left}" y="{y + 4}" width="{length:.1f}" height="18" fill="{COLORS[0]}"/>')
        parts.append(f'<text x="{left + length + 6:.1f}" y="{y + 17}">{escape(text)}</text>')
    return _svg(title, _WIDTH, row * len(values) + 4, parts)


def matrix(title: str, rows: Sequence[str], columns: Sequence[str], counts: NDArray[np.int64], shares: NDArray[np.float64]) -> str:
    """Draws a matrix of numbers on a background as dark as their share of the row.

    Args:
        title: Text for people who do not see the chart.
        rows: Names of the rows.
        columns: Names of the columns.
        counts: int64 [rows, columns].
        shares: float64 [rows, columns], 0–1.
    """
    longest = max(map(len, [*rows, *columns]), default=0)
    left = top = min(max(longest * 7 + 12, 70), 160)
    parts = []
    for index, name in enumerate(columns):
        x = left + index * _LARGEST_CELL + _LARGEST_CELL / 2 + 4
        parts.append(f'<text transform="translate({x:.0f} {top - 8}) rotate(-60)">{escape(_short(name))}</text>')
    for index, name in enumerate(rows):
        y = top + index * _LARGEST_CELL
        parts.append(f'<text x="{left - 8}" y="{y + 22}" text-anchor="end">{escape(_short(name))}</text>')
        for place, (count, share) in enumerate(zip(counts[index].tolist(), shares[index].tolist(), strict=True)):
            x = left + place * _LARGEST_CELL
            color = COLORS[0] if name == columns[place] else COLORS[1]
            tip = f"{name} → {columns[place]}: {count:,} ({100 * share:.0f} %)"
            parts.append(
                f'<g><title>{escape(tip)}</title><rect x="{x}" y="{y}" width="{_LARGEST_CELL - 2}" height="{_LARGEST_CELL - 2}" '
                f'fill="{color}" fill-opacity="{0.06 + 0.54 * share:.2f}"/>'
            )
            if count:
                parts.append(f'<text x="{x + _LARGEST_CELL / 2 - 1}" y="{y + 21}" text-anchor="middle">{_compact(count)}</text>')
            parts.append("</g>")
    # The slanted names of the last columns reach to the right.
    width = left + len(columns) * _LARGEST_CELL + left // 2
    return _svg(title, width, top + len(rows) * _LARGEST_CELL, parts)


def legend(names: Sequence[str]) -> str:
    """Returns the legend of line charts as HTML."""
    items = []
    for number, name in enumerate(names):
        color, dashes = COLORS[number % len(COLORS)], _DASHES[number % len(_DASHES)]
        sample = f'<svg width="34" height="10" aria-hidden="true"><line x1="1" y1="5" x2="33" y2="5" stroke="{color}" stroke-width="3" '
        items.append(f'<li>{sample}stroke-dasharray="{dashes}"/></svg> {escape(name)}</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def _axes(x_label: str, y_label: str, y_ticks: Sequence[tuple[float, str]] | Literal[""] = "") -> str:
    parts = []
    for value in _TICKS:
        x = float(_x(np.array(value)))
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{value:g}</text>')
    for value, text in y_ticks or [(value, f"{value:g}") for value in _TICKS]:
        y = float(_y(np.array(value)))
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    parts.append(f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>')
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(f'<text transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>')
    return "".join(parts)


def _x(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return _LEFT + values * (_WIDTH - _LEFT - _RIGHT)


def _y(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return _HEIGHT - _BOTTOM - values * (_HEIGHT - _TOP - _BOTTOM)


def _svg(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    text = escape(title, quote=True)
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{text}">{"".join(parts)}</svg>'


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"


def _compact(count: int) -> str:
    return str(count) if count < 10_000 else f"{count / 1000:.0f}k"
