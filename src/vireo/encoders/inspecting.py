"""What a checkpoint file is, whether it can be loaded, and if not, why: `vireo encoder inspect`."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from vireo.encoders.checkpoints import Checkpoint, recognise, unpack
from vireo.encoders.inference import Inference, closeness, infer, on_meta
from vireo.encoders.layouts.extracting import by_kind, kind_of
from vireo.encoders.layouts.flattening import flatten
from vireo.encoders.layouts.formats import Triple
from vireo.encoders.matching import cover, fill
from vireo.encoders.opening import (
    demand_name,
    make_network,
    normalisation_of,
    refusal,
    stated_architectures,
)
from vireo.encoders.reading.files import read_file
from vireo.encoders.weights import weights_digest
from vireo.errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a file is found to be.

    Attributes:
        reader, foreign: how it was read, and classes in it that were not rebuilt.
        format, summary: the row of FORMATS, and what it says.
        taken: which of several networks; empty if there is one.
        epoch: finished epochs, where the file is sure to say it.
        architecture: what the tensors fill; empty if nothing.
        matched, missing, misshapen, too_many: tensors of the network that the file has, lacks, has
            with another shape (both are given), and names in the file that are too many for it.
        left_over: kind to names in the file that are not the backbone's.
        mean, std: what images are normalised by; None if refused.
        weights: digest, as `EncoderCard.weights`; empty if refused.
        closest: the architecture nearest to fitting, if refused.
        refusal: why; empty if accepted.
    """

    path: str
    reader: str
    foreign: tuple[str, ...]
    format: str
    summary: str
    taken: str = ""
    epoch: int | None = None
    architecture: str = ""
    accepted: bool = False
    matched: int = 0
    missing: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    too_many: tuple[str, ...] = ()
    left_over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mean: Triple | None = None
    std: Triple | None = None
    weights: str = ""
    closest: str = ""
    refusal: str = ""


def inspect(path: Path, architecture: str = "", take: str = "") -> Inspection:
    """Say what a file is and how its tensors meet the network that they fill or come closest to.

    Args:
        path: of the file.
        architecture: its architecture, where the person knows it; inferred if empty.
        take: which of several networks, as `EncoderSpec.take`.

    Raises:
        CheckpointError: the file cannot be read at all.
        SettingError: an architecture that does not exist.
    """
    content = read_file(path)
    flat = flatten(content)
    layout = recognise(flat)
    said = Inspection(
        path=str(path),
        reader=content.reader,
        foreign=content.foreign,
        format=layout.name,
        summary=layout.summary,
    )
    try:
        checkpoint = unpack(content, flat, layout, path=path, take=take)
    except CheckpointError as error:
        names = {raw: kind_of(name) for name, raw in flat.raw.items()}
        return dataclasses.replace(said, refusal=str(error), left_over=by_kind(names))
    found = _meet(checkpoint, path, architecture)
    compared = _compare(said, checkpoint, found)
    if not found.coverage.complete:
        closest = found.architecture if closeness(found.coverage) else ""
        reason = refusal(path, found, architecture)
        return dataclasses.replace(compared, closest=closest, refusal=reason)
    try:
        if not architecture:
            demand_name(checkpoint, path)
    except CheckpointError as error:
        return dataclasses.replace(compared, closest=found.architecture, refusal=str(error))
    return _judge(compared, checkpoint, found, path)


def _meet(checkpoint: Checkpoint, path: Path, architecture: str) -> Inference:
    if architecture:
        coverage = cover(on_meta(architecture), checkpoint.tensors)[0]
        return Inference(architecture=architecture, coverage=coverage)
    return infer(
        checkpoint.tensors,
        stated=stated_architectures(checkpoint, path),
        options=checkpoint.format.options,
    )


def _compare(said: Inspection, checkpoint: Checkpoint, found: Inference) -> Inspection:
    coverage, names = found.coverage, checkpoint.names
    wanted = on_meta(found.architecture).backbone.network.state_dict()
    rest = by_kind({names[name]: kind_of(names[name]) for name in coverage.unused})
    return dataclasses.replace(
        said,
        taken=checkpoint.taken,
        epoch=checkpoint.epoch,
        matched=len(coverage.matched),
        missing=coverage.missing,
        misshapen=tuple(
            _shapes(name, checkpoint.tensors[coverage.prefix + name], wanted[name])
            for name in coverage.misshapen
        ),
        too_many=tuple(names[coverage.prefix + name] for name in coverage.deeper),
        left_over=_merge(checkpoint.left_over, rest),
    )


def _judge(said: Inspection, checkpoint: Checkpoint, found: Inference, path: Path) -> Inspection:
    network = make_network(found.architecture)
    try:
        fill(network, checkpoint.tensors, path)
    except CheckpointError as error:
        return dataclasses.replace(said, closest=found.architecture, refusal=str(error))
    mean, std = normalisation_of(checkpoint, path, found.architecture)
    return dataclasses.replace(
        said,
        accepted=True,
        architecture=found.architecture,
        mean=mean or network.mean,
        std=std or network.std,
        weights=weights_digest(network.backbone),
    )


def _shapes(name: str, file: Tensor, network: Tensor) -> str:
    return f"{name} (file {_times(file)}, network {_times(network)})"


def _times(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "scalar"


def _merge(
    first: Mapping[str, tuple[str, ...]], second: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    return {kind: (*first.get(kind, ()), *second.get(kind, ())) for kind in {**first, **second}}
