"""Published weights by name: `torchvision:NAME`, `timm:NAME`, and `zoo:NAME`.

Files are downloaded once into the libraries' caches. Where that fails, the message says which file,
from where, and where to put it.
"""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Any

import torch

from vireo.digest import digest
from vireo.encoders import ARCHITECTURES, zoo
from vireo.encoders.downloads import hub
from vireo.encoders.downloads.fetching import cache_folder, fetch, is_offline, stated_checksum
from vireo.encoders.encoder import Encoder
from vireo.encoders.measure import Measured, Origin, make_card, measure
from vireo.encoders.opening import make_network, open_encoder, open_file
from vireo.errors import CheckpointError, SettingError
from vireo.records import EncoderCard, EncoderSpec, PublishedEncoder

IMAGENET_IMAGES = 1_281_167
# Parts of timm's tags that tell of images or a training other than ImageNet-1k with labels.
_OTHER = re.compile(r"_ft_|in2[12]k|in12k|jft|ssl|swsl|dino|mae|clip|openai")


def open_torchvision(spec: EncoderSpec, name: str) -> Encoder:
    """Open `torchvision:NAME` or `torchvision:NAME.WEIGHTS` ("resnet50.IMAGENET1K_V1").

    Raises:
        SettingError: a network or weights torchvision does not have.
        CheckpointError: the file is not in the cache and cannot be downloaded.
    """
    base, _, tag = name.partition(".")
    architecture = base if base in ARCHITECTURES else f"torchvision:{base}"
    with torch.device("meta"):
        make_network(architecture)
    weights = _torchvision_weights(base, tag)
    file = weights.url.rpartition("/")[2]
    path = fetch(weights.url, file, stated_checksum(file))
    facts = weights.transforms()
    stated = dataclasses.replace(
        spec,
        architecture=architecture,
        method=spec.method or "supervised",
        pretraining_set=spec.pretraining_set or "imagenet",
        input_size=spec.input_size or (facts.crop_size[0], facts.crop_size[0]),
        mean=spec.mean or tuple(facts.mean),
        std=spec.std or tuple(facts.std),
    )
    return _with_facts(open_file(stated, str(path)), images=IMAGENET_IMAGES)


def open_timm(spec: EncoderSpec, name: str) -> Encoder:
    """Open `timm:NAME` or `timm:NAME.TAG`, as `timm.list_pretrained()` lists them.

    Raises:
        SettingError: a network timm does not have.
        CheckpointError: the weights are not in the cache and cannot be downloaded.
    """
    from timm import get_pretrained_cfg

    from vireo.encoders.timm_networks import timm_network

    try:
        with hub.offline_unless_needed(name):
            network = timm_network(name, spec.input_size, pretrained=True)
    except OSError as error:
        raise CheckpointError(hub.advice(name)) from error
    facts = get_pretrained_cfg(name)
    tag = (facts.tag if facts else None) or "unknown"
    known = tag.endswith("in1k") and not _OTHER.search(tag)
    origin = Origin(
        name=spec.name or spec.spec,
        source=spec.spec,
        architecture=f"timm:{name.partition('.')[0]}",
        method=spec.method or ("supervised" if known else "unknown"),
        pretraining_set=spec.pretraining_set or ("imagenet" if known else tag),
        images=IMAGENET_IMAGES if known else None,
    )
    card = make_card(network, origin, input_size=spec.input_size, mean=spec.mean, std=spec.std)
    return Encoder(card, network.backbone, network.head)


def open_zoo(spec: EncoderSpec, name: str) -> Encoder:
    """Open `zoo:NAME`; its card has the zoo's facts, unless the spec states others.

    Raises:
        SettingError: no such name, or a spec that states another architecture.
        CheckpointError: the file cannot be fetched, is not what was published, or does not fill
            the network.
    """
    known = zoo.find(name)
    stated = _stated(spec, known)
    if known.address.startswith(zoo.TIMM):
        encoder = open_timm(stated, known.address.removeprefix(zoo.TIMM))
    else:
        encoder = open_file(stated, str(fetch_published(known)))
    return _with_facts(
        encoder,
        architecture=known.architecture,
        images=known.images,
        epochs=known.epochs,
        balance=known.balance,
    )


def fetch_published(known: PublishedEncoder) -> Path:
    """Return the file of a published encoder, fetched if needed and verified.

    Raises:
        CheckpointError: it cannot be fetched, or is not what was published.
    """
    if known.address.startswith(zoo.TIMM):
        return hub.fetch(known.address.removeprefix(zoo.TIMM))
    if known.converted and not zoo.is_cached(known):
        raise CheckpointError(_conversion(known))
    address = "" if known.converted else known.address
    return fetch(address, known.file, known.checksum)


def card_of(spec: EncoderSpec) -> EncoderCard:
    """Return the card that `open_encoder` would give, without downloading anything for it.

    A published encoder that is not on this machine yet is described by the zoo (`stated_card`).

    Raises:
        VireoError: what opening would raise; a file that would have to come from a network that
            is switched off, or that nobody publishes, is one of them.
    """
    kind, _, name = spec.spec.partition(":")
    if kind != "zoo":
        return open_encoder(spec).card
    if is_here(spec) or not _can_be_fetched(zoo.find(name)):
        return open_encoder(spec).card
    return stated_card(spec)


def stated_card(spec: EncoderSpec) -> EncoderCard:
    """Return the card of a `zoo:` encoder as it is published, whether its file is here or not.

    Instead of its weights' digest stands that of the zoo's row, which no stored block or row is
    ever keyed by.

    Raises:
        SettingError: the zoo has no such name, or the spec states another architecture.
    """
    known = zoo.find(spec.spec.partition(":")[2])
    stated = _stated(spec, known)
    size = spec.input_size or known.input_size
    maps, measured = _measured(known.architecture, spec.input_size, size)
    assert stated.mean is not None
    assert stated.std is not None
    return EncoderCard(
        name=spec.name or spec.spec,
        source=spec.spec,
        architecture=known.architecture,
        method=stated.method,
        pretraining_set=stated.pretraining_set,
        input_size=size,
        mean=stated.mean,
        std=stated.std,
        weights=digest(known),
        images=known.images,
        epochs=known.epochs,
        balance=known.balance,
        maps=maps,
        **vars(measured),
    )


def obstacle(spec: EncoderSpec) -> str:
    """Return why the file of a published encoder cannot be had here; "" where it can, or is here.

    Raises:
        SettingError: the zoo has no such name.
    """
    if is_here(spec) or _can_be_fetched(known := zoo.find(spec.spec.partition(":")[2])):
        return ""
    try:
        fetch_published(known)  # says why, before any network is asked
    except CheckpointError as error:
        return str(error)
    return ""


@functools.cache
def _measured(
    architecture: str, stated: tuple[int, int] | None, size: tuple[int, int]
) -> tuple[str, Measured]:
    """Return how an architecture's maps come about, and what it weighs."""
    with torch.device("meta"):
        network = make_network(architecture, input_size=stated)
    return network.maps, measure(network.backbone, size)


def is_here(spec: EncoderSpec) -> bool:
    """Whether a published encoder's file is on this machine; other specs are taken to be.

    Raises:
        SettingError: the zoo has no such name.
    """
    kind, _, name = spec.spec.partition(":")
    if kind != "zoo":
        return True
    known = zoo.find(name)
    cached = zoo.is_cached(known)
    return (
        hub.cached(known.address.removeprefix(zoo.TIMM)) is not None if cached is None else cached
    )


def _stated(spec: EncoderSpec, known: PublishedEncoder) -> EncoderSpec:
    """Return the spec with the zoo's facts where it is silent."""
    if spec.architecture not in ("", known.architecture):
        raise SettingError(
            f"zoo:{known.name} is a {known.architecture}, and its spec says"
            f" '{spec.architecture}'; leave architecture out."
        )
    return dataclasses.replace(
        spec,
        architecture=known.architecture,
        method=spec.method or known.method,
        pretraining_set=spec.pretraining_set or known.pretraining_set,
        mean=spec.mean or known.mean,
        std=spec.std or known.std,
    )


def _can_be_fetched(known: PublishedEncoder) -> bool:
    return bool(known.address) and not known.converted and not is_offline()


def _conversion(known: PublishedEncoder) -> str:
    return (
        f"zoo:{known.name} is published at {known.address} in a form that only its own framework"
        f" reads ({known.note}). Put the converted file at {cache_folder() / known.file}."
    )


def _with_facts(encoder: Encoder, **facts: Any) -> Encoder:
    """Return the encoder with those `facts` on its card that are known."""
    known = {name: fact for name, fact in facts.items() if fact is not None}
    card = dataclasses.replace(encoder.card, **known)
    return Encoder(card, encoder.backbone, encoder.classifier)


def _torchvision_weights(base: str, tag: str) -> Any:
    from torchvision.models import get_model_weights

    found = get_model_weights(base)
    if tag and tag not in found.__members__:
        raise SettingError(
            f"torchvision's '{base}' has no weights '{tag}'; it has {', '.join(found.__members__)}."
        )
    return found[tag or "DEFAULT"]
