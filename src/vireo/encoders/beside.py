"""What lies beside a file of weights and says whose they are: timm's config.json, our card.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vireo import files
from vireo.encoders import ARCHITECTURES
from vireo.encoders.layouts.formats import Triple
from vireo.errors import StoreError

_OWN = "encoder.safetensors"


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """What a neighbour says: an architecture (empty: nothing), and what images had in training."""

    architecture: str = ""
    mean: Triple | None = None
    std: Triple | None = None


def read_neighbour(path: Path) -> Neighbour:
    """Return what lies beside a file of weights; a neighbour that cannot be read says nothing."""
    said = _read(path.parent / "config.json")
    facts = said.get("pretrained_cfg")
    if path.name == _OWN and not said:
        said = facts = _dictionary(_read(path.parent / "card.json").get("card"))
    facts = _dictionary(facts)
    return Neighbour(
        architecture=str(said.get("architecture") or ""),
        mean=_triple(facts.get("mean")),
        std=_triple(facts.get("std")),
    )


def same_network(stated: str, architecture: str) -> bool:
    """Whether an architecture is the stated one, timm's names being said without `timm:`.

    Example:
        >>> same_network("vit_small_patch16_224.dino", "vit:vit_small_patch16_224,size=96")
        True
        >>> same_network("vit_small_patch16_224", "timm:deit_small_patch16_224")
        False
    """
    if stated == architecture:
        return True
    own = architecture.partition(":")[2].partition(",")[0]
    return stated not in ARCHITECTURES and stated.partition(".")[0] == own


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return _dictionary(files.read_json(path))
    except StoreError:
        return {}


def _dictionary(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _triple(value: Any) -> Triple | None:
    numbers = isinstance(value, list) and all(isinstance(v, int | float) for v in value)
    if not numbers or len(value) != 3:
        return None
    a, b, c = map(float, value)
    return a, b, c
