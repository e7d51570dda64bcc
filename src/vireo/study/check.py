"""Look at everything a study needs before hours are spent: files, images, networks, and their fit.

What is wrong in the study file is a mistake. What is right but not on this machine is absent, and
does not keep a plan from being printed: a published encoder is described by its card, a dataset by
its published sizes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from vireo.errors import SettingError, VireoError
from vireo.records import EncoderCard, EncoderSpec, PretrainSettings, ProbeSettings, StudyPlan, Task
from vireo.records.reading import refuse
from vireo.store.folder import StudyFolder

Value = TypeVar("Value")
Kind = Literal["mistake", "absent", "fetch"]
What = Literal["encoder", "pretrain", "task"]


@dataclass(frozen=True)
class Problem:
    """What is in a study's way.

    Attributes:
        kind: "mistake" of the study file; "absent" here; "fetch": absent, and fetched by the run.
        what, name: which encoder, pre-training run or task.
    """

    kind: Kind
    what: What
    name: str
    reason: str

    @property
    def sentence(self) -> str:
        """What is the matter with what."""
        where = f"pretrain.{self.name}" if self.what == "pretrain" else f"{self.what} '{self.name}'"
        return f"{where}: {self.reason}"


@dataclass(frozen=True)
class Checked:
    """What was found.

    Attributes:
        cards: of every encoder that could be opened or is described.
    """

    cards: Mapping[str, EncoderCard]
    problems: tuple[Problem, ...]

    def of(self, *kinds: str) -> list[str]:
        """Return the problems of these kinds as sentences, each once."""
        told = (problem.sentence for problem in self.problems if problem.kind in kinds)
        return list(dict.fromkeys(told))

    def absent(self, encoder: str, task: str) -> list[str]:
        """Return what a cell needs and is not here."""
        asked = {("encoder", encoder), ("pretrain", encoder), ("task", task)}
        told = (p for p in self.problems if p.kind == "absent" and (p.what, p.name) in asked)
        return [problem.sentence for problem in told]


def check_plan(plan: StudyPlan, folder: StudyFolder | None = None) -> None:
    """Open every encoder and dataset of `plan` and read some labels of each task.

    Args:
        plan: the study.
        folder: where it will be kept, whose disk is to hold its features; None asks no disk.

    Raises:
        SettingError: something cannot work here; all of it is listed.
    """
    checked = look(plan)
    refuse(f"The study '{plan.name}'", checked.of("mistake", "absent"))
    if folder is not None:
        refuse(f"The study '{plan.name}'", check_room(plan, checked.cards, folder))


def check_room(plan: StudyPlan, cards: Mapping[str, EncoderCard], folder: StudyFolder) -> list[str]:
    """Return what memory or disk there is too little of for the cells that are left."""
    from vireo.devices import choose
    from vireo.study.estimate import estimate, stored_blocks
    from vireo.study.machine import shortages
    from vireo.study.rates import Rates
    from vireo.study.status import kept_cells, study_status

    cells, rates = study_status(plan, folder.root), Rates(choose("cpu"), measures=False)
    left = [status.cell for status in cells if status.state != "done"]
    stored = stored_blocks(plan, cards, rates, kept_cells(cells, folder))
    demands = estimate(plan, cards, rates, left, stored=stored.keys())
    return shortages(demands, folder, sum(stored.values()))


def look(plan: StudyPlan) -> Checked:
    """Look at everything that `plan` names; nothing is fetched and nothing is raised."""
    problems: list[Problem] = []
    cards: dict[str, EncoderCard] = {}
    for spec in plan.encoders:
        card = _attempt("encoder", spec.name, problems, partial(_open, spec))
        cards |= {spec.name: card} if card else {}
        problems += _to_be_had(spec)
    for name, settings in plan.pretrain.items():
        card = _attempt("pretrain", name, problems, partial(check_run, settings))
        if card is None and problems[-1].kind == "absent":
            card = _attempt("pretrain", name, [], partial(_network, settings))
        if card:
            cards[name] = dataclasses.replace(card, name=name, method=settings.method)
    for task in plan.tasks:
        _look_at_task(task, next(iter(cards.values()), None), plan.probe, problems)
    return Checked(cards, tuple(problems))


def check_run(settings: PretrainSettings) -> EncoderCard:
    """Check a pre-training run against its images; return the card of the network it will train.

    Raises:
        VireoError: something that cannot work.
    """
    from vireo.devices import choose
    from vireo.pretrain.prepare import prepare

    prepare(settings, choose("cpu"))
    return _network(settings)


def _network(settings: PretrainSettings) -> EncoderCard:
    from vireo.encoders import build

    size = (settings.image_size, settings.image_size)
    return build(settings.architecture, seed=settings.seed, input_size=size).card


def _look_at_task(
    task: Task, card: EncoderCard | None, settings: ProbeSettings, problems: list[Problem]
) -> None:
    """Look at a task on one encoder; its images and labels are the same for all."""
    from vireo.data import open_split
    from vireo.probe import validate

    asked = partial(open_split, task.dataset, "test")
    validated = asked if card is None else partial(validate, card, task, settings)
    _attempt("task", task.name, problems, validated)


def _open(spec: EncoderSpec) -> EncoderCard:
    """Return an encoder's card; a published one that cannot be had here is described."""
    from vireo.encoders.published import card_of, obstacle, stated_card

    return stated_card(spec) if obstacle(spec) else card_of(spec)


def _to_be_had(spec: EncoderSpec) -> list[Problem]:
    """Say of a published encoder whether its file has to come, and whether it can."""
    from vireo.encoders.published import is_here, obstacle

    try:
        if is_here(spec):
            return []
        reason = obstacle(spec)
    except SettingError:
        return []  # told when it was opened
    if reason:
        return [Problem("absent", "encoder", spec.name, reason)]
    return [Problem("fetch", "encoder", spec.name, "its file is fetched when it is opened first")]


def _attempt(
    what: What, name: str, problems: list[Problem], action: Callable[[], Value]
) -> Value | None:
    """Return what `action` gives; if it fails, note why and return None."""
    try:
        return action()
    except VireoError as error:
        kind: Kind = "mistake" if isinstance(error, SettingError) else "absent"
        problems.append(Problem(kind, what, name, str(error)))
        return None
