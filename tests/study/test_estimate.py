"""What a plan says a study takes, against what is computed by hand and what runs write."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from tests.tiny import ARCHITECTURE, DATASET, ArraySource

from vireo.devices import Compute
from vireo.errors import SettingError
from vireo.probe import maps
from vireo.records import EncoderSpec, PretrainSettings, ProbeSettings, StudyPlan, Task
from vireo.store.folder import StudyFolder
from vireo.study import check_plan, machine, run_study
from vireo.study.cells import Cell
from vireo.study.check import check_room, look
from vireo.study.demand import Demand
from vireo.study.estimate import estimate
from vireo.study.forecast import forecast
from vireo.study.machine import shortages, size, stored_bytes
from vireo.study.rates import Rates

CLASSES = dataclasses.replace(
    DATASET, splits={"train": {"seed": 0, "count": 40}, "test": {"seed": 1, "count": 20}}
)
TASK = Task(
    name="bright",
    summary="which channel is bright",
    dataset=CLASSES,
    target="class",
    outputs=2,
    family="semantic-image",
    head="linear",
    loss="cross-entropy",
    metric="top-1",
    epochs=3,
    batch_size=10,
    input_size=(8, 8),
)
PLAN = StudyPlan(
    name="small",
    summary="",
    tasks=(TASK, dataclasses.replace(TASK, name="again", epochs=1)),
    encoders=tuple(
        EncoderSpec(spec=f"random:{ARCHITECTURE}", name=name, seed=seed)
        for seed, name in enumerate("ab")
    ),
    probe=ProbeSettings(protocol="paper", resamples=20),
)


class Clockwork(Rates):
    """Rates of a machine on which everything takes a round number of seconds."""

    def _once(self, key, measure, *facts):
        return {"encode": 1.0, "decode": 0.25, "train": 8.0}.get(key[0], 100.0)


@pytest.fixture
def compute():
    return Compute(device="cpu", precision="float32", threads=1, reason="test")


def demands(plan, rates):
    return estimate(plan, look(plan).cards, rates)


class Masked(ArraySource):
    """Images that have masks as well; nothing here reads one."""

    targets = ("class", "mask")

    def __init__(self, **options: int) -> None:
        super().__init__(**options)
        self.targets = Masked.targets


MASKS = dataclasses.replace(
    TASK,
    name="where",
    target="mask",
    family="semantic-pixel",
    head="deeplabv3+",
    metric="miou",
    epochs=1,
    input_size=(64, 64),
)


def test_one_pass_stores_what_all_tasks_on_the_same_images_read(compute, monkeypatch):
    """The first task pays for both; the second writes nothing and runs no image."""
    monkeypatch.setattr(maps, "_FLOPS_A_BYTE", 0)  # maps are kept whatever they cost
    masked = dataclasses.replace(CLASSES, source="tests.study.test_estimate:Masked")
    tasks = (dataclasses.replace(TASK, input_size=(64, 64)), MASKS)
    tasks = tuple(dataclasses.replace(task, dataset=masked) for task in tasks)
    tuned = ProbeSettings(protocol="tuned", resamples=20)
    plan = dataclasses.replace(PLAN, tasks=tasks, encoders=PLAN.encoders[:1], probe=tuned)
    first, second = demands(plan, Clockwork(compute))
    assert (first.images, second.images) == (60, 0)
    assert second.new
    assert second.encode_seconds == 0.0


def test_time_is_encoding_once_and_steps_of_heads(compute):
    """60 images of 1.25 s; 40 examples in batches of 10: 4 steps an epoch of 100 s."""
    first, second, *others = demands(PLAN, Clockwork(compute))
    assert first.cell == Cell("a", "bright")
    assert (first.encode_seconds, first.seconds) == (75.0, 3 * 4 * 100.0)
    assert (second.encode_seconds, second.seconds) == (0.0, 4 * 100.0)
    assert (first.images, second.images) == (60, 0)
    assert [d.all_seconds for d in others] == [first.all_seconds, second.all_seconds]


def test_an_image_of_twice_the_side_takes_four_times_as_long(compute):
    larger = dataclasses.replace(TASK, input_size=(16, 16))
    found = demands(dataclasses.replace(PLAN, tasks=(larger,)), Clockwork(compute))
    assert found[0].encode_seconds == 60 * (4 * 1.0 + 0.25)


def test_tuned_heads_leave_out_what_they_are_selected_on(compute):
    probe = ProbeSettings(protocol="tuned", validation=0.25)
    found = demands(dataclasses.replace(PLAN, probe=probe), Clockwork(compute))
    assert found[0].seconds == 3 * 3 * 100.0  # 30 of 40 examples
    assert found[0].images == 60


def test_storage_is_what_a_run_writes(compute, tmp_path):
    """Every byte of the blocks; files have a header and a manifest besides."""
    found = demands(PLAN, Rates(compute, measures=False))
    told = sum(demand.new_bytes for demand in found)
    run_study(PLAN, tmp_path, compute=compute)
    blocks = list(StudyFolder(tmp_path).features.glob("*/block.npy"))
    assert len(blocks) == sum(len(demand.new) for demand in found) == 4
    assert told == sum(path.stat().st_size for path in blocks) - 128 * len(blocks)
    assert told == 2 * 60 * 8 * 4
    assert all(demand.all_seconds == 0 for demand in found)


def test_what_done_cells_have_stored_is_neither_encoded_again_nor_room_for_others(
    compute, tmp_path, monkeypatch
):
    """One of four cells is done: its encoder's other task finds its features."""
    first = dataclasses.replace(PLAN, tasks=PLAN.tasks[:1], encoders=PLAN.encoders[:1])
    run_study(first, tmp_path, compute=compute)
    folder, checked = StudyFolder(tmp_path), look(PLAN)
    found = forecast(PLAN, checked, tmp_path, compute)
    assert [d.images for d in found.demands] == [0, 60, 0]
    each = 60 * 8 * 4  # bytes of one encoder's features
    assert sum(d.new_bytes for d in found.demands) == each
    kept = stored_bytes(folder) - each  # of headers and manifests
    monkeypatch.setattr(machine, "free_bytes", lambda _: each - kept)
    assert check_room(PLAN, checked.cards, folder) == []
    monkeypatch.setattr(machine, "free_bytes", lambda _: each - kept - 1)
    (sentence,) = check_room(PLAN, checked.cards, folder)
    assert sentence.startswith("disk: features and runs take 1.92 kB")
    shutil.rmtree(folder.features)
    found = forecast(PLAN, checked, tmp_path, compute)
    assert [d.images for d in found.demands] == [60, 60, 0]


def test_a_run_takes_its_steps_and_leaves_its_checkpoints(compute):
    settings = PretrainSettings(
        method="simclr",
        architecture=ARCHITECTURE,
        data=CLASSES,
        epochs=2,
        batch_size=20,
        image_size=16,
        engine="torch",
    )
    plan = dataclasses.replace(PLAN, encoders=(), pretrain={"mine": settings})
    run = demands(plan, Clockwork(compute))[0]
    # 4 steps of two views of 20 images: at least 160 passes of 8 s; the projector adds to them
    assert run.seconds is not None
    assert run.seconds > 160 * 8
    assert run.run_bytes > 0
    assert run.cell == Cell("mine")


def test_measured_rates_are_seconds(compute):
    rates = Rates(compute)
    card = look(PLAN).cards["a"]
    assert 0 < rates.encode(card) < rates.train(card) < 1
    assert 0 < rates.head_step(card, TASK, PLAN.probe) < 1
    dense = dataclasses.replace(TASK, head="unet", loss="l1", metric="l1", outputs=1)
    assert 0 < rates.dense_pixel(card, dense, False) < rates.dense_pixel(card, dense, True) < 1e-3


def test_what_is_not_here_is_named_and_the_rest_is_told(compute, monkeypatch):
    for name in ("VIREO_PETS", "VIREO_DATASETS"):
        monkeypatch.delenv(name, raising=False)
    absent = dataclasses.replace(TASK, name="pets", dataset="pets", outputs=37)
    plan = dataclasses.replace(
        PLAN,
        tasks=(TASK, absent),
        encoders=(*PLAN.encoders, EncoderSpec(spec="file:/nowhere/x.pth", name="lost")),
    )
    checked = look(plan)
    assert checked.of("mistake") == []
    assert [sentence.split(":")[0] for sentence in checked.of("absent")] == [
        "encoder 'lost'",
        "task 'pets'",
    ]
    assert len(checked.absent("lost", "pets")) == 2
    assert checked.absent("a", "bright") == []
    found = {demand.cell: demand for demand in estimate(plan, checked.cards, Clockwork(compute))}
    assert found[Cell("lost", "bright")].why == "the encoder cannot be opened"
    pets = found[Cell("a", "pets")]  # 3,680 and 3,669 published
    assert pets.images == 3680 + 3669
    assert pets.encode_seconds == 3680 + 3669  # what is not here is not decoded
    with pytest.raises(SettingError, match="2 mistakes"):
        check_plan(plan)


def test_too_little_memory_or_disk_is_refused_before_a_run(tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path / "out")
    check_plan(PLAN, folder)
    monkeypatch.setattr(machine, "memory_bytes", lambda: 1000)
    with pytest.raises(SettingError, match=r"holds at least .* and this machine has 1 kB"):
        check_plan(PLAN, folder)
    monkeypatch.undo()
    monkeypatch.setattr(machine, "free_bytes", lambda _: 3839)
    with pytest.raises(SettingError, match=r"take 3.84 kB, and .*out/features has 3.84 kB free"):
        check_plan(PLAN, folder)
    monkeypatch.setattr(machine, "free_bytes", lambda _: 3840)
    check_plan(PLAN, folder)


def test_what_is_stored_already_needs_no_disk(tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path)
    folder.features.mkdir()
    (folder.features / "block.npy").write_bytes(bytes(600))
    assert stored_bytes(folder) == 600
    monkeypatch.setattr(machine, "free_bytes", lambda _: 399)
    demand = Demand(cell=Cell("a"), run_bytes=1000)
    assert "and 600 B of them already" in shortages([demand], folder)[0]
    assert shortages([dataclasses.replace(demand, run_bytes=999)], folder) == []


def test_a_disk_is_that_of_the_nearest_folder_that_is_there(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    assert machine.free_bytes(tmp_path / "a" / "b") == pytest.approx(free, rel=0.05)
    assert size(Path(__file__).stat().st_size).endswith("kB")
