"""PIRL's and NPID's losses, bank and negatives as plain loops over numbers."""

import math

import numpy as np

_WORD = (1 << 64) - 1


def splitmix64(seed: int, place: int) -> int:
    """Steele et al. 2014: the output number `place`, counted from 1, in Python's own integers."""
    x = (seed + place * 0x9E3779B97F4A7C15) & _WORD
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _WORD
    return x ^ (x >> 31)


def negatives(index: int, num_images: int, num_negatives: int, seed: int) -> list[int]:
    """First the upper halves of the example's own outputs, then the lower ones."""
    counts = (num_negatives + 1) // 2
    outputs = [splitmix64(seed, index * counts + place) for place in range(1, counts + 1)]
    halves = [x >> 32 for x in outputs] + [x & 0xFFFFFFFF for x in outputs]
    return [half * num_images >> 32 for half in halves[:num_negatives]]


def nce(scores: np.ndarray, T: float, Z: float, num_images: int) -> float:
    """Wu et al. 2018, equations 5 to 7, with P_n = 1 / N; the first score is the positive."""
    total = 0.0
    for positive, *others in scores:
        K = len(others)
        noise = K / num_images

        def h(score: float, noise: float = noise) -> float:
            P = math.exp(score / T) / Z
            return P / (P + noise)

        total -= math.log(h(positive)) + sum(math.log(1 - h(score)) for score in others)
    return total / len(scores)


def nce_of_the_paper(scores: np.ndarray, T: float) -> float:
    """Misra & van der Maaten 2020, equations 3 and 4."""
    total = 0.0
    for positive, *others in scores:
        S = sum(math.exp(score / T) for score in others)
        total -= math.log(math.exp(positive / T) / (math.exp(positive / T) + S))
        for score in others:
            total -= math.log(1 - math.exp(score / T) / (math.exp(score / T) + S))
    return total / len(scores)


def info_nce(scores: np.ndarray, T: float) -> float:
    total = 0.0
    for row in scores:
        total -= math.log(math.exp(row[0] / T) / sum(math.exp(score / T) for score in row))
    return total / len(scores)


def similarities(v: np.ndarray, rows: np.ndarray, own: list[int], drawn: list[list[int]]):
    """Similarities [n, 1 + K] of each v to the row of its image and of its negatives."""
    found = [
        [v[i] @ rows[own[i]], *(v[i] @ rows[image] for image in drawn[i])] for i in range(len(v))
    ]
    return np.array(found)


def partition(scores: np.ndarray, T: float, num_images: int) -> float:
    """The mean of exp(s / T) over all scores of the batch, times the images."""
    values = [math.exp(score / T) for row in scores for score in row]
    return sum(values) / len(values) * num_images


def update(rows: np.ndarray, index: list[int], v: np.ndarray, m: float) -> np.ndarray:
    rows = rows.copy()
    for image, new in zip(index, v, strict=True):
        moved = m * rows[image] + (1 - m) * new
        rows[image] = moved / math.sqrt(sum(moved**2))
    return rows
