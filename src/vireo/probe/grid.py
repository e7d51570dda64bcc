"""Which heads a protocol trains: one for each optimiser, learning rate and decay it tries."""

from collections.abc import Sequence
from dataclasses import dataclass

from vireo.records import HeadOptimizer, ProbeSettings, Task


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """How one head is trained: "adam" or "sgd" with momentum .9, and decoupled weight decay."""

    optimizer: str = "adam"
    rate: float
    decay: float = 0.0

    @property
    def name(self) -> str:
        """What a row calls it.

        Example:
            >>> Configuration(rate=3e-4).name
            'adam 0.0003'
        """
        return f"{self.optimizer} {self.rate:g}"


def grid_of(task: Task, settings: ProbeSettings) -> tuple[Configuration, ...]:
    """Return the configurations that a protocol tries on image-level tasks.

    Example:
        >>> from vireo.tasks.image_semantic import DIGITS
        >>> [c.name for c in grid_of(DIGITS, ProbeSettings(protocol="reference"))]
        ['adam 0.0001', 'adam 0.0003', 'adam 0.001', 'sgd 0.01']
    """
    match settings.protocol:
        case "paper":
            return (Configuration(rate=task.learning_rate),)
        case "reference":
            return tuple(map(_of_set, settings.sets))
        case _:
            return product(task.learning_rate, settings.learning_rates, settings.weight_decays)


def product(
    rate: float, factors: Sequence[float], decays: Sequence[float]
) -> tuple[Configuration, ...]:
    """Return every pair of a rate, a factor of the task's, and a decay."""
    return tuple(
        Configuration(rate=rate * factor, decay=decay) for factor in factors for decay in decays
    )


def name_of(tried: HeadOptimizer) -> str:
    """Return what a row calls one of the sets of "reference"."""
    return _of_set(tried).name


def chosen_place(grid: Sequence[Configuration], chosen: HeadOptimizer | None) -> int | None:
    """Return the place in the grid of the set that the reference encoder chose, if it has one."""
    return None if chosen is None else list(grid).index(_of_set(chosen))


def _of_set(tried: HeadOptimizer) -> Configuration:
    return Configuration(optimizer=tried.optimizer, rate=tried.learning_rate)
