"""The weighted k-nearest-neighbour classifier: how good features are, without training anything.

With features on the unit sphere, s_i = f . v_i is the cosine similarity of a test feature f to a
training feature v_i. The k nearest vote with weight exp(s_i / T) for their class; the class with
the largest sum wins. The paper takes T = 0.07 and k = 200; T = 0.1 is what has become usual.

References:
    Wu et al. 2018, Unsupervised feature learning via non-parametric instance discrimination.
    https://arxiv.org/abs/1805.01978
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor
from torch.nn import functional as F

from vireo.errors import SettingError

# Similarities held at once, in numbers: 256 MB.
_CHUNK = 1 << 26


def knn_accuracy(
    train: Float[Tensor, "train dim"] | Float[np.ndarray, "train dim"],
    train_labels: Int[Tensor, " train"] | Int[np.ndarray, " train"],
    test: Float[Tensor, "test dim"] | Float[np.ndarray, "test dim"],
    test_labels: Int[Tensor, " test"] | Int[np.ndarray, " test"],
    *,
    k: int = 200,
    temperature: float = 0.1,
) -> float:
    """Return the share of test examples that their neighbours classify correctly.

    Example:
        >>> knn_accuracy(torch.eye(2), torch.arange(2), torch.eye(2), torch.arange(2), k=1)
        1.0
    """
    predicted = knn_predict(train, train_labels, test, k=k, temperature=temperature)
    truth = torch.as_tensor(test_labels, device=predicted.device)
    return float((predicted == truth).double().mean())


def knn_predict(
    train: Float[Tensor, "train dim"] | Float[np.ndarray, "train dim"],
    train_labels: Int[Tensor, " train"] | Int[np.ndarray, " train"],
    test: Float[Tensor, "test dim"] | Float[np.ndarray, "test dim"],
    *,
    k: int = 200,
    temperature: float = 0.1,
) -> Int64[Tensor, " test"]:
    """Return the class that the k nearest training examples vote for, for each test example.

    Work is done where `train` is, a chunk of test examples at a time. `k` is cut to the number of
    training examples.

    Raises:
        SettingError: k or temperature not positive.
    """
    bank = _on_sphere(torch.as_tensor(train))
    labels = torch.as_tensor(train_labels, device=bank.device).long()
    num_classes = int(labels.max()) + 1
    predicted = []
    for weights, neighbours in _nearest(bank, torch.as_tensor(test), k, temperature):
        votes = torch.zeros(len(weights), num_classes, device=bank.device)
        votes.scatter_add_(1, labels[neighbours], weights)
        predicted.append(votes.argmax(dim=1))
    return torch.cat(predicted)


def knn_average(
    train: Float[Tensor, "train dim"],
    values: Float[Tensor, "train numbers"],
    test: Float[Tensor, "test dim"],
    *,
    k: int = 200,
    temperature: float = 0.1,
) -> Float[Tensor, "test numbers"]:
    """Return the mean of the k nearest training examples' values, weighted as votes are.

    Raises:
        SettingError: k or temperature not positive.

    Example:
        >>> knn_average(torch.eye(2), torch.tensor([[3.0], [5.0]]), torch.eye(2), k=1).tolist()
        [[3.0], [5.0]]
    """
    bank = _on_sphere(train)
    found = []
    for weights, neighbours in _nearest(bank, test, k, temperature):
        share = (weights / weights.sum(1, keepdim=True)).double()
        found.append((share[:, :, None] * values[neighbours].double()).sum(1).float())
    return torch.cat(found)


def _nearest(
    bank: Float[Tensor, "train dim"], test: Tensor, k: int, temperature: float
) -> Iterator[tuple[Float[Tensor, "chunk k"], Int64[Tensor, "chunk k"]]]:
    """Yield weights and rows of the k nearest, for one chunk of test examples after the other."""
    if k < 1 or temperature <= 0:
        raise SettingError(f"k and temperature must be positive; got {k} and {temperature}.")
    queries = _on_sphere(test.to(bank.device))
    for chunk in torch.split(queries, max(1, _CHUNK // len(bank))):
        s, neighbours = (chunk @ bank.T).topk(min(k, len(bank)), dim=1)
        # exp((s - s_1) / T) has the same winner as exp(s / T), and neither over- nor underflows.
        yield ((s - s[:, :1]) / temperature).exp(), neighbours


def _on_sphere(features: Tensor) -> Float[Tensor, "n dim"]:
    return F.normalize(features.float(), dim=1)
