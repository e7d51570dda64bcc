"""What a study will take: time from measured rates, storage and memory from shapes.

Time of a cell is that of its heads or training, and of encoding what no cell before it has stored.
Encoding is counted in proportion to images and their area, heads in steps or pixels, pre-training
in operations. What is quick or cannot be known is left out (tests of linear heads, bootstrap,
rendering, decoding of images that are not here), so a study takes somewhat longer. Storage is
exact where the images are counted. Memory is a lower bound: what a cell has to hold at once.
"""

from collections.abc import Mapping, Sequence, Set

from vireo.records import EncoderCard, StudyPlan
from vireo.study.cells import Cell, plan_cells, task_of
from vireo.study.demand import Block, Demand
from vireo.study.images import images_of
from vireo.study.pretrain_demand import Runs
from vireo.study.probe_demand import Asked, probe_demand, read_blocks
from vireo.study.rates import Rates


def estimate(
    plan: StudyPlan,
    cards: Mapping[str, EncoderCard],
    rates: Rates,
    cells: Sequence[Cell] | None = None,
    *,
    stored: Set[Block] = frozenset(),
) -> list[Demand]:
    """Return what each cell takes, in the order that they run.

    Args:
        plan: the study.
        cards: of its encoders; cells of others are told to be unknown.
        rates: of the machine.
        cells: those that are left; all if None.
        stored: features that need not be computed.
    """
    images = {task.name: images_of(task, plan.probe) for task in plan.tasks}
    runs, there, found = Runs(rates), set(stored), list[Demand]()
    for cell in plan_cells(plan) if cells is None else cells:
        card = cards.get(cell.encoder)
        if card is None:
            found.append(Demand(cell=cell, why="the encoder cannot be opened"))
        elif cell.is_pretraining:
            found.append(runs.demand(cell, plan.pretrain[cell.encoder], card))
        else:
            asked = Asked(card, task_of(plan, cell), plan.probe, images[cell.task], rates)
            found.append(probe_demand(cell, asked, there))
            there |= found[-1].blocks.keys()
    return found


def stored_blocks(
    plan: StudyPlan, cards: Mapping[str, EncoderCard], rates: Rates, cells: Sequence[Cell]
) -> dict[Block, int]:
    """Return the features that `cells`, which are done, have read, and their bytes."""
    found: dict[Block, int] = {}
    for task in plan.tasks:
        names = [cell.encoder for cell in cells if cell.task == task.name and cell.encoder in cards]
        images = images_of(task, plan.probe) if names else None
        for name in names:
            assert images is not None, "counted where a cell asks"
            found |= read_blocks(Asked(cards[name], task, plan.probe, images, rates))
    return found
