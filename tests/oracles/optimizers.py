"""SGD and LARC as formulas, in place on dictionaries of arrays."""

import numpy as np
from tests.oracles.networks import Arrays


def sgd(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    *,
    rate: float,
    momentum: float = 0.9,
    decay: float = 0.0,
    nesterov: bool = False,
) -> None:
    """v = momentum v + (g + decay w); w -= rate v, or rate (g + decay w + momentum v)."""
    for name, gradient in gradients.items():
        g = gradient + decay * parameters[name]
        v = momentum * velocities[name] + g if name in velocities else g
        velocities[name] = v
        parameters[name] = parameters[name] - rate * (g + momentum * v if nesterov else v)


def larc(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    *,
    rate: float,
    trust: float,
    decay: float,
    momentum: float = 0.9,
) -> None:
    """Each tensor's gradient, decay included, times trust |w| / (|g| + decay |w| + eps)."""
    adapted = {}
    for name, g in gradients.items():
        w, local = parameters[name], None
        w_norm, g_norm = np.sqrt((w**2).sum()), np.sqrt((g**2).sum())
        if w_norm != 0 and g_norm != 0:
            local = trust * w_norm / (g_norm + decay * w_norm + 1e-8)
        adapted[name] = g if local is None else (g + decay * w) * local
    sgd(parameters, adapted, velocities, rate=rate, momentum=momentum)
