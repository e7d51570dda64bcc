"""Some cells of a study: those whose names match, and what they need."""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from vireo.errors import SettingError
from vireo.records import StudyPlan
from vireo.study.cells import Cell, plan_cells


def select(plan: StudyPlan, only: Sequence[str]) -> list[Cell]:
    """Return the cells of `plan` that match one of `only`, in the order they run.

    Args:
        plan: the study.
        only: patterns with * and ? of a cell's name ("moco-v2* x cifar10"), its encoder or its
            task; all cells if there are none. The pre-training of their encoders, and the reference
            encoder's answers to their tasks, come with them.

    Raises:
        SettingError: a pattern that matches nothing.
    """
    cells = plan_cells(plan)
    chosen = {cell for cell in cells if not only or any(_matches(cell, p) for p in only)}
    for pattern in only:
        if not any(_matches(cell, pattern) for cell in cells):
            raise SettingError(
                f"No cell of '{plan.name}' matches '{pattern}'. Give an encoder, a task, or both as"
                f" in '{cells[-1].name}'; * stands for anything."
            )
    if reference := plan.probe.reference:
        chosen |= {Cell(reference, cell.task) for cell in chosen if cell.task}
    chosen |= {Cell(cell.encoder) for cell in chosen}
    return [cell for cell in cells if cell in chosen]


def part(plan: StudyPlan, cells: Sequence[Cell]) -> StudyPlan:
    """Return `plan` with the encoders, runs and tasks of `cells` alone: what has to be here."""
    encoders, tasks = ({getattr(cell, kind) for cell in cells} for kind in ("encoder", "task"))
    return replace(
        plan,
        encoders=tuple(spec for spec in plan.encoders if spec.name in encoders),
        pretrain={name: run for name, run in plan.pretrain.items() if name in encoders},
        tasks=tuple(task for task in plan.tasks if task.name in tasks),
    )


def _matches(cell: Cell, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (cell.name, cell.encoder, cell.task))
