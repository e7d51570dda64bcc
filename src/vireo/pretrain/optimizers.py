"""The optimiser of pre-training: SGD, LARC, LARS or AdamW, on a schedule.

LARC as SwAV uses it: trust .001, no clipping, every parameter adapted and decayed. LARS as BYOL,
Barlow Twins and VICReg use it: the norm is of the gradient with its decay, and momentum comes after
the local rate and before the global one. (You et al. and SimCLR's code have the global rate inside
the momentum: the same while the rate is constant, nearly so on a smooth schedule.) Own lines here
rather than timm's `lars`, whose formula is LARC's: it decays a tensor whose gradient is exactly
zero by the full, unadapted rate, and adapts nothing where the weight decay is zero; none of the
released codes does either.

References:
    You et al. 2017, arXiv 1708.03888; Goyal et al. 2017, arXiv 1706.02677 (warm-up);
    Loshchilov & Hutter 2017, arXiv 1608.03983 (cosine); 2019, arXiv 1711.05101 (AdamW).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from vireo import schedules
from vireo.errors import SettingError
from vireo.methods.method import Method, Progress
from vireo.records import OptimizerSettings

ADAMW_BETA_2 = 0.999
SHARE_OF_WARMUP = 0.25  # of a run, at most: BYOL's shortest published run warms up 10 of 40 epochs


class Optimizer:
    """Moves every trained parameter of a network; rate and decay are given at each step.

    Args:
        network: a method's `constant_rate` names the modules that keep the full rate.
        settings: what to move them by.
    """

    def __init__(self, network: nn.Module, settings: OptimizerSettings) -> None:
        self.settings = settings
        self._groups = _groups(network, settings)
        self._inner = _inner(self._groups, settings)

    def zero_grad(self) -> None:
        """Drop all gradients: a parameter without one is neither moved nor decayed."""
        self._inner.zero_grad(set_to_none=True)

    def step(self, learning_rate: float, weight_decay: float | None = None) -> None:
        """Move the parameters that have a gradient; the decay is the settings' if None."""
        full = self.settings.weight_decay if weight_decay is None else weight_decay
        for group, inner in zip(self._groups, self._inner.param_groups, strict=True):
            rate = self.settings.learning_rate if group.constant else learning_rate
            inner["lr"] = rate * group.rate_factor
            decay = 0.0 if group.plain else full
            if self.settings.name in ADAPTED:
                inner["weight_decay"] = 0.0
                if not group.plain:
                    self._adapt(group.parameters, decay)
            else:
                inner["weight_decay"] = decay
        self._inner.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the momenta."""
        return self._inner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the momenta that `state_dict` gave."""
        self._inner.load_state_dict(dict(state))

    @torch.no_grad()
    def _adapt(self, parameters: list[Tensor], decay: float) -> None:
        for w in parameters:
            if w.grad is not None:
                w.grad.copy_(ADAPTED[self.settings.name](w, w.grad, decay, self.settings.trust))


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Parameters that are moved alike.

    Attributes:
        constant: their rate does not follow the schedule.
        plain: they are neither decayed nor given a layer-wise rate.
        rate_factor: of the learning rate.
    """

    parameters: list[Tensor]
    constant: bool
    plain: bool
    rate_factor: float


def _groups(network: nn.Module, settings: OptimizerSettings) -> list[_Group]:
    constant = network.constant_rate if isinstance(network, Method) else ()
    bias_rate = settings.bias_learning_rate
    apart = settings.exclude_1d or bias_rate is not None
    found: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, w in network.named_parameters():
        if w.requires_grad:
            kept = any(f"{name}.".startswith(f"{module}.") for module in constant)
            found.setdefault((kept, apart and w.ndim <= 1), []).append(w)
    factor = 1.0 if bias_rate is None else bias_rate / settings.learning_rate
    return [
        _Group(
            parameters=parameters,
            constant=kept,
            plain=flat and settings.exclude_1d,
            rate_factor=factor if flat else 1.0,
        )
        for (kept, flat), parameters in found.items()
    ]


def _inner(groups: list[_Group], settings: OptimizerSettings) -> torch.optim.Optimizer:
    parameters = [{"params": group.parameters} for group in groups]
    if settings.name == "adamw":
        betas = (settings.momentum, ADAMW_BETA_2)
        return torch.optim.AdamW(parameters, lr=settings.learning_rate, betas=betas)
    return torch.optim.SGD(
        parameters,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
    )


def larc(w: Tensor, g: Tensor, decay: float, trust: float) -> Tensor:
    """Return (g + decay w) rate, where rate = trust |w| / (|g| + decay |w| + 1e-8).

    Where w or g is all zero, g itself, without decay: as in the released code of SwAV.
    """
    w_norm, g_norm = w.norm(), g.norm()
    rate = trust * w_norm / (g_norm + decay * w_norm + 1e-8)
    return torch.where((w_norm > 0) & (g_norm > 0), (g + decay * w) * rate, g)


def lars(w: Tensor, g: Tensor, decay: float, trust: float) -> Tensor:
    """Return u rate, where u = g + decay w and rate = trust |w| / |u|.

    Where w or u is all zero, u itself. So a tensor without gradient shrinks by the share `trust`
    times the learning rate, however small its decay: as in the released codes.
    """
    u = g + decay * w
    w_norm, u_norm = w.norm(), u.norm()
    return torch.where((w_norm > 0) & (u_norm > 0), u * (trust * w_norm / u_norm), u)


ADAPTED = {"larc": larc, "lars": lars}


def learning_rate(settings: OptimizerSettings, progress: Progress) -> float:
    """Return the rate of the step that follows `progress`.

    By the epoch, all steps of an epoch have the rate of its start. Warm-up is a line whose last
    step (or epoch) has the full rate, as in the released codes of SwAV and DINO (those of SimCLR,
    BYOL, Barlow Twins and VICReg reach it one step later); cosine takes what is left of the run.
    Milestones are shares of the whole run.

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


def weight_decay(settings: OptimizerSettings, progress: Progress) -> float:
    """Return the weight decay of the step that follows `progress`.

    Example:
        >>> settings = OptimizerSettings(
        ...     name="adamw", learning_rate=5e-4, weight_decay=0.04, weight_decay_end=0.4)
        >>> weight_decay(settings, Progress(step=5, num_steps=10, epoch=5, num_epochs=10))
        0.22
    """
    if settings.weight_decay_end is None:
        return settings.weight_decay
    return schedules.cosine(progress.fraction, settings.weight_decay, settings.weight_decay_end)


def shorten_warmup(settings: OptimizerSettings, epochs: int) -> OptimizerSettings:
    """Return published settings whose warm-up takes at most a quarter of a run of `epochs`.

    Example:
        >>> ten = OptimizerSettings(learning_rate=1.0, weight_decay=0.0, warmup_epochs=10.0)
        >>> [shorten_warmup(ten, epochs).warmup_epochs for epochs in (2, 40, 1000)]
        [0.5, 10.0, 10.0]
    """
    return replace(settings, warmup_epochs=min(settings.warmup_epochs, SHARE_OF_WARMUP * epochs))


def check_optimizer(settings: OptimizerSettings, epochs: int) -> None:
    """Refuse settings that no step can be taken with.

    Raises:
        SettingError: the rule, the value and what to change.
    """
    choices = {
        "name": ("sgd", "larc", "lars", "adamw"),
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
    if settings.nesterov and settings.name in ("lars", "adamw"):
        raise SettingError(f"{settings.name} has no Nesterov momentum; set nesterov = false.")
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
    bias, end = settings.bias_learning_rate, settings.weight_decay_end
    if not 0 < (1.0 if bias is None else bias) < math.inf or not 0 <= (end or 0.0) < math.inf:
        raise SettingError(
            f"bias_learning_rate must be above 0 and weight_decay_end not below, both finite, or "
            f"left out; got {bias} and {end}."
        )
