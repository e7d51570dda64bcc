"""What a study's reference encoder chooses: one set of optimiser and rate a task, used for all.

The reference encoder is asked first: its heads are trained with every set of the settings, and the
best on validation is the choice (the study's Appendix C). That row is kept like any other, outside
the study's tables: the reference's own cell makes it, the others read it.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from vireo.errors import TrainingError
from vireo.records import HeadOptimizer, ProbeSettings, ResultRow, StudyPlan

if TYPE_CHECKING:
    from vireo.study.cells import Cell
    from vireo.study.work import Worker


def is_chosen_by_one(plan: StudyPlan) -> bool:
    """Say whether a plan's reference encoder has to choose."""
    return plan.probe.protocol == "reference" and plan.probe.chosen is None


def search_settings(plan: StudyPlan) -> ProbeSettings:
    """Return the settings under which the reference encoder chooses for itself."""
    return replace(plan.probe, seeds=plan.probe.seeds[:1])


def choice(plan: StudyPlan, row: ResultRow) -> HeadOptimizer:
    """Return the set that a row of the search says was chosen."""
    from vireo.probe.grid import name_of

    named = {name_of(tried): tried for tried in plan.probe.sets}
    return named[str(row.hyperparameters["set"])]


def agreement(rows: Iterable[ResultRow]) -> str:
    """Return a sentence: for how many rows another set would have won on their own validation.

    Example:
        >>> agreement([])
        ''
    """
    facts = [row.hyperparameters for row in rows if "own_set" in row.hyperparameters]
    if not facts:
        return ""
    others = [fact for fact in facts if fact["own_set"] != fact["set"]]
    said = f"Another set would have won in {len(others)} of {len(facts)} rows"
    if not others:
        return f"{said}."
    lost = [float(f["own_validation_score"]) - float(f["validation_score"]) for f in others]
    return f"{said}, on validation by {sum(lost) / len(lost):.3g} in the mean of these."


def settings_of(worker: "Worker", cell: "Cell") -> ProbeSettings:
    """Return the settings of a cell; the reference encoder's own cell chooses them first.

    Raises:
        TrainingError: another encoder's cell, and the reference encoder has not chosen.
    """
    from vireo.probe import probe

    plan = worker.plan
    found = known_settings(worker, cell.task)
    if found is None:
        if cell.encoder != plan.probe.reference:
            raise TrainingError(
                f"'{plan.probe.reference}' chose no settings for '{cell.task}', which all encoders"
                " are to share: see why its own cell failed."
            )
        task = next(task for task in plan.tasks if task.name == cell.task)
        (row,) = probe(
            worker.encoder(plan.probe.reference),
            task,
            search_settings(plan),
            store=worker.folder,
            compute=worker.compute,
            workers=worker.workers,
        )
        found = replace(plan.probe, chosen=choice(plan, row))
        worker.settings[cell.task] = found
    return found


def known_settings(worker: "Worker", task_name: str) -> ProbeSettings | None:
    """Return the settings of a task's cells, or None if the reference was not asked yet."""
    from vireo.probe import row_keys
    from vireo.store.results import ResultStore

    plan = worker.plan
    if not is_chosen_by_one(plan):
        return plan.probe
    if task_name not in worker.settings:
        if not worker.can_open(plan.probe.reference):
            return None
        task = next(task for task in plan.tasks if task.name == task_name)
        (key,) = row_keys(worker.encoder(plan.probe.reference), task, search_settings(plan))
        results = ResultStore(worker.folder.results)
        if not results.has(key):
            return None
        chosen = choice(plan, results.row(key))
        worker.settings[task_name] = replace(plan.probe, chosen=chosen)
    return worker.settings[task_name]
