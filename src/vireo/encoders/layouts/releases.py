"""Layouts in which the authors of methods release their checkpoints, and conversions of them."""

from vireo.encoders.layouts.formats import LEVEL as _STATE
from vireo.encoders.layouts.formats import Format, Part, converted_simclr, statistics_last

_EPOCH = ("epoch", 0)
_HEAD = ((r"(fc|head)\.", "projector"),)
_TRUNK = r"(?:(?:\w+/)*trunk[./](?:base_model\.)?(?:_feature_blocks\.)?|(?:\w+/)?_feature_blocks\.)"

RELEASES: tuple[Format, ...] = (
    Format(
        name="vissl",
        summary="VISSL: PIRL, NPID, SimCLR, SwAV and others of its model zoo; Exemplar v1 and v2",
        marks=(_TRUNK,),
        parts=(Part(take="trunk", what="trunk", where=_TRUNK),),
        rules="vissl",
        beside=(
            (r".*heads[/.].*prototypes", "prototypes"),
            (r".*heads[/.]", "projector"),
            (r".*loss[/.].*encoder", "momentum encoder"),
            (r".*loss[/.].*(queue|memory)", "queue"),
        ),
        epoch=("train_phase_idx", 1),  # the phase's index; a phase is an epoch in all its recipes
        normalisation="imagenet",
        options=("eps=1e-5",),
    ),
    Format(
        name="moco",
        summary="MoCo v1 and v2: query encoder, momentum encoder, queue",
        marks=(_STATE + r"encoder_q\.(conv1|patch_embed|layer1|features)",),
        parts=(
            Part(take="query", what="query encoder", where=_STATE + r"encoder_q\."),
            Part(take="key", what="momentum encoder", where=_STATE + r"encoder_k\."),
        ),
        kinds=(*_HEAD,),
        beside=(
            (_STATE + r"encoder_k\.", "momentum encoder"),
            (_STATE + r"encoder_q\.", "query encoder"),
        ),
        methods=(
            (_STATE + r"encoder_[qk]\.fc\.2\.weight", "moco-v2"),
            (_STATE + r"encoder_[qk]\.fc\.weight", "moco-v1"),
        ),
        epoch=_EPOCH,
        normalisation="imagenet",
    ),
    Format(
        name="moco-v3",
        summary="MoCo v3: base encoder, momentum encoder, predictor; ResNet or ViT",
        marks=(_STATE + r"base_encoder\.",),
        parts=(
            Part(take="base", what="base encoder", where=_STATE + r"base_encoder\."),
            Part(take="momentum", what="momentum encoder", where=_STATE + r"momentum_encoder\."),
        ),
        kinds=(*_HEAD,),
        beside=(
            (_STATE + r"momentum_encoder\.", "momentum encoder"),
            (_STATE + r"base_encoder\.", "base encoder"),
        ),
        methods=((_STATE + r"base_encoder\.", "moco-v3"),),
        epoch=_EPOCH,
        normalisation="imagenet",
        options=("small-heads=12",),
    ),
    Format(
        name="study",
        summary="the study's released encoders: a ResNet-50 under model.",
        marks=(r"(state_dict/)?model\.layer1\.",),
        lacks=(r"pytorch-lightning_version", r"meta/"),
        parts=(Part(take="model", what="model", where=r"(state_dict/)?model\."),),
        kinds=(
            (r"projection_head\.", "projector"),
            (r"prototypes\.", "prototypes"),
            (r"fc\.\d", "projector"),
        ),
        normalisation="imagenet",
    ),
    Format(
        name="swav",
        summary="SwAV and DeepCluster-v2, with or without a state_dict level",
        marks=(_STATE + r"prototypes\.", _STATE + r"projection_head\."),
        lacks=(r"pytorch-lightning_version", r"meta/", _STATE + r"(backbone|model)\."),
        parts=(Part(take="network", what="network", where=_STATE),),
        kinds=(
            (r"projection_head\.", "projector"),
            (r"prototypes\.", "prototypes"),
        ),
        methods=(
            (_STATE + r"prototypes\.prototypes\d+\.", "deepcluster-v2"),
            (_STATE + r"prototypes\.weight", "swav"),
        ),
        epoch=_EPOCH,
        normalisation="imagenet",
    ),
    Format(
        name="simsiam",
        summary="SimSiam: encoder with the projector in its fc, and a predictor",
        marks=(_STATE + r"encoder\.fc\.\d", _STATE + r"predictor\."),
        parts=(Part(take="encoder", what="encoder", where=_STATE + r"encoder\."),),
        kinds=_HEAD,
        methods=((_STATE + r"encoder\.fc\.6\.", "simsiam"),),
        epoch=_EPOCH,
        normalisation="imagenet",
    ),
    Format(
        name="barlow-twins",
        summary="Barlow Twins' full checkpoint: backbone, projector without biases",
        marks=(r"model/backbone\.", r"model/projector\.", r"model/bn\.running_mean"),
        parts=(Part(take="backbone", what="backbone", where=r"model/backbone\."),),
        beside=((r"model/bn\.", "projector"),),
        methods=((r"model/projector\.", "barlow-twins"),),
        epoch=_EPOCH,
        normalisation="imagenet",
    ),
    Format(
        name="vicreg",
        summary="VICReg's full checkpoint: backbone and expander",
        marks=(r"model/backbone\.", r"model/projector\.0\.bias"),
        parts=(Part(take="backbone", what="backbone", where=r"model/backbone\."),),
        methods=((r"model/projector\.", "vicreg"),),
        epoch=_EPOCH,
        normalisation="imagenet",
    ),
    Format(
        name="dinov2",
        summary="DINOv2, bare or its teacher: chunks of blocks, registers, mask token",
        marks=(
            r"(\w+/)?(backbone\.)?(mask_token|register_tokens)$",
            r"(\w+/)?(backbone\.)?blocks\.\d+\.(\d+\.)?ls1\.gamma",
        ),
        parts=(
            Part(take="teacher", what="teacher", where=r"teacher/(backbone\.)?"),
            Part(take="student", what="student", where=r"student/(backbone\.)?"),
            Part(take="network", what="network", where=r"(model/|state_dict/)?(backbone\.)?"),
        ),
        rules="dinov2",
        beside=(
            (r"student/", "student network"),
            (r"teacher/", "teacher network"),
        ),
        methods=((r"", "dinov2"),),
        normalisation="imagenet",
    ),
    Format(
        name="dino",
        summary="DINO and iBOT: student and teacher, each with its head",
        marks=(r"teacher/",),
        parts=(
            Part(take="teacher", what="teacher", where=r"teacher/(backbone\.)?"),
            Part(take="student", what="student", where=r"student/(backbone\.)?"),
        ),
        kinds=((r"head\.", "projector"),),
        beside=(
            (r"student/", "student network"),
            (r"teacher/", "teacher network"),
        ),
        methods=((r"ibot_loss/", "ibot"), (r"dino_loss/", "dino")),
        epoch=_EPOCH,
        normalisation="imagenet",
    ),
    Format(
        name="mae",
        summary="MAE, with its decoder",
        marks=(_STATE + r"decoder_(embed|blocks|pos_embed)", _STATE + r"patch_embed\."),
        parts=(Part(take="encoder", what="encoder", where=_STATE),),
        kinds=((r"decoder_", "decoder"),),
        methods=((_STATE + r"decoder_pred\.", "mae"),),
        epoch=("epoch", 1),  # MAE stores the epoch's index, which begins at 0
        normalisation="imagenet",
    ),
    Format(
        name="clip",
        summary="CLIP's image tower: OpenAI's archive or state_dict",
        marks=(
            r"(\w+/)?visual\.transformer\.resblocks\.",
            r"(\w+/)?(input_resolution|vocab_size)$",
        ),
        parts=(Part(take="image", what="image tower", where=r"(\w+/)?visual\."),),
        rules="clip",
        kinds=((r"proj$", "projector"),),
        beside=((r".*", "text tower"),),
        methods=((r"", "clip"),),
        normalisation="clip",
        options=("quickgelu",),
    ),
    Format(
        name="open-clip",
        summary="OpenCLIP's image tower, or OpenAI's saved again",
        marks=(r"(\w+/)?visual\.transformer\.resblocks\.",),
        parts=(Part(take="image", what="image tower", where=r"(\w+/)?visual\."),),
        rules="clip",
        kinds=((r"proj$", "projector"),),
        beside=(
            (r"optimi[sz]er/", "optimizer"),
            (r".*", "text tower"),
        ),
        methods=((r"", "clip"),),
        normalisation="clip",
        unsaid="whether its activation is GELU (timm:vit_base_patch32_clip_224 and the like) or"
        " OpenAI's QuickGELU (timm:vit_base_patch32_clip_quickgelu_224)",
    ),
    Format(
        name="byol-online",
        summary="BYOL in torch with an online and a target encoder",
        marks=(_STATE + r"online_(encoder|network)\.",),
        parts=(
            Part(
                take="online",
                what="online encoder",
                where=_STATE + r"online_(encoder|network)\.(net\.|encoder\.|backbone\.)?",
            ),
            Part(
                take="target",
                what="target encoder",
                where=_STATE + r"target_(encoder|network)\.(net\.|encoder\.|backbone\.)?",
            ),
        ),
        rules="children",
        kinds=(
            (r"(projector|projetion|projection)\.", "projector"),
            (r"fc\.", "classifier"),
        ),
        beside=(
            (_STATE + r"target_", "momentum encoder"),
            (_STATE + r"online_predictor", "predictor"),
            (_STATE + r"online_", "projector"),
        ),
        methods=((_STATE + r"online_", "byol"),),
        normalisation="imagenet",
    ),
    Format(
        name="byol-torch",
        summary="BYOL's release converted from JAX, which pads as TensorFlow does",
        marks=(r"(state_dict/)?layer1\.0\.conv3\.weight",),
        test=statistics_last,
        parts=(Part(take="network", what="network", where=r"(state_dict/)?"),),
        normalisation="imagenet",
        options=("same",),
    ),
    Format(
        name="simclr-v2",
        summary="SimCLRv2's release converted: a resnet and its contrastive head",
        marks=(r"(resnet/)?net\.1\.blocks\.0\.net\.0\.weight",),
        parts=(Part(take="resnet", what="resnet", where=r"(resnet/)?"),),
        rules="simclr-v2",
        beside=((r"head/", "projector"),),
        methods=((r"resnet/", "simclr-v2"),),
        normalisation="unit",
    ),
    Format(
        name="simclr-torch",
        summary="SimCLR's release converted from TensorFlow: torchvision's names, images in [0, 1]",
        marks=(r"state_dict/layer1\.0\.conv1\.weight", r"state_dict/fc\.weight"),
        lacks=(r"epoch", r"optimizer", r"arch"),
        test=converted_simclr,
        parts=(Part(take="network", what="network", where=r"state_dict/"),),
        methods=((r"", "simclr"),),
        normalisation="unit",
    ),
)
