"""One head of many: its first weights, what it answers, how good that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vireo.catalog import resolve
from vireo.probe.many_heads import Weights, many, pad
from vireo.probe.outcomes import raw_value, score_of
from vireo.probe.scaling import Scales
from vireo.probe.training import First
from vireo.records import EncoderCard, Task
from vireo.tasks import LOSSES
from vireo.tasks.checks import head_of, metric_of
from vireo.tasks.heads import initialised

_NUMBERS = 1 << 24
"""Numbers of a head's layers that are held at once."""


def first_weights(card: EncoderCard, task: Task, drawn: Sequence[int]) -> First:
    """Return the weights that heads start from, one for each of the seeds `drawn`."""
    kind = head_of(task)
    heads = [
        many(kind).first(initialised(kind, card, task.outputs, seed, frames=task.frames))
        for seed in drawn
    ]
    return tuple(torch.stack(parts) for parts in zip(*heads, strict=True))


@dataclass(frozen=True)
class OneHead:
    """A trained head: called with features, it answers.

    Attributes:
        weights: of one seed and one configuration.
    """

    task: Task
    weights: Weights
    scales: Scales

    @property
    def is_finite(self) -> bool:
        """Whether training left finite weights."""
        return all(bool(w.isfinite().all()) for w in self.weights)

    def __call__(self, features: Float[Tensor, "n frames dim"]) -> Tensor:
        """Return classes int64 [n], or numbers float32 [n, outputs] in the target's unit."""
        return self.scales.answered(self._raw(features))

    def judge(
        self, features: Float[Tensor, "n frames dim"], targets: Tensor
    ) -> tuple[float, float]:
        """Return score and loss, by which one of several heads is chosen; NaN if it diverged."""
        if not self.is_finite:
            return torch.nan, torch.nan
        found, task = self._raw(features), self.task
        weights = found.new_tensor(task.class_weights) if task.class_weights else None
        loss = resolve(LOSSES, task.loss, "loss")(found, self.scales.scaled(targets), None, weights)
        outcomes = metric_of(task).outcomes(self.scales.answered(found).cpu(), targets.cpu())
        raw = raw_value(task, {name: t.numpy() for name, t in outcomes.items()}, "validation")
        return score_of(task, raw), float(loss)

    def _raw(self, features: Float[Tensor, "n frames dim"]) -> Float[Tensor, "n outputs"]:
        """Return logits, or numbers in the scale that heads are trained in."""
        arithmetic = many(head_of(self.task))
        widest = sum(w.shape[1] * w.shape[3] for w in self.weights) // features.shape[2]
        parts = [
            arithmetic.answer(self.weights, pad(self.scales.features(part))[None]).answers
            for part in torch.split(features, max(1, _NUMBERS // (widest + features[0].numel())))
        ]
        return torch.cat([part[0, :, :, 0] for part in parts])
