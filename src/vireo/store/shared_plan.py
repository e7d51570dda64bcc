"""The plan that several folders ran parts of, and what each has done of it.

Machines that run one study file leave the same `plan.json`; their `cells.json` say which cells each
of them finished. Together they are the index of the whole study.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vireo.errors import StoreError
from vireo.files import read_json, write_json
from vireo.store.folder import StudyFolder

Entry = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SharedPlan:
    """What `plan.json`, `cells.json` and `classes.json` of the folders say together.

    Attributes:
        cells: the entries of `cells.json`, each with the rows of the first folder that has some.
        conflicts: cells of which two folders have different rows, in words.
    """

    plan: Entry
    cells: Sequence[Entry]
    classes: Entry
    conflicts: tuple[str, ...]

    def write(self, root: Path) -> str:
        """Write the three files; return in words how much of the plan is done."""
        folder = StudyFolder(root)
        write_json(folder.plan, self.plan)
        write_json(folder.classes, self.classes)
        write_json(folder.cells, self.cells)
        done = sum(bool(cell["rows"]) for cell in self.cells)
        return f"{done} of {len(self.cells)} cells of its plan are done."


def has_plan(root: Path) -> bool:
    """Say whether a study ran in this folder."""
    folder = StudyFolder(root)
    return folder.plan.is_file() and folder.cells.is_file()


def shared_plan(roots: Sequence[Path]) -> SharedPlan | None:
    """Return the plan that all folders share; None where one has another plan or none.

    Raises:
        StoreError: a plan or an index that is not as a study leaves it.
    """
    if not roots or not all(map(has_plan, roots)):
        return None
    plans = [read_json(StudyFolder(root).plan) for root in roots]
    indices = [_index(root) for root in roots]
    if any(plan != plans[0] for plan in plans) or len({tuple(index) for index in indices}) > 1:
        return None
    cells, conflicts = [], []
    for identity, first in indices[0].items():
        done = [(root, i[identity]) for root, i in zip(roots, indices, strict=True)]
        done = [(root, cell) for root, cell in done if cell["rows"]]
        cells.append(done[0][1] if done else first)
        conflicts += [
            f"{first['encoder']} x {first['task']}: other rows, so other weights of the encoder "
            f"({done[0][0]} against {root})"
            for root, cell in done
            if cell["rows"] != done[0][1]["rows"]
        ]
    return SharedPlan(
        plan=plans[0], cells=cells, classes=_classes(roots), conflicts=tuple(conflicts)
    )


def _index(root: Path) -> dict[tuple[str, str, str], Entry]:
    """Return the entries of `cells.json` by what they are about."""
    path = StudyFolder(root).cells
    try:
        return {
            (str(cell["encoder"]), str(cell["task"]), str(cell["identity"])): {
                **cell,
                "rows": list(cell["rows"]),
            }
            for cell in read_json(path)
        }
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is not as a study leaves it; delete it, the next run writes it again."
        ) from error


def _classes(roots: Sequence[Path]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for root in roots:
        path = StudyFolder(root).classes
        if path.is_file():
            found = {**read_json(path), **found}
    return found
