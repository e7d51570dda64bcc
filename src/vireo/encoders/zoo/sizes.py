"""What the zoo's architectures weigh, so that a list of them needs no torch.

Tests hold every line to what `measure` finds on the built network.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Parameters of a backbone, and FLOPs of one pass at its usual side in pixels."""

    parameters: int
    flops: int
    side: int = 224


RESNET50 = "resnet50"
RESNET50_W2 = "resnet:3-4-6-3,bottleneck,width=128"
RESNET50_W4 = "resnet:3-4-6-3,bottleneck,width=256"
RESNET50_W5 = "resnet:3-4-6-3,bottleneck,width=320"
RESNET50_SAME = "resnet:3-4-6-3,bottleneck,same"
VIT_S16 = "timm:vit_small_patch16_224"
VIT_B16 = "timm:vit_base_patch16_224"
VIT_L16 = "timm:vit_large_patch16_224"
MOCO_V3_VIT_S16 = "vit:vit_small_patch16_224,heads=12"

SIZES: dict[str, Size] = {
    RESNET50: Size(23_508_032, 8_174_272_512),
    RESNET50_SAME: Size(23_508_032, 8_174_272_512),
    RESNET50_W2: Size(93_907_072, 32_225_034_240),
    RESNET50_W4: Size(375_378_176, 127_956_025_344),
    RESNET50_W5: Size(586_450_240, 199_636_254_720),
    VIT_S16: Size(21_665_664, 9_196_996_608),
    MOCO_V3_VIT_S16: Size(21_665_664, 9_196_996_608),
    "timm:vit_small_patch8_224": Size(21_670_272, 44_810_717_184),
    VIT_B16: Size(85_798_656, 35_126_120_448),
    "timm:vit_base_patch8_224": Size(85_807_872, 156_295_139_328),
    VIT_L16: Size(303_301_632, 123_107_377_152),
    "timm:vit_huge_patch14_224": Size(630_764_800, 334_587_658_240),
    "timm:vit_small_patch14_dinov2": Size(22_056_192, 93_393_478_656, 518),
    "timm:vit_base_patch14_dinov2": Size(86_579_712, 303_147_436_032, 518),
    "timm:vit_large_patch14_dinov2": Size(304_367_616, 1_013_607_653_376, 518),
    "timm:vit_giant_patch14_dinov2": Size(1_136_479_232, 3_566_685_917_184, 518),
    "timm:vit_small_patch14_reg4_dinov2": Size(22_057_344, 93_765_657_600, 518),
    "timm:vit_base_patch14_reg4_dinov2": Size(86_582_016, 304_231_532_544, 518),
    "timm:vit_large_patch14_reg4_dinov2": Size(304_370_688, 1_017_102_557_184, 518),
    "timm:vit_giant_patch14_reg4_dinov2": Size(1_136_483_840, 3_578_443_075_584, 518),
    "timm:resnet50_clip": Size(36_218_720, 12_013_223_936),
    "timm:vit_base_patch32_clip_224": Size(87_456_000, 8_816_836_608),
    "timm:vit_base_patch16_clip_224": Size(85_799_424, 35_126_120_448),
    "timm:vit_large_patch14_clip_224": Size(303_179_776, 162_023_964_672),
    "timm:resnet50": Size(23_508_032, 8_174_272_512),
    "timm:convnext_tiny": Size(27_820_128, 8_909_526_528),
    "timm:deit_small_patch16_224": Size(21_665_664, 9_196_996_608),
    "timm:swin_tiny_patch4_window7_224": Size(27_519_354, 8_979_597_312),
}
