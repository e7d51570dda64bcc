"""What the oracles of two-view methods share: heads in NumPy, whole steps, comparison of moves."""

from collections.abc import Callable

import numpy as np
from tests.oracles.networks import Arrays, batch_norm, numeric_gradient
from tests.tiny import view_batch

from vireo.data.batch import ViewBatch
from vireo.devices import Compute
from vireo.methods.method import Method, Progress
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer

CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")
N, STEPS, EPOCHS = 4, 80, 40  # two steps an epoch
WARM = 20  # steps of the usual warm-up of ten epochs


def head(parameters: Arrays, name: str, x: np.ndarray) -> np.ndarray:
    """The layers of a Sequential by their numbers: matrices, vectors of batch norm, ReLU between.

    A batch norm that is last has no ReLU behind it.
    """
    numbers = sorted({int(key.split(".")[1]) for key in parameters if key.startswith(f"{name}.")})
    for number in numbers:
        w, b = (parameters.get(f"{name}.{number}.{part}") for part in ("weight", "bias"))
        if w.ndim == 2:
            x = np.array([w @ row for row in x]) + (0.0 if b is None else b)
        else:
            x = batch_norm(x, w, b, [np.arange(len(x))])[0]
            x = x if number == numbers[-1] else np.maximum(x, 0)
    return x


def standardised(x: np.ndarray) -> np.ndarray:
    """Batch norm without weight and bias."""
    d = x.shape[1]
    return batch_norm(x, np.ones(d), np.zeros(d), [np.arange(len(x))])[0]


def parameters_of(method: Method) -> Arrays:
    return {
        name.removeprefix("encoder."): parameter.detach().numpy().copy()
        for name, parameter in method.named_parameters()
    }


def pair(step: int) -> ViewBatch:
    """Two views of two by two pixels of four images, float64."""
    batch = view_batch(N, ((2, 2),), seed=step)
    return ViewBatch(groups=(batch.groups[0].double(),), index=batch.index)


def now(step: int) -> Progress:
    return Progress(
        step=step, num_steps=STEPS, epoch=step // 2, num_epochs=EPOCHS, digest="siamese"
    )


def warm_cosine(step: int, base: float, final: float = 0.0) -> float:
    """A line to `base` at the last of the steps that warm up, then half a cosine to `final`."""
    if step < WARM:
        return base * step / (WARM - 1)
    return final + (base - final) * 0.5 * (1 + np.cos(np.pi * (step - WARM) / (STEPS - WARM)))


def whole_steps(
    method: Method,
    steps: tuple[int, ...],
    loss: Callable[[Arrays, Arrays, np.ndarray], float],
    update: Callable[[int, Arrays, Arrays], None],
) -> None:
    """Take `steps` by the loop with the published optimiser, and by NumPy, and compare.

    Args:
        method: float64, its encoder a `PixelBackbone`.
        steps: their numbers in the run.
        loss: of (parameters, parameters behind stopped gradients, views).
        update: does in place on (step, parameters, gradients) what optimiser and method do.
    """
    optimizer = Optimizer(method, type(method).published_optimizer(4096))
    start = parameters_of(method)
    wanted = {name: value.copy() for name, value in start.items()}
    learns = {n.removeprefix("encoder.") for n, p in method.named_parameters() if p.requires_grad}
    for count, step in enumerate(steps):
        batch = pair(step)
        views = batch.groups[0].numpy()
        got = train_step(method, optimizer, batch, now(step), compute=CPU).total.item()
        fixed = {name: value.copy() for name, value in wanted.items()}
        np.testing.assert_allclose(got, loss(fixed, fixed, views), rtol=1e-5 if count else 1e-9)
        gradients = numeric_gradient(
            lambda at, fixed=fixed, views=views: loss({**fixed, **at}, fixed, views),
            {name: value for name, value in fixed.items() if name in learns},
        )
        update(step, wanted, gradients)
    got = parameters_of(method)
    for name, value in wanted.items():
        move = value - start[name]  # finite differences are good to about 1e-8
        np.testing.assert_allclose(
            got[name] - start[name], move, rtol=1e-4, atol=1e-5 * abs(move).max(), err_msg=name
        )
    assert all((wanted[name] != start[name]).any() for name in learns)
