"""Image and target after any draw: against loops over pixels, torch's own resizing, and flow."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vireo.data import Source
from vireo.probe.examples import Part
from vireo.probe.frozen import Frozen
from vireo.probe.joint_geometry import (
    Geometry,
    draw,
    geometry_of,
    place_images,
    place_target,
)
from vireo.probe.pixels import Draws, load_pixels
from vireo.records import ProbeSettings

CODED = Geometry(crop=(20, 24), scale=(0.5, 2.0), mirror=0.5, depth=False)
STEP = 4
"""Levels of colour a pixel, so that a colour tells a place to an eighth of a pixel."""


def coded(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """An image whose red and green are its row and column, and the mask row * 1000 + column."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([row * STEP, column * STEP, torch.full_like(row, 255)])
    return image.to(torch.uint8), row * 1000 + column


def batch_of(sizes):
    """Coded images padded to the largest, as the loader pads them."""
    height, width = sizes.max(0)
    images = torch.zeros(len(sizes), 1, 3, height, width, dtype=torch.uint8)
    masks = torch.full((len(sizes), height, width), 255)
    for place, (rows, columns) in enumerate(sizes.tolist()):
        images[place, 0, :, :rows, :columns], masks[place, :rows, :columns] = coded(rows, columns)
    return images, masks, masks != 255


def looked_up(place, length, scaled, mirrored):
    """The exact centre, in the image, of one place of the scaled image."""
    place = scaled - 1 - place if mirrored else place
    return (place + Fraction(1, 2)) * Fraction(length, scaled)


def drawn(geometry=CODED, epoch=0):
    sizes = np.array([[40, 56], [30, 30], [17, 60], [60, 11], [40, 41], [8, 9]])
    placed = draw(geometry, np.arange(6) + 100, sizes, digest="d", epoch=epoch)
    return sizes, placed, batch_of(sizes)


@pytest.mark.parametrize("epoch", range(4))
def test_targets_equal_a_loop_over_pixels(epoch):
    sizes, placed, (_, masks, valid) = drawn(epoch=epoch)
    found, counts = place_target(masks, valid, placed)
    for b, (height, width) in enumerate(sizes.tolist()):
        tall, wide = int(placed.rows.scaled[b]), int(placed.columns.scaled[b])
        mirrored = bool(placed.columns.mirrored[b])
        for i in range(20):
            for j in range(24):
                down, along = placed.rows.start[b] + i, placed.columns.start[b] + j
                inside = down < tall and along < wide
                assert bool(counts[b, i, j]) == inside
                if inside:
                    row = int(looked_up(int(down), height, tall, False))
                    column = int(looked_up(int(along), width, wide, mirrored))
                    assert found[b, i, j] == row * 1000 + column


@pytest.mark.parametrize("epoch", range(4))
def test_images_equal_torchs_own_resizing_mirrored_and_cropped(epoch):
    sizes, placed, (images, _, _) = drawn(epoch=epoch)
    noise = torch.Generator().manual_seed(epoch)
    images = torch.randint(256, images.shape, generator=noise).to(torch.uint8)
    found = place_images(images, placed)
    for b, (height, width) in enumerate(sizes.tolist()):
        to = (int(placed.rows.scaled[b]), int(placed.columns.scaled[b]))
        own = images[b, :, :, :height, :width].double()
        scaled = F.interpolate(own, to, mode="bilinear", align_corners=False, antialias=False)
        scaled = scaled.flip(3) if placed.columns.mirrored[b] else scaled
        top, left = int(placed.rows.start[b]), int(placed.columns.start[b])
        window = scaled[:, :, top : top + 20, left : left + 24]
        expected = torch.zeros(1, 3, 20, 24, dtype=torch.float64)
        expected[:, :, : window.shape[2], : window.shape[3]] = window
        assert (found[b].double() - expected).abs().max() <= 0.51


@pytest.mark.parametrize("epoch", range(8))
def test_an_image_and_its_target_are_of_the_same_place(epoch):
    _, placed, (images, masks, valid) = drawn(epoch=epoch)
    image, (target, counts) = place_images(images, placed), place_target(masks, valid, placed)
    seen = image[:, 0].double() / STEP
    assert counts.any((1, 2)).all()
    for channel, code in ((0, target // 1000), (1, target % 1000)):
        apart = (seen[:, channel] - code).abs()[counts]
        assert apart.max() <= 0.5 + 0.5 / STEP + 1e-9
    assert (image[:, 0, 2] == 255 * counts).all()  # blue tells image from padding


def test_without_scale_pixels_stay_as_they_are_and_smaller_images_are_padded():
    still = dataclasses.replace(CODED, scale=(1.0, 1.0), mirror=0.0)
    sizes, placed, (images, masks, valid) = drawn(still)
    image, (target, counts) = place_images(images, placed), place_target(masks, valid, placed)
    for b, (height, width) in enumerate(sizes.tolist()):
        top, left = placed.rows.start[b], placed.columns.start[b]
        seen = np.s_[top : min(top + 20, height), left : min(left + 24, width)]
        rows, columns = min(20, height), min(24, width)
        assert torch.equal(image[b, 0, :, :rows, :columns], images[b, 0][(slice(None), *seen)])
        assert torch.equal(target[b, :rows, :columns], masks[b][seen])
        assert counts[b].sum() == rows * columns
        assert (image[b].sum((0, 1)) > 0).sum() == rows * columns


def scene(height, width):
    """Two frames and their flow (u, v) = (x / 10 - 3, 4 - y / 5), all ramps of coordinates."""
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64),
        torch.arange(width, dtype=torch.float64),
        indexing="ij",
    )
    blue = torch.full_like(x, 255)
    before = torch.stack([y * STEP, x * STEP, blue])
    after = torch.stack([(y - 4) / 0.8 * STEP, (x + 3) / 1.1 * STEP, blue])
    frames = torch.stack([before, after]).round().clamp(0, 255).to(torch.uint8)
    return frames[None], torch.stack([x / 10 - 3, 4 - y / 5]).float()[None]


@pytest.mark.parametrize(("scale", "mirror"), [(1.0, 1.0), (2.0, 0.0), (0.7, 1.0), (1.6, 0.5)])
def test_flow_still_leads_from_frame_one_to_frame_two(scale, mirror):
    geometry = Geometry(crop=(36, 36), scale=(scale, scale), mirror=mirror, depth=False)
    frames, flow = scene(48, 52)
    for index in range(4):
        size = np.array([[48, 52]])
        placed = draw(geometry, np.array([index]), size, digest="d", epoch=0)
        one, two = place_images(frames, placed)[0].double()
        (u, v), counts = (
            values[0] for values in place_target(flow, torch.ones(1, 1, 48, 52).bool(), placed)
        )
        y, x = torch.meshgrid(torch.arange(36), torch.arange(36), indexing="ij")
        to = torch.stack([(x + u) / 35 * 2 - 1, (y + v) / 35 * 2 - 1], dim=-1).double()
        arrived = F.grid_sample(two[None], to[None], align_corners=True)[0]
        # clamped colours, and places outside, are no ramp
        fair = (counts[0] & (arrived[2] > 254.5)) & ((one > 4) & (one < 200))[:2].all(0)
        fair &= ((arrived > 4) & (arrived < 250))[:2].all(0)
        assert fair.sum() > 100
        # colours are rounded twice, flow is that of the nearest pixel
        assert (arrived - one)[:2].abs().amax(0)[fair].max() < 1.5 + 0.3 * STEP


def test_a_mirror_turns_u_and_scale_stretches_both():
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 10, 20).contiguous()
    valid = torch.ones(1, 1, 10, 20, dtype=torch.bool)
    geometry = Geometry(crop=(5, 10), scale=(0.5, 0.5), mirror=1.0, depth=False)
    placed = draw(geometry, np.array([0]), np.array([[10, 20]]), digest="d", epoch=0)
    found, counts = place_target(flow, valid, placed)
    assert found.flatten(2)[0].unique(dim=1).tolist() == [[-1.5], [-1.0]]
    assert counts.all()


def test_depth_is_divided_by_the_factor_and_other_measures_are_not():
    metres = torch.full((1, 1, 10, 20), 6.0)
    valid = torch.ones_like(metres, dtype=torch.bool)
    for depth, expected in ((True, 3.0), (False, 6.0)):
        geometry = Geometry(crop=(10, 20), scale=(2.0, 2.0), mirror=0.5, depth=depth)
        placed = draw(geometry, np.array([0]), np.array([[10, 20]]), digest="d", epoch=0)
        assert place_target(metres, valid, placed)[0].unique().tolist() == [expected]


def test_draws_are_an_examples_own_and_cover_their_range():
    index = np.arange(400)
    sizes = np.tile(np.array([[40, 56]]), (400, 1))
    placed = draw(CODED, index, sizes, digest="d", epoch=1)
    some = draw(CODED, index[[7, 3]], sizes[:2], digest="d", epoch=1)
    for axis, other in zip(placed[1:], some[1:], strict=True):
        for ours, theirs in zip(axis, other, strict=True):
            np.testing.assert_array_equal(ours[[7, 3]], theirs)
    again = draw(CODED, index, sizes, digest="d", epoch=2)
    assert (again.rows.scaled != placed.rows.scaled).mean() > 0.8
    factor = placed.rows.scaled / 40
    assert factor.min() >= 0.5
    assert factor.max() <= 2.0
    assert np.abs(np.quantile(factor, [0.25, 0.5, 0.75]) - [0.875, 1.25, 1.625]).max() < 0.12
    rest = placed.columns.scaled - 24
    assert (placed.columns.start <= np.maximum(rest, 0)).all()
    share = placed.columns.start[rest > 20] / rest[rest > 20]
    assert share.min() < 0.05
    assert share.max() > 0.95
    assert 0.4 < placed.columns.mirrored.mean() < 0.6
    assert not placed.rows.mirrored.any()


def test_a_task_without_crop_scale_and_mirror_keeps_its_images(depth_task):
    assert geometry_of(depth_task, (16, 16)) is None
    mirrored = dataclasses.replace(depth_task, mirror=0.5)
    assert geometry_of(mirrored, (16, 16)).crop == (16, 16)
    assert geometry_of(mirrored, (16, 16)).depth
    cropped = dataclasses.replace(depth_task, crop=(8, 4), target="height")
    assert geometry_of(cropped, (16, 16)).crop == (8, 4)
    assert not geometry_of(cropped, (16, 16)).depth


class Coded(Source):
    """Coded images of many sizes; the mask says in which ninth of 24 x 24 pixels a pixel is."""

    name, digest, targets, class_names = "coded", "coded", ("mask",), ()

    def __len__(self):
        return 12

    def _size(self, index):
        return 20 + 3 * (index % 5), 60 - 7 * (index % 4)

    def frames(self, index):
        image = coded(*self._size(index))[0].permute(1, 2, 0).numpy()
        return image, image[::-1].copy()

    def target(self, index, name):
        code = coded(*self._size(index))[1].numpy()
        return np.where(code // 1000 % 7 == 3, 255, code % 1000)

    def label(self, index):
        return f"{index}.png"


def test_images_of_many_sizes_keep_their_resolution_up_to_the_crop(encoder, mask_task, compute):
    task = dataclasses.replace(
        mask_task, crop=(30, 26), scale=(0.6, 1.5), mirror=0.5, outputs=60, batch_size=5, frames=2
    )
    frozen = Frozen(
        encoder=encoder,
        task=task,
        settings=ProbeSettings(),
        store=None,
        compute=compute,
        workers=0,
    )
    part = Part(source=Coded(), split="train", rows=np.arange(12))
    order = np.array([3, 11, 0, 5, 2, 7, 8])
    draws = Draws(digest="d", epoch=3, recolour=False)
    found = list(load_pixels(frozen, part, order, draws))
    assert np.concatenate([batch.index for batch in found]).tolist() == order.tolist()
    for batch in found:
        assert batch.images.shape[1:] == (2, 3, 30, 26)
        column = batch.images[:, :, 1].double() / STEP
        apart = (column - batch.target[:, None]).abs()
        assert apart[batch.valid[:, None].expand_as(apart)].max() <= 0.63
        row = batch.images[:, 0, 0].double() / STEP
        void = (row.round() % 7 == 3) & ((row - row.round()).abs() < 0.3)
        assert not (batch.valid & void).any()
    alone = next(load_pixels(frozen, part, order[4:5], draws))
    assert torch.equal(alone.images[0], found[0].images[4])
    assert torch.equal(alone.target[0][alone.valid[0]], found[0].target[4][alone.valid[0]])
    coloured = next(load_pixels(frozen, part, order, dataclasses.replace(draws, recolour=True)))
    assert torch.equal(coloured.target, found[0].target)
    assert not torch.equal(coloured.images, found[0].images)


def test_the_frames_of_an_example_change_colours_alike(encoder, mask_task, compute):
    class Twice(Coded):
        def frames(self, index):
            return super().frames(index)[:1] * 2

    task = dataclasses.replace(mask_task, crop=(16, 16), outputs=60, frames=2)
    frozen = Frozen(
        encoder=encoder,
        task=task,
        settings=ProbeSettings(),
        store=None,
        compute=compute,
        workers=0,
    )
    part = Part(source=Twice(), split="train", rows=np.arange(12))
    draws = Draws(digest="d", epoch=0, recolour=True)
    images = next(load_pixels(frozen, part, np.arange(4), draws)).images
    assert torch.equal(images[:, 0], images[:, 1])
