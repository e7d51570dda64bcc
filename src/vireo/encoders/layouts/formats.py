"""How a layout of checkpoint is described: marks to know it by, and where its networks are."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from vireo.encoders.backbones import IMAGENET_MEAN, IMAGENET_STD
from vireo.encoders.layouts.flattening import Flat

# Levels that trainers put around a network's tensors.
LEVEL = (
    r"(?:(?:state_dict|model|model_state_dict|model_state|network|net|checkpoint|weights"
    r"|params|encoder|backbone)/)?"
)


Triple = tuple[float, float, float]
# Mean and std that images had in training, by the word a layout says it with.
NORMALISATIONS: dict[str, tuple[Triple, Triple]] = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),  # images in [0, 1], as they are
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the networks of a layout.

    Attributes:
        take: the word a person chooses it by; what: what it is.
        where: pattern of what stands before the backbone's own names, levels included.
    """

    take: str
    what: str
    where: str


@dataclass(frozen=True, kw_only=True)
class Format:
    """One layout of checkpoint.

    Attributes:
        name: how inspection calls it; summary: who writes it, and what.
        marks: patterns, each of which must match the beginning of some flat name of the file.
        lacks: patterns none of which may.
        test: a further condition, where names do not show it.
        parts: its networks, the one that the published evaluation takes first; empty means any
            one prefix.
        rules: the set of renamings to torchvision's or timm's names.
        kinds: pattern and kind of tensors of the network that is taken which are not the
            backbone's, by names without what stands before them.
        beside: pattern and kind of the file's other tensors, by whole names.
        methods: pattern and pre-training method: the first that matches a name says it.
        epoch: where the number of finished epochs stands, and what is to be added to it.
        normalisation: "imagenet", "clip" or "unit" where the layout implies it.
        options: what tensors do not show of the architecture ("heads=12", "same").
        unsaid: what neither tensors nor layout show, as a clause: the architecture must be named.
    """

    name: str
    summary: str
    marks: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    test: Callable[[Flat], bool] | None = None
    parts: tuple[Part, ...] = ()
    rules: str = ""
    kinds: tuple[tuple[str, str], ...] = ()
    beside: tuple[tuple[str, str], ...] = ()
    methods: tuple[tuple[str, str], ...] = ()
    epoch: tuple[str, int] | None = None
    normalisation: str = ""
    options: tuple[str, ...] = ()
    unsaid: str = ""


def statistics_last(flat: Flat) -> bool:
    """Whether batch statistics come after all weights, as in files written from Haiku's two trees.

    torch writes them layer by layer, and counts batches besides.
    """
    names = [name for name in flat.tensors if "/" not in name.removeprefix("state_dict/")]
    running = [".running_" in name for name in names]
    counted = any(name.endswith("num_batches_tracked") for name in names)
    return any(running) and not counted and running == sorted(running) and not all(running)


def never_counted(flat: Flat) -> bool:
    """Whether no batch norm has seen a batch in torch."""
    counters = [t for n, t in flat.tensors.items() if n.endswith("num_batches_tracked")]
    return bool(counters) and not any(bool(counter.any()) for counter in counters)


def saw_unit_images(flat: Flat) -> bool:
    """Whether images were in [0, 1] in training, by the statistics behind the stem.

    A convolution is linear: its mean output is what it makes of the mean image, which is near 0 if
    images were normalised, and near ImageNet's mean if they were not.
    """
    stem = flat.tensors.get("state_dict/conv1.weight")
    found = flat.tensors.get("state_dict/bn1.running_mean")
    if stem is None or found is None or stem.ndim != 4 or found.shape != stem.shape[:1]:
        return False
    if stem.shape[1] != 3 or not found.any():
        return False
    expected = stem.double().sum((2, 3)) @ torch.tensor(IMAGENET_MEAN, dtype=torch.float64)
    return bool((found - expected).norm() < found.double().norm())


def converted_simclr(flat: Flat) -> bool:
    """Whether batch norms have counted nothing, and images were in [0, 1].

    The first alone does not tell: torch sets the counters of files that lack them to 0.
    """
    return never_counted(flat) and saw_unit_images(flat)


def called_as_moco_v3(flat: Flat) -> bool:
    """Whether the file's word for its architecture is MoCo v3's; timm's have the patch's size."""
    return flat.facts.get("arch") in ("vit_small", "vit_base")
