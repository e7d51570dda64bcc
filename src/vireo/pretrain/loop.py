"""The loop of pre-training: plain torch, one process, resumable at any step, exactly.

The network is only run through `method(batch)`, so it can be wrapped by DistributedDataParallel,
whose hooks fire in a module's forward.
"""

import contextlib
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import torch

from vireo import seeding
from vireo.console import Bar, progress, say
from vireo.data.batch import ViewBatch
from vireo.data.views.loading import load_views
from vireo.devices import Compute
from vireo.methods.method import Losses, Method, Progress
from vireo.pretrain.folder import METRICS
from vireo.pretrain.interrupts import Interrupts
from vireo.pretrain.log import MetricsLog
from vireo.pretrain.monitors import Meter, demand_finite
from vireo.pretrain.optimizers import Optimizer, learning_rate
from vireo.pretrain.prepare import Run
from vireo.pretrain.reporting import Reporter
from vireo.pretrain.state import load_checkpoint, save_checkpoint

EPOCH_SHARE = 0.25  # of the time between checkpoints, after which an epoch's end is saved too


def train_step(
    method: Method, optimizer: Optimizer, batch: ViewBatch, now: Progress, *, compute: Compute
) -> Losses:
    """Take one step, in the order that `Method` promises."""
    method.before_step(now)
    with _seeded(now, compute.torch_device), compute.autocast():
        losses: Losses = method(batch)
    optimizer.zero_grad()
    losses.total.backward()  # type: ignore[no-untyped-call]
    method.after_backward(now)
    optimizer.step(learning_rate(optimizer.settings, now))
    method.after_step(now, losses.pending)
    return losses


class Trainer:
    """A run in progress; all that changes is the step, the method, the optimiser and the meter.

    Args:
        run: what to train.
        folder: of the run; goes on from its newest checkpoint if there is one.
        workers: of the loader.
        save_every_seconds: time between checkpoints; the numbers do not depend on it.
    """

    def __init__(self, run: Run, folder: Path, workers: int, save_every_seconds: float) -> None:
        self.run, self.folder, self.workers = run, folder, workers
        self.save_every_seconds = save_every_seconds
        self.method = run.build()
        self.optimizer = Optimizer(self.method, run.optimizer)
        self.meter = Meter()
        self.step = 0
        self._restore()
        self._saved_step, self._saved_at = self.step, time.perf_counter()

    def train(self) -> Method:
        """Take the steps that are left, and return the trained method.

        Raises:
            TrainingError: the loss is not finite.
            KeyboardInterrupt: after Ctrl-C or SIGTERM, when a checkpoint is written.
        """
        title = f"{self.run.settings.method} {self.folder.name}"
        with (
            MetricsLog(self.folder / METRICS, self.step) as log,
            progress(title, self.run.num_steps, self.step) as bar,
            Interrupts() as interrupts,
        ):
            reporter = Reporter(self.run, self.method, self.meter, log)
            while self.step < self.run.num_steps:
                self._epoch(reporter, bar, interrupts)
        self.save()
        return self.method

    def now(self) -> Progress:
        """Where the run is."""
        return Progress(
            step=self.step,
            num_steps=self.run.num_steps,
            epoch=self.step // self.run.steps_per_epoch,
            num_epochs=self.run.settings.epochs,
            digest=self.run.digest,
        )

    def save(self) -> None:
        """Write a checkpoint, unless this step has one.

        Raises:
            TrainingError: loss or weights are not finite; nothing is written.
        """
        if self.step != self._saved_step:
            demand_finite(self.meter, self.method, self.now())
            content = {
                "method": self.method.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "meter": self.meter.state_dict(),
            }
            save_checkpoint(self.folder, recipe=self.run.digest, step=self.step, content=content)
        self._saved_step, self._saved_at = self.step, time.perf_counter()

    def _restore(self) -> None:
        state = load_checkpoint(self.folder, self.run.digest)
        if state is None:
            return
        self.method.load_state_dict(state["method"], strict=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.meter.load_state_dict(state["meter"], self.run.compute.torch_device)
        self.step = state["step"]
        say(f"Going on from step {self.step} of {self.run.num_steps} in {self.folder}.")

    def _epoch(self, reporter: Reporter, bar: Bar, interrupts: Interrupts) -> None:
        """Take the steps that are left of the current epoch."""
        with contextlib.closing(self._batches()) as batches:
            for batch in batches:
                now = self.now()
                losses = train_step(
                    self.method, self.optimizer, batch, now, compute=self.run.compute
                )
                self.step += 1
                bar.advance(note=reporter.report(now, losses))
                self._save_if_due()
                if interrupts.asked:
                    break
        if interrupts.asked:
            self._leave()

    def _batches(self) -> Generator[ViewBatch, None, None]:
        epoch, start = divmod(self.step, self.run.steps_per_epoch)
        device = self.run.compute.torch_device
        for batch in load_views(
            self.run.source,
            self.method.views,
            seed_digest=self.run.digest,
            epoch=epoch,
            batch_size=self.run.settings.batch_size,
            engine=self.run.engine,
            device=device,
            workers=self.workers,
            start=start,
        ):
            yield _on_device(batch, device)

    def _save_if_due(self) -> None:
        waited = time.perf_counter() - self._saved_at
        epoch_ends = self.step % self.run.steps_per_epoch == 0
        if waited >= self.save_every_seconds * (EPOCH_SHARE if epoch_ends else 1.0):
            self.save()

    def _leave(self) -> None:
        self.save()
        say(
            f"Stopped after step {self.step} of {self.run.num_steps}; run the same again to go on "
            f"from {self.folder}."
        )
        raise KeyboardInterrupt


@contextlib.contextmanager
def _seeded(now: Progress, device: torch.device) -> Generator[None, None, None]:
    """Seed torch's global generators for one forward: dropout has no generator of its own."""
    on_gpu = device.type == "cuda"
    seed = seeding.integer(now.digest, "forward", 0, now.step)
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def _on_device(batch: ViewBatch, device: torch.device) -> ViewBatch:
    return replace(
        batch,
        groups=tuple(group.to(device) for group in batch.groups),
        index=batch.index.to(device),
        label=None if batch.label is None else batch.label.to(device),
    )
