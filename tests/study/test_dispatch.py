"""Who runs which cell when, with workers that are played: no cluster, no computation."""

import itertools
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from vireo.errors import SettingError
from vireo.records import DatasetSpec, EncoderSpec, PretrainSettings, ProbeSettings, StudyPlan, Task
from vireo.study.cells import Cell, plan_cells
from vireo.study.dispatch import TRIES, Dispatch, Seat, needs
from vireo.study.resources import Need, Resources
from vireo.study.work import Outcome

IMAGES = {"t0": "a", "t1": "a", "t2": "b", "t3": "b", "t4": "c"}
RUN = PretrainSettings(
    method="swav", architecture="resnet20", data="x", epochs=1, batch_size=8, image_size=8
)


def plan(encoders=3, **probe):
    tasks = tuple(
        Task(
            name=name,
            summary="",
            dataset=DatasetSpec(name=images, source="array"),
            target="class",
            outputs=2,
            family="semantic-image",
            head="linear",
            loss="cross-entropy",
            metric="top-1",
            epochs=1,
        )
        for name, images in IMAGES.items()
    )
    specs = tuple(EncoderSpec(spec=f"random:{n}", name=f"e{n}") for n in range(encoders))
    return StudyPlan(
        name="p",
        summary="",
        tasks=tasks,
        encoders=specs,
        pretrain={"made": RUN, "also": RUN},
        probe=ProbeSettings(**{"protocol": "paper", **probe}),
    )


def share(cell):
    return None if cell.is_pretraining else (cell.encoder, IMAGES[cell.task])


class Play:
    """Workers that take what they are given and end in a random order; notes begins and ends."""

    def __init__(self, made, seats, *, local=False, seed=0):
        self.cells = plan_cells(made)
        self.dispatch = Dispatch(made, self.cells, local=local)
        self.seats, self.rng = list(seats), np.random.default_rng(seed)
        self.running, self.log = {}, []

    def begin(self):
        for seat in self.seats:
            if seat not in self.running:
                taken = (self.dispatch.take(lane, seat) for lane in ("pretraining", "probing"))
                cell = next((cell for cell in taken if cell), None)
                cell = cell or self.dispatch.take("alone", seat)
                if cell is not None:
                    self.running[seat] = cell
                    self.log.append(("begin", cell, seat))

    def end(self, seat=None, error=""):
        seat = seat or list(self.running)[self.rng.integers(len(self.running))]
        cell = self.running.pop(seat)
        self.log.append(("end", cell, seat))
        self.dispatch.done(Outcome(cell, error=error))

    def all(self):
        while self.dispatch.left:
            self.begin()
            self.end()
        return self.log


SEATS = [Seat(number, machine) for number, machine in enumerate("ppqqr")]


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("probe", [{}, {"protocol": "reference", "reference": "made"}])
@pytest.mark.parametrize("seed", range(8))
def test_every_cell_runs_once_after_what_it_reads(local, probe, seed):
    play = Play(plan(**probe), SEATS, local=local, seed=seed)
    log = play.all()
    begun = [cell for what, cell, _ in log if what == "begin"]
    assert sorted(begun, key=repr) == sorted(play.cells, key=repr)
    place = {(what, cell): number for number, (what, cell, _) in enumerate(log)}
    for cell in play.cells:
        if cell.is_pretraining:
            continue
        if cell.encoder in ("made", "also"):
            assert place["end", Cell(cell.encoder)] < place["begin", cell]
        if probe and cell.encoder != "made":
            assert place["end", Cell("made", cell.task)] < place["begin", cell]


@pytest.mark.parametrize("probe", [{}, {"protocol": "reference", "reference": "twin"}])
@pytest.mark.parametrize("seed", range(4))
def test_of_two_names_for_the_same_weights_the_second_finds_the_rows_of_the_first(probe, seed):
    """Side by side they would compute every row twice. The reference has to be the first."""
    made = plan(encoders=1, **probe)
    twin = replace(made.encoders[0], name="twin", pretraining_set="said otherwise")
    play = Play(replace(made, encoders=(*made.encoders, twin)), SEATS, seed=seed)
    place = {(what, cell): number for number, (what, cell, _) in enumerate(play.all())}
    first, second = ("twin", "e0") if probe else ("e0", "twin")
    for task in IMAGES:
        assert place["end", Cell(first, task)] < place["begin", Cell(second, task)]


@pytest.mark.parametrize("seed", range(8))
def test_images_are_encoded_by_one_worker_before_others_use_them(seed):
    log = Play(plan(), SEATS, seed=seed).all()
    first_end = {}
    begun = defaultdict(int)
    for what, cell, _ in log:
        if cell.is_pretraining:
            continue
        if what == "begin":
            begun[share(cell)] += 1
            assert begun[share(cell)] == 1 or share(cell) in first_end
        else:
            first_end.setdefault(share(cell), cell)


@pytest.mark.parametrize("seed", range(8))
def test_features_on_a_machines_disk_are_used_there(seed):
    log = Play(plan(), SEATS, local=True, seed=seed).all()
    machines = defaultdict(set)
    for what, cell, seat in log:
        if what == "begin" and not cell.is_pretraining:
            machines[share(cell)].add(seat.machine)
    assert all(len(used) == 1 for used in machines.values())


def test_features_of_a_machine_that_left_are_made_again_elsewhere():
    one, other = Seat(1, "p"), Seat(2, "q")
    dispatch = Dispatch(plan(1), [Cell("e0", "t0"), Cell("e0", "t1")], local=True)
    dispatch.done(Outcome(dispatch.take("probing", one)))
    assert dispatch.take("probing", other) is None
    dispatch.gone(one)
    assert dispatch.take("probing", other) == Cell("e0", "t1")


def test_a_worker_stays_with_its_encoder_and_another_takes_another():
    one, two = SEATS[:2]
    play = Play(plan(), [one, two])
    play.dispatch.done(Outcome(play.dispatch.take("pretraining", one)))
    play.dispatch.done(Outcome(play.dispatch.take("pretraining", one)))
    opened = {seat: [] for seat in (one, two)}
    while play.dispatch.left:
        play.begin()
        for seat in list(play.running):
            opened[seat].append(play.running[seat].encoder)
            play.end(seat)
    changes = [sum(a != b for a, b in itertools.pairwise(names)) for names in opened.values()]
    assert sum(changes) <= len(plan().encoders) + 2  # five encoders, two open at the start


def test_what_fails_is_not_tried_again_but_sets_others_free():
    made, seat = plan(1), SEATS[0]
    play = Play(made, [seat])
    play.begin()
    assert play.running[seat] == Cell("made")
    play.end(seat, error="diverged")
    begun = [cell for what, cell, _ in play.all() if what == "begin"]
    assert begun.count(Cell("made")) == 1
    assert Cell("made", "t0") in begun


def test_where_the_encoding_cell_fails_the_next_encodes():
    dispatch = Dispatch(plan(1), [Cell("e0", "t0"), Cell("e0", "t1")])
    first = dispatch.take("probing", SEATS[0])
    assert dispatch.take("probing", SEATS[1]) is None
    dispatch.done(Outcome(first, error="broken"))
    assert dispatch.take("probing", SEATS[1]) == Cell("e0", "t1")


def test_a_cell_whose_workers_die_is_tried_again_first_and_alone_in_the_end():
    cells = [Cell("e0", name) for name in ("t0", "t2", "t4")]
    dispatch, seat = Dispatch(plan(1), cells), SEATS[0]
    deadly = dispatch.take("probing", seat)
    assert dispatch.lost(deadly)
    assert dispatch.take("probing", seat) == deadly
    assert dispatch.lost(deadly)
    other = dispatch.take("probing", seat)
    assert other == cells[1]
    assert dispatch.ready("alone") == 0  # another is at work, and one more is ready
    dispatch.done(Outcome(other))
    dispatch.done(Outcome(dispatch.take("probing", seat)))
    assert dispatch.ready("alone") == 1
    assert dispatch.take("alone", seat) == deadly
    assert not dispatch.lost(deadly), f"{TRIES} tries are enough"
    dispatch.done(Outcome(deadly, error="died"))
    assert dispatch.left == 0


def test_a_cell_too_large_for_its_share_of_a_gpu_is_run_alone_once():
    dispatch, seat = Dispatch(plan(1), [Cell("e0", "t0")]), SEATS[0]
    cell = dispatch.take("probing", seat)
    assert dispatch.alone(cell)
    assert dispatch.take("probing", seat) is None
    assert dispatch.take("alone", seat) == cell
    assert not dispatch.alone(cell)


def test_a_share_of_a_gpu_is_for_probes():
    assert needs("cpu", 2, None)["pretraining"] == Need(2, 0.0)
    shares = needs("cuda", 3, 0.25)
    assert (shares["probing"], shares["pretraining"], shares["alone"]) == (
        Need(3, 0.25),
        Need(3, 1.0),
        Need(3, 1.0),
    )
    assert needs("cuda:1", 1, None)["probing"] == Need(1, 1.0)
    assert needs("cuda", 1, 0.0)["pretraining"] == Need(1, 0.0)


@pytest.mark.parametrize(
    ("need", "machine", "holds"),
    [
        (Need(4), {"CPU": 15.0}, 3),
        (Need(4), {"memory": 1.0}, 0),
        (Need(1, 0.5), {"CPU": 64.0, "GPU": 4.0}, 8),
        (Need(1, 0.3), {"CPU": 64.0, "GPU": 2.0}, 6),  # not 6.67: a share lies on one GPU
        (Need(1, 0.1), {"CPU": 64.0, "GPU": 1.0}, 10),  # in spite of 1 / 0.1 in floating point
        (Need(8, 0.25), {"CPU": 16.0, "GPU": 4.0}, 2),
        (Need(1, 1.0), {"CPU": 16.0}, 0),
    ],
)
def test_machines_hold_as_many_workers_as_cores_and_gpus_allow(need, machine, holds):
    assert need.fits(machine) == holds


@pytest.mark.parametrize("wrong", [{"gpus_per_cell": 1.5}, {"gpus_per_cell": -1.0}])
def test_a_cell_takes_at_most_one_gpu(wrong):
    with pytest.raises(SettingError, match="from 0 to 1"):
        Resources(**wrong)
    with pytest.raises(SettingError, match="At least one cell"):
        replace(Resources(), cells_at_once=0)
