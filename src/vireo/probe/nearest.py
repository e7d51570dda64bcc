"""The protocol "knn": nearest training examples answer, nothing is trained.

Features are brought to length 1, those of several frames one by one and then joined, so that the
similarity of two examples is the mean of their frames' cosines. Classes: the k nearest vote with
weight exp(s / T). Numbers: the mean of the k nearest with the same weights.

References:
    Wu et al. 2018 (weighted votes); Caron et al. 2021 (k = 20, T = .07).
"""

from collections.abc import Iterator, Sequence
from functools import partial

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vireo.features.neighbours import knn_average, knn_predict
from vireo.probe.answering import Facts, Supply, answered, warn_if_alike
from vireo.probe.examples import Examples
from vireo.probe.frozen import Frozen
from vireo.probe.outcomes import Answered
from vireo.records import ProbeSettings, Task
from vireo.tasks.checks import metric_of


def answer_nearest(
    frozen: Frozen, examples: Examples, seeds: Sequence[int], digest: str
) -> list[Answered]:
    """Answer with the neighbours in all of the training examples; see `protocols.Answering`.

    There is one seed, for nothing is drawn.
    """
    (seed,) = seeds
    settings, supply = frozen.settings, Supply(frozen, examples)
    warn_if_alike(supply)
    features, targets = supply.known(examples.fit)
    k = min(settings.neighbours, len(features))
    ask = knn_predict if metric_of(frozen.task).classes else knn_average
    asked = partial(ask, unit(features), targets, k=k, temperature=settings.temperature)
    facts: Facts = {
        "neighbours": k,
        "temperature": settings.temperature,
        "features": "cached",
        "steps": 0,
    }
    return [answered(supply, seed, [lambda part: asked(unit(part))], facts)]


def unit(features: Float[Tensor, "n frames dim"]) -> Float[Tensor, "n joined"]:
    """Bring each frame's feature to length 1 and join them."""
    return F.normalize(features, dim=2).flatten(1)


def mistakes(task: Task, settings: ProbeSettings) -> Iterator[str]:
    """Yield what of the settings cannot work, one sentence each."""
    if len(settings.seeds) > 1:
        yield f"knn draws nothing, so every seed gives the same row: name one; got {settings.seeds}"
    if settings.neighbours < 1:
        yield f"neighbours must be at least 1; got {settings.neighbours}"
    if not 0 < settings.temperature < float("inf"):
        yield f"temperature must be above 0 and finite; got {settings.temperature}"
