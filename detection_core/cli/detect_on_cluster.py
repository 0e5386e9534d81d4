"""The part of the command `detect` that has images processed on a Ray cluster."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from detection_core.cli.common import LoadReport, UsageError, count
from detection_core.cli.detect_images import detect_in_images
from detection_core.settings.parsers import ray_address

if TYPE_CHECKING:
    from pathlib import Path

    from detection_core.formats import Numbering, Provenance
    from detection_core.inputs import InputFile
    from detection_core.models.spec import ModelSpec


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options to a parser."""
    group = parser.add_argument_group("clusters", "All nodes need the images, and the folder for results, under the same paths.")
    group.add_argument("--engine", choices=["local", "ray"], default="local", help="local, or ray for a Ray cluster")
    group.add_argument("--ray-address", default="", metavar="A", help="auto or HOST:PORT; default: start a cluster here")
    group.add_argument("--workers", type=count, default=4, metavar="N", help="most workers on the cluster; default: 4")


def check_for_cluster(args: argparse.Namespace, videos: Sequence[InputFile]) -> None:
    """Checks that a cluster can do what is wanted.

    Raises:
        UsageError: If it cannot.
        RayMissingError: If Ray is not installed.
    """
    from detection_core.engine.ray import require_ray

    require_ray()
    if args.ray_address:
        try:
            ray_address(args.ray_address)
        except ValueError as error:
            raise UsageError(f"--ray-address {error}.") from error
    if videos:
        raise UsageError("A cluster processes images only. Leave out --engine ray for videos.")
    if args.out is None:
        raise UsageError("Results of a cluster cannot go to standard output. Add --out DIR.")
    if args.device not in ("cpu", "cuda"):
        raise UsageError(f"Workers on a cluster run on cpu or cuda, not on {args.device}.")


def detect_on_cluster(
    images: Sequence[InputFile],
    folder: Path,
    spec: ModelSpec,
    provenance: Callable[[], Provenance],
    formats: Sequence[str],
    numbering: Numbering,
    args: argparse.Namespace,
    how: dict[str, Any],
) -> bool:
    """Runs detection on all images; the arguments are those of `detect_in_images`, except for `provenance`.

    Args:
        images: The images.
        folder: Folder for results.
        spec: The model.
        provenance: Returns the provenance of the results once the weights are here.
        formats: Keys of `formats.FORMATS`.
        numbering: The ids of images and classes in COCO's formats.
        args: The options of `add_cluster_options`, and `device`.
        how: More arguments of `detect_in_images`.

    Returns:
        Whether nothing failed.
    """
    from detection_core.cluster_batch import ClusterBatch, on_cluster
    from detection_core.models.prepare import LoadProgress
    from detection_core.models.weights import fetch_weights

    report = LoadReport()
    fetch_weights(spec, on_progress=lambda done, total: report(LoadProgress("download", done, total)))
    with on_cluster(args.ray_address):
        cluster = ClusterBatch(spec, args.device, args.workers)
        process: dict[str, Any] = {"process": lambda batch: batch.run_by(cluster.run), "side_by_side": True}
        return detect_in_images(images, folder.absolute(), provenance=provenance(), formats=formats, numbering=numbering, **process, **how)
