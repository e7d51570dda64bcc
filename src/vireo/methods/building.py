"""From what a person wrote to a method that can train: checked settings, seeded construction."""

import typing
from collections.abc import Mapping
from typing import Any

import torch

from vireo import catalog, seeding
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.methods.method import Method
from vireo.records.settings import MethodOption


def method_settings(
    method: type[Method], image_size: int, options: Mapping[str, MethodOption]
) -> Any:
    """Return `method.Settings` with the person's options over the paper's values.

    Raises:
        SettingError: an option the method does not have, or a value of another type.

    Example:
        >>> from vireo.methods.moco_v2 import MoCoV2
        >>> method_settings(MoCoV2, 32, {"queue_size": 4096}).queue_size
        4096
    """
    kinds = typing.get_type_hints(method.Settings)
    known = [name for name in kinds if name != "image_size"]
    for name in options:
        if name not in known:
            raise SettingError(catalog.unknown(name, known, f"option of {method.__name__}"))
    values = {name: _typed(name, value, kinds[name]) for name, value in options.items()}
    return method.Settings(image_size=image_size, **values)


def build_method(
    method: type[Method],
    encoder: Encoder,
    settings: Any,
    *,
    num_examples: int,
    num_classes: int | None,
    seed: int,
) -> Method:
    """Construct a method with heads and queues drawn from `seed`, leaving global random state."""
    with torch.random.fork_rng(devices=[]):
        # Of the CPU alone: torch.manual_seed would reseed the GPUs' generators as well.
        torch.default_generator.manual_seed(seeding.integer(str(seed), "heads"))
        return method(encoder, settings, num_examples=num_examples, num_classes=num_classes)


def _typed(name: str, value: Any, kind: Any) -> Any:
    """Return `value` as `kind` (int, float, bool, str or a tuple of one of them) or refuse it."""
    if typing.get_origin(kind) is tuple:
        kinds = typing.get_args(kind)
        if isinstance(value, tuple | list) and len(value) == len(kinds):
            return tuple(
                _typed(name, item, inner) for item, inner in zip(value, kinds, strict=True)
            )
    elif kind is float and type(value) is int:
        return float(value)
    elif type(value) is kind:
        return value
    wanted = kind.__name__ if isinstance(kind, type) else str(kind)
    raise SettingError(f"Option {name} must be of type {wanted}; got {value!r}.")
