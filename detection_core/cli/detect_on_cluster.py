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
    from detection_core.storage.parquet import Columns


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options to a parser."""
    group = parser.add_argument_group(
        "clusters",
        "All nodes need the folder for results, and images that are files, under the same paths. FILE may also be a Parquet file with an\n"
        "image in each row, a folder with such files, or an address in object storage: s3://BUCKET/FOLDER, gs:// and others, for MinIO\n"
        "s3://BUCKET/FOLDER?endpoint_override=HOST:9000&scheme=http.",
    )
    group.add_argument("--engine", choices=["local", "ray"], default="local", help="local, or ray for a Ray cluster")
    group.add_argument("--ray-address", default="", metavar="A", help="auto or HOST:PORT; default: start a cluster here")
    group.add_argument("--workers", type=count, default=4, metavar="N", help="most workers on the cluster; default: 4")
    group.add_argument("--image-column", metavar="C", help="Parquet column with encoded images; default: “image”, or the only one")
    group.add_argument("--name-column", metavar="C", help="Parquet column with names; default: a usual one such as “file_name”, or none")


def stored_images(args: argparse.Namespace) -> tuple[list[InputFile], list[str]]:
    """Finds the images in object storage and in Parquet files.

    Returns:
        The images, and the names of the command that mean something else.

    Raises:
        UsageError: If there are any without a cluster, or options for Parquet files without one.
        RayMissingError: If Ray is not installed.
        StorageError: If something cannot be read, or has no image.
    """
    from detection_core.storage.listing import find_stored, is_stored
    from detection_core.storage.parquet import Columns, is_row

    stored = [name for name in args.files if is_stored(name)]
    if stored and args.engine != "ray":
        raise UsageError(
            f"“{stored[0]}” is read on a Ray cluster only: add --engine ray, which starts one here unless there is --ray-address."
        )
    images: list[InputFile] = []
    if stored:
        from detection_core.engine.ray import require_ray

        require_ray()
        images = find_stored(stored, _columns(args))
    if _columns(args) != Columns() and not any(is_row(image.path) for image in images):
        raise UsageError("--image-column and --name-column are for Parquet files: leave them out.")
    return images, [name for name in args.files if name not in stored]


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
        cluster = ClusterBatch(spec, args.device, args.workers, _columns(args))
        process: dict[str, Any] = {"process": lambda batch: batch.run_by(cluster.run), "side_by_side": True}
        return detect_in_images(images, folder.absolute(), provenance=provenance(), formats=formats, numbering=numbering, **process, **how)


def _columns(args: argparse.Namespace) -> Columns:
    from detection_core.storage.parquet import Columns

    return Columns(args.image_column, args.name_column)
