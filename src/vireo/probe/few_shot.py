"""The protocol "few-shot": heads trained on k examples of every class, drawn several times.

The score of a row is the mean over draws, its interval Student's over draws. A draw depends on the
task's examples and the seed alone, so all encoders see the same ones. Every draw has first weights
and a configuration of its own, chosen inside it: each fold of its shots is held out once, and the
configuration with the best mean over folds is trained again on all. Neither test nor further
training labels are looked at; one shot leaves nothing to hold out, and then the grid must have one
configuration. Features have the scale of all training images, which takes no label.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from vireo import seeding
from vireo.errors import DataError, TrainingError
from vireo.probe.answering import Supply, answered, warn_if_alike
from vireo.probe.examples import Examples, targets_of
from vireo.probe.frozen import Frozen
from vireo.probe.grid import grid_of
from vireo.probe.image_level import plan_of, train_heads
from vireo.probe.many_heads import pad
from vireo.probe.one_head import OneHead
from vireo.probe.outcomes import Answered
from vireo.probe.scaling import Scales
from vireo.probe.select import best
from vireo.probe.training import Fit
from vireo.records import ProbeSettings, Task
from vireo.tasks.checks import metric_of

_FOLDS = 5
"""Parts of the shots of a class that are held out in turn; fewer where there are fewer shots."""


def answer_few_shot(
    frozen: Frozen, examples: Examples, seeds: Sequence[int], digest: str
) -> list[Answered]:
    """Train and test the heads of all draws of all `seeds`; see `protocols.Answering`."""
    supply = Supply(frozen, examples)
    warn_if_alike(supply)
    pool = _Pool(supply, digest)
    return [_answer(supply, pool, seed) for seed in seeds]


def draw_shots(
    labels: Int64[np.ndarray, " n"], shots: int, rng: np.random.Generator
) -> Int64[np.ndarray, "classes shots"]:
    """Return the places of `shots` examples of every class that is there, without repetition.

    Example:
        >>> draw_shots(np.array([5, 2, 5, 2, 5]), 2, np.random.default_rng(0)).shape
        (2, 2)
    """
    classes = np.unique(labels)
    return np.stack([rng.permutation(np.flatnonzero(labels == c))[:shots] for c in classes])


def mistakes(task: Task, settings: ProbeSettings) -> Iterator[str]:
    """Yield what of the settings cannot work, one sentence each."""
    if not metric_of(task).classes:
        yield f"few-shot draws examples of every class, and '{task.metric}' has no classes"
    if settings.shots < 1:
        yield f"shots must be at least 1; got {settings.shots}"
    if settings.draws < 2:
        yield f"draws must be at least 2, for an interval over them; got {settings.draws}"
    configurations = len(settings.learning_rates) * len(settings.weight_decays)
    if settings.shots == 1 and configurations > 1:
        yield (
            "with one shot nothing can be held out to choose among "
            f"{configurations} configurations; ask for two shots, or give one of learning_rates "
            "and one of weight_decays in a study file"
        )


def check_classes(task: Task, settings: ProbeSettings, examples: Examples) -> None:
    """Refuse to draw more examples of a class than there are.

    Raises:
        DataError: naming the class that has fewest.
    """
    fit, shots = examples.fit, settings.shots
    codes, counts = np.unique(targets_of(task, fit).values.numpy(), return_counts=True)
    if counts.min() < shots:
        raise DataError(
            f"few-shot draws {shots} examples of every class, but class {codes[counts.argmin()]} "
            f"of '{task.name}' has {counts.min()} in '{fit.split}'; ask for fewer shots."
        )


class _Pool:
    """What all draws share: the training examples they are drawn from, and their scale."""

    def __init__(self, supply: Supply, digest: str) -> None:
        self.frozen, self.digest = supply.frozen, digest
        self.features, self.targets = supply.known(supply.examples.fit)
        self.scales = Scales.of(self.features, self.targets, standardise=True)
        self._padded = pad(self.scales.features(self.features))

    def train(
        self, rows: Int64[Tensor, "draws classes shots"], drawn: Sequence[int]
    ) -> list[list[OneHead]]:
        """Train every configuration on the rows of every draw, all together."""
        plan = plan_of(self.frozen, drawn, self.digest)
        fit = Fit(self._padded, self.targets, rows.flatten(1))
        return train_heads(self.frozen, fit, plan, drawn=drawn, scales=self.scales)

    def judge(self, head: OneHead, rows: Int64[Tensor, "classes shots"]) -> tuple[float, float]:
        """Return score and loss of a head on some rows."""
        places = rows.flatten().to(self.features.device)
        return head.judge(self.features[places], self.targets[places])


def _answer(supply: Supply, pool: _Pool, seed: int) -> Answered:
    frozen = supply.frozen
    rows = _rows(pool, frozen.settings, seed)
    drawn = [
        seeding.integer(pool.digest, f"draw of seed {seed}", index=i) for i in range(len(rows))
    ]
    chosen = _select(pool, rows, drawn)
    heads = [tried[place] for tried, place in zip(pool.train(rows, drawn), chosen, strict=True)]
    if not all(head.is_finite for head in heads):
        raise TrainingError(
            f"A head of '{frozen.task.name}' on '{frozen.encoder.card.name}' diverged; lower the "
            "task's learning_rate."
        )
    return answered(supply, seed, heads, _facts(frozen, rows, chosen))


def _rows(pool: _Pool, settings: ProbeSettings, seed: int) -> Int64[Tensor, "draws classes shots"]:
    labels = pool.targets.cpu().numpy()
    drawn = [
        draw_shots(
            labels,
            settings.shots,
            seeding.generator(pool.digest, f"shots of seed {seed}", index=draw),
        )
        for draw in range(settings.draws)
    ]
    return torch.from_numpy(np.stack(drawn))


def _select(
    pool: _Pool, rows: Int64[Tensor, "draws classes shots"], drawn: Sequence[int]
) -> list[int]:
    """Return the place of each draw's configuration, by holding out each fold of its shots."""
    num_configs, shots = len(grid_of(pool.frozen.task, pool.frozen.settings)), rows.shape[2]
    if num_configs == 1:
        return [0] * len(rows)
    fold_of, found = np.arange(shots) % _FOLDS, []
    for fold in np.unique(fold_of):
        heads = pool.train(rows[:, :, fold_of != fold], drawn)
        pairs = zip(heads, rows[:, :, fold_of == fold], strict=True)
        found.append([[pool.judge(head, held) for head in tried] for tried, held in pairs])
    mean = np.array(found).mean(0)  # [draws, configs, (score, loss)]
    return [best(list(each[:, 0]), list(each[:, 1])) for each in mean]


def _facts(
    frozen: Frozen, rows: Int64[Tensor, "draws classes shots"], chosen: Sequence[int]
) -> dict[str, float | int | str]:
    task, settings = frozen.task, frozen.settings
    grid = grid_of(task, settings)
    train_images = rows[0].numel()
    return {
        "shots": settings.shots,
        "draws": settings.draws,
        "folds": min(settings.shots, _FOLDS) if len(grid) > 1 else 0,
        "learning_rates": " ".join(f"{grid[place].rate:g}" for place in chosen),
        "weight_decays": " ".join(f"{grid[place].decay:g}" for place in chosen),
        "train_images": train_images,
        "features": "cached",
        "steps": task.epochs * -(-train_images // task.batch_size),
    }
