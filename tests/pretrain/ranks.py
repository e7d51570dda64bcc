"""What each process of a test runs: `python -m tests.pretrain.ranks WORK FOLDER`, as by torchrun.

Methods take a few steps in float64 on batches of eight, of which each process has its share.
"""

import contextlib
import dataclasses
import itertools
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import ARCHITECTURE, DATASET, tiny_encoder, view_batch

from vireo.data.batch import ViewBatch
from vireo.devices import Compute
from vireo.errors import DataError, VireoError
from vireo.methods import find_method
from vireo.methods.batch_norm import AllReducedBatchNorm
from vireo.methods.building import build_method, method_settings
from vireo.methods.method import Method, Progress
from vireo.methods.moco_v2 import MoCoV2
from vireo.methods.parts import split_batch_norm
from vireo.methods.simclr import SimCLR
from vireo.pretrain import pretrain
from vireo.pretrain.distributed import Processes, joined, spread, wrapped
from vireo.pretrain.learning import Learner, split
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer
from vireo.records import DatasetSpec, OptimizerSettings, PretrainSettings

BATCH, STEPS, STEPS_PER_EPOCH, EXAMPLES = 8, 5, 3, 26
LONG = 30  # epochs of three steps
CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")
SGD = OptimizerSettings(learning_rate=0.05, weight_decay=1e-4)

QUEUE = {"queue_size": 16, "momentum": 0.5, "dimension": 4}
CROPS = {"prototypes": 6, "hidden_size": 8, "dimension": 4, "local_crops": 1}
PAIR = {"hidden_size": 8, "dimension": 4}
BANK = {"num_negatives": 6, "dimension": 4}
# Equal to one process on the same batches: the same formula, whatever the number of processes.
EQUAL: dict[str, tuple[str, dict[str, Any]]] = {
    "moco-v1": ("moco-v1", {**QUEUE, "bn_splits": 2}),
    "moco-v2, two splits a process": ("moco-v2", {**QUEUE, "bn_splits": 4}),
    "moco-v2, both views and small crops": (
        "moco-v2",
        {**QUEUE, "bn_splits": 2, "symmetric": True, "local_crops": 1},
    ),
    "moco-v2, the whole batch's statistics": ("moco-v2", {**QUEUE, "bn_splits": 1}),
    "exemplar-v2": ("exemplar-v2", {**QUEUE, "bn_splits": 2}),
    "swav": ("swav", {**CROPS, "queue_size": 16, "queue_start": 0}),
    "swav, hard codes and no queue": ("swav", {**CROPS, "queue_size": 0, "hard_codes": True}),
    "deepcluster-v2": ("deepcluster-v2", CROPS),
    "dino": ("dino", {**CROPS, "bottleneck": 4, "bn_in_head": True, "momentum": 0.5}),
    "simclr": ("simclr", PAIR),
    "byol": ("byol", {**PAIR, "momentum": 0.5}),
    "simsiam": ("simsiam", {**PAIR, "predictor_size": 4}),
    "barlow-twins": ("barlow-twins", PAIR),
    "vicreg": ("vicreg", PAIR),
}
# Published with batch norm of each process's own share: equal to one process whose batch norm is
# split in as many parts, and not to one whose batch norm is of the whole batch.
LOCAL: dict[str, tuple[str, dict[str, Any]]] = {
    "pirl": ("pirl", BANK),
    "pirl, rotation and constant Z": ("pirl", {**BANK, "pretext": "rotation", "loss": "nce"}),
    "pirl, infonce": ("pirl", {**BANK, "loss": "infonce", "head": "mlp"}),
    "npid": ("npid", BANK),
    "supervised": ("supervised", {}),
}
CASES = {**EQUAL, **LOCAL}


def build(case: str) -> Method:
    name, options = CASES[case]
    kind = find_method(name)
    known = {field.name for field in dataclasses.fields(kind.Settings)}
    settings = method_settings(kind, 8, {k: v for k, v in options.items() if k in known})
    method = build_method(
        kind, tiny_encoder(4), settings, num_examples=EXAMPLES, num_classes=3, seed=0
    )
    return method.double().train()


def batch_for(method: Method, step: int) -> ViewBatch:
    """Noise in the shape that the method asks for; other images in every step of an epoch."""
    sides = itertools.groupby(method.views.views, key=lambda view: view.side)
    groups = tuple((sum(view.count for view in views), side) for side, views in sides)
    patches = None if method.views.jigsaw is None else method.views.jigsaw.side
    batch = view_batch(BATCH, groups, classes=3, patches=patches, seed=100 + step)
    order = torch.randperm(EXAMPLES, generator=torch.Generator().manual_seed(step // 3))
    return dataclasses.replace(
        batch,
        groups=tuple(group.double() for group in batch.groups),
        index=order[step % 3 * BATCH :][:BATCH],
        patches=None if batch.patches is None else batch.patches.double(),
    )


def now(step: int) -> Progress:
    return Progress(
        step=step,
        num_steps=2 * STEPS_PER_EPOCH,
        epoch=step // STEPS_PER_EPOCH,
        num_epochs=2,
        digest="run",
    )


def train(case: str, processes: Processes, *, splits: int = 1, parts: int = 1) -> dict[str, Any]:
    """Take the steps; return their losses, gradient norms and what the method ends as."""
    method = build(case)
    if splits > 1:
        split_batch_norm(method, splits)
    spread(method, processes)
    optimizer = Optimizer(method, SGD)
    learner = Learner(network=wrapped(method, processes), parts=parts)
    if method.needs_first_pass:
        for step in range(STEPS_PER_EPOCH):
            with torch.no_grad():
                method.first_pass(mine(batch_for(method, step), processes))
    found = []
    for step in range(STEPS):
        batch = mine(batch_for(method, step), processes)
        losses = train_step(method, optimizer, batch, now(step), compute=CPU, learner=learner)
        found.append((losses.total.item(), losses.terms["gradient_norm"].item()))
    return {"steps": found, "state": method.state_dict()}


def mine(batch: ViewBatch, processes: Processes) -> ViewBatch:
    return split(batch, processes.count)[processes.rank]


def batch_norm(processes: Processes) -> dict[str, Any]:
    """Two steps of a plain and of an all-reduced layer on the same rows, flat and of images."""
    found = {}
    for name, shape in (("flat", (6, 3)), ("images", (6, 3, 2, 2))):
        draw = torch.Generator().manual_seed(5)
        x, w = (torch.randn(shape, generator=draw, dtype=torch.float64) * 3 + 1 for _ in range(2))
        kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
        layer = kind(3, momentum=0.3).double()
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([0.5, -2.0, 1.0]))
            layer.bias.copy_(torch.tensor([0.1, 0.2, 0.3]))
        if processes.count > 1:
            layer = AllReducedBatchNorm(layer)
        x, w = (t.chunk(processes.count)[processes.rank].clone() for t in (x, w))
        x.requires_grad_()
        for _ in range(2):
            y = layer(x)
        (y * w).sin().sum().backward()
        layer.eval()
        found[name] = {
            "y": y.detach(),
            "x.grad": x.grad,
            "gradients": torch.stack([layer.weight.grad, layer.bias.grad]),
            "evaluated": layer(x).detach(),
            **layer.state_dict(),
        }
    return found


def agreements(processes: Processes) -> dict[str, Any]:
    """What the processes agree on, and what each raises when the last one fails."""

    def fail() -> None:
        if processes.rank == processes.count - 1:
            raise DataError("image 7 is broken")

    last = processes.rank == processes.count - 1
    found = {
        "any": processes.any(last, False, processes.leads),
        "each": processes.each(processes.rank * 10),
        "first": processes.first(lambda: f"from {processes.rank}"),
        "agreed": processes.agreed(lambda: processes.rank),
    }
    for name, work in (("all", processes.agreed), ("items", lambda f: list(raising(f, processes)))):
        try:
            work(fail)
        except VireoError as error:
            found[name] = (type(error).__name__, str(error))
    return found


def raising(fail: Any, processes: Processes) -> Any:
    def items() -> Any:
        yield 1
        fail()
        yield 2

    return processes.in_step(items())


def settings(method: str = "moco-v2", epochs: int = 2, **options: Any) -> PretrainSettings:
    given = {"queue_size": 16, "bn_splits": 2, "momentum": 0.5} if method == "moco-v2" else {}
    return PretrainSettings(
        method=method,
        architecture=ARCHITECTURE,
        data=DatasetSpec(name=DATASET.name, source=DATASET.source, options={"count": 27}),
        epochs=epochs,
        batch_size=8,
        image_size=8,
        options={**given, **options},
        optimizer=SGD,
        engine="torch",
    )


def all_at_once(processes: Processes, folder: Path) -> None:
    found = {
        "cases": {case: train(case, processes) for case in CASES},
        "parts": train("supervised", processes, parts=2),
        "batch norm": batch_norm(processes),
        "agreements": agreements(processes),
    }
    torch.save(found, folder / f"out-{processes.rank}.pt")
    pretrain(settings(), folder / "moco", compute=CPU, workers=0, knn_every=1)
    pretrain(settings("supervised"), folder / "supervised", compute=CPU, workers=1)
    long_run(folder / "whole")
    with pytest.MonkeyPatch.context() as patch:
        if processes.rank == 1:  # one of them is told to stop, in the middle of a step
            patch.setattr(MoCoV2, "before_step", stopping(MoCoV2.before_step, at=5))
        try:
            long_run(folder / "stopped")
        except KeyboardInterrupt:
            (folder / f"stopped-{processes.rank}").touch()
    long_run(folder / "stopped")


def three(folder: Path) -> None:
    """Stopped after the second step: the third is the first that the resumed run takes."""
    given = dataclasses.replace(settings("simclr", **PAIR), batch_size=9)
    pretrain(given, folder / "whole", compute=CPU, workers=0)
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(SimCLR, "before_step", stopping(SimCLR.before_step, at=1))
        pretrain(given, folder / "parts", compute=CPU, workers=0)
    pretrain(given, folder / "parts", compute=CPU, workers=0)


def long_run(folder: Path) -> None:
    """Saves after nearly every step."""
    given = settings(epochs=LONG)
    pretrain(given, folder, compute=CPU, workers=0, save_every_seconds=0.02)


def stopping(original: Any, *, at: int) -> Any:
    def before_step(self: Method, now: Progress) -> None:
        if now.step == at:
            signal.raise_signal(signal.SIGTERM)
        original(self, now)

    return before_step


def main(work: str, folder: Path) -> None:
    torch.set_num_threads(1)
    with joined() as processes:
        if work == "all":
            all_at_once(processes, folder)
        elif work == "three":
            three(folder)
        else:
            long_run(folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
