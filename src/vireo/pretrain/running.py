"""Pre-train an encoder into a folder, from the start or from where it was left."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vireo import devices, files
from vireo.console import say
from vireo.data.views.draws import check_recipe
from vireo.devices import Compute
from vireo.digest import plain
from vireo.encoders import save_encoder
from vireo.encoders.encoder import Encoder
from vireo.methods.method import Method
from vireo.methods.processes import alone
from vireo.pretrain.cost import step_flops, together
from vireo.pretrain.distributed import Processes, joined
from vireo.pretrain.folder import (
    COST,
    claimed,
    compare_recipe,
    is_finished,
    read_recipe,
    write_recipe,
)
from vireo.pretrain.loop import Trainer
from vireo.pretrain.online_knn import OnlineKnn
from vireo.pretrain.prepare import Run, choose_workers, prepare
from vireo.pretrain.reporting import rate_in_words
from vireo.records import PretrainSettings


def pretrain(
    settings: PretrainSettings,
    out: Path,
    *,
    compute: Compute | None = None,
    workers: int | None = None,
    save_every_seconds: float = 60.0,
    knn_every: int = 0,
) -> Path:
    """Run pre-training, or what is left of it, and return the folder that `run:` opens.

    A finished run returns at once. On CPUs with the same number of threads and processes, a run
    that was interrupted anywhere ends bit for bit as if it had not been. Processes that torchrun
    started share the batches of one run.

    Args:
        settings: what to train; every one of them names the run.
        out: folder of this run alone.
        compute: where to run; chosen by the machine if None.
        workers: processes that decode; chosen by the machine if None.
        save_every_seconds: time between checkpoints; no number depends on it.
        knn_every: epochs between kNN on held-out labels, in the log; 0 for none. Nothing of it
            flows back.

    Raises:
        SettingError: a setting that cannot work, or a folder that holds another run.
        DataError: images that are missing or broken.
        StoreError: another process is at work on the folder, or the disk is full.
        TrainingError: the loss is not finite, or the features have collapsed.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when a checkpoint is written.
    """
    with joined() as processes, processes.held(claimed(out)):
        recipe = processes.first(lambda: read_recipe(out, settings))
        if recipe is not None and processes.first(lambda: is_finished(out)):
            return out
        compute = compute or devices.choose(processes.device("auto"))
        processes.settle(compute.torch_device)
        run = processes.agreed(lambda: _prepared(settings, compute, recipe, processes))
        processes.first(lambda: _hold_recipe(recipe, run, out, processes))
        workers = choose_workers(processes.local_count) if workers is None else workers
        wanted = knn_every > 0 and processes.leads
        knn = processes.agreed(lambda: OnlineKnn(run, workers, knn_every) if wanted else None)
        trainer = processes.agreed(
            lambda: Trainer(run, out, workers, save_every_seconds, knn=knn, processes=processes)
        )
        method = trainer.train()
        _write_cost(trainer, method, out)
        processes.first(lambda: _finish(run, method.encoder, out))
    return out


def _prepared(
    settings: PretrainSettings,
    compute: Compute,
    recipe: Mapping[str, Any] | None,
    processes: Processes,
) -> Run:
    engine = None if recipe is None else recipe["resolved"]["engine"]
    run = prepare(settings, compute, engine, processes.count)
    if recipe is None:  # a recipe that is written must be one that can be followed
        check_recipe(run.build().views)
    return run


def _hold_recipe(
    recipe: Mapping[str, Any] | None, run: Run, out: Path, processes: Processes
) -> None:
    """Write the recipe of a new run; compare that of one which goes on."""
    say(rate_in_words(run))
    compute = {**plain(run.compute), "processes": processes.count}
    if recipe is None:
        write_recipe(out, run.settings, run.resolved(), compute)
    else:
        compare_recipe(out, recipe, run.resolved(), compute)


def _write_cost(trainer: Trainer, method: Method, out: Path) -> None:
    """Write what all processes took together."""
    run, processes = trainer.run, trainer.processes
    batch_size = run.settings.batch_size

    def count() -> int | None:
        with alone():
            return step_flops(method if processes.count == 1 else run.build(), batch_size)

    each = processes.first(count)
    flops = None if each is None else each * run.num_steps
    bills = processes.each(trainer.ledger.bill(run.num_steps * batch_size, flops))
    processes.first(lambda: files.write_json(out / COST, plain(together(bills))))


def _finish(run: Run, encoder: Encoder, out: Path) -> None:
    settings = run.settings
    encoder.card = dataclasses.replace(
        encoder.card,
        name=out.name,
        method=settings.method,
        pretraining_set=run.spec.name,
        images=len(run.source),
        balance=run.source.balance,
        recipe=run.recipe,
        epochs=float(settings.epochs),
        steps=run.num_steps,
        source=f"run:{out}",
    )
    save_encoder(encoder.to(torch.device("cpu")), out)
    say(f"Finished: open it as run:{out}")
