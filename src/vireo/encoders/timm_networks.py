"""timm's networks as backbones, through `forward_intermediates`.

Pyramids (ConvNeXt, RegNet, Swin, EfficientNet) give their deepest map at each stride. Plain
transformers have one stride: five blocks evenly through the depth are taken, the last one included,
with the final norm applied, and the card states that one stride five times.

timm takes 6 s to import: only this file imports it, and only when asked for a timm network.
"""

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from vireo.encoders.backbones import NUM_MAPS, Backbone, Network
from vireo.encoders.encoder import Features
from vireo.errors import SettingError

# Constructor options that let a network take other sizes than the one it was made for.
_FLEXIBLE = {"dynamic_img_size": True, "dynamic_img_pad": True, "strict_img_size": False}


class TimmBackbone(Backbone):
    """A timm network without classifier.

    Args:
        network: the timm model.
        taps: five indices into the network's `feature_info`; an index may repeat.
        fixed_size: the only size the network takes, or None.
    """

    def __init__(
        self, network: Any, taps: tuple[int, ...], fixed_size: tuple[int, int] | None
    ) -> None:
        super().__init__(network)
        self.taps = taps
        self.fixed_size = fixed_size

    def forward(self, images: Float[Tensor, "batch 3 height width"], maps: bool) -> Features:
        """Return the pooled feature, and the five maps if `maps`.

        Raises:
            SettingError: the images have a size that the network cannot take.
        """
        size = tuple(images.shape[-2:])
        if self.fixed_size is not None and size != self.fixed_size:
            raise SettingError(_refusal(size, f"it takes {_times(self.fixed_size)} only"))
        try:
            return self._features(images, maps)
        except AssertionError as error:  # timm asserts what its networks demand of a size
            raise SettingError(_refusal(size, str(error))) from error

    def _features(self, images: Float[Tensor, "batch 3 height width"], maps: bool) -> Features:
        net: Any = self.network
        if not maps:
            return Features(net.forward_head(net.forward_features(images), pre_logits=True))
        indices = sorted(set(self.taps))
        last, found = net.forward_intermediates(
            images, indices=indices, norm=True, output_fmt="NCHW"
        )
        by_index = dict(zip(indices, found, strict=True))
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
    reductions = [tap["reduction"] for tap in network.feature_info]
    # The classifier is a tuple of names where a network has several (distillation): not kept then.
    classifier = facts.classifier if isinstance(facts.classifier, str) else ""
    head = network.get_submodule(classifier) if pretrained and classifier else None
    network.reset_classifier(0)
    return Network(
        backbone=TimmBackbone(network, choose_taps(reductions), size if fixed else None),
        classifier=classifier,
        head=head if isinstance(head, nn.Linear) else None,
        input_size=size,
        mean=tuple(facts.mean),
        std=tuple(facts.std),
    )


def choose_taps(reductions: Sequence[int]) -> tuple[int, ...]:
    """Choose five of a network's taps, shallow first, from the stride of each.

    Example:
        >>> choose_taps([4, 8, 16, 32])
        (0, 1, 2, 3, 3)
        >>> choose_taps([16] * 12)
        (1, 4, 6, 9, 11)
        >>> choose_taps([1, 2, 4, 8, 16, 32])
        (1, 2, 3, 4, 5)
    """
    count = len(reductions)
    if len(set(reductions)) == 1 and count > NUM_MAPS:
        return tuple(round((place + 1) * count / NUM_MAPS) - 1 for place in range(NUM_MAPS))
    deepest = {stride: index for index, stride in enumerate(reductions)}
    taps = sorted(deepest.values())[-NUM_MAPS:]
    return (*taps, *[taps[-1]] * (NUM_MAPS - len(taps)))


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
    model_class = inspect.signature(timm.model_entrypoint(base)).return_annotation
    if facts is None or not hasattr(model_class, "forward_intermediates"):
        raise SettingError(
            f"timm's '{name}' gives no intermediate maps, so vireo cannot use it; choose another."
        )
    return model_class, facts


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


def _refusal(size: tuple[int, ...], reason: str) -> str:
    return (
        f"This network cannot take images of {_times(size)} pixels: {reason.rstrip('.')}. Set the"
        " task's input_size, or the encoder's, to what it takes."
    )


def _times(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))
