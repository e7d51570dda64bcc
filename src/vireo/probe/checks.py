"""What of probe settings cannot work, alone or with a task; refused before any work."""

import math
from collections.abc import Iterator

from vireo.catalog import resolve
from vireo.errors import DataError, SettingError
from vireo.probe.examples import Examples
from vireo.probe.protocols import answering, protocol_of
from vireo.records import ProbeSettings, Task
from vireo.tasks.checks import head_of, metric_of


def check_settings(task: Task, settings: ProbeSettings) -> None:
    """Refuse settings that cannot work for a task.

    Raises:
        SettingError: the protocol is not for such a task, or numbers cannot be; all are listed.
    """
    answering(task, settings)
    metric_of(task, settings.scoring)
    found = [*_seeds(settings), *_grid(settings), *_sets(settings), *_interval(settings)]
    if name := protocol_of(settings).mistakes:
        found += resolve({}, name, "protocol")(task, settings)
    if found:
        raise SettingError(f"Probe settings for '{task.name}': {'; '.join(found)}.")


def check_examples(task: Task, settings: ProbeSettings, examples: Examples) -> None:
    """Refuse examples that a protocol cannot work on, as far as their labels tell.

    Raises:
        DataError: they do not suffice.
    """
    needed, found = head_of(task).smallest_batch, len(examples.fit)
    if protocol_of(settings).trains and found < needed:
        raise DataError(
            f"The head '{task.head}' has batch norm and needs at least {needed} training images; "
            f"'{task.name}' has {found}. Add images, or take another head."
        )
    if name := protocol_of(settings).lacks:
        resolve({}, name, "protocol")(task, settings, examples)


def _seeds(settings: ProbeSettings) -> Iterator[str]:
    if not settings.seeds:
        yield "seeds needs at least one"
    if len(set(settings.seeds)) < len(settings.seeds):
        yield f"seeds must differ; got {settings.seeds}"


def _grid(settings: ProbeSettings) -> Iterator[str]:
    rates, decays = settings.learning_rates, settings.weight_decays
    if not rates or not all(0 < rate < math.inf for rate in rates):
        yield f"learning_rates must be above 0 and finite, one at least; got {rates}"
    if not decays or not all(0 <= decay < math.inf for decay in decays):
        yield f"weight_decays must be at least 0 and finite, one at least; got {decays}"
    if not 0 < settings.validation < 1:
        yield f"validation must be between 0 and 1; got {settings.validation}"


def _sets(settings: ProbeSettings) -> Iterator[str]:
    sets, chosen = settings.sets, settings.chosen
    if not sets or not all(0 < each.learning_rate < math.inf for each in sets):
        yield "sets must have learning rates above 0 and finite, one at least"
    if len(set(sets)) < len(sets):
        yield "sets must differ"
    if chosen is not None and chosen not in sets:
        yield f"chosen must be one of sets; got {chosen.optimizer} {chosen.learning_rate:g}"


def _interval(settings: ProbeSettings) -> Iterator[str]:
    if settings.resamples < 1:
        yield f"resamples must be at least 1; got {settings.resamples}"
    if not 0 < settings.level < 1:
        yield f"level must be between 0 and 1; got {settings.level}"
