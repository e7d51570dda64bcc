"""Batches of pixels through an encoder: normalised on the device, results fetched one batch late.

On a GPU the next batch is launched before the results of the last one are fetched, so that the
device does not wait for the disk.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from vireo.data.batch import Batch
from vireo.devices import Compute
from vireo.encoders.encoder import Encoder, Features
from vireo.errors import DataError

# Output to the type it is kept in: maps are a hundred times larger than the pooled feature. The
# number of a map is its place in `Features.maps`.
DTYPES = {"pooled": "float32", **{f"map{number}": "float16" for number in range(1, 6)}}


def extract(
    encoder: Encoder,
    images: UInt8[Tensor, "batch frames 3 height width"],
    compute: Compute,
    maps: bool = False,
) -> Features:
    """Return the features of one batch on the device of `compute`, frames folded into the batch.

    The encoder has to be on that device and in evaluation mode. No gradients flow into it; heads
    can be trained on what is returned. Maps are as the network has them: resampled to their strides
    (`encoders.pyramid`) a transformer's would be 17 times larger, and say no more.
    """
    device = compute.torch_device
    if device.type == "cuda":
        images = images.pin_memory()
    flat = images.flatten(0, 1).to(device, non_blocking=True)
    with torch.no_grad(), compute.autocast():
        pixels = encoder.normalise(flat.contiguous(memory_format=compute.memory_format))
        features: Features = encoder.backbone(pixels, maps)
    return features


def run(
    encoder: Encoder, batches: Iterable[Batch], output: Sequence[str], compute: Compute
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the outputs of each batch, [batch, frames, ...], one batch behind the device's work.

    The encoder runs in evaluation mode and without gradients, and its modes are put back at the
    end. It stays on the device.

    Raises:
        DataError: features that are not finite in the type they are kept in.
    """
    encoder.to(compute.torch_device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    waiting: _Launched | None = None
    with _evaluating(encoder):
        for batch in batches:
            launched = _launch(encoder, batch, tuple(output), compute)
            if waiting is not None:
                yield _fetch(waiting, encoder)
            waiting = launched
        if waiting is not None:
            yield _fetch(waiting, encoder)


class _Launched(NamedTuple):
    """Results on their way from the device: valid once `done` has been waited for."""

    outputs: dict[str, Tensor]
    finite: Tensor
    done: torch.cuda.Event | None
    batch: Batch


def _launch(encoder: Encoder, batch: Batch, output: tuple[str, ...], compute: Compute) -> _Launched:
    maps = any(name != "pooled" for name in output)
    frames = batch.images.shape[:2]
    with torch.inference_mode():
        features = extract(encoder, batch.images, compute, maps)
        chosen = {name: _typed(_select(features, name), name) for name in output}
        finite = torch.stack([torch.isfinite(value).all() for value in chosen.values()]).all()
        outputs = {
            name: _to_host(value.reshape(*frames, *value.shape[1:]))
            for name, value in chosen.items()
        }
        finite = _to_host(finite)
    on_gpu = compute.torch_device.type == "cuda"
    done = torch.cuda.current_stream(compute.torch_device).record_event() if on_gpu else None
    return _Launched(outputs, finite, done, batch)


def _fetch(launched: _Launched, encoder: Encoder) -> dict[str, np.ndarray]:
    if launched.done is not None:
        launched.done.synchronize()
    if not launched.finite:
        first, last = int(launched.batch.index[0]), int(launched.batch.index[-1])
        raise DataError(
            f"'{encoder.card.name}' gives features that are not finite, or too large for float16,"
            f" on examples {first} to {last}. Check its mean and std, and compute in float32."
        )
    return {name: value.numpy() for name, value in launched.outputs.items()}


def _select(features: Features, name: str) -> Float[Tensor, "batch ..."]:
    return features.pooled if name == "pooled" else features.maps[int(name.removeprefix("map")) - 1]


def _typed(value: Tensor, name: str) -> Tensor:
    return value.to(torch.float32 if DTYPES[name] == "float32" else torch.float16)


def _to_host(value: Tensor) -> Tensor:
    """Start copying to pinned memory; the copy is complete once the stream has reached it."""
    if value.device.type != "cuda":
        return value.contiguous()
    host = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
    return host.copy_(value, non_blocking=True)


@contextlib.contextmanager
def _evaluating(encoder: Encoder) -> Iterator[None]:
    """Switch every module to evaluation, and each back to what it was."""
    modes = {module: module.training for module in encoder.modules()}
    encoder.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
