"""From something that answers for pooled features to what a row is made of."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vireo.console import warn
from vireo.errors import DataError
from vireo.features import encode
from vireo.probe.examples import Examples, Part, Targets, constant_answer, targets_of
from vireo.probe.frozen import Frozen
from vireo.probe.outcomes import Answered, gallery_images, gallery_places
from vireo.tasks.checks import metric_of
from vireo.tasks.metrics import constant_like

Facts = Mapping[str, float | int | str]
Outcomes = dict[str, np.ndarray]
Answer = Callable[[Float[Tensor, "n frames dim"]], Tensor]
"""From features to classes int64 [n], or numbers float32 [n, outputs]."""


class Supply:
    """Pooled features and targets of a task's parts, each read once, when it is asked for.

    Args:
        frozen: the encoder at work.
        examples: the data.
    """

    def __init__(self, frozen: Frozen, examples: Examples) -> None:
        self.frozen, self.examples = frozen, examples
        self._features: dict[int, tuple[Part, Tensor]] = {}
        self._targets: dict[int, tuple[Part, Targets]] = {}

    @cached_property
    def constant(self) -> tuple[float, ...]:
        """The best constant answer to the training labels."""
        return constant_answer(self.frozen.task, self.examples.fit, self.frozen.size)

    def features(self, part: Part) -> Float[Tensor, "rows frames dim"]:
        """Return the features of every frame of a part, on the device."""
        if id(part) not in self._features:
            self._features[id(part)] = part, self._read(part)
        return self._features[id(part)][1]

    def targets(self, part: Part) -> Targets:
        """Return the targets of a part, on the CPU."""
        if id(part) not in self._targets:
            self._targets[id(part)] = part, targets_of(self.frozen.task, part)
        return self._targets[id(part)][1]

    def known(self, part: Part) -> tuple[Float[Tensor, "known frames dim"], Tensor]:
        """Return features and targets of the examples whose target is not missing.

        Raises:
            DataError: there are none.
        """
        features, found = self.features(part), self.targets(part)
        if not found.valid.any():
            raise DataError(
                f"No example of '{part.split}' in '{part.source.name}' has a "
                f"'{self.frozen.task.target}'; all are missing."
            )
        values, valid = found.values.to(features.device), found.valid.to(features.device)
        return features[valid], values[valid]

    def _read(self, part: Part) -> Float[Tensor, "rows frames dim"]:
        frozen = self.frozen
        block = encode(
            frozen.encoder,
            part.source,
            size=frozen.size,
            output=("pooled",),
            beside=frozen.beside,
            store=frozen.store,
            split=part.split,
            compute=frozen.compute,
            workers=frozen.workers,
        )["pooled"]
        return torch.from_numpy(block[part.rows]).to(frozen.compute.torch_device)


def answered(
    supply: Supply,
    seed: int,
    answers: Sequence[Answer],
    chosen: Facts,
) -> Answered:
    """Return what is stored of one seed.

    Args:
        supply: of features and targets; test sets are read here and not before.
        seed: whose row it becomes.
        answers: one, or one a draw: their outcomes follow one another, with their `draw`.
        chosen: facts for the row.
    """
    examples, test = supply.examples, supply.examples.test
    outcomes = _of_all(supply, test, answers)
    truth = supply.targets(test).values
    constant = constant_like(supply.constant, truth)
    return Answered(
        seed=seed,
        outcomes=outcomes,
        constant=_outcomes(supply, test, constant),
        extra={name: _of_all(supply, part, answers) for name, part in examples.extra.items()},
        gallery=_gallery(supply, test, outcomes),
        chosen=dict(chosen),
        draws=len(answers),
    )


def warn_if_alike(supply: Supply) -> None:
    """Say it where most images share their feature with another: no head can tell them apart."""
    features, frozen = supply.features(supply.examples.fit), supply.frozen
    numbers = features.flatten(1).double().cpu().numpy()
    # equal rows have equal weighted sums, and the same frames in another order have not
    different = len(np.unique(numbers @ np.arange(1.0, numbers.shape[1] + 1)))
    if 2 * different < len(features):
        height, width = frozen.size
        warn(
            f"'{frozen.encoder.card.name}' gives only {different} different features for the "
            f"{len(features)} images of '{frozen.task.name}' at {height} x {width} pixels. Set a "
            "larger input_size in the task, and check the encoder's mean and std."
        )


def _of_all(supply: Supply, part: Part, answers: Sequence[Answer]) -> Outcomes:
    features = supply.features(part)
    found = [_outcomes(supply, part, answer(features).cpu()) for answer in answers]
    joined = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    if len(answers) > 1:
        joined["draw"] = np.repeat(np.arange(len(answers)), len(part))
    return joined


def _outcomes(supply: Supply, part: Part, answer: Tensor) -> Outcomes:
    truth = supply.targets(part)
    metric = metric_of(supply.frozen.task, supply.frozen.settings.scoring)
    valid = None if metric.classes else truth.valid[:, None]
    found = metric.outcomes(answer, truth.values, valid)
    return {"index": part.rows} | {name: tensor.numpy() for name, tensor in found.items()}


def _gallery(supply: Supply, part: Part, outcomes: Outcomes) -> Outcomes:
    places = gallery_places(part)
    return {
        "image": gallery_images(part, places, supply.frozen.size, all_frames=True),
        "truth": outcomes["truth"][places],
        "prediction": outcomes["predicted"][places],
    }
