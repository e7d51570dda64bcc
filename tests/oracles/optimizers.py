"""SGD, LARC, LARS and AdamW as formulas, in place on dictionaries of arrays."""

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


def lars(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    *,
    rate: float,
    bias_rate: float | None = None,
    trust: float = 0.001,
    decay: float,
    momentum: float = 0.9,
    exclude_1d: bool = True,
) -> None:
    """u = g + decay w; u *= trust |w| / |u| unless either is zero; v = momentum v + u; w -= rate v.

    With `exclude_1d`, tensors of one dimension have u = g, and may have a rate of their own.
    """
    for name, g in gradients.items():
        w, u = parameters[name], g
        if w.ndim > 1 or not exclude_1d:
            u = g + decay * w
            w_norm, u_norm = np.sqrt((w**2).sum()), np.sqrt((u**2).sum())
            if w_norm > 0 and u_norm > 0:
                u = u * trust * w_norm / u_norm
        velocities[name] = momentum * velocities.get(name, 0.0) + u
        own = bias_rate if w.ndim == 1 and bias_rate is not None else rate
        parameters[name] = w - own * velocities[name]


def adamw(
    parameters: Arrays,
    gradients: Arrays,
    moments: dict[str, tuple[int, np.ndarray, np.ndarray]],
    *,
    rate: float,
    decay: float,
    exclude_1d: bool = False,
) -> None:
    """Loshchilov & Hutter 2019, algorithm 2, with beta .9 and .999 and epsilon 1e-8."""
    for name, g in gradients.items():
        t, m, v = moments.get(name, (0, np.zeros_like(g), np.zeros_like(g)))
        t, m, v = t + 1, 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        moments[name] = (t, m, v)
        w, own = parameters[name], 0.0 if exclude_1d and g.ndim == 1 else decay
        step = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        parameters[name] = w - rate * (step + own * w)
