"""What tells a run that learns from one that does not: finite loss, spread features, used parts.

A collapsed encoder gives every image nearly the same feature; its loss may look fine. The loss is
also compared with the loss of features that say nothing, which each method states.

References:
    Chen & He 2021 (std of unit features); Garrido et al. 2023, RankMe (effective rank).
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vireo.errors import TrainingError
from vireo.features.rank import effective_rank, feature_std
from vireo.methods.cards import CARDS
from vireo.methods.method import Losses, Progress
from vireo.methods.processes import mean_of_all_processes

COLLAPSED_STD = 0.01  # of unit features, times sqrt(d): 1 is evenly spread, 0 all the same
COLLAPSED_RANK = 1.05
COLLAPSED_LINES = 5
GENERAL_ADVICE = "Lower the learning rate, warm it up, or use larger batches."


class Meter:
    """Means of the loss and its terms since the last line of the log, kept on the device.

    Of several processes the mean is logged: each has its own share of every batch.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, losses: Losses) -> None:
        """Take in one step."""
        for name, value in {"loss": losses.total.detach(), **losses.terms}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.double()
        self._count += 1

    def means(self) -> dict[str, float]:
        """Return the means and start anew."""
        totals = mean_of_all_processes(torch.stack(list(self._sums.values())))
        means = {
            name: float(total) / self._count for name, total in zip(self._sums, totals, strict=True)
        }
        self._sums, self._count = {}, 0
        return means

    def finite(self) -> bool:
        """Whether no step since the last line had a loss that is not finite."""
        if self._count == 0:
            return True
        return math.isfinite(float(mean_of_all_processes(self._sums["loss"])))

    def state_dict(self) -> dict[str, Any]:
        """Return the sums, for a checkpoint between two lines."""
        return {"sums": {name: t.cpu() for name, t in self._sums.items()}, "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take over the sums that `state_dict` gave."""
        self._sums = {name: total.to(device) for name, total in state["sums"].items()}
        self._count = state["count"]


def feature_statistics(features: Float[Tensor, "batch dim"]) -> dict[str, float]:
    """Return how far the batch's features are from being all the same.

    `feature_std` is that of unit features times sqrt(dim): 1 if they spread evenly over the sphere,
    0 if they are one point. `feature_rank` is RankMe's effective rank of this one batch.
    """
    values = features.detach().float().cpu()
    return {
        "feature_std": feature_std(values) * math.sqrt(values.shape[1]),
        "feature_rank": effective_rank(values),
    }


def demand_finite(meter: Meter, network: nn.Module, now: Progress) -> None:
    """Stop a run whose loss or weights are not numbers any more, before they are written.

    Raises:
        TrainingError: with what to try.
    """
    if meter.finite() and all(bool(w.isfinite().all()) for w in network.parameters()):
        return
    raise TrainingError(
        f"The loss or the weights are not finite by step {now.step} (epoch {now.epoch}). Lower the "
        f"learning rate or warm it up, or compute in float32; no checkpoint holds what went wrong."
    )


class CollapseWatch:
    """Stops a run whose features are one point, line after line, and says what to try.

    Args:
        method: its name; its card has the advice.
    """

    def __init__(self, method: str) -> None:
        self._card = CARDS.get(method)
        self._lines = 0

    def see(self, line: Mapping[str, int | float], now: Progress) -> None:
        """Take in one line of the log.

        Raises:
            TrainingError: the last lines, after the first epoch, all show a collapse.
        """
        self._lines = self._lines + 1 if now.epoch > 0 and is_collapsed(line) else 0
        if self._lines < COLLAPSED_LINES:
            return
        advice = self._card.advice if self._card else ""
        raise TrainingError(
            f"Stopped at step {now.step} (epoch {now.epoch}): all images have had nearly the same "
            f"feature for {self._lines} lines of the log (std {line['feature_std']:.2g} of 1, rank "
            f"{line['feature_rank']:.3g}), so the representation has collapsed and further steps "
            f"would be wasted. {advice or GENERAL_ADVICE}"
        )


def is_collapsed(line: Mapping[str, int | float]) -> bool:
    """Whether a line of the log shows features that are all the same."""
    return line["feature_std"] < COLLAPSED_STD or line["feature_rank"] < COLLAPSED_RANK


def warnings(line: Mapping[str, int | float], progress: Progress) -> dict[str, str]:
    """Return what looks wrong in a line of the log: kind to message, empty if nothing does."""
    found = {}
    if is_collapsed(line):
        found["collapse"] = (
            f"step {progress.step}: all images have nearly the same feature (std "
            f"{line['feature_std']:.2g} of 1, rank {line['feature_rank']:.3g}): the representation "
            f"has collapsed. Lower the learning rate or use larger batches."
        )
    if progress.fraction >= 0.5 and line["loss_level"] > 0.995:
        found["no information"] = (
            f"step {progress.step}: the loss is no better than without any information "
            f"({line['loss']:.4g}) after half of the run. Train longer or at another learning rate."
        )
    if line.get("prototype_usage", 1.0) < 0.1 and progress.epoch > 0:
        found["prototypes"] = (
            f"step {progress.step}: few prototypes are used (evenness "
            f"{line['prototype_usage']:.2g} of 1). Use fewer prototypes or a queue."
        )
    return found
