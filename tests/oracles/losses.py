"""The formulas of the papers as plain loops over examples."""

import numpy as np


def info_nce(q: np.ndarray, k: np.ndarray, queue: np.ndarray, temperature: float) -> float:
    """He et al. 2020, equation 1; `queue` is a list of keys [K, d]."""
    total = 0.0
    for i in range(len(q)):
        positive = np.exp(q[i] @ k[i] / temperature)
        negatives = sum(np.exp(q[i] @ key / temperature) for key in queue)
        total -= np.log(positive / (positive + negatives))
    return total / len(q)


def sinkhorn(scores: np.ndarray, epsilon: float, iterations: int) -> np.ndarray:
    """Caron et al. 2020, algorithm 1: a double loop over prototypes and examples."""
    n, K = scores.shape
    Q = [[np.exp(scores[i][j] / epsilon) for i in range(n)] for j in range(K)]
    total = sum(map(sum, Q))
    Q = [[value / total for value in row] for row in Q]
    for _ in range(iterations):
        for j in range(K):
            mass = sum(Q[j])
            Q[j] = [value / mass / K for value in Q[j]]
        for i in range(n):
            mass = sum(Q[j][i] for j in range(K))
            for j in range(K):
                Q[j][i] = Q[j][i] / mass / n
    return np.array([[Q[j][i] * n for j in range(K)] for i in range(n)])


def cross_entropy(logits: np.ndarray, target: np.ndarray) -> float:
    """Mean over rows of -sum target log softmax(logits); target rows are probabilities."""
    total = 0.0
    for row, wanted in zip(logits, target, strict=True):
        log_sum = row.max() + np.log(np.exp(row - row.max()).sum())
        total -= sum(p * (x - log_sum) for p, x in zip(wanted, row, strict=True))
    return total / len(logits)


def swapped_prediction(
    z: np.ndarray,
    prototypes: np.ndarray,
    queue: np.ndarray | None,
    *,
    temperature: float,
    epsilon: float,
    iterations: int,
) -> float:
    """Caron et al. 2020 with multi-crop: z [views, n, d], prototypes [K, d], queue [2, m, d].

    The queue's scores stand in front of the batch's; only the first two views are assigned.
    """
    views, n, _ = z.shape
    scores = z @ prototypes.T
    loss = 0.0
    for s in range(2):
        pool = scores[s] if queue is None else np.concatenate([queue[s] @ prototypes.T, scores[s]])
        assigned = sinkhorn(pool, epsilon, iterations)[-n:]
        others = [t for t in range(views) if t != s]
        loss += sum(cross_entropy(scores[t] / temperature, assigned) for t in others) / len(others)
    return loss / 2
