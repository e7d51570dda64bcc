"""From a project's names of tensors to torchvision's or timm's, as rules that can be read.

A rule is a pattern and what takes its place; every rule of a set is applied to every name, in
order. No rule can lose or invent a tensor unseen: filling is strict, so a wrong or missing rule is
a refused file. Two renamings do more than rename, and say so: CLIP's class token gets the two
dimensions that timm's has, and DINOv2's position of the class token is added to the token where
timm's network adds none.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from vireo.errors import CheckpointError

_LAST = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
_VIT_PATCHES = (r"^patch_embed\.projection\.", "patch_embed.proj.")

# Name of a set to its rules, pattern and replacement.
RULES: dict[str, tuple[tuple[str, str], ...]] = {
    # torchvision's DenseNets as they are published; its own loader renames them as well
    "torchvision": ((r"(\.denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),),
    # lightly: nn.Sequential(*list(resnet.children())[:-1]); 2, 3 and 8 have no tensors
    "children": (
        (rf"^0\.{_LAST}$", r"conv1.\1"),
        (rf"^1\.{_LAST}$", r"bn1.\1"),
        (r"^4\.", "layer1."),
        (r"^5\.", "layer2."),
        (r"^6\.", "layer3."),
        (r"^7\.", "layer4."),
        (r"^9\.", "fc."),
    ),
    # the same of lightly's own ResNets, which have neither ReLU nor pooling among their children
    "small-children": (
        (rf"^0\.{_LAST}$", r"conv1.\1"),
        (rf"^1\.{_LAST}$", r"bn1.\1"),
        *[(rf"^{child}\.", f"layer{child - 1}.") for child in (2, 3, 4, 5)],
        (r"^(layer\d\.\d+)\.shortcut\.", r"\1.downsample."),
    ),
    # ResNets after kuangliu/pytorch-cifar: SupContrast, many CIFAR repositories
    "shortcut": (
        (r"^(layer\d+\.\d+)\.shortcut\.", r"\1.downsample."),
        (r"^linear\.", "fc."),
    ),
    # Separius/SimCLRv2-Pytorch: stem, then four `blocks`; each `net` is conv, norm, conv, norm ...
    "simclr-v2": (
        (r"^net\.0\.0\.", "conv1."),
        (r"^net\.0\.1\.0\.", "bn1."),
        (r"^net\.(\d)\.blocks\.(\d+)\.projection\.shortcut\.", r"layer\1.\2.downsample.0."),
        (r"^net\.(\d)\.blocks\.(\d+)\.projection\.bn\.0\.", r"layer\1.\2.downsample.1."),
        (r"^net\.(\d)\.blocks\.(\d+)\.net\.0\.", r"layer\1.\2.conv1."),
        (r"^net\.(\d)\.blocks\.(\d+)\.net\.1\.0\.", r"layer\1.\2.bn1."),
        (r"^net\.(\d)\.blocks\.(\d+)\.net\.2\.", r"layer\1.\2.conv2."),
        (r"^net\.(\d)\.blocks\.(\d+)\.net\.3\.0\.", r"layer\1.\2.bn2."),
        (r"^net\.(\d)\.blocks\.(\d+)\.net\.4\.", r"layer\1.\2.conv3."),
        (r"^net\.(\d)\.blocks\.(\d+)\.net\.5\.0\.", r"layer\1.\2.bn3."),
    ),
    # DINOv2: blocks may be in chunks, whose indices go on counting; SwiGLU's layers have numbers
    "dinov2": (
        (r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),
        (r"^register_tokens$", "reg_token"),
        (r"\.mlp\.w12\.", ".mlp.fc1."),
        (r"\.mlp\.w3\.", ".mlp.fc2."),
    ),
    "vissl": (
        (r"^class_token$", "cls_token"),
        (r"^pos_embedding$", "pos_embed"),
    ),
    # mmpretrain, mmselfsup: TransformerEncoderLayer with an FFN of mmcv
    "mm": (
        _VIT_PATCHES,
        (r"^layers\.(\d+)\.ln1\.", r"blocks.\1.norm1."),
        (r"^layers\.(\d+)\.ln2\.", r"blocks.\1.norm2."),
        (r"^layers\.(\d+)\.attn\.gamma1\.weight$", r"blocks.\1.ls1.gamma"),
        (r"^layers\.(\d+)\.attn\.(qkv|proj)\.", r"blocks.\1.attn.\2."),
        (r"^layers\.(\d+)\.ffn\.layers\.0\.0\.", r"blocks.\1.mlp.fc1."),
        (r"^layers\.(\d+)\.ffn\.layers\.1\.", r"blocks.\1.mlp.fc2."),
        (r"^layers\.(\d+)\.ffn\.gamma2\.weight$", r"blocks.\1.ls2.gamma"),
        (r"^(ln1|norm1)\.", "norm."),
        (r"^pre_norm\.", "norm_pre."),
    ),
    # CLIP's image tower, OpenAI's and OpenCLIP's
    "clip": (
        (r"^conv1\.", "patch_embed.proj."),
        (r"^class_embedding$", "cls_token"),
        (r"^positional_embedding$", "pos_embed"),
        (r"^ln_pre\.", "norm_pre."),
        (r"^ln_post\.", "norm."),
        (r"^transformer\.resblocks\.(\d+)\.ln_(\d)\.", r"blocks.\1.norm\2."),
        (r"^transformer\.resblocks\.(\d+)\.attn\.in_proj_", r"blocks.\1.attn.qkv."),
        (r"^transformer\.resblocks\.(\d+)\.attn\.out_proj\.", r"blocks.\1.attn.proj."),
        (r"^transformer\.resblocks\.(\d+)\.mlp\.c_fc\.", r"blocks.\1.mlp.fc1."),
        (r"^transformer\.resblocks\.(\d+)\.mlp\.c_proj\.", r"blocks.\1.mlp.fc2."),
    ),
    # Hugging Face transformers: ResNetModel (the embedder is a stage of its own)
    "hf-resnet": (
        (r"^embedder\.embedder\.convolution\.", "conv1."),
        (r"^embedder\.embedder\.normalization\.", "bn1."),
        *[
            (
                rf"^encoder\.stages\.{i}\.layers\.(\d+)\.shortcut\.convolution\.",
                rf"layer{i + 1}.\1.downsample.0.",
            )
            for i in range(4)
        ],
        *[
            (
                rf"^encoder\.stages\.{i}\.layers\.(\d+)\.shortcut\.normalization\.",
                rf"layer{i + 1}.\1.downsample.1.",
            )
            for i in range(4)
        ],
        *[
            (
                rf"^encoder\.stages\.{i}\.layers\.(\d+)\.layer\.{j}\.{theirs}\.",
                rf"layer{i + 1}.\1.{ours}{j + 1}.",
            )
            for i in range(4)
            for j in range(3)
            for theirs, ours in (("convolution", "conv"), ("normalization", "bn"))
        ],
    ),
}


def rename(name: str, rules: str) -> str:
    """Return `name` under the rules of a set; "" is the set without rules.

    Example:
        >>> rename("4.0.conv1.weight", "children")
        'layer1.0.conv1.weight'
    """
    for pattern, replacement in RULES.get(rules, ()):
        name = re.sub(pattern, replacement, name)
    return name


def rename_all(names: Mapping[str, str], rules: str) -> dict[str, str]:
    """Return new name to where the tensor is, from old name to where it is.

    Raises:
        CheckpointError: two names become one.
    """
    renamed: dict[str, str] = {}
    touched = {
        _first(old): _first(rename(old, rules)) for old in names if rename(old, rules) != old
    }
    for old, place in names.items():
        new = rename(old, rules)
        if new == old and _first(old) in touched and _first(old) not in touched.values():
            # A layer of the network that no rule knows: it must be found too many, not left over.
            new = f"{touched[_first(old)]}.{old}"
        if new in renamed:
            raise CheckpointError(
                f"The file has two tensors for '{new}': '{renamed[new]}' and '{place}'; save the"
                " network you mean alone."
            )
        renamed[new] = place
    return renamed


def _first(name: str) -> str:
    return name.partition(".")[0]


def reshape(tensors: dict[str, Tensor], rules: str) -> dict[str, Tensor]:
    """Give tensors the shapes that timm's network has, where the project's have others."""
    if rules == "clip":
        for name, rank in (("cls_token", 3), ("pos_embed", 3)):
            if name in tensors and tensors[name].ndim < rank:
                tensors[name] = tensors[name].reshape(1, -1, tensors[name].shape[-1])
    if rules == "dinov2" and "reg_token" in tensors:
        return _without_class_position(tensors)
    return tensors


def _without_class_position(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add the class token's position to the token: timm's network with registers adds none."""
    token, positions = tensors.get("cls_token"), tensors.get("pos_embed")
    side = (positions.shape[1] - 1) ** 0.5 if positions is not None and positions.ndim == 3 else 0.5
    if token is None or positions is None or side != int(side):
        return tensors
    return {
        **tensors,
        "cls_token": token + positions[:, :1],
        "pos_embed": positions[:, 1:],
    }
