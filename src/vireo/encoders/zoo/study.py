"""The study's 30 encoders (its Table 3) and those of its side experiments (appendices F to J).

All are ResNet-50. Sets are rounded as the study rounds them: 1.3 M, 0.5 M, 0.25 M images.

References:
    Kotar et al. 2021, Contrasting contrastive self-supervised representation learning pipelines.
    https://arxiv.org/abs/2103.14005
"""

from typing import Any

from vireo.encoders.zoo.rows import FACEBOOK, IMAGENET, NON_COMMERCIAL, arxiv, row
from vireo.encoders.zoo.sizes import RESNET50
from vireo.records import PublishedEncoder

STUDY = arxiv("2103.14005")
_BUCKET = "https://prior-model-weights.s3.us-east-2.amazonaws.com/contrastive_encoders"
_MOCO = f"{FACEBOOK}/moco/moco_checkpoints"


def _set(name: str, images: int, balance: str) -> dict[str, Any]:
    return {"pretraining_set": name, "images": images, "balance": balance}


# What follows a method's name in the row's and, in another spelling, in the file's.
_VARIANTS: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("100", "_100", 100, IMAGENET),
    ("50", "_50", 50, IMAGENET),
    ("half-200", "HalfImagenet", 200, _set("imagenet-half", 500_000, "balanced")),
    ("half-100", "HalfImagenet_100", 100, _set("imagenet-half", 500_000, "balanced")),
    ("quarter-200", "QuarterImagenet", 200, _set("imagenet-quarter", 250_000, "balanced")),
    ("linear-200", "UnbalancedImagenet", 200, _set("imagenet-half-linear", 500_500, "linear")),
    ("linear-100", "UnbalancedImagenet_100", 100, _set("imagenet-half-linear", 500_500, "linear")),
    ("log-200", "LogImagenet", 200, _set("imagenet-quarter-log", 250_000, "log")),
    ("places-200", "Places", 200, _set("places", 1_300_000, "uniform-per-group")),
    ("kinetics-200", "Kinetics", 200, _set("kinetics", 1_300_000, "constant-rate")),
    ("taskonomy-200", "Taskonomy", 200, _set("taskonomy", 1_300_000, "uniform-per-group")),
    ("combination-200", "Combination", 200, _set("combination", 1_300_000, "balanced")),
)
_METHODS = (("swav", "SWAV", arxiv("2006.09882")), ("moco-v2", "MoCov2", arxiv("2003.04297")))


def _trained_by_the_study() -> list[PublishedEncoder]:
    return [
        row(
            f"{method}-{variant}",
            RESNET50,
            group="study",
            method=method,
            epochs=epochs,
            paper=paper,
            address=f"{_BUCKET}/{spelling}{file}.pt",
            licence="MIT",
            format="study",
            **seen,
        )
        for method, spelling, paper in _METHODS
        for variant, file, epochs, seen in _VARIANTS
    ]


def _third_party(name: str, method: str, epochs: int, **facts: Any) -> PublishedEncoder:
    facts = {"licence": NON_COMMERCIAL, "format": method.partition("-v")[0], **facts}
    return row(name, RESNET50, group="study", method=method, epochs=epochs, **facts)


def _swav(epochs: int) -> PublishedEncoder:
    address = f"{FACEBOOK}/deepcluster/swav_{epochs}ep_pretrain.pth.tar"
    paper = arxiv("2006.09882")
    return _third_party(f"swav-{epochs}", "swav", epochs, address=address, paper=paper)


def _moco(version: int, epochs: int, md5: str) -> PublishedEncoder:
    stem = f"moco_v{version}_{epochs}ep"
    return _third_party(
        f"moco-v{version}-{epochs}",
        f"moco-v{version}",
        epochs,
        address=f"{_MOCO}/{stem}/{stem}_pretrain.pth.tar",
        checksum=f"md5:{md5}",
        paper=arxiv("1911.05722" if version == 1 else "2003.04297"),
    )


_PIRL = _third_party(
    "pirl-800",
    "pirl",
    800,
    address=f"{FACEBOOK}/vissl/model_zoo/pirl_jigsaw_4node_pirl_jigsaw_4node_resnet_22_07_20"
    ".34377f59/model_final_checkpoint_phase799.torch",
    file="vissl_pirl_800ep.torch",
    paper=arxiv("1912.01991"),
    licence="MIT",
    format="vissl",
)

_UNPUBLISHED = "trained for the study; its weights are not published"


def _ablation(name: str, method: str, epochs: int | None, **facts: Any) -> PublishedEncoder:
    paper = facts.pop("paper", STUDY)
    facts = {"note": _UNPUBLISHED, "file": "" if "address" in facts else f"{name}.pt", **facts}
    if "address" in facts:
        facts["file"] = facts["address"].rpartition("/")[2]
    return row(name, RESNET50, group="ablation", method=method, epochs=epochs, paper=paper, **facts)


_LOG = _set("imagenet-quarter-log", 250_000, "log")
_ABLATIONS = [
    *(_ablation(f"swav-log-200-draw{draw}", "swav", 200, **_LOG) for draw in (2, 3)),
    *(_ablation(f"swav-200-seed{seed}", "swav", 200) for seed in (1, 2, 3)),
    _ablation("moco-v2-multicrop", "moco-v2-multicrop", None),
    _ablation("simsiam-200", "simsiam", 200),
    _ablation(
        "exemplar-v2",
        "exemplar-v2",
        200,
        address="https://frontiers.blob.core.windows.net/pretraining/checkpoints/"
        "pil_pretrained_models/good_transfer/exemplar_v2.pth",
        paper=arxiv("2006.06606"),
        format="vissl",
        note="labels remove images of the same class from the negatives",
    ),
    _ablation(
        "supervised-resnet50",
        "supervised",
        90,
        address="https://download.pytorch.org/models/resnet50-0676ba61.pth",
        checksum="sha256:0676ba61",
        file_bytes=None,
        licence="BSD-3-Clause",
        paper=arxiv("1512.03385"),
        format="torchvision",
        note="torchvision's IMAGENET1K_V1, the study's supervised baseline",
    ),
]

ROWS: tuple[PublishedEncoder, ...] = (
    _swav(800),
    _swav(200),
    _moco(2, 800, "a04e12f8"),
    _moco(2, 200, "59fd9945"),
    _moco(1, 200, "b251726a"),
    _PIRL,
    *_trained_by_the_study(),
    *_ABLATIONS,
)
