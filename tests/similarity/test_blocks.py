"""Which blocks networks have, and that what is read of them is what they give."""

import pytest
import torch
from tests.tiny import tiny_encoder

from vireo.encoders import build
from vireo.encoders.encoder import Encoder
from vireo.encoders.inference import on_meta
from vireo.errors import SettingError
from vireo.similarity.blocks import find_blocks, run_blocks


def unweighted(architecture):
    return Encoder(tiny_encoder().card, on_meta(architecture).backbone)


def read(encoder, images, blocks, pooled=False):
    found = {}
    with torch.inference_mode():
        run_blocks(
            encoder.backbone,
            images,
            blocks,
            lambda block, x: found.update({block.name: x.clone()}),
            pooled=pooled,
        )
    return found


@pytest.mark.parametrize(
    ("architecture", "count", "first", "last"),
    [
        ("resnet20", 9, "layer1.0", "layer3.2"),
        ("resnet50", 16, "layer1.0", "layer4.2"),
        ("mobilenet_v2", 17, "features.1", "features.17"),
        ("torchvision:vit_b_32", 12, "encoder_layer_0", "encoder_layer_11"),
        ("torchvision:swin_t", 12, "features.1.0", "features.7.1"),
        ("torchvision:squeezenet1_1", 8, "features.3", "features.12"),
        ("torchvision:alexnet", 4, "map1", "map5"),
    ],
)
def test_the_blocks_of_known_networks(architecture, count, first, last):
    blocks = find_blocks(unweighted(architecture), 224, pooled=False)
    assert len(blocks) == count
    assert blocks[0].name.endswith(first)
    assert blocks[-1].name.endswith(last)


def test_widths_are_those_of_the_study():
    """ResNet-50 at 112 pixels: 256 x 28 x 28 to 2048 x 4 x 4, 1.4 million numbers an image."""
    encoder = unweighted("resnet50")
    flat = [block.width for block in find_blocks(encoder, 112, pooled=False)]
    assert (flat[0], flat[-1]) == (256 * 28 * 28, 2048 * 4 * 4)
    assert sum(flat) == 1_402_880
    assert [block.width for block in find_blocks(encoder, 112, pooled=True)][-1] == 2048


def test_channels_may_come_last():
    blocks = find_blocks(unweighted("torchvision:swin_t"), 224, pooled=True)
    assert (blocks[0].width, blocks[-1].width) == (96, 768)


def test_outputs_are_those_of_the_layers():
    encoder, images = build("resnet20").freeze(), torch.rand(3, 3, 16, 16)
    found = read(encoder, images, find_blocks(encoder, 16, pooled=False))
    net = encoder.backbone.network
    x = net.bn1(net.conv1(images)).relu()
    for stage in (1, 2, 3):
        for number, block in enumerate(getattr(net, f"layer{stage}")):
            x = block(x)
            torch.testing.assert_close(found[f"layer{stage}.{number}"], x.flatten(1))
    pooled = read(encoder, images, find_blocks(encoder, 16, pooled=True), pooled=True)
    torch.testing.assert_close(pooled["layer3.2"], x.mean((2, 3)))


def test_a_network_without_blocks_gives_its_maps():
    encoder, images = tiny_encoder().freeze(), torch.rand(3, 3, 8, 8)
    blocks = find_blocks(encoder, 8, pooled=False)
    assert [block.name for block in blocks] == ["map1", "map2"]
    maps = encoder.backbone(images, True).maps
    found = read(encoder, images, blocks[1:])
    torch.testing.assert_close(found, {"map2": maps[1].flatten(1)})


def test_nothing_behind_the_last_block_runs():
    encoder, images = build("resnet20").freeze(), torch.rand(2, 3, 16, 16)
    ran = []
    blocks = find_blocks(encoder, 16, pooled=False)
    encoder.backbone.network.layer2[1].register_forward_hook(lambda *_: ran.append(True))
    shallow = read(encoder, images, blocks[:4])
    assert list(shallow) == [block.name for block in blocks[:4]]
    assert not ran
    deep = read(encoder, images, blocks)
    assert ran
    torch.testing.assert_close(shallow["layer2.0"], deep["layer2.0"])


def test_products_of_what_is_taken_are_not_rounded_by_autocast():
    encoder, kinds = tiny_encoder().freeze(), []
    blocks = find_blocks(encoder, 8, pooled=False)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        run_blocks(
            encoder.backbone,
            torch.rand(2, 3, 8, 8),
            blocks,
            lambda _, x: kinds.append((x @ x.T).dtype),
            pooled=False,
        )
    assert kinds == [torch.float32] * len(blocks)


def test_a_size_that_a_network_does_not_take_is_refused():
    with pytest.raises(SettingError, match="'tiny' cannot be compared at side 112"):
        find_blocks(unweighted("torchvision:vit_b_32"), 112, pooled=False)


@pytest.mark.slow
def test_the_blocks_of_a_network_of_timm():
    blocks = find_blocks(unweighted("timm:vit_tiny_patch16_224"), 112, pooled=False)
    assert [block.name for block in blocks] == [f"blocks.{number}" for number in range(12)]
    assert blocks[0].width == (7 * 7 + 1) * 192
