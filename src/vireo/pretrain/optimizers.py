"""The optimiser of pre-training: SGD, or SGD under LARC's layer-wise rates, on a schedule.

LARC as SwAV uses it: trust 0.001, no clipping, every parameter adapted and decayed. Its own lines
here rather than timm's `lars`, which decays a tensor whose gradient is exactly zero by the full,
unadapted rate, and adapts nothing where the weight decay is zero; the released code does neither.

References:
    You et al. 2017, arXiv 1708.03888; Goyal et al. 2017, arXiv 1706.02677 (warm-up);
    Loshchilov & Hutter 2017, arXiv 1608.03983 (cosine).
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vireo import schedules
from vireo.errors import SettingError
from vireo.methods.method import Progress
from vireo.records import OptimizerSettings


class Optimizer:
    """SGD over every trained parameter of a network; its rate is given at each step."""

    def __init__(self, network: nn.Module, settings: OptimizerSettings) -> None:
        self.settings = settings
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._sgd = torch.optim.SGD(
            self._parameters,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=0.0 if settings.name == "larc" else settings.weight_decay,
        )

    def zero_grad(self) -> None:
        """Drop all gradients: a parameter without one is neither moved nor decayed."""
        self._sgd.zero_grad(set_to_none=True)

    def step(self, learning_rate: float) -> None:
        """Move the parameters that have a gradient."""
        if self.settings.name == "larc":
            adapt_gradients(self._parameters, self.settings.weight_decay, self.settings.trust)
        for group in self._sgd.param_groups:
            group["lr"] = learning_rate
        self._sgd.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the momenta."""
        return self._sgd.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the momenta that `state_dict` gave."""
        self._sgd.load_state_dict(dict(state))


@torch.no_grad()
def adapt_gradients(parameters: Iterable[Tensor], weight_decay: float, trust: float) -> None:
    """Turn gradients g of parameters w, in place, into LARC's (g + decay w) rate.

    rate = trust |w| / (|g| + decay |w| + 1e-8), tensor by tensor. A tensor of which w or g is all
    zero keeps its plain gradient and is not decayed.
    """
    for w in parameters:
        g = w.grad
        if g is None:
            continue
        w_norm, g_norm = w.norm(), g.norm()
        rate = trust * w_norm / (g_norm + weight_decay * w_norm + 1e-8)
        adapted = (g + weight_decay * w) * rate
        g.copy_(torch.where((w_norm > 0) & (g_norm > 0), adapted, g))


def learning_rate(settings: OptimizerSettings, progress: Progress) -> float:
    """Return the rate of the step that follows `progress`.

    By the epoch, all steps of an epoch have the rate of its start. Warm-up is a line whose last
    step (or epoch) has the full rate; cosine takes what is left of the run. Milestones are shares
    of the whole run.

    Example:
        >>> halfway = Progress(step=5, num_steps=10, epoch=5, num_epochs=10)
        >>> learning_rate(OptimizerSettings(learning_rate=0.03, weight_decay=1e-4), halfway)
        0.015
    """
    unit = progress.num_steps / progress.num_epochs if settings.schedule_unit == "step" else 1.0
    done = float(progress.step if settings.schedule_unit == "step" else progress.epoch)
    total = progress.num_epochs * unit
    warm = round(settings.warmup_epochs * unit)
    full = settings.learning_rate
    if done < warm:
        return schedules.warmup(done, warm - 1.0, settings.warmup_learning_rate, full)
    if settings.schedule == "cosine":
        return schedules.cosine((done - warm) / (total - warm), full, settings.final_learning_rate)
    if settings.schedule == "step":
        return schedules.step(done / total, full, settings.milestones)
    return full


def check_optimizer(settings: OptimizerSettings, epochs: int) -> None:
    """Refuse settings that no step can be taken with.

    Raises:
        SettingError: the rule, the value and what to change.
    """
    choices = {
        "name": ("sgd", "larc"),
        "schedule": ("cosine", "step", "constant"),
        "schedule_unit": ("step", "epoch"),
    }
    for field, allowed in choices.items():
        value = getattr(settings, field)
        if value not in allowed:
            raise SettingError(f"Optimizer {field} must be one of {allowed}; got '{value}'.")
    _check_rates(settings)
    if not 0 <= settings.momentum < 1 or (settings.nesterov and not settings.momentum):
        raise SettingError(
            f"momentum must be in [0, 1), above 0 for nesterov; got {settings.momentum}."
        )
    if not 0 <= settings.warmup_epochs < epochs:
        raise SettingError(
            f"warmup_epochs must be fewer than the run's {epochs}, and not negative; got "
            f"{settings.warmup_epochs}. Give an optimizer of your own with a shorter warm-up."
        )
    if not all(0 < milestone < 1 for milestone in settings.milestones):
        raise SettingError(
            f"milestones are shares of the run, between 0 and 1; got {settings.milestones}. Divide "
            f"epochs by the run's {epochs}."
        )


def _check_rates(settings: OptimizerSettings) -> None:
    if not 0 < settings.learning_rate < math.inf or not 0 <= settings.weight_decay < math.inf:
        raise SettingError(
            f"learning_rate must be above 0 and weight_decay not below, both finite; got "
            f"{settings.learning_rate} and {settings.weight_decay}."
        )
    if settings.trust <= 0 or min(settings.final_learning_rate, settings.warmup_learning_rate) < 0:
        raise SettingError(
            f"trust must be above 0, final_learning_rate and warmup_learning_rate not below; got "
            f"{settings.trust}, {settings.final_learning_rate} and "
            f"{settings.warmup_learning_rate}."
        )
