"""What is known of a dataset and of an encoder before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """The facts of a named dataset.

    Attributes:
        splits: split name to number of examples.
        how_to_get: one sentence a person can follow when the files are not there.
        checksums: file name to xxh3 hash, where the publisher's files are fixed.
    """

    name: str
    summary: str
    splits: Mapping[str, int]
    licence: str
    homepage: str
    how_to_get: str
    class_names: tuple[str, ...] = ()
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EncoderCard:
    """The facts of an encoder; analyses group by them and blocks are keyed by its digest.

    Attributes:
        method: how it was pre-trained ("moco-v2", "supervised", "random").
        pretraining_set: name of the images it saw ("imagenet"), "none" for random weights,
            "unknown" if nobody says.
        images: number of images in that set; epochs and steps: how long it trained; None where
            unknown.
        balance: how the set's classes are balanced ("balanced", "log", "linear",
            "uniform-per-group", "unknown").
        flops: multiply-adds, counted twice, of one forward pass at `input_size`.
        input_size: height and width it was trained at.
        mean, std: normalisation of RGB in [0, 1].
        strides, channels: of the five maps. A small-image network with fewer stages repeats its
            last.
        maps: how the five maps come about where the network does not have them at its own stages
            ("blocks 2, 5, 7, 10, 12 at stride 16, resampled"); empty if all five are native.
        features: width of the pooled feature.
        source: the spec it was opened from.
        weights: digest of its tensors; of the recipe, before it is trained.
    """

    name: str
    method: str
    pretraining_set: str
    architecture: str
    parameters: int
    flops: int
    input_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    strides: tuple[int, int, int, int, int]
    channels: tuple[int, int, int, int, int]
    features: int
    source: str
    weights: str
    images: int | None = None
    epochs: float | None = None
    steps: int | None = None
    balance: str = "unknown"
    maps: str = ""


@dataclass(frozen=True, kw_only=True)
class MethodCard:
    """The facts of a pre-training method, known without importing it.

    Attributes:
        title: as its paper calls it.
        kind: "contrastive", "clustering", "distillation", "redundancy reduction" or "supervised".
        paper: address of the paper; year: of its first publication.
        needs: what it cannot do without, of "labels", "indices" (a bank or memory an image),
            "large batch"; empty means nothing special.
    """

    title: str
    summary: str
    kind: str
    paper: str
    year: int
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """How to open an encoder, as a person writes it in a study file.

    Attributes:
        spec: `run:DIR`, `file:PATH`, `timm:NAME`, `torchvision:NAME`, `random:ARCH`. `$VARIABLES`
            are expanded when opened, so the record is the same on every machine.
        name: how tables call it; the spec itself if empty.
        architecture: where the spec does not say it (`file:`); inferred from tensor names and
            shapes if empty.
        method, pretraining_set: where the spec does not say it; empty means what the loader finds.
        seed: of the weights, for `random:`.
    """

    spec: str
    name: str = ""
    architecture: str = ""
    method: str = ""
    pretraining_set: str = ""
    input_size: tuple[int, int] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    seed: int = 0
