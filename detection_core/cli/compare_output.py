"""The output of the command `compare`: tables, and files that never replace an input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from detection_core.cli.common import UsageError, print_table
from detection_core.comparison_report import REPORT_FILE, ComparisonReport, Found, report_stems
from detection_core.detections.comparison import Comparison
from detection_core.formats.target import Target, safe_stem
from detection_core.inputs import identity


def print_report(report: ComparisonReport) -> None:
    """Writes tables to stdout: the models, all pairs of models, and the numbers of objects on which several agree."""
    print_table([["MODEL", "OBJECTS", "THRESHOLD", "FIRST RUN", "FOUND"], *map(_model_row, report.results)])
    print()
    heads = ["A", "B", "MATCHED", "ONLY A", "ONLY B", "OTHER CLASS", "AGREEMENT", "MEAN IOU", "SCORE B-A"]
    print_table([heads, *([*names, *_pair_cells(pair)] for names, pair in report.pairs.items())])
    print()
    count = len(report.results)
    votes = [sum(found.votes >= least for found in report.agreed) for least in range(2, count + 1)]
    print_table([["MODELS THAT AGREE", "OBJECTS"], *([_of(least, count), str(n)] for least, n in enumerate(votes, start=2))])


def _model_row(result: Found) -> list[str]:
    threshold = result.provenance.threshold
    return [
        result.name,
        str(len(result.detections)),
        "-" if threshold is None else f"{threshold:g}",
        "-" if result.seconds is None else f"{result.seconds:.2f} s",
        result.detections.describe(),
    ]


def _pair_cells(pair: Comparison) -> list[str]:
    return [
        *map(str, pair.counts().values()),
        "-" if pair.agreement is None else f"{100 * pair.agreement:.0f} %",
        "-" if pair.mean_iou is None else f"{pair.mean_iou:.2f}",
        "-" if pair.mean_score_difference is None else f"{pair.mean_score_difference:+.2f}",
    ]


def _of(least: int, count: int) -> str:
    return f"all {count}" if least == count else f"at least {least} of {count}"


class Files:
    """The files of a report.

    Args:
        sources: File names of the models.
        folder: Folder for the files; None writes none.

    Attributes:
        names: Names of the models: the stems of their files, with a number if they are the same.
    """

    def __init__(self, sources: Sequence[str], folder: Path | None) -> None:
        self._folder = folder
        names = Target(Path())
        self.names = [names.free_stem(safe_stem(source)) for source in sources]
        self._target = Target(folder or Path())
        self._stems = report_stems(self.names, self._target)

    def prepare(self, inputs: Sequence[str]) -> None:
        """Creates the folder.

        Args:
            inputs: Names of the input files; names that are not files are ignored.

        Raises:
            UsageError: If the folder cannot be created, or an input would be overwritten.
        """
        if not self._folder:
            return
        outputs = {identity(self._folder / name) for name in (REPORT_FILE, *(f"{stem}.png" for stem in self._stems.values()))}
        for given in inputs:
            if (found := identity(Path(given))) and found in outputs:
                raise UsageError(f"“{given}” would be overwritten. Choose another folder for --out.")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"The folder “{self._folder}” cannot be created: {error.strerror}.") from error

    def write(self, report: ComparisonReport, image: Image.Image) -> None:
        """Writes comparison.json, an annotated image per model, and a difference image per pair of models.

        Raises:
            OSError: If a file cannot be written.
        """
        if self._folder:
            report.write(image, self._target, self._stems)
