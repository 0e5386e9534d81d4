"""The training loop for any detector, in one or several processes, which can be interrupted and resumed at any batch."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.evaluation import Evaluation, evaluate
from detection_core.models.checkpoint import Checkpoint, CheckpointError, read_checkpoint, write_checkpoint
from detection_core.models.detector import run
from detection_core.models.empty import NoRandomInitialization, build_empty
from detection_core.models.spec import ModelSpec
from detection_core.training.acceleration import accelerate
from detection_core.training.batches import SEED_STRIDE, TrainingExample, TrainingExamples, batches_of, collate_fn
from detection_core.training.initialization import freeze_backbone
from detection_core.training.interruption import TrainingInterrupted, ignore_interrupts, interruptible
from detection_core.training.losses import losses_of
from detection_core.training.optimization import make_optimizer, schedule, update_average
from detection_core.training.recipe import Recipe
from detection_core.training.report import Progress, describe, write_curve

_SECONDS_BETWEEN_SAVES = 300.0


class Trainer:
    """Trains one model on one data set.

    Args:
        module: The model with its starting weights, in float32.
        spec: The model's architecture, tasks, classes, keypoints and lowest score.
        data: Images to train on, without faults.
        validation: Images to measure on after every epoch.
        out: File of the best checkpoint. Beside it are `NAME.last.pt` to resume from, and the curve as `NAME.png` and `NAME.json`.
        recipe: The training recipe.
        device: The device by torch's name.
        workers: Number of additional processes that read images.
        say: Called with lines of progress for the user; only one of several processes should print them.
        origin: Name of the initial weights, for the checkpoint.
        identity: The settings that a resumed run must share, by display name, in plain types.
    """

    def __init__(
        self,
        module: nn.Module,
        spec: ModelSpec,
        data: CocoDataset,
        validation: CocoDataset,
        out: Path,
        recipe: Recipe,
        *,
        device: str,
        workers: int,
        say: Callable[[str], None],
        origin: str,
        identity: dict[str, Any],
    ) -> None:
        self.recipe, self.out, self.spec = recipe, out, spec
        self._data, self._validation, self._workers = data, validation, workers
        self._say, self._origin, self._identity = say, origin, identity
        self._rank, self._world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self._device = torch.device(device)
        self._module = module.to(self._device).train()
        if recipe.trainable_layers is not None:
            freeze_backbone(self._module, recipe.trainable_layers)
        if recipe.proposals is not None:
            heads: Any = self._module.get_submodule("roi_heads")
            heads.fg_bg_sampler.batch_size_per_image = recipe.proposals
        accelerate(self._module, self._device, bf16=recipe.bf16)
        transform: Any = self._module.transform
        # If the augmentation chooses a size, torchvision's transform must not choose another; SSDs have a fixed one.
        transform._skip_resize = recipe.augmentation.min_size is not None and transform.fixed_size is None
        self._optimizer = make_optimizer(self._module, recipe)
        self._average = {name: value.clone() for name, value in self._module.state_dict().items()} if recipe.average else None
        self._history: list[dict[str, Any]] = []
        self._epochs = self._epochs_measured = self._batches_done = 0
        self._best = 0.0
        self._seconds = 0.0
        self._per_epoch = len(self._batches(0))
        self._total = self._per_epoch * recipe.epochs
        self._progress = Progress(self._say, self._total)
        # Some batches skip the mask head or losses, and not in all processes at once.
        resting = "masks" in spec.tasks or any(image.partial for image in data.images)
        self._parallel = DistributedDataParallel(self._module, find_unused_parameters=resting) if self._world > 1 else self._module

    @property
    def last(self) -> Path:
        """The file of the checkpoint to resume from."""
        return self.out.with_suffix(".last.pt")

    def resume(self) -> None:
        """Restores the state of the last checkpoint.

        Raises:
            CheckpointError: If there is none, or it belongs to another run.
        """
        checkpoint = read_checkpoint(self.last, mmap=False)
        state = checkpoint.resume
        if state is None:
            raise CheckpointError(f"{self.last.name} holds only a model, nothing to resume from. Start anew, or from it with --init.")
        now = self._run()
        changes = [f"{name} was {value}, now {now.get(name)}" for name, value in state["run"].items() if value != now.get(name)]
        if changes:
            raise CheckpointError(
                f"{self.last.name} belongs to another run: {'; '.join(changes)}. Resume with the command that started it, in which "
                "only --epochs may change; or start from it with --init."
            )
        self._module.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average is not None:
            self._average = {name: value.to(self._device) for name, value in state["average"].items()}
        self._history, self._best, self._seconds = state["history"], state["best"], state["seconds"]
        self._epochs, self._epochs_measured, self._batches_done = state["epochs"], state["epochs measured"], state["batches"]
        self._origin = checkpoint.training["started_from"]
        self._progress = Progress(self._say, self._total, self._batches_done)
        self._progress.restore(state["progress"])
        self._say(f"Resumed after batch {self._batches_done}.")

    def fit(self) -> Checkpoint:
        """Trains until the end of the recipe.

        Returns:
            The best checkpoint, which is also the one at `out`.

        Raises:
            TrainingInterrupted: After Ctrl-C; the last checkpoint is written.
        """
        with interruptible() as interrupted:
            while self._epochs_measured < self.recipe.epochs:
                if self._epochs == self._epochs_measured:
                    self._train_epoch(interrupted)
                    self._epochs += 1
                    # Measuring takes a while and may fail, so the progress is saved before.
                    self._save_last()
                self._measure_epoch()
        return read_checkpoint(self.out, mmap=False)

    def _train_epoch(self, interrupted: threading.Event) -> None:
        self._progress.start_epoch()
        saved = started = time.monotonic()
        before = self._seconds
        for images, targets in self._pairs(self._epochs, self._batches_done - self._epochs * self._per_epoch):
            losses = self._step(images, targets)
            self._progress.step(self._epochs + 1, losses, len(images) * self._world)
            self._seconds = before + time.monotonic() - started
            if self._anybody(interrupted.is_set()):
                self._save_last()
                raise TrainingInterrupted(f"Stopped after batch {self._batches_done} of {self._total}; continue with --resume.")
            if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                self._save_last()
                saved = time.monotonic()

    def _step(self, images: Sequence[Tensor], targets: Sequence[dict[str, Tensor]]) -> dict[str, float]:
        # Proposals are sampled with torch's global generator: seeding it by the step makes a resumed run sample as an uninterrupted one.
        torch.manual_seed(self.recipe.seed + SEED_STRIDE * (self._batches_done * self._world + self._rank))
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.lr * group["factor"] * schedule(self._batches_done, self._total, self.recipe.warmup)
        images = [image.to(self._device) for image in images]
        targets = [{name: value.to(self._device) for name, value in target.items()} for target in targets]
        losses = losses_of(self._parallel, images, targets)
        weighted = [self.recipe.loss_weights.get(name, 1.0) * loss for name, loss in losses.items()]
        self._optimizer.zero_grad(set_to_none=True)
        torch.stack(weighted).sum().backward()
        parameters = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.recipe.max_gradient_norm)
        self._batches_done += 1
        if math.isfinite(norm):
            self._optimizer.step()
        else:
            self._say(f"Batch {self._batches_done} had no finite gradient and was left out. If this happens often, lower --lr.")
        if self._average is not None:
            update_average(self._average, self._module.state_dict(), self._batches_done, self.recipe.average)
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _batches(self, epoch: int) -> list[list[tuple[AnnotatedImage, int]]]:
        """Returns this process's batches of an epoch; every process has equally many, since they would otherwise wait forever."""
        batches = batches_of(self._data, self.recipe, epoch, self.spec.tasks)
        each = math.ceil(len(batches) / self._world)
        return (batches * self._world)[self._rank : each * self._world : self._world]

    def _pairs(self, epoch: int, first: int) -> DataLoader[TrainingExample]:
        pairs = TrainingExamples(self._data, self.recipe.augmentation, self.spec.tasks)
        batches: Any = self._batches(epoch)[first:]
        return DataLoader(pairs, batch_sampler=batches, collate_fn=collate_fn, num_workers=self._workers, worker_init_fn=ignore_interrupts)

    def _measure_epoch(self) -> None:
        losses = self._progress.epoch_losses()
        self._epochs_measured += 1
        if self._rank == 0:
            evaluation = self.measure()
            metrics = evaluation.metrics()
            self._history.append({"epoch": self._epochs, "losses": losses, "metrics": metrics})
            place = f"epoch {self._epochs} of {self.recipe.epochs}"
            self._say(f"{place}: {describe(metrics)} on {len(self._validation.images)} validation images")
            fitness = sum(metrics.values()) / max(1, len(metrics))
            # With equal results the later one, which is trained longer, especially if all are 0.
            if fitness >= self._best:
                self._best = fitness
                write_checkpoint(self._checkpoint(evaluation), self.out)
            self._save_last()
            write_curve(self._history, self.out.with_suffix(".png"))
        if self._world > 1:
            dist.barrier()

    def measure(self) -> Evaluation:
        """Measures the current model, or its average, on the validation images."""
        with NoRandomInitialization():
            module = build_empty(self.spec.architecture)
        module.load_state_dict(self._weights())
        module.to(self._device).eval().requires_grad_(False)
        return evaluate(self._validation, lambda image: run(module, self.spec, [image], self._device)[0][0])

    def _weights(self) -> dict[str, Tensor]:
        state = self._module.state_dict() if self._average is None else self._average
        return {name: value.detach().cpu().contiguous() for name, value in state.items()}

    def _checkpoint(self, evaluation: Evaluation | None) -> Checkpoint:
        return Checkpoint(
            architecture=self.spec.architecture,
            categories=self.spec.categories,
            category_ids=self.spec.category_ids,
            keypoint_names=self.spec.keypoint_names,
            state=self._weights(),
            training={
                "started_from": self._origin,
                "recipe": asdict(self.recipe),
                "processes": self._world,
                "epochs": self._epochs,
                "batches": self._batches_done,
                "seconds": round(self._seconds),
                "images": len(self._data.images),
                "validation_images": len(self._validation.images),
                "figures": evaluation.figures() if evaluation else {},
                "history": self._history,
            },
            metrics=evaluation.metrics() if evaluation else {},
            default_threshold=evaluation.default_threshold(self.spec.min_score) if evaluation else None,
            resume=None,
        )

    def _save_last(self) -> None:
        if self._rank != 0:
            return
        resume = {
            "run": self._run(),
            "progress": self._progress.state(),
            "model": self._module.state_dict(),
            "average": self._average,
            "optimizer": self._optimizer.state_dict(),
            "history": self._history,
            "best": self._best,
            "epochs": self._epochs,
            "epochs measured": self._epochs_measured,
            "batches": self._batches_done,
            "seconds": self._seconds,
        }
        write_checkpoint(replace(self._checkpoint(None), resume=resume), self.last)

    def _run(self) -> dict[str, Any]:
        """Returns the settings that a resumed run must share with the one before."""
        recipe = {name.replace("_", " "): value for name, value in asdict(self.recipe).items() if name != "epochs"}
        images = hashlib.sha256("\n".join(f"{image.id} {image.path.name}" for image in self._data.images).encode())
        return {
            **self._identity,
            "builder": self.spec.architecture.builder,
            "its arguments": self.spec.architecture.arguments,
            "classes": list(self.spec.categories),
            "keypoints": list(self.spec.keypoint_names),
            **recipe,
            "processes": self._world,
            "images": f"{len(self._data.images)} ({images.hexdigest()[:8]})",
        }

    def _anybody(self, stop: bool) -> bool:
        if self._world == 1:
            return stop
        vote = torch.tensor(int(stop), device=self._device)
        dist.all_reduce(vote)
        return bool(vote)
