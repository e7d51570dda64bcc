"""DeepCluster-v2 against its release in NumPy: first pass, clusters, steps of two epochs."""

import math

import numpy as np
import pytest
import torch
from tests.oracles import losses as oracle
from tests.oracles.networks import Arrays, batch_norm, linear, numeric_gradient, pixel_encoder, unit
from tests.oracles.optimizers import larc
from tests.tiny import tiny_encoder, view_batch

from vireo import seeding
from vireo.devices import Compute
from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.deepcluster_v2 import DeepClusterV2, DeepClusterV2Settings
from vireo.methods.k_means import spherical_k_means
from vireo.methods.method import Progress
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer

N, K, D, H, EXAMPLES = 4, 3, 3, 3, 10
SETTINGS = DeepClusterV2Settings(
    image_size=8,
    local_crops=2,
    heads=H,
    prototypes=K,
    dimension=D,
    hidden_size=5,
    k_means_iterations=3,
)
CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")
STEPS, EPOCHS = 6, 3  # two steps an epoch, which leave out two of the ten images
ORDER = {-1: [0, 1, 2, 3, 4, 5, 6, 7], 0: [9, 8, 0, 1, 2, 3, 4, 5], 1: [2, 9, 6, 7, 0, 8, 3, 1]}


def build(settings=SETTINGS) -> DeepClusterV2:
    encoder = tiny_encoder(4, pixel=True)
    return build_method(
        DeepClusterV2, encoder, settings, num_examples=EXAMPLES, num_classes=None, seed=0
    ).train()


def crops(epoch: int, number: int):
    batch = view_batch(N, ((2, 2), (2, 1)), seed=10 * epoch + number + 50)
    index = torch.tensor(ORDER[epoch][N * number : N * number + N])
    return type(batch)(groups=tuple(g.double() for g in batch.groups), index=index)


def now(step: int) -> Progress:
    return Progress(step=step, num_steps=STEPS, epoch=step // 2, num_epochs=EPOCHS, digest="run")


def project(parameters: Arrays, x: np.ndarray) -> np.ndarray:
    x = linear(x, parameters["projector.0.weight"], parameters["projector.0.bias"])
    weight, bias = parameters["projector.1.weight"], parameters["projector.1.bias"]
    x = np.maximum(batch_norm(x, weight, bias, [np.arange(len(x))])[0], 0)
    return unit(linear(x, parameters["projector.3.weight"], parameters["projector.3.bias"]))


def embed(parameters: Arrays, groups: list[np.ndarray]) -> np.ndarray:
    """One pass of the encoder a resolution, one of the projector over all crops: [views, n, d]."""
    x = [pixel_encoder(parameters, g.reshape(-1, *g.shape[2:]))[0] for g in groups]
    return project(parameters, np.concatenate(x)).reshape(-1, N, D)


def k_means(z: np.ndarray, centroids: np.ndarray, iterations: int) -> tuple[np.ndarray, list[int]]:
    """Loops: each row to its nearest centroid, each centroid to the direction of its rows."""
    centroids = centroids.copy()

    def assign() -> list[int]:
        return [max(range(len(centroids)), key=lambda c, row=row: row @ centroids[c]) for row in z]

    for _ in range(iterations):
        nearest = assign()
        for c in range(len(centroids)):
            members = [row for row, own in zip(z, nearest, strict=True) if own == c]
            if members:
                mean = sum(members) / len(members)
                centroids[c] = mean / np.sqrt((mean**2).sum())
    return centroids, assign()


class Oracle:
    """Memory and clusters as dictionaries from image to vector and number."""

    def __init__(self, method: DeepClusterV2) -> None:
        self.parameters = {
            name.removeprefix("encoder."): p.detach().numpy().copy()
            for name, p in method.named_parameters()
        }
        self.velocities: Arrays = {}
        self.memory: list[dict[int, np.ndarray]] = [{}, {}]

    def first_pass(self, batch) -> None:
        for crop, memory in zip(batch.groups[0].numpy(), self.memory, strict=True):
            z = project(self.parameters, pixel_encoder(self.parameters, crop)[0])
            memory.update(zip(batch.index.tolist(), z, strict=True))

    def cluster(self, epoch: int) -> None:
        self.centroids, self.clusters = [], []
        images = sorted(self.memory[0])
        for h in range(H):
            z = np.array([self.memory[h % 2][image] for image in images])
            draw = seeding.generator("run", "k-means", epoch, h).permutation(len(z))
            C, assigned = k_means(z, z[draw[:K]], SETTINGS.k_means_iterations)
            self.centroids.append(C)
            self.clusters.append(dict(zip(images, assigned, strict=True)))
        self.memory = [{}, {}]  # from here on it is of the next epoch

    def loss(self, parameters: Arrays, batch) -> float:
        z, total = embed(parameters, [g.numpy() for g in batch.groups]), 0.0
        for C, clusters in zip(self.centroids, self.clusters, strict=True):
            rows, targets = [], []
            for view in z:
                for image, row in zip(batch.index.tolist(), view, strict=True):
                    if image in clusters:
                        rows.append(C @ row / 0.1)
                        targets.append(np.eye(K)[clusters[image]])
            total += oracle.cross_entropy(np.array(rows), np.array(targets))
        return total / H

    def step(self, batch, step: int) -> float:
        before = dict(self.parameters)
        value = self.loss(before, batch)
        gradients = numeric_gradient(lambda at: self.loss(at, batch), before)
        rate = 0.0006 + (0.6 - 0.0006) * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        larc(self.parameters, gradients, self.velocities, rate=rate, trust=0.001, decay=1e-6)
        z = embed(before, [g.numpy() for g in batch.groups])
        for crop, memory in enumerate(self.memory):
            memory.update(zip(batch.index.tolist(), z[crop], strict=True))
        return value

    def compare(self, method: DeepClusterV2) -> None:
        np.testing.assert_allclose(method.prototypes, self.centroids, rtol=1e-5, atol=1e-7)
        for h, clusters in enumerate(self.clusters):
            wanted = [clusters.get(image, -100) for image in range(EXAMPLES)]
            assert method.clusters[h].tolist() == wanted
        for crop, memory in enumerate(self.memory):
            for image, z in memory.items():
                np.testing.assert_allclose(method.memory[crop, image], z, rtol=1e-5, atol=1e-7)


def test_two_whole_epochs_equal_the_release_in_numpy():
    method = build().double()
    optimizer = Optimizer(method, DeepClusterV2.published_optimizer(256))
    state = Oracle(method)
    for number in range(2):
        batch = crops(-1, number)
        with torch.no_grad():
            method.first_pass(batch)
        state.first_pass(batch)
    for step in range(4):
        batch = crops(*divmod(step, 2))
        loss = train_step(method, optimizer, batch, now(step), compute=CPU).total.item()
        if step % 2 == 0:
            state.cluster(step // 2)
        wanted = state.step(batch, step)
        assert loss == pytest.approx(wanted, rel=1e-9 if step == 0 else 1e-5)
        state.compare(method)
        assert len({tuple(sorted(c.items())) for c in state.clusters}) > 1, "heads differ"
    for name, parameter in method.named_parameters():
        # Batch norm takes this bias out again: its gradient is noise, which LARC scales up.
        if name != "projector.0.bias":
            wanted = state.parameters[name.removeprefix("encoder.")]
            np.testing.assert_allclose(parameter.detach(), wanted, rtol=1e-4, atol=1e-6)


def test_images_that_the_last_epoch_left_out_have_no_cluster():
    method = build().double()
    with torch.no_grad():
        for number in range(2):
            method.first_pass(crops(-1, number))
    method.before_step(now(0))
    assert (method.clusters[:, [8, 9]] == -100).all()
    assert (method.clusters[:, :8] >= 0).all()
    for step in range(2):
        losses = method(crops(0, step))
        method.after_step(now(step), losses.pending)
    method.before_step(now(2))
    assert (method.clusters[:, [6, 7]] == -100).all()
    assert method.seen.tolist() == [0, 0, 0, 0, 0, 0, -1, -1, 0, 0]


def test_heads_take_the_two_crops_in_turn():
    method = build()
    method.seen.zero_()
    method.memory[0] = torch.tensor([1.0, 0.0, 0.0])
    method.memory[1] = torch.tensor([0.0, 1.0, 0.0])
    method.before_step(now(0))
    nearest = [centroids[0].argmax().item() for centroids in method.prototypes]
    assert nearest == [0, 1, 0]


def test_clusters_change_between_epochs_alone_and_are_drawn_anew_in_each():
    method, draw = build(), torch.Generator().manual_seed(0)
    method.seen.zero_()
    method.memory.copy_(torch.nn.functional.normalize(torch.randn(2, 10, D, generator=draw), dim=2))
    found = []
    for step in (0, 1, 2):
        method.before_step(now(step))
        found.append(method.prototypes.clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])
    method.before_step(now(0))
    assert torch.equal(method.prototypes, found[0]), "a repeated step clusters alike"


def test_centroids_are_not_trained():
    method = build()
    assert "prototypes" not in dict(method.named_parameters())
    assert "prototypes" in method.state_dict()


def test_first_pass_keeps_no_gradient_and_fills_both_crops():
    method = build().double()
    method.first_pass(crops(-1, 0))
    assert not method.memory.requires_grad
    assert method.seen.tolist() == [-1] * 4 + [-2] * 6
    lengths = method.memory[:, :4].norm(dim=2)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    assert not torch.equal(method.memory[0], method.memory[1])


def test_k_means_equals_the_loops_and_keeps_empty_centroids():
    rng = np.random.default_rng(0)
    z = unit(np.abs(rng.normal(size=(40, 4))))
    start = np.concatenate([z[:3], np.full((1, 4), -0.5)])  # the last is nearest to nothing
    C, assigned = spherical_k_means(torch.from_numpy(z), torch.from_numpy(start), 10)
    wanted, theirs = k_means(z, start, 10)
    np.testing.assert_allclose(C, wanted, rtol=1e-10)
    assert assigned.tolist() == theirs
    assert C[3].tolist() == [-0.5] * 4


def test_k_means_in_chunks_is_k_means(monkeypatch):
    z = torch.nn.functional.normalize(torch.randn(20, 3), dim=1)
    whole = spherical_k_means(z, z[:4], 5)
    monkeypatch.setattr("vireo.methods.k_means.ROWS", 7)
    parts = spherical_k_means(z, z[:4], 5)
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prototypes": 97}, "at most the 96 images of an epoch's full batches"),
        ({"prototypes": 1}, "prototypes must be at least 2"),
        ({"prototypes": 8, "heads": 0}, "heads and k_means_iterations must be at least 1"),
        ({"prototypes": 8, "temperature": 0.0}, "temperature above 0"),
        ({"prototypes": 8, "local_size": 500}, "local_size below image_size"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    settings = DeepClusterV2Settings(**changes)
    with pytest.raises(SettingError, match=message):
        DeepClusterV2.check(settings, batch_size=16, num_examples=99, num_classes=None)
