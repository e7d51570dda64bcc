"""Pre-train an encoder into a folder, from the start or from where it was left."""

import dataclasses
from pathlib import Path

import torch

from vireo import devices
from vireo.console import say
from vireo.devices import Compute
from vireo.encoders import save_encoder
from vireo.encoders.encoder import Encoder
from vireo.pretrain.folder import claimed, compare_recipe, is_finished, read_recipe, write_recipe
from vireo.pretrain.loop import Trainer
from vireo.pretrain.prepare import Run, choose_workers, prepare
from vireo.records import PretrainSettings


def pretrain(
    settings: PretrainSettings,
    out: Path,
    *,
    compute: Compute | None = None,
    workers: int | None = None,
    save_every_seconds: float = 60.0,
) -> Path:
    """Run pre-training, or what is left of it, and return the folder that `run:` opens.

    A finished run returns at once. On a CPU with the same number of threads, a run that was
    interrupted anywhere ends bit for bit as if it had not been.

    Args:
        settings: what to train; every one of them names the run.
        out: folder of this run alone.
        compute: where to run; chosen by the machine if None.
        workers: processes that decode; chosen by the machine if None.
        save_every_seconds: time between checkpoints; no number depends on it.

    Raises:
        SettingError: a setting that cannot work, or a folder that holds another run.
        DataError: images that are missing or broken.
        StoreError: another process is at work on the folder, or the disk is full.
        TrainingError: the loss is not finite.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when a checkpoint is written.
    """
    out.mkdir(parents=True, exist_ok=True)
    with claimed(out):
        recipe = read_recipe(out, settings)
        if recipe is not None and is_finished(out):
            return out
        compute = compute or devices.choose()
        engine = None if recipe is None else recipe["resolved"]["engine"]
        run = prepare(settings, compute, engine)
        if recipe is None:
            write_recipe(out, settings, run.resolved(), compute)
        else:
            compare_recipe(out, recipe, run.resolved(), compute)
        workers = choose_workers() if workers is None else workers
        method = Trainer(run, out, workers, save_every_seconds).train()
        _finish(run, method.encoder, out)
    return out


def _finish(run: Run, encoder: Encoder, out: Path) -> None:
    settings = run.settings
    encoder.card = dataclasses.replace(
        encoder.card,
        name=out.name,
        method=settings.method,
        pretraining_set=run.spec.name,
        images=len(run.source),
        balance=run.source.balance,
        epochs=float(settings.epochs),
        steps=run.num_steps,
        source=f"run:{out}",
    )
    save_encoder(encoder.to(torch.device("cpu")), out)
    say(f"Finished: open it as run:{out}")
