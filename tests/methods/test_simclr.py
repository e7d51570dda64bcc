"""SimCLR against Chen et al. 2020 in NumPy: the loss, whole steps, two processes as one."""

import math

import numpy as np
import pytest
import torch
from tests.oracles.networks import Arrays, pixel_encoder, unit
from tests.oracles.optimizers import lars
from tests.oracles.siamese import head, warm_cosine, whole_steps
from tests.tiny import tiny_encoder, view_batch

from vireo.data.views.recipe import ColorJitter
from vireo.errors import SettingError
from vireo.methods.building import build_method
from vireo.methods.simclr import SimCLR, SimCLRSettings, nt_xent

T = 0.3
SETTINGS = SimCLRSettings(image_size=8, temperature=T, dimension=3, hidden_size=5)


def build(settings=SETTINGS, *, pixel=True) -> SimCLR:
    return build_method(
        SimCLR, tiny_encoder(4, pixel=pixel), settings, num_examples=99, num_classes=None, seed=0
    ).train()


def oracle_nt_xent(z: list[np.ndarray], positive: list[int]) -> float:
    """Equation 1 and algorithm 1: every view against all others, one at a time."""
    total = 0.0
    for i in range(len(z)):
        others = sum(math.exp(z[i] @ z[k] / T) for k in range(len(z)) if k != i)
        total -= math.log(math.exp(z[i] @ z[positive[i]] / T) / others)
    return total / len(z)


def oracle_loss(parameters: Arrays, stopped: Arrays, views: np.ndarray) -> float:
    n = views.shape[1]
    images = views.reshape(-1, *views.shape[2:])  # batch norm sees both views together
    z = unit(head(parameters, "projector", pixel_encoder(parameters, images)[0]))
    return oracle_nt_xent(list(z), [(i + n) % (2 * n) for i in range(2 * n)])


def test_two_whole_steps_equal_the_paper_in_numpy():
    """One in the warm-up, one on the cosine; biases and norms by plain SGD, without decay."""
    velocities: Arrays = {}

    def update(step: int, parameters: Arrays, gradients: Arrays) -> None:
        rate = warm_cosine(step, 0.3 * 16)
        lars(parameters, gradients, velocities, rate=rate, decay=1e-6)

    method = build().double()
    whole_steps(method, (10, 30), oracle_loss, update)
    assert not method.projector[-1].bias.any(), "the last batch norm is not shifted"


def test_loss_equals_the_loop_and_the_positives_are_found():
    draw = torch.Generator().manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(10, 4, generator=draw).double(), dim=1)
    loss, logits = nt_xent(z[:5], z[5:], T)
    wanted = oracle_nt_xent(list(z.numpy()), [*range(5, 10), *range(5)])
    assert loss.item() == pytest.approx(wanted, rel=1e-12)
    assert torch.isneginf(logits.diagonal()).all()


def test_order_of_views_and_of_images_changes_nothing():
    draw = torch.Generator().manual_seed(1)
    a, b = torch.nn.functional.normalize(torch.randn(2, 6, 4, generator=draw), dim=2)
    loss = nt_xent(a, b, T)[0]
    torch.testing.assert_close(nt_xent(b, a, T)[0], loss)
    order = torch.randperm(6, generator=draw)
    torch.testing.assert_close(nt_xent(a[order], b[order], T)[0], loss)


def test_collapsed_features_give_no_information_and_perfect_ones_no_loss():
    method, batch = build(pixel=False), view_batch(8)
    batch.groups[0][:] = batch.groups[0][:1, :1]
    assert method(batch).total.item() == pytest.approx(math.log(15), abs=1e-5)
    assert method.no_information == pytest.approx(math.log(15))
    z = torch.eye(8)
    loss, _ = nt_xent(z, z, 0.01)
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    apart = nt_xent(z, z, T)[0].item()
    assert apart == pytest.approx(math.log(1 + 14 * math.exp(-1 / T)), rel=1e-5)


def test_accuracy_counts_the_views_whose_nearest_is_their_own_image():
    method, batch = build(pixel=False), view_batch(8)
    batch.groups[0][1] = batch.groups[0][0]
    losses = method(batch)
    assert losses.terms["accuracy"] == 1.0
    assert losses.terms["positive_similarity"] == pytest.approx(1.0)
    assert method(view_batch(8)).terms["accuracy"] < 0.5


def test_the_projector_is_batch_normed_to_its_end_and_has_the_layers_asked_for():
    for layers in (2, 3):
        projector = build(SimCLRSettings(projector_layers=layers)).projector
        kinds = [type(layer).__name__ for layer in projector]
        assert kinds == ["Linear", "BatchNorm1d", "ReLU"] * (layers - 1) + ["Linear", "BatchNorm1d"]
        assert (projector[0].out_features, projector[-2].out_features) == (4, 128)
        assert [p.requires_grad for p in projector[-1].parameters()] == [True, False]


def test_published_settings():
    optimizer = SimCLR.published_optimizer(4096)
    assert (optimizer.name, optimizer.trust, optimizer.exclude_1d) == ("lars", 0.001, True)
    assert (optimizer.learning_rate, optimizer.weight_decay) == (pytest.approx(4.8), 1e-6)
    assert (optimizer.schedule_unit, optimizer.warmup_epochs) == ("step", 10.0)
    (view,) = build(SimCLRSettings(jitter_strength=0.5)).views.views
    names = [type(operation).__name__ for operation in view.operations]
    assert names == ["Crop", "Flip", "ColorJitter", "Grayscale", "GaussianBlur"]
    assert view.operations[0].scale == (0.08, 1.0)
    wanted = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    assert view.operations[2] == ColorJitter(**wanted, probability=0.8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"jitter_strength": -0.1}, "jitter_strength from 0 to 2.5"),
        ({"jitter_strength": 3.0}, "jitter_strength from 0 to 2.5"),
        ({"projector_layers": 0}, "projector_layers must be at least 1"),
        ({"dimension": 0}, "dimension must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(SettingError, match=message):
        SimCLR.check(SimCLRSettings(**changes), batch_size=8, num_examples=99, num_classes=None)
