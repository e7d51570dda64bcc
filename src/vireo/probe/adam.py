"""AdamW over many heads at once, each with its own learning rate and weight decay.

    m_t = b1 m_{t-1} + (1 - b1) g_t
    v_t = b2 v_{t-1} + (1 - b2) g_t^2
    w_t = (1 - lr wd) w_{t-1} - lr (m_t / (1 - b1^t)) / (sqrt(v_t / (1 - b2^t)) + eps)

One tensor holds all heads, so a step is eight passes over memory however many heads there are.
Weight decay is decoupled from the gradient; where it is 0 this is Adam.

References:
    Kingma & Ba 2015 (Adam); Loshchilov & Hutter 2019 (AdamW).
"""

import torch
from jaxtyping import Float
from torch import Tensor

BETAS = (0.9, 0.999)
EPS = 1e-8


class BatchedAdamW:
    """The optimiser's state for the heads in `weights`, which it changes in place.

    Args:
        weights: all heads.
        rates: learning rate of each configuration.
        decays: weight decay of each configuration.
    """

    def __init__(
        self,
        weights: Float[Tensor, "seeds classes configs dim"],
        rates: Float[Tensor, " configs"],
        decays: Float[Tensor, " configs"],
    ) -> None:
        self.weights = weights
        self._rates = rates.to(weights).view(1, 1, -1, 1)
        self._decays = decays.to(weights).view(1, 1, -1, 1)
        self._decaying = bool(decays.any())
        self._mean, self._square = torch.zeros_like(weights), torch.zeros_like(weights)
        self._work = torch.empty_like(weights)
        self._step = 0

    def step(self, gradient: Float[Tensor, "seeds classes configs dim"], factor: float) -> None:
        """Take one step.

        Args:
            gradient: of each head's own loss.
            factor: of all learning rates, from the schedule.
        """
        self._step += 1
        one, two = (1 - beta**self._step for beta in BETAS)
        self._mean.lerp_(gradient, 1 - BETAS[0])
        self._square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        # both bias corrections are moved to scalars: m / (sqrt(v) + eps sqrt(two))
        torch.sqrt(self._square, out=self._work).add_(EPS * two**0.5)
        torch.div(self._mean, self._work, out=self._work)
        self._work.mul_(self._rates * (factor * two**0.5 / one))
        if self._decaying:
            self.weights.mul_(1 - factor * self._rates * self._decays)
        self.weights.sub_(self._work)
