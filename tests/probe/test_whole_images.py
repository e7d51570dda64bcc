"""Images at their own resolution: pieces and windows agree, padding and batches change nothing."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from vireo.data import Source
from vireo.probe import whole_images
from vireo.probe.dense import answer_dense
from vireo.probe.examples import Examples, Part, open_examples
from vireo.probe.frozen import Frozen
from vireo.probe.maps import open_maps
from vireo.probe.pixel_level import answer_pixels
from vireo.records import ProbeSettings
from vireo.store.blocks import FeatureStore
from vireo.tasks.checks import head_of, metric_of
from vireo.tasks.heads import Head, initialised

SIZES = ((20, 27), (20, 27), (9, 40), (33, 12), (24, 24), (24, 24), (24, 24), (16, 16), (5, 7))


class Scenes(Source):
    """Images of many sizes: noise, brighter on the right; the second frame is shifted by (u, v)."""

    targets, class_names = ("mask", "depth", "flow"), ("left", "right")

    def __init__(self, count=9, seed=0):
        self.name, self.digest = "scenes", f"scenes-{count}-{seed}"
        self._count, self._seed = count, seed

    def __len__(self):
        return self._count

    def _drawn(self, index):
        rng = np.random.default_rng((self._seed, index))
        height, width = SIZES[index % len(SIZES)]
        u, v = rng.integers(-2, 3, size=2)
        image = rng.integers(0, 120, size=(height + 4, width + 4, 3))
        image[:, width // 2 :] += 100
        return image.astype(np.uint8), int(u), int(v)

    def frames(self, index):
        image, u, v = self._drawn(index)
        height, width = image.shape[0] - 4, image.shape[1] - 4
        after = image[2 - v : 2 - v + height, 2 - u : 2 - u + width]
        return image[2:-2, 2:-2], after

    def target(self, index, name):
        image, u, v = self._drawn(index)
        code = (np.arange(image.shape[1] - 4) + 2 >= (image.shape[1] - 4) // 2).astype(np.uint8)
        mask = np.tile(code, (image.shape[0] - 4, 1))
        match name:
            case "mask":
                mask[0, ::3] = 255
                return mask
            case "depth":
                return np.where(np.arange(mask.shape[1]) % 5 == 2, np.nan, 2.0 + mask)
            case _:
                flow = np.empty((2, *mask.shape), dtype=np.float32)
                flow[0], flow[1] = u, v
                flow[:, -1] = np.nan
                return flow

    def label(self, index):
        return f"{index}.png"


class Single(Source):
    """The first frames of `Scenes`."""

    targets, class_names = Scenes.targets, Scenes.class_names

    def __init__(self, **options):
        self._scenes = Scenes(**options)
        self.name, self.digest = "single", f"single {self._scenes.digest}"

    def __len__(self):
        return len(self._scenes)

    def frames(self, index):
        return self._scenes.frames(index)[:1]

    def target(self, index, name):
        return self._scenes.target(index, name)

    def label(self, index):
        return self._scenes.label(index)


class Pointwise(Head):
    """A head without context: each pixel of the first map answers for itself."""

    dense, num_frames = True, 1

    def __init__(self, card, outputs, frames=1):
        super().__init__(card, outputs, frames)
        self.layer = nn.Conv2d(card.channels[0], outputs, 1)

    @classmethod
    def taps(cls, card):
        return (0,)

    def forward(self, frames, size):
        return self.layer(frames[0].maps[0])


@pytest.fixture
def make(encoder, compute, tmp_path):
    def frozen(task, network=encoder, device=compute, **settings):
        return Frozen(
            encoder=network.freeze(),
            task=task,
            settings=ProbeSettings(**({"protocol": "paper", "resamples": 10} | settings)),
            store=FeatureStore(tmp_path),
            compute=device,
            workers=0,
        )

    return frozen


def part(source):
    return Part(source=source, split="test", rows=np.arange(len(source)))


@pytest.fixture
def crop_task(mask_task):
    return dataclasses.replace(mask_task, crop=(12, 16), scale=(0.5, 2.0), mirror=0.5, epochs=2)


def test_windows_equal_the_whole_image_for_a_head_without_context(make, crop_task, tiny):
    pixel = tiny.tiny_encoder(pixel=True)
    for crop in ((12, 16), (7, 50), (40, 40)):
        frozen = make(dataclasses.replace(crop_task, crop=crop), pixel)
        heads = [Pointwise(pixel.card, 2), Pointwise(pixel.card, 2)]
        draw = torch.Generator().manual_seed(0)
        images = torch.randint(256, (2, 1, 3, 31, 45), generator=draw).to(torch.uint8)
        with torch.inference_mode():
            whole = whole_images.predict_piece(frozen, heads, images)
            windows = whole_images.predict_windows(frozen, heads, images)
        for one, other in zip(whole, windows, strict=True):
            assert other.shape == (2, 2, 31, 45)
            torch.testing.assert_close(one, other)
        assert not torch.allclose(whole[0], whole[1])


def test_windows_are_averaged_as_a_loop_does(make, crop_task, encoder):
    frozen = make(crop_task)
    head = initialised(head_of(crop_task), encoder.card, 2, 0).eval()
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (1, 1, 3, 20, 33), generator=draw).to(torch.uint8)
    total, times = np.zeros((2, 20, 33)), np.zeros((20, 33))
    with torch.inference_mode():
        found = whole_images.predict_windows(frozen, [head], images)[0][0]
        for top, left in itertools.product((0, 8), (0, 8, 17)):
            window = np.s_[..., top : top + 12, left : left + 16]
            features = encoder(encoder.normalise(images[window][:, 0]), maps=True)
            total[window] += head((features,), (12, 16))[0].double().numpy()
            times[window] += 1
    np.testing.assert_allclose(found.numpy(), total / times, rtol=1e-4, atol=1e-5)


def test_windows_cover_an_axis_evenly_and_overlap_by_a_third():
    for side, length in itertools.product((1, 2, 7, 12, 513), (1, 2, 7, 13, 100, 513, 1024, 2048)):
        if length < side:
            continue
        starts, rest = whole_images.window_starts(length, side), length - side
        assert starts[0] == 0
        assert starts[-1] == length - side
        steps = np.diff(starts)
        if len(steps):
            assert steps.min() >= 1
            assert steps.max() <= -(-2 * side // 3)
            assert steps.max() - steps.min() <= 1
            # and no more than are needed
            assert len(steps) in (1, length - side) or rest / (len(steps) - 1) > 2 * side / 3


def test_an_image_is_whole_where_its_size_allows(make, crop_task, encoder, monkeypatch, tiny):
    card = dataclasses.replace(
        encoder.card, channels=(64, 256, 512, 1024, 2048), strides=(2, 4, 8, 16, 32)
    )
    cityscapes = dataclasses.replace(crop_task, outputs=20)
    assert 2048 * 1024 < whole_images.piece_pixels(card, cityscapes) < 4096 * 2048
    most = whole_images.piece_pixels(encoder.card, crop_task)
    # 3 colours, 4 / 2^2 + 4 x 8 / 4^2 numbers of maps and 2 logits a pixel, four times over
    assert most == (4 << 30) // (16 * 8)
    pairs = dataclasses.replace(crop_task, frames=2)
    assert whole_images.piece_pixels(encoder.card, pairs) == ((4 << 30) // (16 * 14))
    called = []
    for name in ("predict_piece", "predict_windows"):
        monkeypatch.setattr(whole_images, name, lambda *a, name=name: called.append(name) or [])
    images = torch.zeros(1, 1, 3, 20, 33, dtype=torch.uint8)
    whole_images.predict(make(crop_task), [], images)
    whole_images.predict(make(crop_task, tiny.tiny_encoder(pixel=True)), [], images)  # one stride
    monkeypatch.setattr(whole_images, "PIECE_BYTES", 16 * 8 * 20 * 33 - 1)
    whole_images.predict(make(crop_task), [], images)
    assert called == ["predict_piece", "predict_windows", "predict_windows"]


@pytest.mark.parametrize("target", ["mask", "depth"])
def test_every_image_is_answered_as_if_it_were_alone(make, crop_task, depth_task, encoder, target):
    if target == "depth":
        crop_task = dataclasses.replace(depth_task, crop=(12, 16))
    source, metric = Single(), metric_of(crop_task)
    head = initialised(head_of(crop_task), encoder.freeze().card, crop_task.outputs, 0).eval()
    expected = []
    for index in range(len(source)):
        image = torch.from_numpy(source.frames(index)[0].copy()).permute(2, 0, 1)[None]
        truth = torch.from_numpy(np.asarray(source.target(index, target)))
        with torch.inference_mode():
            features = encoder(encoder.normalise(image), maps=True)
            answer = head((features,), image.shape[2:])
        if target == "mask":
            truth, valid, answer = truth.long()[None], (truth != 255)[None], answer.argmax(1)
        else:
            truth, valid = truth.float()[None, None], truth.isfinite()[None, None]
        expected.append(metric.outcomes(answer, truth.nan_to_num(), valid))
    for batch_size in (1, 4, 64):
        frozen = make(dataclasses.replace(crop_task, batch_size=batch_size))
        (found,) = answer_dense(frozen, open_maps(frozen, part(source), "recomputed"), [head])
        np.testing.assert_array_equal(found["index"], np.arange(9))
        for name in expected[0]:
            own = np.concatenate([one[name].numpy() for one in expected])
            np.testing.assert_allclose(found[name], own, rtol=1e-4, atol=1e-4)


def examples(kind):
    fit, test = part(kind(count=24, seed=1)), part(kind())
    return Examples(fit=fit, validation=None, test=test, extra={"again": test})


@pytest.mark.parametrize("name", ["mask_task", "depth_task"])
def test_crops_of_the_whole_image_are_the_images_of_a_task_without_crops(make, request, name):
    """Sixteen pixels square already, so both ask the same question by two ways."""
    task = dataclasses.replace(request.getfixturevalue(name), max_steps=8)
    data = open_examples(task, ProbeSettings(protocol="paper"))
    (one,) = answer_pixels(make(task), data, [0], "t")
    (other,) = answer_pixels(make(dataclasses.replace(task, crop=(16, 16))), data, [0], "t")
    for mine, theirs in ((one.outcomes, other.outcomes), (one.gallery, other.gallery)):
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            np.testing.assert_allclose(theirs[key], value, rtol=1e-3, atol=1e-4)
    assert one.constant.keys() == other.constant.keys()


def test_a_head_learns_from_crops_and_is_tested_on_whole_images(make, crop_task):
    task = dataclasses.replace(crop_task, epochs=10, input_size=(16, 16))
    frozen = make(task, protocol="tuned", learning_rates=(1.0,))
    (answered,) = answer_pixels(frozen, examples(Single), [0], "t")
    metric = metric_of(task)

    def value(outcomes):
        raw = float(metric.value(metric.statistics(outcomes).sum(0)))
        return raw if task.higher_is_better else -raw

    assert value(answered.outcomes) > value(answered.constant)
    assert value(answered.extra["again"]) == value(answered.outcomes)
    assert answered.gallery["image"].shape == (6, 16, 16, 3)
    assert answered.gallery["truth"].shape == answered.gallery["prediction"].shape == (6, 16, 16)
    assert answered.chosen["whole_up_to_pixels"] > 0
    pixels = sum(height * width for height, width in SIZES)
    void = sum(-(-width // 3) for _, width in SIZES)
    assert answered.outcomes["confusion"].sum() == pixels - void


def test_two_frames_give_flow_in_pixels_of_the_whole_image(make, depth_task):
    task = dataclasses.replace(
        depth_task,
        target="flow",
        head="siamese-unet",
        metric="fl",
        outputs=2,
        frames=2,
        crop=(12, 16),
        scale=(0.5, 1.5),
        mirror=0.5,
        input_size=(16, 16),
        higher_is_better=True,
        unit="share",
        epochs=2,
    )
    (answered,) = answer_pixels(make(task), examples(Scenes), [0], "t")
    assert answered.gallery["truth"].shape == (6, 2, 16, 16)
    rows = sum(width for _, width in SIZES)  # the last row is not valid
    constant = metric_of(task).statistics(answered.constant).sum(0)
    assert sum(height * width for height, width in SIZES) - rows in constant.astype(int).tolist()
    truth = np.stack([Scenes(count=24, seed=1).target(i, "flow")[:, 0, 0] for i in range(24)])
    from vireo.probe.pixel_level import constant_pixel

    found = constant_pixel(make(task), part(Scenes(count=24, seed=1)))
    assert len(found) == 2
    for number, own in zip(found, truth.T, strict=True):
        assert own.min() <= number <= own.max()  # not scaled to 16 x 16
