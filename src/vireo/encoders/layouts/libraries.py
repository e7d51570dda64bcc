"""Layouts of libraries, trainers and our own; the last takes whatever stands under one prefix."""

import dataclasses

from vireo.encoders.layouts.formats import LEVEL as _STATE
from vireo.encoders.layouts.formats import Format, Part, called_as_moco_v3

_MM = Format(
    name="mmpretrain",
    summary="mmpretrain, mmselfsup, mmcls: a backbone with neck and head",
    marks=(r"meta(/|$)", r"state_dict/backbone\."),
    parts=(
        Part(take="backbone", what="backbone", where=r"state_dict/backbone\."),
        Part(
            take="momentum",
            what="momentum network",
            where=r"state_dict/(encoder_k|target_net|teacher|momentum_\w+)\.(0\.)?",
        ),
    ),
    rules="mm",
    beside=(
        (r"state_dict/(encoder_k|target_net|teacher|momentum_\w+)\.", "momentum encoder"),
        (r"state_dict/head\.predictor\.", "predictor"),
        (r"state_dict/head\.", "classifier"),
    ),
    epoch=("meta/epoch", 0),
    normalisation="imagenet",
)
_MM_MOCO_V3 = dataclasses.replace(
    _MM,
    name="mmpretrain-moco-v3",
    summary="MoCo v3 of mmpretrain and mmselfsup",
    marks=(*_MM.marks, r"state_dict/momentum_encoder\.", r"state_dict/head\.predictor\."),
    methods=(("", "moco-v3"),),
    options=("small-heads=12",),
)
_SOLO = Format(
    name="solo-learn",
    summary="solo-learn: backbone, momentum backbone, projector, online classifier",
    marks=(
        r"state_dict/(backbone|encoder)\.",
        r"state_dict/(momentum_\w+|projector|prototypes|predictor|classifier)\.",
        r"pytorch-lightning_version|state_dict/classifier\.",
    ),
    parts=(
        Part(take="backbone", what="backbone", where=r"state_dict/(backbone|encoder)\."),
        Part(
            take="momentum",
            what="momentum backbone",
            where=r"state_dict/momentum_(backbone|encoder)\.",
        ),
    ),
    beside=(
        (r"state_dict/momentum_", "momentum encoder"),
        (r"state_dict/classifier\.", "classifier"),
    ),
    normalisation="imagenet",
    options=("pad=2",),  # its stem for small images has two zeros around
)
# BYOL has a predictor and a momentum network too, but biases in its projector.
_SOLO_MOCO_V3 = dataclasses.replace(
    _SOLO,
    name="solo-learn-moco-v3",
    summary="MoCo v3 of solo-learn",
    marks=(*_SOLO.marks, r"state_dict/predictor\.", r"state_dict/momentum_projector\."),
    lacks=(r"state_dict/projector\.0\.bias",),
    methods=(("", "moco-v3"),),
    options=(*_SOLO.options, "small-heads=12"),
)

LIBRARIES: tuple[Format, ...] = (
    Format(
        name="vireo",
        summary="an encoder or a pre-training checkpoint of vireo",
        marks=(r"(method/)?(encoder\.)?backbone\.network\.",),
        parts=(
            Part(
                take="query",
                what="encoder that is trained",
                where=r"(method/)?(encoder\.)?backbone\.network\.",
            ),
            Part(
                take="key",
                what="momentum encoder",
                where=r"(method/)?(key|target|teacher)_encoder\.backbone\.network\.",
            ),
        ),
        beside=((r"(method/)?(encoder\.)?classifier\.", "classifier"),),
    ),
    _MM_MOCO_V3,
    _MM,
    Format(
        name="lightly-small",
        summary="lightly's own small ResNets: numbered children, no ReLU behind the stem",
        marks=(r"(.*[./])?2\.0\.conv1\.weight$", r"(.*[./])?3\.0\.shortcut\.0\.weight$"),
        parts=(
            Part(take="backbone", what="backbone", where=_STATE + r"backbone\."),
            Part(take="momentum", what="momentum backbone", where=_STATE + r"backbone_momentum\."),
            Part(take="network", what="network", where=_STATE + r"(?=\d)"),
        ),
        rules="small-children",
        options=("linear",),
    ),
    Format(
        name="lightly",
        summary="lightly: numbered children of a ResNet, or a backbone beside its twin",
        marks=(
            r"(.*[./])?4\.0\.conv1\.weight$"
            r"|state_dict/(student_backbone|teacher_backbone|backbone_momentum|key_backbone|query_backbone)\.",
        ),
        parts=(
            Part(
                take="backbone",
                what="backbone",
                where=_STATE + r"(model\.|net\.)?(backbone|encoder|resnet|features)\.",
            ),
            *[
                Part(
                    take=role,
                    what=f"{role} backbone",
                    where=_STATE + rf"(model\.)?({role}_backbone|backbone_{role})\.",
                )
                for role in ("teacher", "query", "student", "momentum", "key")
            ],
            Part(take="network", what="network", where=_STATE + r"(?=\d)"),
        ),
        rules="children",
        beside=(
            (_STATE + r"(model\.)?(\w*momentum\w*|key_\w+)\.", "momentum encoder"),
            (_STATE + r"(model\.)?student_", "student network"),
        ),
        normalisation="imagenet",
    ),
    _SOLO_MOCO_V3,
    _SOLO,
    Format(
        name="huggingface-resnet",
        summary="Hugging Face transformers' ResNet",
        marks=(r"(\w+/)?(resnet\.)?embedder\.embedder\.convolution\.weight",),
        parts=(Part(take="network", what="network", where=r"(\w+/)?(resnet\.)?"),),
        rules="hf-resnet",
        normalisation="imagenet",
    ),
    Format(
        name="cifar-shortcut",
        summary="ResNets with `shortcut` for `downsample`, as many CIFAR repositories write them",
        marks=(r"(.*[./])?layer2\.0\.shortcut\.0\.weight",),
        rules="shortcut",
    ),
    Format(
        name="timm-training",
        summary="timm's training script: weights and their running average",
        marks=(r"state_dict/", r"(state_dict_ema|model_ema)/"),
        parts=(
            Part(
                take="ema",
                what="running average of the weights",
                where=r"(state_dict_ema|model_ema)/",
            ),
            Part(take="raw", what="weights", where=r"(state_dict|model)/"),
        ),
        beside=((r"(state_dict|model)(_ema)?/", "other network"),),
    ),
    Format(
        name="self-supervised-vit",
        summary="a plain ViT without head, as DINO, iBOT and MAE publish them",
        marks=(_STATE + r"cls_token$", _STATE + r"blocks\.0\.attn\.qkv\.weight"),
        lacks=(_STATE + r"(head|fc)\.", _STATE + r"norm_pre\.", _STATE + r"dist_token"),
        parts=(Part(take="network", what="network", where=_STATE),),
        normalisation="imagenet",
    ),
    Format(
        name="moco-v3-linear",
        summary="a linear evaluation of MoCo v3's ViT",
        marks=(r"state_dict/cls_token$", r"state_dict/head\.weight", r"best_acc1$"),
        test=called_as_moco_v3,
        parts=(Part(take="network", what="network", where=r"state_dict/"),),
        methods=(("", "moco-v3"),),
        normalisation="imagenet",
        options=("small-heads=12",),
    ),
    Format(
        name="deit",
        summary="a ViT with its classifier under `model`, as DeiT's training writes it",
        marks=(r"model/cls_token$", r"model/head\.weight"),
        lacks=(r"model/norm_pre\.",),
        parts=(
            Part(take="network", what="weights as trained", where=r"model/"),
            Part(take="ema", what="running average of the weights", where=r"model_ema/"),
        ),
        normalisation="imagenet",
    ),
    Format(
        name="torchvision",
        summary="torchvision's names, or a CIFAR ResNet's",
        marks=(
            _STATE + r"(layer1\.0\.|features\.(\d+|conv0)\.|encoder\.layers\.encoder_layer_0\.)",
        ),
        parts=(
            Part(take="network", what="weights as trained", where=_STATE),
            Part(take="ema", what="running average of the weights", where=r"model_ema/"),
        ),
        rules="torchvision",
        kinds=((r"fc\.\d", "projector"),),
        beside=((r"model_ema/", "other network"),),
    ),
    Format(
        name="lightning",
        summary="a Lightning checkpoint: the network under any one attribute",
        marks=(r"pytorch-lightning_version",),
    ),
    Format(
        name="timm",
        summary="timm's names",
        marks=(_STATE + r"(patch_embed|blocks|stages|layers|conv_stem|stem|stem_conv|trunk)[._]",),
        parts=(Part(take="network", what="network", where=_STATE),),
    ),
    Format(
        name="prefixed",
        summary="torchvision's or timm's names under any one prefix",
    ),
)
