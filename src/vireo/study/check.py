"""Check everything a study needs before hours are spent: files, images, networks, and their fit."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from vireo.errors import VireoError
from vireo.records import EncoderCard, EncoderSpec, PretrainSettings, ProbeSettings, StudyPlan, Task
from vireo.records.reading import refuse

Value = TypeVar("Value")


def check_plan(plan: StudyPlan) -> None:
    """Open every encoder and dataset of `plan` and read some labels of each task.

    Raises:
        SettingError: something cannot work; all of it is listed.
    """
    mistakes: list[str] = []
    cards = [
        *(
            _attempt(f"encoder '{spec.name}'", mistakes, partial(_open, spec))
            for spec in plan.encoders
        ),
        *(
            _attempt(f"pretrain.{name}", mistakes, partial(check_run, settings))
            for name, settings in plan.pretrain.items()
        ),
    ]
    card = next((card for card in cards if card is not None), None)
    for task in plan.tasks:
        mistakes += _task(task, card, plan.probe)
    refuse(f"The study '{plan.name}'", list(dict.fromkeys(mistakes)))


def check_run(settings: PretrainSettings) -> EncoderCard:
    """Check a pre-training run against its images; return the card of the network it will train.

    Raises:
        VireoError: something that cannot work.
    """
    from vireo.devices import choose
    from vireo.encoders import build
    from vireo.pretrain.prepare import prepare

    prepare(settings, choose("cpu"))
    size = (settings.image_size, settings.image_size)
    return build(settings.architecture, seed=settings.seed, input_size=size).card


def _task(task: Task, card: EncoderCard | None, settings: ProbeSettings) -> list[str]:
    """Check a task on one encoder; its images and labels are the same for all."""
    from vireo.data import open_split
    from vireo.probe import validate

    mistakes: list[str] = []
    where = f"task '{task.name}'"
    if card is not None:
        _attempt(where, mistakes, partial(validate, card, task, settings))
    else:
        _attempt(where, mistakes, partial(open_split, task.dataset, "test"))
    return mistakes


def _open(spec: EncoderSpec) -> EncoderCard:
    from vireo.encoders.published import card_of

    return card_of(spec)


def _attempt(where: str, mistakes: list[str], action: Callable[[], Value]) -> Value | None:
    """Return what `action` gives; if it fails, note why and return None."""
    try:
        return action()
    except VireoError as error:
        mistakes.append(f"{where}: {error}")
        return None
