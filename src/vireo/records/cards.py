"""What is known of a dataset and of an encoder before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """The facts of a named dataset.

    Attributes:
        splits: split name to number of examples; 0 where nobody states it, or copies differ.
        how_to_get: sentences a person can follow when the files are not there.
        layout: what the folder of the dataset holds: a path, or a pattern of paths with stars, to
            what it is. Empty where nothing has to be got.
        checksums: file name to "md5:..." or "sha256:...", as the publisher or torchvision states
            it.
        downloader: the class of torchvision.datasets whose download the licence permits; empty
            where a person has to take steps.
    """

    name: str
    summary: str
    splits: Mapping[str, int]
    licence: str
    homepage: str
    how_to_get: str
    class_names: tuple[str, ...] = ()
    layout: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    downloader: str = ""


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
            ("blocks 2, 5, 7, 10, 12 at stride 16 resampled to 2, 4, 8, 16, 32"); empty if all five
            are native.
        native_strides: of the network's own maps that the five are made from; None: as `strides`.
        features: width of the pooled feature.
        source: the spec it was opened from.
        weights: digest of its tensors; of the recipe, before it is trained.
        recipe: digest of the settings of its pre-training without the seed and the images; empty
            where nobody knows them.
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
    recipe: str = ""
    maps: str = ""
    native_strides: tuple[int, int, int, int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class PublishedEncoder:
    """The facts of an encoder that others trained, known without its file.

    Numbers are as its publisher states them, rounded where he rounds; what nobody states is empty
    or None.

    Attributes:
        group: "study" (the study's 30), "ablation" (its side experiments), "landmark" (other
            methods), "baseline" (supervised networks).
        method, pretraining_set, images, epochs, balance: as in `EncoderCard`.
        architecture: a name that `make_network` builds.
        parameters, flops: of the backbone, as in `EncoderCard`, at `input_size`.
        address: where the weights are: an https address of one file, `timm:NAME.TAG` (fetched by
            huggingface_hub), or empty where nobody publishes them.
        file: the name in torch's cache of downloads; empty for `timm:` addresses.
        checksum: "sha256:" or "md5:" and the first digits, where the publisher states them. Else
            the hash of the first download is kept beside the file and checked from then on.
        file_bytes: the file's size, where known.
        format: a name of the loader's formats; the loader recognises the file by itself.
        converted: whether the published file must be converted by a person first.
    """

    name: str
    group: str
    method: str
    pretraining_set: str
    architecture: str
    parameters: int
    flops: int
    input_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    paper: str
    images: int | None = None
    epochs: float | None = None
    balance: str = "unknown"
    licence: str = ""
    address: str = ""
    file: str = ""
    checksum: str = ""
    file_bytes: int | None = None
    format: str = ""
    converted: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class MethodCard:
    """The facts of a pre-training method, known without importing it.

    Attributes:
        title: as its paper calls it.
        kind: "contrastive", "clustering", "distillation", "redundancy reduction" or "supervised".
        paper: address of the paper; year: of its first publication.
        needs: what it cannot do without, of "labels", "indices" (a bank or memory an image),
            "large batch"; empty means nothing special.
        advice: what to try when its features collapse, or its loss does not fall.
    """

    title: str
    summary: str
    kind: str
    paper: str
    year: int
    needs: tuple[str, ...] = ()
    advice: str = ""


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
        take: which network of a file that holds several: its word ("student", "key", "target") or
            the prefix of its names; empty means the one that its publisher evaluates.
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
    take: str = ""
    seed: int = 0
