"""The loop of pre-training: plain torch, one process or several, resumable at any step, exactly."""

import contextlib
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vireo.console import Bar, progress, say
from vireo.data.batch import ViewBatch
from vireo.data.views.loading import load_views
from vireo.devices import Compute
from vireo.methods.method import Losses, Method, Progress
from vireo.pretrain.cost import Ledger
from vireo.pretrain.distributed import (
    ALONE,
    Processes,
    batch_norm_state,
    own_state,
    spread,
    wrapped,
)
from vireo.pretrain.folder import METRICS
from vireo.pretrain.interrupts import Interrupts
from vireo.pretrain.learning import Learner, seeded
from vireo.pretrain.log import metrics_log
from vireo.pretrain.monitors import Meter, demand_finite
from vireo.pretrain.online_knn import OnlineKnn
from vireo.pretrain.optimizers import Optimizer, learning_rate, weight_decay
from vireo.pretrain.prepare import Run
from vireo.pretrain.reporting import Reporter
from vireo.pretrain.state import load_checkpoint, save_checkpoint

EPOCH_SHARE = 0.25  # of the time between checkpoints, after which an epoch's end is saved too


def train_step(
    method: Method,
    optimizer: Optimizer,
    batch: ViewBatch,
    now: Progress,
    *,
    compute: Compute,
    learner: Learner | None = None,
) -> Losses:
    """Take one step, in the order that `Method` promises; the learner is the method alone if None.

    In several processes the batch is this one's share, and so are the loss and its terms.
    """
    method.before_step(now)
    optimizer.zero_grad()
    losses = (learner or Learner(network=method)).learn(batch, now, compute)
    losses = replace(losses, terms={**losses.terms, "gradient_norm": _gradient_norm(method)})
    method.after_backward(now)
    optimizer.step(learning_rate(optimizer.settings, now), weight_decay(optimizer.settings, now))
    method.after_step(now, losses.pending)
    return losses


class Trainer:
    """A run in progress; all that changes is the step, the method, the optimiser and the meter.

    Args:
        run: what to train.
        folder: of the run; goes on from its newest checkpoint if there is one.
        workers: of the loader.
        save_every_seconds: time between checkpoints; the numbers do not depend on it.
        knn: judges the encoder at the end of epochs; None for no judgement.
        processes: that train together.
    """

    def __init__(
        self,
        run: Run,
        folder: Path,
        workers: int,
        save_every_seconds: float,
        *,
        knn: OnlineKnn | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.knn, self.processes = knn, processes
        self.run, self.folder, self.workers = run, folder, workers
        self.save_every_seconds = save_every_seconds
        self.method = run.build()
        spread(self.method, processes)
        self.optimizer = Optimizer(self.method, run.optimizer)
        network = wrapped(self.method, processes)
        self.learner = Learner(network=network, parts=run.settings.accumulate)
        self.meter = Meter()
        self.ledger = Ledger(run.compute)
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
            metrics_log(self.folder / METRICS, self.step, kept=self.processes.leads) as log,
            progress(title, self.run.num_steps, self.step) as bar,
            Interrupts() as interrupts,
        ):
            if self.step == 0 and self.method.needs_first_pass:
                self._first_pass(interrupts)
            reporter = Reporter(self.run, self.method, self.meter, log, knn=self.knn)
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
            content: dict[str, Any] = {
                "method": self.method.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "meter": self.meter.state_dict(),
                "cost": self.ledger.state_dict(),
            }
            if self.processes.count > 1:
                own = {"meter": content["meter"], "cost": content["cost"]}
                content["ranks"] = self.processes.each(
                    {**own, "method": batch_norm_state(self.method)}
                )
            self.processes.first(
                lambda: save_checkpoint(
                    self.folder, recipe=self.run.digest, step=self.step, content=content
                )
            )
        self._saved_step, self._saved_at = self.step, time.perf_counter()

    def _restore(self) -> None:
        # Read once and sent, so that all have the same one, and no other needs to see the folder.
        state = self.processes.first(lambda: load_checkpoint(self.folder, self.run.digest))
        if state is None:
            return
        state = own_state(state, self.processes)
        self.method.load_state_dict(state["method"], strict=True)
        self.optimizer.load_state_dict(state["optimizer"])
        self.meter.load_state_dict(state["meter"], self.run.compute.torch_device)
        self.ledger.load_state_dict(state["cost"])
        self.step = state["step"]
        say(f"Going on from step {self.step} of {self.run.num_steps} in {self.folder}.")

    def _first_pass(self, interrupts: Interrupts) -> None:
        """Show the method every image once, as epoch -1, whose steps end where the first begins."""
        say("One pass over the images before the first step.")
        compute, steps = self.run.compute, self.run.steps_per_epoch
        with contextlib.closing(self._batches(-steps)) as batches:
            for step, batch in enumerate(batches, start=-steps):
                now = replace(self.now(), step=step, epoch=-1)
                with torch.no_grad(), seeded(now, compute.torch_device), compute.autocast():
                    self.method.first_pass(batch)
                if self.processes.any(interrupts.asked)[0]:
                    self._leave()

    def _epoch(self, reporter: Reporter, bar: Bar, interrupts: Interrupts) -> None:
        """Take the steps that are left of the current epoch."""
        with contextlib.closing(self._batches(self.step)) as batches:
            for batch in batches:
                note = self._step(reporter, batch)
                bar.advance(note=note)
                self.ledger.look()
                asked, due = self.processes.any(interrupts.asked, self._is_save_due())
                if due:
                    self.save()
                if asked:
                    self._leave()

    def _step(self, reporter: Reporter, batch: ViewBatch) -> str | None:
        now = self.now()
        losses = train_step(
            self.method,
            self.optimizer,
            batch,
            now,
            compute=self.run.compute,
            learner=self.learner,
        )
        self.step += 1
        return self.processes.agreed(lambda: reporter.report(now, losses))

    def _batches(self, step: int) -> Generator[ViewBatch, None, None]:
        """Yield this process's share of the batches of an epoch, from `step` on."""
        return self.processes.in_step(self._read(step))

    def _read(self, step: int) -> Generator[ViewBatch, None, None]:
        epoch, start = divmod(step, self.run.steps_per_epoch)
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
            share=(self.processes.rank, self.processes.count),
        ):
            yield _on_device(batch, device)

    def _is_save_due(self) -> bool:
        waited = time.perf_counter() - self._saved_at
        epoch_ends = self.step % self.run.steps_per_epoch == 0
        return waited >= self.save_every_seconds * (EPOCH_SHARE if epoch_ends else 1.0)

    def _leave(self) -> None:
        self.save()
        say(
            f"Stopped after step {self.step} of {self.run.num_steps}; run the same again to go on "
            f"from {self.folder}."
        )
        raise KeyboardInterrupt


@torch.no_grad()
def _gradient_norm(method: Method) -> Tensor:
    """Return the length of the whole gradient, before it is clipped or frozen in part."""
    found = [p.grad for p in method.parameters() if p.grad is not None]
    norm: Tensor = torch.nn.utils.get_total_norm(found)
    return norm


def _on_device(batch: ViewBatch, device: torch.device) -> ViewBatch:
    return replace(
        batch,
        groups=tuple(group.to(device) for group in batch.groups),
        index=batch.index.to(device),
        label=None if batch.label is None else batch.label.to(device),
        patches=None if batch.patches is None else batch.patches.to(device),
    )
