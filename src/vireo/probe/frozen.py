"""An encoder at work: what every supply of its features needs to know, and the pass itself."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from vireo.catalog import resolve
from vireo.devices import Compute
from vireo.encoders.encoder import Encoder, Features
from vireo.probe.examples import input_size
from vireo.records import ProbeSettings, Task
from vireo.store.blocks import FeatureStore
from vireo.tasks import LOSSES

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """An encoder at work.

    Attributes:
        encoder: in evaluation mode, on the device of `compute`; frozen but where it is fine-tuned.
        beside: outputs that other tasks read of the same images, kept where a pass computes these.
        store: of features; None where they are not kept.
    """

    encoder: Encoder
    task: Task
    settings: ProbeSettings
    store: FeatureStore | None
    compute: Compute
    workers: int
    beside: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of images that are resized."""
        return input_size(self.encoder.card, self.task)


def features_of(
    frozen: Frozen, images: UInt8[Tensor, "batch frames 3 height width"], maps: bool = True
) -> tuple[Features, ...]:
    """Return the features of every frame, in one pass; gradients flow where they are asked for.

    Maps are as the network has them: heads bring them to their strides.
    """
    frames = images.shape[1]
    flat = images.transpose(0, 1).flatten(0, 1)
    with frozen.compute.autocast():
        pixels = frozen.encoder.normalise(flat)
        pixels = pixels.contiguous(memory_format=frozen.compute.memory_format)
        features: Features = frozen.encoder.backbone(pixels, maps)
    pooled = features.pooled.chunk(frames)
    taps = zip(*(tap.chunk(frames) for tap in features.maps), strict=True) if maps else ()
    return tuple(map(Features, pooled, taps)) if maps else tuple(map(Features, pooled))


def loss_of(frozen: Frozen) -> Loss:
    """Return the task's loss of (prediction, target, valid); its class weights are moved once."""
    task = frozen.task
    loss = resolve(LOSSES, task.loss, "loss")
    weights = None
    if task.class_weights:
        weights = torch.tensor(task.class_weights, device=frozen.compute.torch_device)

    def of(prediction: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        value: Tensor = loss(prediction, target, valid, weights)
        return value

    return of


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy without waiting, through pinned memory, where the device is a GPU."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor
