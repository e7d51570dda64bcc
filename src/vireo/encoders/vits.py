"""ViTs by timm's names and what differs from them: heads, image size, the norms' epsilon.

A file's tensors show a ViT's patch, width and depth, but neither its heads nor its epsilon: those
come from the layout. `vit:vit_small_patch16_224,heads=12` is MoCo v3's ViT-S, which has 12 heads of
32 where timm's has 6 of 64; `vit:vit_small_patch14_dinov2,size=224` has positions for 224 pixels.

References:
    Dosovitskiy et al. 2021, An image is worth 16x16 words. https://arxiv.org/abs/2010.11929
    Chen et al. 2021, MoCo v3 (section 5, ViT-S). https://arxiv.org/abs/2104.02057
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from vireo.encoders.backbones import Network
from vireo.errors import SettingError

# Width and depth of timm's sizes.
SIZES = {
    (192, 12): "tiny",
    (384, 12): "small",
    (768, 12): "base",
    (1024, 24): "large",
    (1280, 32): "huge",
    (1408, 40): "giant",
    (1536, 40): "giant",
    (1664, 48): "gigantic",
}
_DINOV2_SIZE = 518
_SIZE = re.compile(r"_(\d{2,4})$")
_OPTION = re.compile(r"(heads|size)=([1-9]\d{0,3})|(eps)=(1e-\d{1,2})")


def vit_network(name: str, input_size: tuple[int, int] | None = None) -> Network:
    """Build `vit:NAME,heads=12,size=96,eps=1e-5` with random weights; NAME is timm's.

    Args:
        name: as above. `size` is the image size that the position embedding is for.
        input_size: what the encoder will be used at; positions are resampled for other sizes.

    Raises:
        SettingError: another form, a name that timm does not have, heads that do not divide it.
    """
    from vireo.encoders.timm_networks import timm_network

    base, *options = name.split(",")
    parsed = [_OPTION.fullmatch(option) for option in options]
    if not all(parsed):
        raise SettingError(
            f"'vit:{name}' names no ViT: after timm's name come heads=N, size=N or eps=1e-N, as in"
            " 'vit:vit_small_patch16_224,heads=12'."
        )
    stated = {match[1] or match[3]: match[2] or match[4] for match in parsed if match}
    size = int(stated["size"]) if "size" in stated else None
    network = timm_network(base, (size, size) if size else None)
    inner: Any = network.backbone.network
    if not hasattr(inner, "blocks") or not hasattr(inner, "patch_embed"):
        raise SettingError(f"timm's '{base}' is no ViT; name it as 'timm:{base}'.")
    if "heads" in stated:
        _set_heads(inner.blocks, int(stated["heads"]), name)
    if "eps" in stated:
        for module in inner.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = float(stated["eps"])
    return dataclasses.replace(network, input_size=input_size or network.input_size)


def _set_heads(blocks: Any, heads: int, name: str) -> None:
    for block in blocks:
        width = block.attn.qkv.in_features
        if width % heads:
            raise SettingError(
                f"'vit:{name}': {heads} heads do not divide the width {width}; name a divisor."
            )
        block.attn.num_heads, block.attn.head_dim = heads, width // heads
        block.attn.scale = (width // heads) ** -0.5


@dataclass(frozen=True, kw_only=True)
class ViTNumbers:
    """What a ViT's tensors show.

    Attributes:
        prefix_tokens: tokens before the patches'; positions: tokens that have a position.
        registers: register tokens; distilled: with a distillation token.
        scaled: with layer scale; normed: with a norm before the blocks (CLIP).
    """

    patch: int
    width: int
    depth: int
    prefix_tokens: int
    positions: int
    registers: int
    distilled: bool
    scaled: bool
    normed: bool

    @property
    def side(self) -> int | None:
        """Side of the square image that the positions are for, or None."""
        own = 0 if self.registers and self.scaled else self.prefix_tokens
        side = round(max(self.positions - own, 0) ** 0.5)
        return side * self.patch if side and side * side + own == self.positions else None


def vit_numbers(tensors: Mapping[str, Tensor]) -> ViTNumbers | None:
    """Read a ViT's numbers off tensors under timm's names; None if they are no ViT's."""
    patches, positions = tensors.get("patch_embed.proj.weight"), tensors.get("pos_embed")
    if patches is None or patches.ndim != 4 or positions is None or positions.ndim != 3:
        return None
    registers = tensors.get("reg_token")
    count = registers.shape[1] if registers is not None and registers.ndim == 3 else 0
    tokens = sum(name in tensors for name in ("cls_token", "dist_token"))
    depth = 0
    while f"blocks.{depth}.norm1.weight" in tensors:
        depth += 1
    return ViTNumbers(
        patch=patches.shape[-1],
        width=len(patches),
        depth=depth,
        prefix_tokens=tokens + count,
        positions=positions.shape[1],
        registers=count,
        distilled="dist_token" in tensors,
        scaled="blocks.0.ls1.gamma" in tensors,
        normed="norm_pre.weight" in tensors,
    )


def vit_names(
    numbers: ViTNumbers, options: tuple[str, ...] = (), input_size: tuple[int, int] | None = None
) -> Iterator[str]:
    """Return the architectures that may have these numbers, the likeliest first.

    Args:
        numbers: of the file.
        options: what its layout says of it: "small-heads=12", "eps=1e-5", "quickgelu".
        input_size: what the encoder will be used at. The network is built with the file's
            positions all the same.
    """
    size = SIZES.get((numbers.width, numbers.depth))
    if size is None or numbers.side is None:
        return
    for base in _bases(numbers, size, "quickgelu" in options):
        yield vit_name(base, numbers, options, input_size)


def vit_name(
    base: str,
    numbers: ViTNumbers,
    options: tuple[str, ...] = (),
    input_size: tuple[int, int] | None = None,
) -> str:
    """Return the architecture of timm's `base` with these numbers; arguments as `vit_names`."""
    named = _SIZE.search(base)
    default = int(named[1]) if named else _DINOV2_SIZE if base.endswith("dinov2") else None
    said = []
    if "small-heads=12" in options and SIZES.get((numbers.width, numbers.depth)) == "small":
        said.append("heads=12")
    other = numbers.side != default or (input_size and input_size != (default, default))
    if default and numbers.side and other:
        said.append(f"size={numbers.side}")
    if "eps=1e-5" in options:
        said.append("eps=1e-5")
    return f"vit:{','.join([base, *said])}" if said else f"timm:{base}"


def _bases(numbers: ViTNumbers, size: str, quick: bool) -> list[str]:
    start = f"{size}_patch{numbers.patch}"
    if numbers.distilled:
        return [f"deit_{size}_distilled_patch{numbers.patch}_224"]
    if numbers.normed:
        quickly = [f"vit_{start}_clip_quickgelu_224"]
        return quickly if quick else [f"vit_{start}_clip_224"]
    if numbers.scaled:
        registers = f"_reg{numbers.registers}" if numbers.registers else ""
        return [f"vit_{start}{registers}_dinov2", f"deit3_{start}_224"]
    return [f"vit_{start}_224"]
