"""PIRL and NPID in NumPy: whole steps of every pretext and loss; the bank, Z and the limits."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.oracles import memory_bank as oracle
from tests.oracles.networks import Arrays, linear, numeric_gradient, pixel_encoder, unit
from tests.oracles.optimizers import sgd
from tests.tiny import ArraySource, tiny_encoder, view_batch

from vireo import seeding
from vireo.data.views.loading import load_views
from vireo.devices import Compute
from vireo.errors import SettingError
from vireo.methods import find_method
from vireo.methods.building import build_method, method_settings
from vireo.methods.method import Progress
from vireo.methods.pirl import NPID, PIRL, NPIDSettings, PIRLSettings
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer
from vireo.records import OptimizerSettings

N, IMAGES, K, D, T, M = 4, 10, 5, 3, 0.5, 0.4
SETTINGS = PIRLSettings(
    image_size=8, num_negatives=K, dimension=D, temperature=T, bank_momentum=M, hidden_size=4
)
CPU = Compute(device="cpu", precision="float32", threads=1, reason="test")
PRETEXTS = ("jigsaw", "rotation", "jigsaw-rotation")
LOSSES = ("nce", "nce-paper", "infonce")


def build(kind=PIRL, *, pixel=True, seed=0, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    encoder = tiny_encoder(4, seed=seed, pixel=pixel)
    return build_method(
        kind, encoder, settings, num_examples=IMAGES, num_classes=None, seed=seed
    ).train()


def batch_of(pretext, step=0, *, double=False):
    views = 2 if pretext == "rotation" else 1
    patches = 2 if pretext.startswith("jigsaw") else None
    batch = view_batch(N, ((views, 2),), patches=patches, seed=step)
    index = torch.tensor([7, 2, 9, 0]) - step % 2
    groups = batch.groups if not double else tuple(group.double() for group in batch.groups)
    patches = batch.patches if patches is None or not double else batch.patches.double()
    return dataclasses.replace(batch, groups=groups, patches=patches, index=index % IMAGES)


def at(step, digest="run"):
    return Progress(step=step, num_steps=10, epoch=0, num_epochs=1, digest=digest)


def arrays(method) -> Arrays:
    return {
        name.removeprefix("encoder."): parameter.detach().numpy().copy()
        for name, parameter in method.named_parameters()
    }


def head(parameters: Arrays, name: str, x: np.ndarray) -> np.ndarray:
    """One linear layer, or two with ReLU between: whichever the parameters are of."""
    if f"{name}.weight" in parameters:
        return linear(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])
    hidden = np.maximum(head(parameters, f"{name}.0", x), 0)
    return head(parameters, f"{name}.2", hidden)


def embed_pretext(parameters: Arrays, batch) -> tuple[np.ndarray, Arrays]:
    """g(v_It), and the batch statistics of its pass through the encoder."""
    if batch.patches is None:
        features, statistics = pixel_encoder(parameters, batch.groups[0][1].numpy())
        return unit(head(parameters, "pretext_projector", features)), statistics
    patches = batch.patches.numpy().reshape(-1, *batch.patches.shape[2:])
    features, statistics = pixel_encoder(parameters, patches)
    each = head(parameters, "pretext_projector.0", features)
    rows = np.array([np.concatenate(each[9 * i : 9 * i + 9]) for i in range(N)])
    return unit(head(parameters, "pretext_projector.3", rows)), statistics


def embed_image(parameters: Arrays, batch) -> tuple[np.ndarray, Arrays]:
    features, statistics = pixel_encoder(parameters, batch.groups[0][0].numpy())
    return unit(head(parameters, "projector", features)), statistics


def scores_of(v: np.ndarray, rows: np.ndarray, batch, name: str, step: int) -> np.ndarray:
    seed = seeding.integer("run", f"negatives of {name}", 0, step)
    own = batch.index.tolist()
    drawn = [oracle.negatives(image, IMAGES, K, seed) for image in own]
    return oracle.similarities(v, rows, own, drawn)


def loss_of(kind: str, scores: np.ndarray, Z: float) -> float:
    if kind == "nce":
        return oracle.nce(scores, T, Z, IMAGES)
    return (oracle.nce_of_the_paper if kind == "nce-paper" else oracle.info_nce)(scores, T)


def oracle_loss(parameters: Arrays, state: dict, batch, step: int) -> float:
    """Equation 5 with the bank and Z of `state`."""
    weight, kind, rows = state["weight"], state["loss"], state["rows"]
    v = embed_image(parameters, batch)[0]
    total = (1 - weight) * loss_of(kind, scores_of(v, rows, batch, "image", step), state["Z"])
    if weight:
        v = embed_pretext(parameters, batch)[0]
        scores = scores_of(v, rows, batch, "pretext", step)
        total += weight * loss_of(kind, scores, state["Z"])
    return total


def oracle_step(state: dict, batch, step: int) -> float:
    """One whole step, in place: parameters, momenta, statistics of batch norm, bank and Z."""
    before = {name: value.copy() for name, value in state["parameters"].items()}
    v_I, statistics = embed_image(before, batch)
    passes, first = [statistics], ("image", v_I)
    if state["weight"]:  # the transformed images go first
        v_It, statistics = embed_pretext(before, batch)
        passes, first = [statistics, *passes], ("pretext", v_It)
    if not state["Z"]:
        scores = scores_of(first[1], state["rows"], batch, first[0], step)
        state["Z"] = oracle.partition(scores, T, IMAGES)
    value = oracle_loss(before, state, batch, step)
    gradients = numeric_gradient(lambda now: oracle_loss(now, state, batch, step), before)
    for flat, decay in ((True, 0.0), (False, 1e-2)):
        part = {name: g for name, g in gradients.items() if (g.ndim == 1) == flat}
        sgd(state["parameters"], part, state["velocities"], rate=0.3, decay=decay)
    for statistics in passes:
        for name in ("mean", "var"):
            state[name] = 0.9 * state[name] + 0.1 * statistics[name]
    state["rows"] = oracle.update(state["rows"], batch.index.tolist(), v_I, M)
    return value


@pytest.mark.parametrize(
    ("kind", "pretext", "loss", "head_kind", "weight"),
    [
        (PIRL, "jigsaw", "nce", "linear", 0.5),
        (PIRL, "jigsaw-rotation", "nce-paper", "linear", 0.3),
        (PIRL, "rotation", "infonce", "mlp", 0.5),
        (PIRL, "rotation", "nce", "linear", 1.0),
        (NPID, "rotation", "nce", "linear", 0.0),
    ],
)
def test_two_whole_steps_equal_the_paper_in_numpy(kind, pretext, loss, head_kind, weight):
    method = build(kind, pretext=pretext, loss=loss, head=head_kind, pretext_weight=weight)
    method = method.double()
    optimizer = Optimizer(
        method,
        OptimizerSettings(
            learning_rate=0.3, weight_decay=1e-2, schedule="constant", exclude_1d=True
        ),
    )
    state = {
        "parameters": arrays(method),
        "velocities": {},
        "mean": np.zeros(4),
        "var": np.ones(4),
        "rows": method.bank.rows.numpy().copy(),
        "Z": 0.0,
        "weight": weight,
        "loss": loss,
    }
    for step in range(2):
        batch = batch_of(pretext, step, double=True)
        value = train_step(method, optimizer, batch, at(step), compute=CPU).total.item()
        wanted = oracle_step(state, batch, step)
        assert value == pytest.approx(wanted, rel=1e-9 if step == 0 else 1e-6)
    # Finite differences are good to about 1e-8; the second step's loss saw the first's update.
    for name, array in arrays(method).items():
        np.testing.assert_allclose(
            array, state["parameters"][name], rtol=1e-6, atol=1e-7, err_msg=name
        )
    np.testing.assert_allclose(method.bank.rows, state["rows"], rtol=1e-6, atol=1e-7)
    if loss == "nce":
        assert method.bank.Z.item() == pytest.approx(state["Z"], rel=1e-9)
    bn = method.encoder.backbone.bn
    np.testing.assert_allclose(bn.running_mean, state["mean"], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(bn.running_var, state["var"], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("pretext", PRETEXTS)
def test_lambda_mixes_the_two_losses(pretext):
    method, batch, found = build(pretext=pretext, pretext_weight=1.0), batch_of(pretext), {}
    for weight in (0.25, 1.0, 1e-9):
        method.settings = dataclasses.replace(method.settings, pretext_weight=weight)
        found[weight] = method(batch)
    losses = found[1.0].terms
    torch.testing.assert_close(found[1.0].total, losses["pretext_loss"])
    torch.testing.assert_close(found[1e-9].total, losses["image_loss"])
    mixed = 0.25 * losses["pretext_loss"] + 0.75 * losses["image_loss"]
    torch.testing.assert_close(found[0.25].total, mixed)


def test_with_lambda_zero_nothing_is_transformed_nor_computed_for_it():
    method = build(pretext_weight=0.0)
    assert method.views.jigsaw is None
    assert [view.count for view in method.views.views] == [1]
    assert not [name for name, _ in method.named_parameters() if "pretext" in name]
    passes = []
    method.encoder.register_forward_hook(lambda *_: passes.append(1))
    terms = method(batch_of("none")).terms
    assert len(passes) == 1
    assert not [name for name in terms if "pretext" in name]


def test_npid_is_pirl_with_lambda_zero():
    batch = batch_of("none")
    npid, pirl = (build(kind, pretext_weight=0.0) for kind in (NPID, PIRL))
    assert torch.equal(npid(batch).total, pirl(batch).total)
    defaults = NPIDSettings()
    assert (defaults.pretext_weight, defaults.num_negatives) == (0.0, 4096)
    assert (defaults.augmentation, defaults.crop_scale) == ("npid", (0.2, 1.0))
    assert find_method("npid") is NPID
    assert method_settings(NPID, 32, {"num_negatives": 64}).pretext_weight == 0.0


def test_with_lambda_one_the_images_still_fill_the_bank():
    method = build(pretext_weight=1.0)
    losses = method(batch_of("jigsaw"))
    losses.total.backward()
    assert not method.projector.weight.grad.any()
    assert method.encoder.backbone.conv.weight.grad.any()
    v, index = losses.pending["embeddings"], losses.pending["index"]
    before = method.bank.rows.clone()
    method.after_step(at(0), losses.pending)
    wanted = oracle.update(before.numpy(), index.tolist(), v.numpy(), M)
    np.testing.assert_allclose(method.bank.rows, wanted, rtol=1e-5, atol=1e-6)


def test_patches_are_encoded_one_by_one():
    method = build(pixel=False, head="mlp").eval()
    batch = batch_of("jigsaw")

    def concatenated(patches):
        features = method.encoder(patches.flatten(0, 1)).pooled
        return method.pretext_projector[:3](features).view(N, 9, D)

    whole = concatenated(batch.patches)
    assert method.pretext_projector[:3](torch.zeros(9 * N, 4)).shape == (N, 9 * D)
    alone = torch.stack([concatenated(batch.patches)[:, i] for i in range(9)], dim=1)
    torch.testing.assert_close(whole, alone)
    order = torch.tensor([3, 1, 8, 0, 7, 2, 6, 5, 4])
    torch.testing.assert_close(concatenated(batch.patches[:, order]), whole[:, order])
    changed = batch.patches.clone()
    changed[:, 4] += 1.0
    moved = (concatenated(changed) - whole).abs().amax((0, 2)) > 1e-6
    assert moved.tolist() == [i == 4 for i in range(9)]


def test_the_order_of_patches_matters_to_the_projection_alone():
    method, batch = build(pixel=False, loss="infonce"), batch_of("jigsaw")
    shuffled = dataclasses.replace(batch, patches=batch.patches.flip(1))
    first, second = (method(b).terms for b in (batch, shuffled))
    assert first["pretext_loss"] != second["pretext_loss"]
    torch.testing.assert_close(first["image_loss"], second["image_loss"])


@pytest.mark.parametrize("pretext", PRETEXTS)
def test_only_the_untransformed_image_enters_the_bank(pretext):
    method, batch = build(pretext=pretext), batch_of(pretext)
    other = dataclasses.replace(batch_of(pretext, 2), index=batch.index)
    other.groups[0][0] = batch.groups[0][0]
    first, second = (method(b) for b in (batch, other))
    assert first.total != second.total
    assert torch.equal(first.pending["embeddings"], second.pending["embeddings"])


def test_the_bank_can_begin_with_the_networks_own_embeddings():
    method = build(bank_start="embeddings", pretext="rotation")
    before, batch = method.bank.rows.clone(), batch_of("rotation")
    assert method.needs_first_pass
    assert not build().needs_first_pass
    with torch.no_grad():
        method.first_pass(batch)
    expected = before.numpy()
    expected[batch.index] = embed_image(arrays(method), batch)[0]
    np.testing.assert_allclose(method.bank.rows, expected, rtol=1e-5, atol=1e-6)


def test_the_positive_is_the_images_row_as_it_was_before_the_step():
    """With momentum 1 rows stay; with 0 the row becomes the embedding, whose similarity is 1."""
    batch = batch_of("jigsaw")
    for m, wanted in ((1.0, None), (0.0, 1.0)):
        method = build(bank_momentum=m)
        losses = method(batch)
        before = losses.terms["positive_similarity"]
        assert before < 0.99
        method.after_step(at(0), losses.pending)
        after = method(batch).terms["positive_similarity"].item()
        assert after == pytest.approx(before.item() if wanted is None else wanted, abs=1e-5)


def test_negatives_are_of_the_run_and_the_step_and_of_each_term():
    method, batch = build(loss="infonce", pretext="rotation"), batch_of("rotation")
    batch.groups[0][1] = batch.groups[0][0]
    method.pretext_projector.load_state_dict(method.projector.state_dict())

    def total(step, digest="run"):
        method.before_step(at(step, digest))
        return method(batch)

    first = total(0)
    assert torch.equal(first.total, total(0).total)
    assert first.total != total(1).total
    assert first.total != total(0, "other").total
    # One embedding, one own row: only the negatives differ between the two terms.
    torch.testing.assert_close(
        first.terms["pretext_similarity"], first.terms["positive_similarity"]
    )
    assert first.terms["pretext_loss"] != first.terms["image_loss"]


@pytest.mark.parametrize("pretext", ["jigsaw", "none"])
def test_the_partition_is_of_the_first_batchs_first_term_and_then_kept(pretext):
    weight = 0.0 if pretext == "none" else 0.5
    method = build(pretext_weight=weight).double()
    first = batch_of(pretext, double=True)
    method.before_step(at(0))
    parameters, rows = arrays(method), method.bank.rows.numpy().copy()
    name, embed = ("image", embed_image) if pretext == "none" else ("pretext", embed_pretext)
    scores = scores_of(embed(parameters, first)[0], rows, first, name, 0)
    losses = method(first)
    assert method.bank.Z == 0, "forward changes no state"
    method.after_step(at(0), losses.pending)
    assert method.bank.Z.item() == pytest.approx(oracle.partition(scores, T, IMAGES), rel=1e-9)
    method.before_step(at(1))
    losses = method(batch_of(pretext, 1, double=True))
    method.after_step(at(1), losses.pending)
    assert losses.terms["Z"].item() == pytest.approx(oracle.partition(scores, T, IMAGES), rel=1e-9)


def test_the_bank_and_the_partition_are_saved():
    method, other = build(), build(seed=1)
    method.after_step(at(0), method(batch_of("jigsaw")).pending)
    assert {"bank.rows", "bank.Z"} <= set(method.state_dict())
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.bank.rows, method.bank.rows)
    assert other.bank.Z == method.bank.Z > 0
    assert torch.equal(other(batch_of("jigsaw", 1)).total, method(batch_of("jigsaw", 1)).total)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("pretext_weight", [0.0, 0.5])
def test_a_collapsed_encoder_and_bank_have_the_level_of_no_information(loss, pretext_weight):
    method = build(loss=loss, pretext_weight=pretext_weight)
    same = torch.tensor([1.0, 2.0, -1.0])
    for projector in (method.projector, *method.children()):
        for layer in projector.modules():
            if isinstance(layer, torch.nn.Linear):
                layer.weight.data.zero_()
                layer.bias.data[:] = same
    method.bank.rows[:] = torch.nn.functional.normalize(same, dim=0)
    total = method(batch_of("jigsaw")).total.item()
    assert total == pytest.approx(method.no_information, rel=1e-5)


@pytest.mark.parametrize("engine", ["torch", "opencv"])
@pytest.mark.parametrize("pretext", PRETEXTS)
def test_views_of_real_batches_fit_the_method(engine, pretext):
    method = build(pixel=False, pretext=pretext, image_size=16)
    batch = next(
        load_views(
            ArraySource(count=IMAGES, side=20),
            method.views,
            seed_digest="run",
            epoch=0,
            batch_size=N,
            engine=engine,
            device="cpu",
            workers=0,
        )
    )
    losses = method(batch)
    losses.total.backward()
    assert torch.isfinite(losses.total)
    assert all(parameter.grad is not None for parameter in method.parameters())


def test_published_rates():
    optimizer = PIRL.published_optimizer(1024)
    assert optimizer.learning_rate == pytest.approx(0.12)
    assert optimizer.final_learning_rate == pytest.approx(0.00012)
    assert (optimizer.weight_decay, optimizer.exclude_1d) == (1e-4, True)
    assert (optimizer.schedule, optimizer.schedule_unit) == ("cosine", "epoch")
    optimizer = NPID.published_optimizer(256)
    assert (optimizer.learning_rate, optimizer.exclude_1d) == (0.03, False)
    assert (optimizer.schedule, optimizer.milestones) == ("step", (0.6, 0.8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretext": "jigsw"}, "Unknown pretext 'jigsw'. Did you mean 'jigsaw'"),
        ({"pretext": "none"}, "Unknown pretext 'none'"),
        ({"loss": "info-nce"}, "Did you mean 'infonce'"),
        ({"head": "MLP"}, "Unknown head 'MLP'"),
        ({"augmentation": "none"}, "Unknown augmentation 'none'"),
        ({"num_negatives": 0}, "num_negatives must be at least 1; got 0"),
        ({"patch_size": -1}, "patch_size must be at least 0"),
        ({"pretext_weight": 1.5}, "pretext_weight and bank_momentum must be in"),
        ({"bank_momentum": -0.1}, "pretext_weight and bank_momentum must be in"),
        ({"temperature": 0.0}, "temperature above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(SettingError, match=message):
        PIRL.check(PIRLSettings(**changes), batch_size=16, num_examples=99, num_classes=None)


def test_patch_size_and_pretext_reach_the_views():
    assert build(image_size=32).views.jigsaw.side == 9
    assert build(image_size=32, patch_size=16).views.jigsaw.board.side == 63
    assert build(image_size=32, pretext="rotation").views.jigsaw is None
