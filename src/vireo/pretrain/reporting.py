"""When a line of the log is due, what is in it, and which warnings it calls for."""

import time
from dataclasses import replace

from vireo.console import warn
from vireo.methods.method import Losses, Method, Progress
from vireo.methods.processes import of_all_processes
from vireo.pretrain.log import MetricsLog, NoLog
from vireo.pretrain.monitors import (
    CollapseWatch,
    Meter,
    demand_finite,
    feature_statistics,
    warnings,
)
from vireo.pretrain.online_knn import OnlineKnn
from vireo.pretrain.optimizers import learning_rate
from vireo.pretrain.prepare import Run

LINES_PER_EPOCH = 10  # at least, in an epoch of as many steps
STEPS_PER_LINE = 50  # at most


def rate_in_words(run: Run) -> str:
    """Say the learning rate, and where it comes from."""
    settings, rate = run.settings, run.optimizer
    origin = "by the paper's rule" if settings.optimizer is None else "as set"
    there = f"{rate.schedule} to {rate.final_learning_rate:g}"
    shape = "constant" if rate.schedule == "constant" else f"{there}, by the {rate.schedule_unit}"
    warm = f" after {rate.warmup_epochs:g} epochs of warm-up" if rate.warmup_epochs else ""
    return (
        f"Learning rate {rate.learning_rate:g} for batches of {settings.batch_size}, {origin} "
        f"({rate.name}, {shape}{warm})"
    )


class Reporter:
    """Writes a line at fixed steps, so that a resumed log is that of an uninterrupted run."""

    def __init__(
        self,
        run: Run,
        method: Method,
        meter: Meter,
        log: MetricsLog | NoLog,
        *,
        knn: OnlineKnn | None,
    ) -> None:
        self._knn = knn
        self._watch = CollapseWatch(run.settings.method)
        self._run, self._method, self._meter, self._log = run, method, meter, log
        self._warned: set[str] = set()
        self._at = time.perf_counter()
        self._steps = 0

    def report(self, now: Progress, losses: Losses) -> str | None:
        """Take in the step that began at `now`; return a note for the bar if a line was written.

        Raises:
            TrainingError: the loss is not finite, or the features have collapsed.
        """
        self._meter.add(losses)
        self._steps += 1
        if not self._due(now.step + 1):
            return None
        # First what processes tell each other: only one of them may fail in what comes after.
        losses = replace(losses, features=of_all_processes(losses.features))
        demand_finite(self._meter, self._method, now)
        line = self._line(now, losses)
        self._log.write(line)
        self._watch.see(line, now)
        for kind, message in warnings(line, now).items():
            if kind not in self._warned:
                warn(message)
            self._warned.add(kind)
        judged = f"  kNN {line['knn']:.1%}" if "knn" in line else ""
        return f"loss {line['loss']:.4g}  {line['images_per_second']:.0f} images/s{judged}"

    def _due(self, step: int) -> bool:
        of_epoch = self._run.steps_per_epoch
        every = min(STEPS_PER_LINE, max(1, of_epoch // LINES_PER_EPOCH))
        in_epoch = (step - 1) % of_epoch + 1
        return in_epoch % every == 0 or in_epoch == of_epoch

    def _line(self, now: Progress, losses: Losses) -> dict[str, int | float]:
        means = self._meter.means()
        seconds, steps = time.perf_counter() - self._at, self._steps
        ends = (now.step + 1) % self._run.steps_per_epoch == 0
        judged = (
            {"knn": self._knn(self._method.encoder)}
            if self._knn is not None and ends and self._knn.is_due(now.epoch + 1)
            else {}
        )
        self._at, self._steps = time.perf_counter(), 0
        return {
            "step": now.step + 1,
            "epoch": (now.step + 1) / self._run.steps_per_epoch,
            **means,
            "loss_level": means["loss"] / self._method.no_information,
            "learning_rate": learning_rate(self._run.optimizer, now),
            **feature_statistics(losses.features),
            "images_per_second": steps * self._run.settings.batch_size / seconds,
            **judged,
        }
