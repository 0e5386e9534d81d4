"""Charts: models as SVG that takes the page's text colour, so that it reads in light and dark; a training run as a PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

# Stands for `currentColor`, which matplotlib does not know.
_INK = "#010203"
# Where a name may stand, best first: offset from its point in typographic points, and which side of the text is there.
_NAME_PLACES = (((8, 0), "left", "center"), ((-8, 0), "right", "center"), ((0, 8), "center", "bottom"), ((0, -8), "center", "top"))
# Petroff's colours that keep a contrast of 3 against white and near-black alike, with a marker each for those who see no colour.
_SERIES = {"boxes": ("#3f90da", "o"), "masks": ("#bd6b00", "s"), "keypoints": ("#a96b59", "^")}


@dataclass(frozen=True)
class ChartPoint:
    """One model in the chart.

    Attributes:
        name: What to write beside it.
        series: "boxes", "masks" or "keypoints".
        gflops: Cost of one picture.
        average_precision: In percent.
    """

    name: str
    series: str
    gflops: float
    average_precision: float


def accuracy_cost_chart(points: Sequence[ChartPoint]) -> str:
    """Draws average precision against cost on a logarithmic axis.

    Args:
        points: The models; one model may appear in several series.

    Returns:
        An SVG element whose text and axes are `currentColor`.
    """
    style: dict[Any, Any] = {"svg.fonttype": "none", "font.size": 11, "axes.spines.top": False, "axes.spines.right": False}
    style |= dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK)
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(9, 4.6), layout="constrained")
        axes = figure.subplots()
        for series, (color, marker) in _SERIES.items():
            chosen = [point for point in points if point.series == series]
            if chosen:
                axes.scatter(
                    [p.gflops for p in chosen],
                    [p.average_precision for p in chosen],
                    s=64,
                    c=color,
                    marker=marker,
                    label=series.capitalize(),
                    zorder=3,
                )
        axes.set_xscale("log")
        axes.margins(x=0.15, y=0.12)
        axes.set_xlabel("GFLOPs a picture (log)")
        axes.set_ylabel("Published AP (%)")
        axes.grid(color=_INK, alpha=0.12)
        axes.legend(frameon=False, loc="lower right")
        _name_points(axes, points)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    return (
        svg[svg.index("<svg") :]
        .replace(_INK, "currentColor")
        .replace("<svg ", '<svg role="img" aria-label="Average precision against cost of all models" ', 1)
    )


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
                # Above the curves, which may be anywhere within.
                axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
            else:
                axes.text(0.5, 0.5, "nothing measured yet", transform=axes.transAxes, ha="center", va="center")
        if any(value > 0 for points in losses.values() for _, value in points):
            figure.axes[0].set_yscale("log")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _name_points(axes: Axes, points: Sequence[ChartPoint]) -> None:
    """Writes each name right of its point, or left, above or below where that would cover another name or point."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    markers = axes.transData.transform([(point.gflops, point.average_precision) for point in points])
    taken = [Bbox.from_extents(x - 6, y - 6, x + 6, y + 6) for x, y in markers]
    for point in points:
        for offset, align, valign in _NAME_PLACES:
            text = axes.annotate(
                point.name, (point.gflops, point.average_precision), offset, textcoords="offset points", ha=align, va=valign, fontsize=9
            )
            extent = text.get_window_extent(renderer)
            if axes.bbox.x0 < extent.x0 and not any(extent.overlaps(other) for other in taken):
                break
            text.remove()
        else:
            text = axes.annotate(
                point.name, (point.gflops, point.average_precision), (8, 0), textcoords="offset points", va="center", fontsize=9
            )
            extent = text.get_window_extent(renderer)
        taken.append(extent)
