"""Encoders of other methods whose publishers give one file each.

Licences are those of the publishers' repositories, which state no other for the weights.
"""

import re
from typing import Any

from vireo.encoders.zoo.rows import FACEBOOK, NON_COMMERCIAL, arxiv, row
from vireo.encoders.zoo.sizes import (
    MOCO_V3_VIT_S16,
    RESNET50,
    RESNET50_SAME,
    RESNET50_W2,
    RESNET50_W4,
    RESNET50_W5,
    VIT_B16,
    VIT_L16,
    VIT_S16,
)
from vireo.records import PublishedEncoder

_PAPERS = {
    "swav": "2006.09882",
    "deepcluster-v2": "2006.09882",
    "sela-v2": "2006.09882",
    "npid": "1805.01978",
    "npid++": "1912.01991",
    "pirl": "1912.01991",
    "simclr": "2002.05709",
    "byol": "2006.07733",
    "simsiam": "2011.10566",
    "barlow-twins": "2103.03230",
    "vicreg": "2105.04906",
    "dino": "2104.14294",
    "moco-v3": "2104.02057",
    "ibot": "2111.07832",
}
_OPENMMLAB = "https://download.openmmlab.com/mmselfsup/1.x"
_HUB = "https://huggingface.co/lightly-ai"
_BYTEDANCE = "https://lf3-nlp-opensource.bytetos.com/obj/nlp-opensource/archive/2022/ibot"


def _landmark(
    name: str, method: str, epochs: int | None, architecture: str = RESNET50, **facts: Any
) -> PublishedEncoder:
    facts = {"paper": arxiv(_PAPERS[method]), "format": method, **facts}
    return row(name, architecture, group="landmark", method=method, epochs=epochs, **facts)


def _clusters(
    stem: str, name: str, architecture: str = RESNET50, note: str = ""
) -> PublishedEncoder:
    """A row of SwAV's repository: SwAV itself, DeepCluster-v2 or SeLa-v2."""
    epochs = re.search(r"_(\d+)ep", stem)
    assert epochs is not None, stem
    return _landmark(
        name,
        next(method for method in ("swav", "deepcluster-v2", "sela-v2") if name.startswith(method)),
        int(epochs[1]),
        architecture,
        address=f"{FACEBOOK}/deepcluster/{stem}_pretrain.pth.tar",
        licence=NON_COMMERCIAL,
        format="swav",
        note=note,
    )


def _vissl(
    name: str, path: str, epochs: int, architecture: str = RESNET50, *, note: str = ""
) -> PublishedEncoder:
    """A row of VISSL's model zoo, whose files all have the same few names."""
    method = next(m for m in ("npid++", "npid", "pirl", "simclr") if name.startswith(m))
    return _landmark(
        name,
        method,
        epochs,
        architecture,
        address=f"{FACEBOOK}/vissl/model_zoo/{path}/model_final_checkpoint_phase{epochs - 1}.torch",
        file=f"vissl_{name.replace('-', '_')}.torch",
        licence="MIT",
        format="vissl",
        note=note,
    )


def _openmmlab(name: str, method: str, config: str, digits: str) -> PublishedEncoder:
    epochs = int(re.findall(r"-(\d+)e_", config)[0])
    return _landmark(
        name,
        method,
        epochs,
        address=f"{_OPENMMLAB}/{method}/{config}/{config}_20220825-{digits}.pth",
        checksum=f"sha256:{digits}",
        licence="Apache-2.0",
        format="mmpretrain",
        note="OpenMMLab's training",
    )


def _vicreg(name: str, file: str, epochs: int | None, architecture: str) -> PublishedEncoder:
    address = f"{FACEBOOK}/vicreg/{file}.pth"
    facts = {"address": address, "file": f"vicreg_{file}.pth", "licence": "MIT"}
    facts["format"] = "torchvision"  # the backbone alone
    return _landmark(name, "vicreg", epochs, architecture, **facts)


def _moco_v3(name: str, stem: str, epochs: int, architecture: str) -> PublishedEncoder:
    return _landmark(
        name,
        "moco-v3",
        epochs,
        architecture,
        address=f"{FACEBOOK}/moco-v3/{stem}/{stem}.pth.tar",
        file=f"moco_v3_{stem}.pth.tar",
        licence=NON_COMMERCIAL,
    )


def _ibot(name: str, folder: str, epochs: int | None, architecture: str) -> PublishedEncoder:
    return _landmark(
        name,
        "ibot",
        epochs,
        architecture,
        address=f"{_BYTEDANCE}/{folder}/checkpoint_teacher.pth",
        file=f"ibot_{folder}_teacher.pth",
        licence="Apache-2.0",
        format="self-supervised-vit",
        note="the teacher",
    )


def _simclr(suffix: str, architecture: str) -> PublishedEncoder:
    repository = f"simclrv1-imagenet1k-resnet50-{suffix}"
    return _landmark(
        f"simclr-1000{'' if suffix == '1x' else '-w' + suffix[0]}",
        "simclr",
        1000,
        architecture,
        address=f"{_HUB}/{repository}/resolve/main/resnet50-{suffix}.pth",
        file=f"simclr_resnet50-{suffix}.pth",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        licence="Apache-2.0",
        format="simclr-torch",
        note="Google's weights, converted; it was trained on RGB in [0, 1] as it is",
    )


_BARLOW = (
    f"{FACEBOOK}/barlowtwins/epochs1000_bs2048_lr0.2_lambd0.0051_proj_8192_8192_8192_scale0.024"
)
_TWO_CROPS = "two crops of 224 pixels, no small ones"

ROWS: tuple[PublishedEncoder, ...] = (
    _clusters("swav_400ep", "swav-400"),
    _clusters("swav_100ep", "swav-100-authors", note="the authors' own 100 epochs"),
    _clusters("swav_400ep_2x224", "swav-400-two-crops", note=_TWO_CROPS),
    _clusters("swav_200ep_bs256", "swav-200-batch256", note="batches of 256 and a queue"),
    _clusters("swav_400ep_bs256", "swav-400-batch256", note="batches of 256 and a queue"),
    _clusters("swav_RN50w2_400ep", "swav-400-w2", RESNET50_W2),
    _clusters("swav_RN50w4_400ep", "swav-400-w4", RESNET50_W4),
    _clusters("swav_RN50w5_400ep", "swav-400-w5", RESNET50_W5),
    _clusters("deepclusterv2_800ep", "deepcluster-v2-800"),
    _clusters("deepclusterv2_400ep", "deepcluster-v2-400"),
    _clusters("deepclusterv2_400ep_2x224", "deepcluster-v2-400-two-crops", note=_TWO_CROPS),
    _clusters("selav2_400ep", "sela-v2-400"),
    _vissl("npid-200", "npid_1node_200ep_4kneg_npid_8gpu_resnet_23_07_20.9eb36512", 200),
    _vissl("npid++-800", "npid_pp/4node_800ep_32kneg_cosine_resnet_23_07_20.75432662", 800),
    _vissl("pirl-200", "pirl/r50_200ep", 200),
    _vissl("pirl-200-mlp", "pirl/r50_200ep_mlp_gblur", 200, note="MLP head, blur"),
    _vissl("pirl-800-mlp", "pirl/r50_800ep_mlphead_gblur", 800, note="MLP head, blur"),
    _vissl("pirl-400-w2", "pirl/w2_400ep", 400, RESNET50_W2),
    _vissl("simclr-vissl-100", "simclr_rn50_100ep_simclr_8node_resnet_16_07_20.8edb093e", 100),
    _vissl("simclr-vissl-200", "simclr_rn50_200ep_simclr_8node_resnet_16_07_20.a816c0ef", 200),
    _vissl("simclr-vissl-400", "simclr_rn50_400ep_simclr_8node_resnet_16_07_20.36b338ef", 400),
    _vissl("simclr-vissl-800", "simclr_rn50_800ep_simclr_8node_resnet_16_07_20.7e8feed1", 800),
    _vissl("simclr-vissl-1000", "simclr_rn50_1000ep_simclr_8node_resnet_16_07_20.afe428c7", 1000),
    _simclr("1x", RESNET50),
    _simclr("2x", RESNET50_W2),
    _simclr("4x", RESNET50_W4),
    _landmark(
        "byol-1000",
        "byol",
        1000,
        RESNET50_SAME,
        address="https://storage.googleapis.com/deepmind-byol/checkpoints/pretrain_res50x1.pkl",
        file="byol_res50x1.pth.tar",
        licence="",
        format="byol-torch",
        converted=True,
        note="JAX weights: convert the file at the address with github.com/chigur/byol-convert",
    ),
    _openmmlab("byol-200", "byol", "byol_resnet50_16xb256-coslr-200e_in1k", "de817331"),
    _openmmlab(
        "simclr-openmmlab-800", "simclr", "simclr_resnet50_16xb256-coslr-800e_in1k", "85fcc4de"
    ),
    _landmark(
        "simsiam-100",
        "simsiam",
        100,
        address=f"{FACEBOOK}/simsiam/models/100ep/pretrain/checkpoint_0099.pth.tar",
        file="simsiam_100ep.pth.tar",
        licence=NON_COMMERCIAL,
    ),
    _landmark(
        "barlow-twins-1000",
        "barlow-twins",
        1000,
        address=f"{_BARLOW}/resnet50.pth",
        file="barlowtwins_1000ep_resnet50.pth",
        licence=NON_COMMERCIAL,
        format="torchvision",
    ),
    _vicreg("vicreg-1000", "resnet50", 1000, RESNET50),
    _vicreg("vicreg-w2", "resnet50x2", None, RESNET50_W2),
    _landmark(
        "dino-resnet50",
        "dino",
        800,
        address=f"{FACEBOOK}/dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth",
        licence="Apache-2.0",
        format="torchvision",
    ),
    _moco_v3("moco-v3-100", "r-50-100ep", 100, RESNET50),
    _moco_v3("moco-v3-300", "r-50-300ep", 300, RESNET50),
    _moco_v3("moco-v3-1000", "r-50-1000ep", 1000, RESNET50),
    _moco_v3("moco-v3-vit-s16", "vit-s-300ep", 300, MOCO_V3_VIT_S16),
    _moco_v3("moco-v3-vit-b16", "vit-b-300ep", 300, VIT_B16),
    _ibot("ibot-vit-s16", "vits_16", 800, VIT_S16),
    _ibot("ibot-vit-b16", "vitb_16", None, VIT_B16),
    _ibot("ibot-vit-l16", "vitl_16", None, VIT_L16),
)
