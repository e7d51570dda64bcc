"""The weighted k-nearest-neighbour classifier: how good features are, without training anything.

With features on the unit sphere, s_i = f . v_i is the cosine similarity of a test feature f to a
training feature v_i. The k nearest vote with weight exp(s_i / T) for their class; the class with
the largest sum wins. The paper takes T = 0.07 and k = 200; T = 0.1 is what has become usual.

References:
    Wu et al. 2018, Unsupervised feature learning via non-parametric instance discrimination.
    https://arxiv.org/abs/1805.01978
"""

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
    if k < 1 or temperature <= 0:
        raise SettingError(f"k and temperature must be positive; got {k} and {temperature}.")
    bank = F.normalize(torch.as_tensor(train).float(), dim=1)
    labels = torch.as_tensor(train_labels, device=bank.device).long()
    queries = F.normalize(torch.as_tensor(test, device=bank.device).float(), dim=1)
    num_classes = int(labels.max()) + 1
    predicted = []
    for chunk in torch.split(queries, max(1, _CHUNK // len(bank))):
        s, neighbours = (chunk @ bank.T).topk(min(k, len(bank)), dim=1)  # [chunk, k]
        # exp((s - 1) / T) has the same winner as exp(s / T), and cannot overflow: s <= 1.
        weights = ((s - 1) / temperature).exp()
        votes = torch.zeros(len(chunk), num_classes, device=bank.device)
        votes.scatter_add_(1, labels[neighbours], weights)
        predicted.append(votes.argmax(dim=1))
    return torch.cat(predicted)
