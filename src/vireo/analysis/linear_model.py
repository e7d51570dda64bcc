r"""Analysis of variance by comparing models: many tables at once, ranks instead of counts.

A term's sum of squares is what the residual sum of squares grows by when the term's columns leave a
model; its degrees of freedom are what the model's rank falls by. Type III takes the term from the
model of all terms, type II from the model of all terms that do not contain it (Langsrud 2003).
Factors have sum-to-zero columns, without which type III would answer another question. Because
ranks are measured and not counted, an empty cell or an aliased term gives fewer degrees of freedom
instead of wrong ones.

With $F = (SS/df) / (SS_e/df_e)$ the effect sizes are partial $\eta^2 = SS / (SS + SS_e)$, which is
too large in small tables, and partial $\omega^2 = df (F - 1) / (df (F - 1) + N)$, which is not.

References:
    Langsrud 2003, ANOVA for unbalanced data: use type II instead of type III sums of squares.
    Olejnik & Algina 2003, Generalized eta and omega squared statistics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike
from scipy import linalg, stats

Columns = Float64[np.ndarray, "n _"]
_RANK = 1e-8
"""Singular values below this share of the largest are taken for zero."""


@dataclass(frozen=True, kw_only=True)
class TermLine:
    """One line of a table of variance; arrays have one number a response.

    Attributes:
        df: degrees of freedom; 0 for a term that the others already hold.
        eta2, omega2: partial effect sizes.
    """

    term: str
    df: int
    df_residual: int
    sum_of_squares: Float64[np.ndarray, "*tables"]
    F: Float64[np.ndarray, "*tables"]
    p: Float64[np.ndarray, "*tables"]
    eta2: Float64[np.ndarray, "*tables"]
    omega2: Float64[np.ndarray, "*tables"]


def categorical(values: Sequence[Any] | ArrayLike) -> Columns:
    """Return sum-to-zero columns of a factor, one fewer than it has levels.

    Example:
        >>> categorical(["a", "b", "c"]).tolist()
        [[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]
    """
    levels, codes = np.unique(np.asarray(values), return_inverse=True)
    coding = np.vstack([np.eye(len(levels) - 1), -np.ones((1, len(levels) - 1))])
    return np.asarray(coding[codes])


def covariate(values: ArrayLike) -> Columns:
    """Return one column: the values minus their mean.

    Example:
        >>> covariate([1.0, 3.0]).tolist()
        [[-1.0], [1.0]]
    """
    column: np.ndarray = np.asarray(values, dtype=np.float64).reshape(-1, 1)
    return np.asarray(column - column.mean())


def term_columns(factors: Mapping[str, Columns], term: str) -> Columns:
    """Return the columns of a factor, or of an interaction "a:b": all products of theirs."""
    names = term.split(":")
    found = factors[names[0]]
    for name in names[1:]:
        found = np.einsum("ni,nj->nij", found, factors[name]).reshape(len(found), -1)
    return found


def anova(
    response: Float64[np.ndarray, "n *tables"],
    factors: Mapping[str, Columns],
    terms: Sequence[str],
    kind: int = 2,
) -> list[TermLine]:
    """Return the table of variance of each response.

    Args:
        response: one number an observation; further axes are tables of the same design.
        factors: name to columns, from `categorical` or `covariate`.
        terms: factors and interactions of them.
        kind: 2 or 3.
    """
    assert kind in (2, 3), "sums of squares are of type II or III"
    full, rank = _residual(response, factors, terms)
    freedom = len(response) - rank
    lines = []
    for term in terms:
        others = [other for other in terms if other != term]
        if kind == 2:
            others = [other for other in others if not _contains(other, term)]
        without, rank_without = _residual(response, factors, others)
        within, rank_within = _residual(response, factors, [*others, term])
        df = rank_within - rank_without
        lines.append(_line(term, np.asarray(without - within), df, (full, freedom, len(response))))
    return lines


def estimates(
    response: Float64[np.ndarray, " n"],
    design: Float64[np.ndarray, "n columns"],
    contrasts: Float64[np.ndarray, "contrasts columns"],
) -> tuple[Float64[np.ndarray, " contrasts"], Float64[np.ndarray, " contrasts"], int]:
    """Return values and standard errors of contrasts of a least-squares fit, and its freedom.

    A contrast that the design cannot tell has NaN for both.
    """
    inverse = np.linalg.pinv(design, rcond=_RANK)
    rank = np.linalg.matrix_rank(design, tol=_RANK * np.linalg.norm(design, 2))
    coefficients = inverse @ response
    freedom = len(response) - int(rank)
    squares = np.square(response - design @ coefficients).sum()
    variance = squares / freedom if freedom > 0 else np.nan
    error = np.sqrt(variance * np.square(contrasts @ inverse).sum(1))
    told = np.abs(contrasts @ (inverse @ design) - contrasts).max(1, initial=0) < 1e-6
    return np.where(told, contrasts @ coefficients, np.nan), np.where(told, error, np.nan), freedom


def empty_cells(values: Mapping[str, Sequence[Any]], term: str) -> list[tuple[Any, ...]]:
    """Return the combinations of levels that an interaction has no observation of.

    Example:
        >>> empty_cells({"a": [1, 1, 2], "b": ["x", "y", "x"]}, "a:b")
        [(2, 'y')]
    """
    columns = [list(values[name]) for name in term.split(":")]
    there = set(zip(*columns, strict=True))
    levels = [sorted(set(column)) for column in columns]
    return [cell for cell in product(*levels) if cell not in there]


def _contains(term: str, part: str) -> bool:
    return set(part.split(":")) < set(term.split(":"))


def _residual(
    response: Float64[np.ndarray, "n *tables"], factors: Mapping[str, Columns], terms: Sequence[str]
) -> tuple[Float64[np.ndarray, "*tables"], int]:
    """Return the residual sum of squares of a model with an intercept, and its rank."""
    columns = [np.ones((len(response), 1)), *(term_columns(factors, term) for term in terms)]
    basis = _basis(np.concatenate(columns, axis=1))
    flat = response.reshape(len(response), -1)
    left = flat - basis @ (basis.T @ flat)
    squares = np.square(left).sum(0).reshape(response.shape[1:])
    return np.asarray(squares), basis.shape[1]


def _basis(columns: Columns) -> Columns:
    """Return orthonormal columns of the same span."""
    lengths = np.linalg.norm(columns, axis=0)
    scaled = columns / np.where(lengths > 0, lengths, 1)
    found: Columns = linalg.orth(scaled, rcond=_RANK)
    return found


def _line(
    term: str, squares: np.ndarray, df: int, residual: tuple[np.ndarray, int, int]
) -> TermLine:
    """Put the numbers of one term together.

    Args:
        term: its name.
        squares: its sum of squares.
        df: its degrees of freedom.
        residual: sum of squares, freedom and number of observations of the model of all terms.
    """
    left, freedom, n = residual
    squares = np.asarray(squares if df else np.full(np.shape(left), np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        F = np.asarray(np.divide(squares, df) / np.divide(left, freedom))
        explained = df * (F - 1)
        return TermLine(
            term=term,
            df=df,
            df_residual=freedom,
            sum_of_squares=squares,
            F=F,
            p=np.asarray(stats.f.sf(F, df, freedom)),
            eta2=np.asarray(squares / (squares + left)),
            omega2=np.asarray(explained / (explained + n)),
        )
