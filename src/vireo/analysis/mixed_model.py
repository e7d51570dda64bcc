r"""A linear mixed model with one random effect: encoders are a sample, their cells are not.

The scores of one encoder on twenty tasks share the luck of one pre-training run, so that a test of
how encoders were pre-trained has as many independent observations as there are encoders. The model
is $y = X\beta + Zu + e$, $u \sim N(0, \sigma^2\lambda)$ for each group and $e \sim N(0, \sigma^2)$;
$\lambda$ maximises the restricted likelihood, which is a function of one number:

$-2\ell(\lambda) = (n-p)\log s^2 + \sum_g\log(1+\lambda n_g) + \log|X'V^{-1}X|$, with
$V^{-1} = I - \lambda/(1+\lambda n_g)\,11'$ within a group and $s^2 = r'V^{-1}r/(n-p)$.

Tests of what is constant within a group have (groups - rank of the groups' design) degrees of
freedom. On a table without holes this is the analysis of the groups' means, unless $\lambda = 0$.

References:
    Laird & Ware 1982; Patterson & Thompson 1971 (restricted likelihood); Pinheiro & Bates 2000,
    section 2.4.2 (degrees of freedom).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from scipy import optimize, stats

from vireo.analysis.linear_model import Columns

_LARGEST = 1e4
"""The variance between groups is at most this many times that within."""


@dataclass(frozen=True, kw_only=True)
class MixedFit:
    """A fitted mixed model.

    Attributes:
        coefficients, covariance: of the columns of the design.
        between, within: standard deviations of the groups' effects and of the residuals.
        freedom: degrees of freedom of what is constant within groups.
    """

    coefficients: Float64[np.ndarray, " columns"]
    covariance: Float64[np.ndarray, "columns columns"]
    between: float
    within: float
    freedom: int

    def contrast(self, weights: Float64[np.ndarray, " columns"]) -> tuple[float, float]:
        """Return value and standard error of a weighted sum of coefficients."""
        variance = weights @ self.covariance @ weights
        return float(weights @ self.coefficients), float(np.sqrt(variance))

    def wald(self, places: slice) -> tuple[float, float, int]:
        """Return F, p and numerator freedom of the hypothesis that these coefficients are zero."""
        b, C = self.coefficients[places], self.covariance[places, places]
        if self.freedom < 1:
            return np.nan, np.nan, len(b)
        F = float(b @ np.linalg.solve(C, b)) / len(b)
        return F, float(stats.f.sf(F, len(b), self.freedom)), len(b)


def mixed_model(
    response: Float64[np.ndarray, " n"],
    design: Columns,
    groups: Int[np.ndarray, " n"],
    level_columns: slice,
) -> MixedFit:
    """Fit by restricted maximum likelihood.

    Args:
        response: one number an observation.
        design: of full column rank, with the intercept.
        groups: code of each observation's group.
        level_columns: the columns of `design` that are constant within groups.
    """
    n, p = design.shape
    assert np.linalg.matrix_rank(design) == p, "drop aliased columns first"
    y = response - response.mean()
    scale = float(y.std()) or 1.0
    problem = _Problem(y / scale, design, groups)
    best = optimize.minimize_scalar(
        problem.deviance, bounds=(-12.0, np.log(_LARGEST)), method="bounded"
    )
    ratio = 0.0 if problem.at(0.0)[0] <= best.fun + 1e-9 else float(np.exp(best.x))
    _, beta, information, variance = problem.at(ratio)
    beta = beta * scale + np.linalg.lstsq(design, np.full(n, response.mean()), rcond=None)[0]
    within = float(np.sqrt(variance)) * scale
    columns = design[:, level_columns]
    return MixedFit(
        coefficients=beta,
        covariance=np.linalg.inv(information) * within**2,
        between=within * float(np.sqrt(ratio)),
        within=within,
        freedom=len(np.unique(groups)) - 1 - columns.shape[1],
    )


class _Problem:
    """The restricted likelihood as a function of the ratio of the two variances."""

    def __init__(self, y: np.ndarray, X: np.ndarray, groups: np.ndarray) -> None:
        self.y, self.X = y, X
        _, codes = np.unique(groups, return_inverse=True)
        self.indicator = np.eye(codes.max() + 1)[codes]
        self.sizes = self.indicator.sum(0)

    def deviance(self, log_ratio: float) -> float:
        """Return minus twice the log-likelihood, up to a constant."""
        return self.at(float(np.exp(log_ratio)))[0]

    def at(self, ratio: float) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Return deviance, coefficients, X'V^-1 X and residual variance at a ratio."""
        X, y, Z = self.X, self.y, self.indicator
        weight = ratio / (1 + ratio * self.sizes)
        sums = Z.T @ X
        information = X.T @ X - sums.T @ (weight[:, None] * sums)
        right = X.T @ y - sums.T @ (weight * (Z.T @ y))
        beta = np.linalg.solve(information, right)
        left = y - X @ beta
        totals = Z.T @ left
        variance = (left @ left - totals @ (weight * totals)) / (len(y) - X.shape[1])
        deviance = (
            (len(y) - X.shape[1]) * np.log(variance)
            + np.log1p(ratio * self.sizes).sum()
            + np.linalg.slogdet(information)[1]
        )
        return float(deviance), beta, information, float(variance)
