"""Charts: models as an SVG in the page's text color, which works in light and dark mode; a training run as a PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from detection_core.visualization.chart_names import MARKER, place_names

# Placeholder for `currentColor`, which matplotlib does not know.
_INK = "#010203"
# Names are measured in this font, which is wider than the page's, so whatever fits in it also fits in the page.
_MEASURED_FONT = "DejaVu Sans"
# Petroff's colors with a contrast of 3 against both white and near-black; each has its own marker for people who cannot see colors.
_SERIES = {"boxes": ("#3f90da", "o"), "masks": ("#bd6b00", "s"), "keypoints": ("#a96b59", "^")}


@dataclass(frozen=True)
class ChartPoint:
    """One average precision of one model in the chart.

    Attributes:
        name: Text beside the point; points with the same name are joined by a line and named once.
        series: "boxes", "masks" or "keypoints".
        gflops: Cost of one image.
        average_precision: In percent.
        hollow: Whether it was measured on different images than most, so that it is not comparable with them.
    """

    name: str
    series: str
    gflops: float
    average_precision: float
    hollow: bool = False


def accuracy_cost_chart(points: Sequence[ChartPoint], width: int = 1392, height: int = 540, hollow_label: str = "Other images") -> str:
    """Draws average precision against cost on a logarithmic axis.

    Args:
        points: The models; one model may appear in several series.
        width: Width at which it is shown, in CSS pixels, so that its text is as large as the page's. More than about 300.
        height: Likewise.
        hollow_label: Text of the legend for hollow points, if there are any.

    Returns:
        An SVG element whose text and axes are `currentColor`, and whose ids begin with its width, so that a page may have several.
    """
    style: dict[Any, Any] = {"svg.fonttype": "none", "font.size": 13, "axes.spines.top": False, "axes.spines.right": False}
    style |= {"font.family": "sans-serif", "font.sans-serif": [_MEASURED_FONT]}
    style |= dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK)
    with matplotlib.rc_context(style):
        # At 72 dots per inch, matplotlib's points, its pixels and the SVG's units are the same.
        figure = Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained")
        axes = figure.subplots()
        for point in points:
            color, marker = _SERIES[point.series]
            face = "none" if point.hollow else color
            axes.scatter(
                point.gflops,
                point.average_precision,
                MARKER**2,
                facecolors=face,
                edgecolors=color,
                linewidths=1.8,
                marker=marker,
                zorder=3,
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.06, y=0.08)
        axes.set_xlabel("GFLOPs an image (logarithmic)")
        axes.set_ylabel("Average precision (%)")
        axes.grid(color=_INK, alpha=0.12)
        handles = _legend_handles(points, hollow_label)
        # Above the axes, where it covers nothing.
        columns = len(handles) if width > 600 else 2
        axes.legend(handles=handles, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)
        _name_points(axes, points)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor").replace(f"'{_MEASURED_FONT}'", "var(--font, sans-serif)")
    for reference in (' id="', 'href="#', "url(#"):
        svg = svg.replace(reference, f"{reference}chart{width}-")
    return svg.replace("<svg ", '<svg role="img" aria-label="Average precision against cost of all models" ', 1)


def training_chart(losses: Mapping[str, Sequence[tuple[float, float]]], metrics: Mapping[str, Sequence[tuple[float, float]]]) -> bytes:
    """Draws the curves of a training run: losses on the left, average precisions on the right.

    Args:
        losses: (epoch, loss) points by torchvision's name of the loss. Their axis is logarithmic: they differ by orders of magnitude.
        metrics: (epoch, percent) points by name.

    Returns:
        A PNG of 1200×450 pixels.
    """
    with matplotlib.rc_context({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(12, 4.5), dpi=100, layout="constrained")
        for axes, curves, label in zip(figure.subplots(1, 2), (losses, metrics), ("Loss (log)", "AP on validation (%)"), strict=True):
            for name, points in curves.items():
                axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
            axes.set_xlabel("Epoch")
            axes.set_ylabel(label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.15)
            if curves:
                # Above the axes, because the curves may be anywhere inside.
                axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
            else:
                axes.text(0.5, 0.5, "nothing measured yet", transform=axes.transAxes, ha="center", va="center")
        if any(value > 0 for points in losses.values() for _, value in points):
            figure.axes[0].set_yscale("log")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _legend_handles(points: Sequence[ChartPoint], hollow_label: str) -> list[Line2D]:
    """Returns one legend entry for each series that occurs, and one for hollow points."""
    here = {point.series for point in points}
    handles = [
        Line2D([], [], linestyle="none", marker=marker, markersize=MARKER, color=color, label=series.capitalize())
        for series, (color, marker) in _SERIES.items()
        if series in here
    ]
    if any(point.hollow for point in points):
        handles.append(
            Line2D([], [], linestyle="none", marker="o", markersize=MARKER, color=_INK, markerfacecolor="none", label=hollow_label)
        )
        handles[-1].set_markeredgewidth(1.8)
    return handles


def _name_points(axes: Axes, points: Sequence[ChartPoint]) -> None:
    """Joins points with the same name, and writes each name where it covers nothing."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    # The names are placed in these axes, so the axes must not move any more.
    figure.set_layout_engine("none")
    to_data = axes.transData.inverted()
    spots: dict[str, list[np.ndarray]] = {}
    for point in points:
        spots.setdefault(point.name, []).append(axes.transData.transform((point.gflops, point.average_precision)))
    joined = [np.array(sorted(xys, key=lambda xy: -xy[1])) for xys in spots.values()]
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [axes.text(0, 0, name, fontsize=12, va="bottom", transform=None) for name in spots]
    sizes = [(extent.width, extent.height) for extent in (text.get_window_extent(renderer) for text in texts)]
    places = place_names(joined, sizes, np.array(axes.bbox.extents))
    for text, xys, place in zip(texts, joined, places, strict=True):
        for line in (xys[[0, -1]] if len(xys) > 1 else None, place.line):
            if line is not None:
                axes.plot(*to_data.transform(line).T, color=_INK, alpha=0.5, linewidth=1, zorder=2, scalex=False, scaley=False)
        left, lower, right, _ = place.box
        # Anchored on the side towards its point, so that the name stays close to it in a narrower font.
        if left >= xys[0][0]:
            text.set_horizontalalignment("left")
            x = left
        elif right <= xys[0][0]:
            text.set_horizontalalignment("right")
            x = right
        else:
            text.set_horizontalalignment("center")
            x = (left + right) / 2
        text.set_transform(axes.transData)
        text.set_position(tuple(to_data.transform((x, lower))))
