"""The task files that ship: one for each kind, shown in the documentation as they are."""

import re
from pathlib import Path

import pytest

from vireo.study import read_plan
from vireo.tasks import HEADS, find_task
from vireo.tasks.checks import metric_of

ROOT = Path(__file__).parents[2]
FILES = {
    find_task(str(path)).name: path for path in sorted((ROOT / "studies/tasks").glob("*.toml"))
}
KINDS = {
    "classification": ("linear", "top-1", 1),
    "counting": ("linear", "count", 1),
    "regression": ("linear", "mae", 1),
    "several frames": ("fusion", "top-1", 2),
    "an order of frames": ("fusion", "top-1", 3),
    "segmentation": ("deeplabv3+", "miou", 1),
    "binary segmentation": ("deeplabv3+", "iou", 1),
    "depth": ("unet", "l1", 1),
    "flow": ("siamese-unet", "fl", 2),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_a_file(kind):
    tasks = [find_task(str(path)) for path in FILES.values()]
    assert KINDS[kind] in {(task.head, task.metric, task.frames) for task in tasks}


def shown():
    page = (ROOT / "docs/tasks.md").read_text()
    return re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def test_the_page_shows_each_file_and_nothing_else(tmp_path):
    found = {}
    for block in shown():
        (tmp_path / "task.toml").write_text(block)
        task = find_task(str(tmp_path / "task.toml"))
        found[task.name] = task
    assert found == {name: find_task(str(path)) for name, path in FILES.items()}


def test_the_pages_example_of_mistakes_is_what_is_said(tmp_path, monkeypatch):
    """The four lines of the page, from a file that has these four mistakes."""
    page = (ROOT / "docs/tasks.md").read_text()
    (said,) = re.findall(r"^```text\nvireo: (.*?)```", page, re.MULTILINE | re.DOTALL)
    text = (
        'name = "leaves"\nsummary = "is it ill"\ntarget = "mask"\noutputs = 2\nfamily = "pixels"\n'
        'head = "deeplab"\nloss = "cross-entropy"\nmetric = "miou"\ninput_size = [120, 160]\n\n'
        '[data]\nname = "leaves"\nsource = "image-mask"\n\n[data.options]\nroot = "$LEAVES"\n\n'
        '[data.splits.train]\nimages = "a"\ncode = { 11 = "255" }\nmasks = "b"\n'
        "[data.carve.test]\nfraction = 0.2\n"
    )
    monkeypatch.chdir(tmp_path)
    Path("leaves.toml").write_text(text)
    with pytest.raises(Exception, match="mistakes") as caught:
        find_task("leaves.toml")
    assert str(caught.value).strip() == said.strip()


def test_the_battery_covers_every_head_every_kind_and_eight_encoders():
    plan = read_plan(ROOT / "studies/real-battery.toml")
    assert {task.head for task in plan.tasks} == set(HEADS)
    assert set(FILES) <= {task.name for task in plan.tasks}
    assert len({task.family for task in plan.tasks}) == 4
    assert len(plan.encoders) + len(plan.pretrain) >= 8
    assert any(task.name == "rooms-flow" for task in plan.tasks)


def test_its_dense_tasks_state_their_steps():
    for task in read_plan(ROOT / "studies/real-battery.toml").tasks:
        if metric_of(task).dense:
            assert task.max_steps is not None
            assert task.name not in FILES or task.max_steps <= 300
