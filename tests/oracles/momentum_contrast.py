"""One step of MoCo (He et al. 2020, algorithm 1) in NumPy, on `tests.tiny.PixelBackbone`.

State: query and key parameters, the key network's batch-norm statistics, velocities, the queue as a
list of rows with their labels, and where the next key goes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from tests.oracles.networks import Arrays, linear, numeric_gradient, pixel_encoder, unit
from tests.oracles.optimizers import sgd
from torch import nn

from vireo import seeding

SPLITS = 2


def arrays(network: nn.Module, **prefixes: str) -> Arrays:
    """Parameters of submodules; `prefixes` maps the oracle's name of each to its own."""
    return {
        f"{prefix}{name}": parameter.detach().numpy().copy()
        for prefix, path in prefixes.items()
        for name, parameter in network.get_submodule(path).named_parameters(prefix="")
    }


def embed(parameters: Arrays, images: np.ndarray) -> tuple[np.ndarray, Arrays]:
    """Unit embeddings; the projector is a linear layer, or two with ReLU between."""
    x, statistics = pixel_encoder(parameters, images, splits=SPLITS)
    layers = sorted(
        name for name in parameters if name.startswith("projector") and "weight" in name
    )
    for number, name in enumerate(layers):
        x = np.maximum(x, 0) if number else x
        x = linear(x, parameters[name], parameters[name.replace("weight", "bias")])
    return unit(x), statistics


@dataclass
class Contrast:
    query: Arrays
    key: Arrays
    queue: list[np.ndarray]
    momentum: float
    key_bn: Arrays = field(default_factory=lambda: {"mean": np.zeros(4), "var": np.ones(4)})
    velocities: Arrays = field(default_factory=dict)
    labels: list[int] = field(default_factory=list)
    pointer: int = 0

    def keys(self, views: list[np.ndarray], step: int) -> list[np.ndarray]:
        """The key network moves, then encodes each view in the order drawn for it."""
        for name in self.key:
            self.key[name] = self.momentum * self.key[name] + (1 - self.momentum) * self.query[name]
        draw, found = seeding.generator("run", "shuffle", 0, step), []
        for view in views:
            order = draw.permutation(len(view))
            shuffled, statistics = embed(self.key, view[order])
            k = np.zeros_like(shuffled)
            for place, example in enumerate(order):
                k[example] = shuffled[place]
            found.append(k)
            for name in ("mean", "var"):
                self.key_bn[name] = 0.9 * self.key_bn[name] + 0.1 * statistics[name]
        return found

    def learn(self, loss: Callable[[Arrays], float], *, rate: float, decay: float) -> float:
        """The query network moves down the loss; returned is the loss before."""
        value, gradients = loss(self.query), numeric_gradient(loss, self.query)
        sgd(self.query, gradients, self.velocities, rate=rate, decay=decay)
        return value

    def enqueue(self, keys: np.ndarray, labels: list[int] | None = None) -> None:
        """Oldest out, newest in, at the pointer."""
        for row, label in zip(keys, labels or [-1] * len(keys), strict=True):
            self.queue[self.pointer] = row
            if self.labels:
                self.labels[self.pointer] = label
            self.pointer = (self.pointer + 1) % len(self.queue)

    def compare(self, method: nn.Module) -> None:
        """Finite differences are good to about 1e-8."""
        close = {"rtol": 1e-6, "atol": 1e-7}
        got = state_of(method, self.momentum)
        for mine, theirs in ((self.query, got.query), (self.key, got.key)):
            assert mine.keys() == theirs.keys()
            for name, array in theirs.items():
                np.testing.assert_allclose(array, mine[name], **close)
        np.testing.assert_allclose(got.queue, self.queue, **close)
        assert int(method.queue.pointer) == self.pointer
        bn = method.key_network.encoder.backbone.bn
        np.testing.assert_allclose(bn.running_mean, self.key_bn["mean"], **close)
        np.testing.assert_allclose(bn.running_var, self.key_bn["var"], **close)


def state_of(method: nn.Module, momentum: float) -> Contrast:
    """The oracle's state as the method has it now."""
    return Contrast(
        query=arrays(method, **{"": "encoder", "projector.": "projector"}),
        key=arrays(method, **{"": "key_network.encoder", "projector.": "key_network.projector"}),
        queue=list(method.queue.columns.T.numpy().copy()),
        momentum=momentum,
    )
