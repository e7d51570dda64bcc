"""timm's networks as backbones, through `forward_intermediates`.

Pyramids (ConvNeXt, RegNet, Swin, EfficientNet) give their deepest map at each stride. Plain
transformers have one stride: five blocks evenly through the depth are taken, the last one included,
with the final norm applied.

The pooled feature is what timm itself calls so, `forward_head(..., pre_logits=True)`: what the
classifier reads; where there are two (distillation) or more, what all start from; where the
classifier is a network of its own (MetaFormer's two layers, a norm in LeViT), what that reads.

Of the 1371 networks of timm 1.0.31, 1362 work, built without weights at their usual size. The nine
others are refused with the reason: seven give tokens for a language model (`*_enc`) and two
(gemma4_vit_*) have shapes that depend on numbers.

timm takes 6 s to import: only this file imports it, and only when asked for a timm network.
"""

import difflib
import functools
import inspect
import itertools
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vireo.encoders.backbones import Backbone, Network, refused, times
from vireo.encoders.encoder import Features
from vireo.encoders.measure import check_size
from vireo.encoders.pyramid import LEVELS, Five, choose_taps, describe
from vireo.errors import SettingError

# Constructor options that let a network take other sizes than the one it was made for.
_FLEXIBLE = {"dynamic_img_size": True, "dynamic_img_pad": True, "strict_img_size": False}
# What a class must have, and what is said of one that has not.
_NEEDED = {
    "forward_intermediates": "it gives no intermediate maps",
    "forward_head": "it gives tokens for a language model and no pooled feature",
    "reset_classifier": "it gives tokens for a language model and no pooled feature",
}
# Classes that have all of it and still cannot be used.
_UNUSABLE = {
    "Gemma4VitClassifier": "its shapes depend on numbers, so they cannot be known beforehand",
}
# Classes that refuse to apply their final norm to intermediate maps.
_WITHOUT_NORM = {"Hiera", "HieraDet"}


class TimmBackbone(Backbone):
    """A timm network without classifier.

    Args:
        network: the timm model.
        taps: five indices into the network's `feature_info`; an index may repeat.
        fixed_size: the only size the network takes, or None.
    """

    strides = LEVELS

    def __init__(self, network: Any, taps: Five, fixed_size: tuple[int, int] | None) -> None:
        super().__init__(network)
        self.taps = taps
        self.fixed_size = fixed_size

    def forward(self, images: Float[Tensor, "batch 3 height width"], maps: bool) -> Features:
        """Return the pooled feature, and five of the network's maps, as they are, if `maps`.

        Raises:
            SettingError: the images have a size that the network cannot take.
        """
        size = tuple(images.shape[-2:])
        if self.fixed_size is not None and size != self.fixed_size:
            raise refused(size, f"it takes {times(self.fixed_size)} only")
        try:
            return self._features(images, maps)
        except (AssertionError, RuntimeError, ValueError) as error:
            check_size(self, images, error)
            raise

    def _features(self, images: Float[Tensor, "batch 3 height width"], maps: bool) -> Features:
        net: Any = self.network
        if not maps:
            return Features(net.forward_head(net.forward_features(images), pre_logits=True))
        indices = sorted(set(self.taps))
        norm = type(net).__name__ not in _WITHOUT_NORM
        last, found = net.forward_intermediates(
            images, indices=indices, norm=norm, output_fmt="NCHW"
        )
        by_index = dict(zip(indices, found, strict=True))
        for index, tap in by_index.items():
            # A hybrid rounds sizes in two places; where they differ, timm folds tokens into a map
            # of the wrong size, and channels are what is left over.
            facts = net.feature_info[index]
            if tap.shape[1] not in (facts["num_chs"], facts.get("num_chs_norm")):
                raise ValueError("its tokens do not fill a map of this size")
        pooled = net.forward_head(last, pre_logits=True)
        return Features(pooled, tuple(by_index[tap] for tap in self.taps))


def timm_network(
    name: str, input_size: tuple[int, int] | None = None, *, pretrained: bool = False
) -> Network:
    """Build a timm network, with random weights unless `pretrained`.

    Raises:
        SettingError: timm does not know the name, or the network has no intermediate maps.
    """
    model_class, facts = _look_up(name)
    network = _create(name, _options(model_class, input_size), pretrained)
    size = input_size or tuple(facts.input_size[1:])
    fixed = facts.fixed_input_size and not _flexible(model_class)
    strides = [tap["reduction"] for tap in network.feature_info]
    taps = choose_taps(strides)
    single = facts.classifier if isinstance(facts.classifier, str) else ""
    linear = network.get_submodule(single) if pretrained and single else None
    whole = set(network.state_dict())
    network.reset_classifier(0)
    removed = whole - set(network.state_dict())
    classifier = _common(removed) if removed else single
    # A head of several layers is not the one layer on the pooled feature that an encoder keeps.
    kept = isinstance(linear, nn.Linear) and classifier == single
    return Network(
        backbone=TimmBackbone(network, taps, size if fixed else None),
        classifier=classifier,
        head=linear if kept else None,
        input_size=size,
        mean=tuple(facts.mean),
        std=tuple(facts.std),
        maps=describe(strides, taps),
    )


def _common(names: set[str]) -> str:
    """Return the innermost module that holds all of the tensors; empty if there is none.

    Example:
        >>> _common({"head.fc.weight", "head.fc.bias"})
        'head.fc'
        >>> _common({"head.weight", "head_dist.weight"})
        ''
    """
    paths = [name.split(".")[:-1] for name in names]
    same = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
    return ".".join(parts[0] for parts in same)


def _look_up(name: str) -> tuple[type, Any]:
    import timm

    base = name.partition(".")[0]
    if not timm.is_model(base):
        close = difflib.get_close_matches(base, timm.list_models(), n=3)
        hint = f" Did you mean one of {', '.join(close)}?" if close else ""
        raise SettingError(f"timm has no network '{name}'.{hint} See timm.list_models().")
    try:
        facts = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        known = ", ".join(timm.list_pretrained(f"{base}.*")) or "none"
        raise SettingError(f"timm has no weights '{name}'; of {base} it has {known}.") from error
    model_class = _class_of(base)
    reason = _unusable(model_class)
    if facts is None or reason:
        raise SettingError(f"vireo cannot use timm's '{name}': {reason}. Choose another.")
    return model_class, facts


@functools.cache
def _class_of(base: str) -> type:
    """Return a network's class: what its builder is annotated with, or else what it builds."""
    import timm

    annotated = inspect.signature(timm.model_entrypoint(base)).return_annotation
    if annotated is not inspect.Signature.empty:
        return annotated  # type: ignore[no-any-return]
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return type(timm.create_model(base))


def _unusable(model_class: type) -> str:
    for method, reason in _NEEDED.items():
        if not hasattr(model_class, method):
            return reason
    return _UNUSABLE.get(model_class.__name__, "")


def _create(name: str, options: Mapping[str, Any], pretrained: bool) -> Any:
    import timm

    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(f"timm cannot build '{name}' with {dict(options)}: {error}") from error


def _options(model_class: type, input_size: tuple[int, int] | None) -> dict[str, Any]:
    options = _flexible(model_class)
    if input_size is not None and "img_size" in _parameters(model_class):
        options["img_size"] = input_size
    return options


def _flexible(model_class: type) -> dict[str, Any]:
    known = _parameters(model_class)
    return {key: value for key, value in _FLEXIBLE.items() if key in known}


def _parameters(model_class: type) -> set[str]:
    """Return the constructor's options, those of base classes too: `**kwargs` leads there."""
    own = [kind for kind in model_class.__mro__ if kind.__module__.startswith("timm.")]
    return {name for kind in own for name in inspect.signature(kind.__init__).parameters}  # type: ignore[misc]
