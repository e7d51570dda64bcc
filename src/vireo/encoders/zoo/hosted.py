"""Encoders that timm hosts: transformers of other methods, CLIP's image towers, baselines.

Normalisation and licence are those of timm's own records; tests compare.
"""

from typing import Any

from vireo.encoders.zoo.rows import NON_COMMERCIAL, arxiv, row
from vireo.records import PublishedEncoder

_APACHE = "Apache-2.0"
_CLIP = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
_HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def _timm(name: str, method: str, weights: str, number: str, **facts: Any) -> PublishedEncoder:
    common = {"group": "landmark", "format": "timm", "licence": _APACHE, "paper": arxiv(number)}
    architecture = f"timm:{weights.partition('.')[0]}"
    address = f"timm:{weights}"
    return row(name, architecture, method=method, address=address, **{**common, **facts})


def _dino(name: str, weights: str, epochs: int | None = None) -> PublishedEncoder:
    return _timm(name, "dino", f"{weights}.dino", "2104.14294", epochs=epochs)


def _dinov2(name: str, letters: str) -> PublishedEncoder:
    registers = "reg4" in letters
    return _timm(
        name,
        "dinov2",
        f"vit_{letters}_dinov2.lvd142m",
        "2309.16588" if registers else "2304.07193",
        pretraining_set="lvd-142m",
        images=142_000_000,
        balance="unknown",
        note="four register tokens" if registers else "",
    )


def _mae(name: str, weights: str) -> PublishedEncoder:
    facts = {"epochs": 1600, "licence": NON_COMMERCIAL}
    return _timm(name, "mae", f"{weights}_224.mae", "2111.06377", **facts)


def _clip(name: str, weights: str, **facts: Any) -> PublishedEncoder:
    seen = {"pretraining_set": "wit-400m", "images": 400_000_000, "epochs": 32}
    facts = {**_CLIP, **seen, "balance": "unknown", "note": "the image tower", **facts}
    return _timm(name, "clip", weights, "2103.00020", licence="MIT", **facts)


def _supervised(
    name: str, weights: str, number: str, epochs: int | None, **facts: Any
) -> PublishedEncoder:
    facts = {"group": "baseline", "epochs": epochs, **facts}
    return _timm(name, "supervised", weights, number, **facts)


ROWS: tuple[PublishedEncoder, ...] = (
    _dino("dino-vit-s16", "vit_small_patch16_224", 800),
    _dino("dino-vit-s8", "vit_small_patch8_224"),
    _dino("dino-vit-b16", "vit_base_patch16_224"),
    _dino("dino-vit-b8", "vit_base_patch8_224"),
    _dinov2("dinov2-vit-s14", "small_patch14"),
    _dinov2("dinov2-vit-b14", "base_patch14"),
    _dinov2("dinov2-vit-l14", "large_patch14"),
    _dinov2("dinov2-vit-g14", "giant_patch14"),
    _dinov2("dinov2-vit-s14-registers", "small_patch14_reg4"),
    _dinov2("dinov2-vit-b14-registers", "base_patch14_reg4"),
    _dinov2("dinov2-vit-l14-registers", "large_patch14_reg4"),
    _dinov2("dinov2-vit-g14-registers", "giant_patch14_reg4"),
    _mae("mae-vit-b16", "vit_base_patch16"),
    _mae("mae-vit-l16", "vit_large_patch16"),
    _mae("mae-vit-h14", "vit_huge_patch14"),
    _clip("clip-resnet50", "resnet50_clip.openai"),
    _clip("clip-vit-b32", "vit_base_patch32_clip_224.openai"),
    _clip("clip-vit-b16", "vit_base_patch16_clip_224.openai"),
    _clip("clip-vit-l14", "vit_large_patch14_clip_224.openai"),
    _clip(
        "clip-vit-b16-laion2b",
        "vit_base_patch16_clip_224.laion2b",
        pretraining_set="laion-2b",
        images=None,
        epochs=None,
        note="the image tower, trained by OpenCLIP",
    ),
    _supervised("resnet50-a1", "resnet50.a1_in1k", "2110.00476", 600),
    _supervised("convnext-tiny", "convnext_tiny.fb_in1k", "2201.03545", 300),
    _supervised("deit-small", "deit_small_patch16_224.fb_in1k", "2012.12877", 300),
    _supervised(
        "vit-small-augreg", "vit_small_patch16_224.augreg_in1k", "2106.10270", 300, **_HALF
    ),
    _supervised(
        "swin-tiny", "swin_tiny_patch4_window7_224.ms_in1k", "2103.14030", 300, licence="MIT"
    ),
)
