"""SGD with momentum over many heads at once, each with its own learning rate.

    v_t = mu v_{t-1} + g_t
    w_t = w_{t-1} - lr v_t

mu is .9 and weights do not decay: it is one of the optimisers that the study's grid search tries.

References:
    Sutskever et al. 2013, in the form of torch.optim.SGD.
"""

import torch
from jaxtyping import Float
from torch import Tensor

MOMENTUM = 0.9


class BatchedSGD:
    """The optimiser's state for the heads in `weights`, which it changes in place.

    Args:
        weights: all heads.
        rates: learning rate of each configuration.
    """

    def __init__(
        self, weights: Float[Tensor, "seeds rows configs dim"], rates: Float[Tensor, " configs"]
    ) -> None:
        self.weights = weights
        self._rates = rates.to(weights).view(1, 1, -1, 1)
        self._velocity = torch.zeros_like(weights)

    def step(self, gradient: Float[Tensor, "seeds rows configs dim"], factor: float) -> None:
        """Take one step.

        Args:
            gradient: of each head's own loss.
            factor: of all learning rates, from the schedule.
        """
        self._velocity.mul_(MOMENTUM).add_(gradient)
        self.weights.sub_(self._velocity * (self._rates * factor))
