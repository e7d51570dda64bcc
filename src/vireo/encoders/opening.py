"""From a spec to an encoder: random weights, a file, and the one door to all other sources."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch

from vireo import console, files
from vireo.catalog import resolve, unknown
from vireo.encoders import ARCHITECTURES, OPENERS
from vireo.encoders.backbones import Network
from vireo.encoders.beside import read_neighbour, same_network
from vireo.encoders.checkpoints import Checkpoint, read_checkpoint
from vireo.encoders.encoder import Encoder
from vireo.encoders.inference import Inference, build_network, infer
from vireo.encoders.layouts.formats import NORMALISATIONS, Triple
from vireo.encoders.matching import fill, read_classifier
from vireo.encoders.measure import Origin, make_card
from vireo.errors import CheckpointError, SettingError, StoreError
from vireo.records import EncoderSpec
from vireo.seeding import integer


def open_encoder(spec: EncoderSpec | str) -> Encoder:
    """Open an encoder from `run:DIR`, `file:PATH`, `timm:NAME`, `torchvision:NAME`, `random:ARCH`.

    Args:
        spec: the spec alone, or a record with further options.

    Raises:
        SettingError: the spec is not of that form, or names an unknown architecture.
        CheckpointError: the weights are not there, not safe, or do not fill the network.

    Example:
        >>> open_encoder("random:resnet20").card.features
        64
    """
    record = EncoderSpec(spec=spec) if isinstance(spec, str) else spec
    kind, colon, rest = record.spec.partition(":")
    if kind not in OPENERS and colon:
        raise SettingError(unknown(f"{kind}:...", [f"{name}:..." for name in OPENERS], "encoder"))
    if not rest:
        raise SettingError(_bare(record.spec))
    encoder: Encoder = resolve(OPENERS, kind, "encoder")(record, rest)
    return encoder


def build(
    architecture: str, *, seed: int = 0, input_size: tuple[int, int] | None = None
) -> Encoder:
    """Build an encoder with random weights, the same for the same architecture and seed.

    Args:
        architecture: a name of ARCHITECTURES, `timm:NAME`, `torchvision:NAME`, or the dotted path
            of one's own builder.
        seed: of the weights. The global random state is neither read nor changed.
        input_size: height and width it will be trained at; None means the architecture's usual.

    Raises:
        SettingError: unknown architecture.

    Example:
        >>> build("resnet20").card.strides
        (1, 1, 2, 4, 4)
    """
    spec = EncoderSpec(spec=f"random:{architecture}", seed=seed, input_size=input_size)
    return open_random(spec, architecture)


def open_random(spec: EncoderSpec, architecture: str) -> Encoder:
    """Open `random:ARCH`: the baseline that knows nothing."""
    network = make_network(architecture, seed=spec.seed, input_size=spec.input_size)
    origin = Origin(
        name=spec.name or spec.spec,
        source=spec.spec,
        architecture=architecture,
        method=spec.method or "random",
        pretraining_set=spec.pretraining_set or "none",
    )
    card = make_card(network, origin, input_size=spec.input_size, mean=spec.mean, std=spec.std)
    return Encoder(card, network.backbone)


def open_file(spec: EncoderSpec, text: str) -> Encoder:
    """Open `file:PATH`: a safetensors or torch file of any trainer.

    Raises:
        CheckpointError: the file is unsafe, broken, or does not fill the network exactly.
    """
    path = expand(text)
    checkpoint = read_checkpoint(path, spec.take)
    architecture = spec.architecture or find_architecture(checkpoint, path, spec.input_size)
    mean, std = normalisation_of(checkpoint, path, architecture)
    stated = dataclasses.replace(spec, mean=spec.mean or mean, std=spec.std or std)
    origin = Origin(
        name=spec.name or spec.spec,
        source=spec.spec,
        architecture=architecture,
        method=spec.method or checkpoint.method or "unknown",
        pretraining_set=spec.pretraining_set or "unknown",
    )
    if checkpoint.taken:
        console.say(f"{path}: {checkpoint.format.name}; taken: {checkpoint.taken}.")
    encoder = encoder_from(checkpoint.tensors, path, origin, stated)
    if checkpoint.epoch is not None:
        encoder.card = dataclasses.replace(encoder.card, epochs=float(checkpoint.epoch))
    return encoder


def normalisation_of(
    checkpoint: Checkpoint, path: Path, architecture: str
) -> tuple[Triple | None, Triple | None]:
    """Return what images had in training: what lies beside the file says it, else its layout."""
    beside = read_neighbour(path)
    if beside.mean and beside.std and same_network(beside.architecture, architecture):
        return beside.mean, beside.std
    return NORMALISATIONS.get(checkpoint.format.normalisation, (None, None))


def find_architecture(
    checkpoint: Checkpoint, path: Path, input_size: tuple[int, int] | None = None
) -> str:
    """Return the architecture that a checkpoint fills exactly.

    Raises:
        CheckpointError: none does (the message reports the closest), or it must be named.
    """
    found = infer(
        checkpoint.tensors,
        stated=stated_architectures(checkpoint, path),
        options=checkpoint.format.options,
        input_size=input_size,
    )
    if not found.coverage.complete:
        raise CheckpointError(refusal(path, found))
    demand_name(checkpoint, path)
    return found.architecture


def demand_name(checkpoint: Checkpoint, path: Path) -> None:
    """Refuse a file of which neither tensors nor layout tell the network, if nothing names it.

    Raises:
        CheckpointError: what is not known, and how to say it.
    """
    unsaid = checkpoint.format.unsaid
    if unsaid and not stated_architectures(checkpoint, path):
        raise CheckpointError(
            f"{path} does not tell {unsaid}; name the architecture in the encoder's spec."
        )


def stated_architectures(checkpoint: Checkpoint, path: Path) -> tuple[str, ...]:
    """Return what lies beside the file, and the file itself, say of its architecture."""
    names = (read_neighbour(path).architecture, checkpoint.architecture)
    return tuple(name for name in names if name)


def refusal(path: Path, found: Inference, stated: str = "") -> str:
    """Say that a file does not fit the architecture that was stated, or none, and the closest."""
    if stated:
        return (
            f"{path} is not of the stated architecture '{stated}': {found.coverage.report()}. Leave"
            " the architecture out to have it recognised, or state the right one."
        )
    return (
        f"{path} fits none of the known architectures. Closest is '{found.architecture}':"
        f" {found.coverage.report()}. Name the architecture of the file in the encoder's spec"
        " ('timm:NAME' works too)."
    )


def encoder_from(
    tensors: Mapping[str, torch.Tensor], path: Path, origin: Origin, spec: EncoderSpec
) -> Encoder:
    """Fill the origin's architecture from a file's tensors and wrap it with its card.

    Raises:
        CheckpointError: the tensors do not fill the network exactly.
    """
    network = make_network(origin.architecture, input_size=spec.input_size)
    coverage = fill(network, tensors, path)
    if coverage.unused:
        console.say(f"{path}: {coverage.report()}.")
    card = make_card(network, origin, input_size=spec.input_size, mean=spec.mean, std=spec.std)
    head = read_classifier(network, card.features, tensors, coverage.prefix)
    return Encoder(card, network.backbone, head)


def make_network(
    architecture: str, *, seed: int = 0, input_size: tuple[int, int] | None = None
) -> Network:
    """Build a network of the catalogue with seeded random weights.

    Raises:
        SettingError: unknown architecture.
    """
    # Networks initialise from torch's global generator: only the CPU's is forked and seeded here,
    # because torch.manual_seed would reseed the GPUs' as well.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(integer(architecture, "weights", index=seed))
        return build_network(architecture, input_size)


def expand(text: str) -> Path:
    """Expand `~` and `$VARIABLES` in a spec's path.

    Raises:
        CheckpointError: a variable is not set.
    """
    try:
        return files.expand(text)
    except StoreError as error:
        raise CheckpointError(str(error)) from error


def override(encoder: Encoder, spec: EncoderSpec) -> Encoder:
    """Return the encoder with its card's facts replaced by those the spec states."""
    stated = {
        "name": spec.name,
        "method": spec.method,
        "pretraining_set": spec.pretraining_set,
        "mean": spec.mean,
        "std": spec.std,
    }
    card = dataclasses.replace(encoder.card, **{key: v for key, v in stated.items() if v})  # type: ignore[arg-type]
    return Encoder(card, encoder.backbone, encoder.classifier)


def _bare(text: str) -> str:
    if text in ARCHITECTURES:
        return (
            f"An encoder is written KIND:WHERE; '{text}' is an architecture: write"
            f" 'random:{text}' for random weights, 'torchvision:{text}' for published ones."
        )
    hint = "" if ":" in text else f" For a file write 'file:{text}'."
    return (
        f"An encoder is written KIND:WHERE, with KIND one of {', '.join(OPENERS)};"
        f" got '{text}'.{hint}"
    )
