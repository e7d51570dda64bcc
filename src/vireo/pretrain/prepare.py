"""Everything that can be wrong with a run is found here, before its first step."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from vireo import devices
from vireo.data import find_dataset, open_split
from vireo.data.sources.source import Source
from vireo.data.subsets.source import SubsetSource
from vireo.data.views.loading import num_batches
from vireo.devices import Compute
from vireo.digest import digest
from vireo.encoders import build
from vireo.errors import SettingError
from vireo.methods import find_method
from vireo.methods.building import build_method, method_settings
from vireo.methods.method import Method
from vireo.pretrain.optimizers import check_optimizer, shorten_warmup
from vireo.records import DatasetSpec, OptimizerSettings, PretrainSettings, SubsetRecipe

MAX_WORKERS = 8


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that can start: what the settings resolved to.

    Attributes:
        digest: of the settings; seeds every draw of the run.
        method_settings: of the method's own class.
        num_steps: of an epoch, `steps_per_epoch`, times the epochs.
    """

    settings: PretrainSettings
    digest: str
    spec: DatasetSpec
    source: Source
    num_classes: int | None
    method: type[Method]
    method_settings: Any
    optimizer: OptimizerSettings
    engine: str
    steps_per_epoch: int
    compute: Compute

    @property
    def num_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.steps_per_epoch * self.settings.epochs

    @property
    def recipe(self) -> str:
        """Digest of what runs have in common that differ in their seed or their images alone.

        Cards name the images beside it, and draws of one subset are of one recipe.
        """
        shared = dataclasses.replace(
            self.settings, data="", seed=0, options={}, optimizer=self.optimizer
        )
        return digest(shared, self.method_settings)

    def resolved(self) -> dict[str, Any]:
        """What must not change between the parts of a run that is resumed."""
        return {
            "dataset": self.spec,
            "images": len(self.source),
            "source": self.source.digest,
            "method": self.method_settings,
            "optimizer": self.optimizer,
            "engine": self.engine,
        }

    def build(self) -> Method:
        """Return the method around a new encoder, on the device, in training mode."""
        side = self.settings.image_size
        seed = self.settings.seed
        method = build_method(
            self.method,
            build(self.settings.architecture, seed=seed, input_size=(side, side)),
            self.method_settings,
            num_examples=len(self.source),
            num_classes=self.num_classes,
            seed=seed,
        )
        method = method.to(memory_format=self.compute.memory_format)
        return method.to(self.compute.torch_device).train()


def prepare(
    settings: PretrainSettings, compute: Compute, engine: str | None = None, processes: int = 1
) -> Run:
    """Check the settings against the images and fill in what they leave open.

    Args:
        settings: what a person asked for.
        compute: where it runs.
        engine: of the views, where a run that is resumed has chosen already.
        processes: that share each batch.

    Raises:
        SettingError: the first rule that is broken, before any network is built.
        DataError: the images are not there or not readable.
    """
    _check_sizes(settings)
    method = find_method(settings.method)
    _check_parts(settings, method, processes)
    options = method_settings(method, settings.image_size, settings.options)
    optimizer = settings.optimizer or shorten_warmup(
        method.published_optimizer(settings.batch_size), settings.epochs
    )
    check_optimizer(optimizer, settings.epochs)
    spec, source = open_images(settings.data)
    num_classes = count_classes(source)
    method.check(
        options,
        batch_size=settings.batch_size,
        num_examples=len(source),
        num_classes=num_classes,
    )
    return Run(
        settings=settings,
        digest=digest(settings),
        spec=spec,
        source=source,
        num_classes=num_classes,
        method=method,
        method_settings=options,
        optimizer=optimizer,
        engine=engine or _engine(settings, compute),
        steps_per_epoch=num_batches(source, settings.batch_size),
        compute=compute,
    )


def open_images(data: str | DatasetSpec | SubsetRecipe) -> tuple[DatasetSpec, Source]:
    """Return the images that a run trains on, and the set they are said to be of.

    Raises:
        SettingError: no such set, or a part that cannot be drawn of it.
        DataError: the images are not there or not readable.
    """
    if isinstance(data, SubsetRecipe):
        return DatasetSpec(name=data.name, source="subset"), SubsetSource.drawn(data)
    spec = find_dataset(data) if isinstance(data, str) else data
    return spec, open_split(spec, "train")


def count_classes(source: Source) -> int | None:
    """Return the number of classes of the source, or None if its examples have none."""
    if "class" not in source.targets:
        return None
    if source.class_names:
        return len(source.class_names)
    return int(np.max([source.target(index, "class") for index in range(len(source))])) + 1


def choose_workers(sharing: int = 1) -> int:
    """Return the loader's processes: none for one core, the machine's cores up to eight else.

    They change the speed alone: draws are seeded by example.

    Args:
        sharing: processes of a run that share the machine's cores.
    """
    cores = min(devices.usable_cores() // sharing, MAX_WORKERS)
    return cores if cores > 1 else 0


def _engine(settings: PretrainSettings, compute: Compute) -> str:
    if settings.engine == "auto":
        return "opencv" if compute.torch_device.type == "cpu" else "torch"
    return settings.engine


def _check_parts(settings: PretrainSettings, method: type[Method], processes: int) -> None:
    """Refuse a batch that processes or parts cannot share, and parts where the loss has none."""
    parts, size = settings.accumulate, settings.batch_size
    if parts > 1 and method.batch_interaction:
        raise SettingError(
            f"{settings.method} cannot accumulate gradients over parts of a batch: "
            f"{method.batch_interaction}. Set accumulate = 1, and a smaller batch_size."
        )
    if size % (parts * processes) or size < 2 * parts * processes:
        raise SettingError(
            f"batch_size must give each of {processes} processes {parts} equal parts of at least 2 "
            f"images; got {size}. Set a multiple of {parts * processes}."
        )


def _check_sizes(settings: PretrainSettings) -> None:
    least = {"epochs": 1, "batch_size": 2, "image_size": 8, "accumulate": 1}
    for name, value in dataclasses.asdict(settings).items():
        if name in least and value < least[name]:
            raise SettingError(f"{name} must be at least {least[name]}; got {value}.")
    if settings.engine not in ("auto", "torch", "opencv"):
        raise SettingError(f"engine must be auto, torch or opencv; got '{settings.engine}'.")
