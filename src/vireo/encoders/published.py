"""Published weights by the libraries' own names: `torchvision:NAME` and `timm:NAME`.

Files are downloaded once into the libraries' caches. Where that fails, the message says which file,
from where, and where to put it.
"""

import re
from pathlib import Path
from typing import Any

import torch

from vireo.encoders.backbones import torchvision_network
from vireo.encoders.checkpoints import read_tensors
from vireo.encoders.encoder import Encoder
from vireo.encoders.measure import Origin, make_card
from vireo.encoders.opening import encoder_from
from vireo.errors import CheckpointError, SettingError
from vireo.records import EncoderSpec

IMAGENET_IMAGES = 1_281_167
_HASH = re.compile(r"-([0-9a-f]{8,})\.")
# Parts of timm's tags that tell of images or a training other than ImageNet-1k with labels.
_OTHER = re.compile(r"_ft_|in2[12]k|in12k|jft|ssl|swsl|dino|mae|clip|openai")


def open_torchvision(spec: EncoderSpec, name: str) -> Encoder:
    """Open `torchvision:NAME` or `torchvision:NAME.WEIGHTS` ("resnet50.IMAGENET1K_V1").

    Raises:
        SettingError: a network or weights torchvision does not have.
        CheckpointError: the file is not in the cache and cannot be downloaded.
    """
    base, _, tag = name.partition(".")
    torchvision_network(base)
    weights = _torchvision_weights(base, tag)
    path = _cached(weights.url)
    facts = weights.transforms()
    origin = Origin(
        name=spec.name or spec.spec,
        source=spec.spec,
        architecture=base,
        method=spec.method or "supervised",
        pretraining_set=spec.pretraining_set or "imagenet",
        images=IMAGENET_IMAGES,
    )
    stated = EncoderSpec(
        spec=spec.spec,
        input_size=spec.input_size or (facts.crop_size[0], facts.crop_size[0]),
        mean=spec.mean or tuple(facts.mean),
        std=spec.std or tuple(facts.std),
    )
    return encoder_from(read_tensors(path), path, origin, stated)


def open_timm(spec: EncoderSpec, name: str) -> Encoder:
    """Open `timm:NAME` or `timm:NAME.TAG`, as `timm.list_pretrained()` lists them.

    Raises:
        SettingError: a network timm does not have.
        CheckpointError: the weights are not in the cache and cannot be downloaded.
    """
    from timm import get_pretrained_cfg

    from vireo.encoders.timm_networks import timm_network

    try:
        network = timm_network(name, spec.input_size, pretrained=True)
    except OSError as error:
        raise CheckpointError(_timm_advice(name)) from error
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


def _torchvision_weights(base: str, tag: str) -> Any:
    from torchvision.models import get_model_weights

    found = get_model_weights(base)
    if tag and tag not in found.__members__:
        raise SettingError(
            f"torchvision's '{base}' has no weights '{tag}'; it has {', '.join(found.__members__)}."
        )
    return found[tag or "DEFAULT"]


def _cached(url: str) -> Path:
    """Return the file of `url` in torch's cache, downloaded and checked by its hash if needed."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    expected = _HASH.search(path.name)
    try:
        torch.hub.download_url_to_file(
            url, str(path), expected[1] if expected else None, progress=False
        )
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"Cannot download {url} ({error}). Download it where there is a network, put it at"
            f" {path}, and open the encoder again."
        ) from error
    return path


def _timm_advice(name: str) -> str:
    from huggingface_hub.constants import HF_HUB_CACHE
    from timm import get_pretrained_cfg

    facts = get_pretrained_cfg(name)
    hub = facts.hf_hub_id if facts else None
    address = f"https://huggingface.co/{hub}" if hub else "its publisher"
    return (
        f"timm's weights of '{name}' are not in the cache {HF_HUB_CACHE} and cannot be downloaded"
        f" from {address}. Download model.safetensors there where there is a network, and open it"
        f" as file:PATH with architecture timm:{name.partition('.')[0]}; or copy the cache folder."
    )
