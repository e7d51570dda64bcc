"""The whole probe: rows, protocols, what is read when, what is stored, what is refused."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from vireo.data import Source
from vireo.digest import digest
from vireo.encoders.weights import weights_digest
from vireo.errors import DataError, SettingError
from vireo.probe import probe, row_keys, validate
from vireo.probe.examples import open_examples
from vireo.probe.select import best
from vireo.records import ProbeSettings
from vireo.store import ResultStore, read_table

QUICK = {"learning_rates": (0.3, 1.0, 3.0), "weight_decays": (0.0, 0.01), "resamples": 50}
TUNED = ProbeSettings(protocol="tuned", **QUICK)
PAPER = ProbeSettings(protocol="paper", **QUICK)


@pytest.fixture
def run(encoder, compute, tmp_path):
    def start(task, settings, store="store", workers=0):
        return probe(
            encoder, task, settings, store=tmp_path / store, compute=compute, workers=workers
        )

    return start


@pytest.mark.parametrize("settings", [TUNED, PAPER], ids=["tuned", "paper"])
@pytest.mark.parametrize("name", ["class_task", "mask_task", "depth_task"])
def test_a_probe_learns_and_stores_all_there_is(run, request, tmp_path, encoder, name, settings):
    epochs = 100 if name == "class_task" else 25
    task = dataclasses.replace(request.getfixturevalue(name), epochs=epochs)
    before = weights_digest(encoder)
    encoder.card = dataclasses.replace(encoder.card, recipe="r")
    (row,) = run(task, settings)
    assert weights_digest(encoder) == before
    assert row.recipe == "r"
    assert not any(p.requires_grad for p in encoder.parameters())
    assert row.score > row.floor
    assert row.low <= row.score <= row.high
    assert row.n == 21
    assert row.raw == (row.score if task.higher_is_better else -row.score)
    assert row.metric == task.metric
    assert (row.steps, row.encoder_flops) == (encoder.card.steps, encoder.card.flops)
    store = ResultStore(tmp_path / "store" / "results")
    outcomes, gallery = store.outcomes(row.key), store.gallery(row.key)
    np.testing.assert_array_equal(outcomes["index"], np.arange(21))
    assert gallery["image"].shape == (6, 16, 16, 3)
    assert gallery["image"].dtype == np.uint8
    assert gallery["truth"].shape == gallery["prediction"].shape
    assert read_table(tmp_path / "store" / "results")["score"].tolist() == [row.score]
    json.dumps(dataclasses.asdict(row), allow_nan=False)


def test_the_score_follows_from_the_stored_outcomes(
    run, class_task, mask_task, depth_task, tmp_path
):
    rows = [run(task, PAPER)[0] for task in (class_task, mask_task, depth_task)]
    store = ResultStore(tmp_path / "store" / "results")
    classes, masks, depths = (store.outcomes(row.key) for row in rows)
    assert rows[0].score == classes["correct"].mean()
    assert (classes["correct"] == (classes["predicted"] == classes["truth"])).all()
    total = masks["confusion"].sum(0)
    ious = [total[c, c] / (total[c].sum() + total[:, c].sum() - total[c, c]) for c in (0, 1)]
    assert rows[1].score == pytest.approx(np.mean(ious))
    assert rows[2].raw == pytest.approx(
        (depths["error"] * depths["weight"]).sum() / depths["weight"].sum()
    )


def test_the_floor_is_the_score_of_the_best_constant_answer(run, class_task, mask_task, depth_task):
    def of(part, task):
        return [np.asarray(part.source.target(i, task.target)) for i in range(len(part))]

    data = open_examples(class_task, PAPER)
    truth, fit = of(data.test, class_task), of(data.fit, class_task)
    assert run(class_task, PAPER)[0].floor == np.mean(truth == np.bincount(fit).argmax())
    data = open_examples(mask_task, PAPER)
    pixels = np.concatenate([mask[mask != 255] for mask in of(data.test, mask_task)])
    assert run(mask_task, PAPER)[0].floor == pytest.approx((pixels == 0).mean() / 2)
    data = open_examples(depth_task, PAPER)
    metres = np.concatenate([d[~np.isnan(d)] for d in of(data.test, depth_task)])
    assert run(depth_task, PAPER)[0].floor == pytest.approx(-np.abs(metres - 4.0).mean())
    declared = dataclasses.replace(class_task, floor=0.25)
    assert run(declared, PAPER)[0].floor == 0.25


def test_rows_that_exist_are_read_not_computed(run, class_task, monkeypatch):
    first = run(class_task, PAPER)
    monkeypatch.setattr(
        "vireo.probe.image_level.answer_images", lambda *a: pytest.fail("computed again")
    )
    assert run(class_task, PAPER) == first


def test_a_further_seed_is_computed_alone_and_is_the_same_as_in_company(run, class_task, mask_task):
    for task in (class_task, mask_task):
        both = run(task, dataclasses.replace(TUNED, seeds=(0, 1)), store="both")
        (first,) = run(task, TUNED, store="one")
        grown = run(task, dataclasses.replace(TUNED, seeds=(0, 1)), store="one")
        assert [row.key for row in grown] == [row.key for row in both]
        assert grown[0] == first
        assert [r.score for r in grown] == pytest.approx([r.score for r in both], abs=1e-6)
        assert [r.hyperparameters for r in grown] == [r.hyperparameters for r in both]


def test_the_test_split_is_not_read_before_a_head_is_selected(run, class_task, monkeypatch):
    read = []

    def spy(self, index):
        read.append(self.digest.split("-")[1])
        return real(self, index)

    (blobs,) = [cls for cls in Source.__subclasses__() if cls.__name__ == "Blobs"][-1:]
    real = blobs.frames
    monkeypatch.setattr(blobs, "frames", spy)
    selecting = []

    def select(scores, losses):
        selecting.append(set(read))
        return best(scores, losses)

    monkeypatch.setattr("vireo.probe.select.best", select)
    run(class_task, TUNED)
    assert selecting == [{"train"}]
    assert set(read) == {"train", "test"}


def test_validation_is_a_split_where_there_is_one_and_else_a_share_of_train(
    class_task, spec_with_val, carved
):
    cut = open_examples(class_task, TUNED)
    assert (len(cut.fit), len(cut.validation), len(cut.test)) == (32, 8, 21)
    assert not set(cut.fit.rows) & set(cut.validation.rows)
    own = open_examples(dataclasses.replace(class_task, dataset=spec_with_val), TUNED)
    assert (len(own.fit), len(own.validation)) == (40, 15)
    paper = open_examples(dataclasses.replace(class_task, dataset=spec_with_val), PAPER)
    assert (len(paper.fit), paper.validation) == (40, None)
    three = open_examples(dataclasses.replace(class_task, dataset=carved), TUNED)
    assert (len(three.fit), len(three.validation), len(three.test)) == (22, 6, 12)


def test_keys_tell_what_decides_a_number_and_nothing_else(encoder, class_task):
    def key(task=class_task, settings=TUNED, network=encoder):
        return digest(row_keys(network, task, settings)[0])

    same = [
        key(dataclasses.replace(class_task, summary="other words", similar_pretraining=("x",))),
        key(settings=dataclasses.replace(TUNED, seeds=(0, 5))),
    ]
    assert set(same) == {key()}
    spec = class_task.dataset
    moved = dataclasses.replace(spec, name="elsewhere")
    assert key(dataclasses.replace(class_task, dataset=moved)) == key()
    more = dataclasses.replace(spec, splits={**spec.splits, "test": {"split": "test", "count": 9}})
    different = [
        key(dataclasses.replace(class_task, epochs=21)),
        key(dataclasses.replace(class_task, input_size=(8, 8))),
        key(dataclasses.replace(class_task, dataset=more)),
        key(settings=PAPER),
        key(settings=dataclasses.replace(TUNED, resamples=51)),
        key(settings=dataclasses.replace(TUNED, seeds=(1,))),
    ]
    with torch.no_grad():
        next(encoder.backbone.parameters()).add_(0.1)
    different.append(key())
    assert len(set(different)) == len(different)


def test_further_test_sets_are_scored_by_the_same_head(run, class_task, monkeypatch):
    import vireo.probe.examples as examples

    spec, real = class_task.dataset, examples.open_split
    monkeypatch.setattr(
        examples, "open_split", lambda d, split: real(spec if d == "blobs-v2" else d, split)
    )
    (row,) = run(dataclasses.replace(class_task, extra_tests=("blobs-v2",)), PAPER)
    assert row.metrics["top-1@blobs-v2"] == row.raw  # the same images again


def test_features_that_are_all_the_same_are_said(run, encoder, class_task, capsys):
    run(class_task, TUNED)
    assert "different features" not in capsys.readouterr().err
    for parameter in encoder.parameters():
        parameter.zero_()
    encoder.card = dataclasses.replace(encoder.card, weights=weights_digest(encoder.backbone))
    run(class_task, TUNED)
    said = " ".join(capsys.readouterr().err.split())
    assert "gives only 1 different features for the" in said
    assert "at 16 x 16 pixels. Set a larger input_size" in said


def test_workers_change_nothing(run, depth_task):
    alone = run(depth_task, PAPER, store="alone")[0]
    helped = run(depth_task, PAPER, store="helped", workers=2)[0]
    assert alone.score == helped.score


REFUSED = [
    ({"head": "linaer"}, "Did you mean 'linear'"),
    ({"head": "unet"}, "metric 'top-1' goes with head 'linear' or 'fusion'; got 'unet'"),
    ({"loss": "l1"}, "goes with loss 'cross-entropy'"),
    ({"target": "clas"}, "asks for the target 'clas'.*has: class, mask"),
    ({"outputs": 2}, r"2 classes, 0 to 1, but 'class' of '\d+\.png' in blobs has the label 2"),
    ({"target": "mask"}, r"takes a whole number as target.* shape \[16, 16\]"),
    ({"dataset": "blobz"}, "Unknown dataset 'blobz'"),
    ({"frames": 2}, "frames must be 1 for head 'linear'; got 2"),
    ({"class_weights": (1.0, 2.0)}, r"one a class \(3\); got 2"),
    ({"epochs": 0, "learning_rate": 0.0}, "epochs must.*learning_rate must"),
    ({"higher_is_better": False}, "higher_is_better must be true"),
    ({"learning_rate": math.nan}, "learning_rate must be above 0 and finite"),
    ({"floor": math.inf}, "floor must be finite"),
    ({"class_weights": (1.0, math.nan, 1.0)}, "class_weights must be finite"),
]


@pytest.mark.parametrize(("changes", "said"), REFUSED)
def test_what_cannot_work_is_refused_before_any_work(encoder, class_task, changes, said):
    with pytest.raises((SettingError, DataError), match=said):
        validate(encoder.card, dataclasses.replace(class_task, **changes))


def test_a_depth_of_two_channels_is_refused(encoder, depth_task):
    with pytest.raises(DataError, match="takes 2 maps of floating point numbers as target"):
        validate(encoder.card, dataclasses.replace(depth_task, outputs=2))


def test_examples_of_several_images_are_refused_where_one_is_asked_for(
    encoder, class_task, monkeypatch
):
    (blobs,) = [cls for cls in Source.__subclasses__() if cls.__name__ == "Blobs"][-1:]
    real = blobs.frames
    monkeypatch.setattr(blobs, "frames", lambda self, index: real(self, index) * 2)
    with pytest.raises(SettingError, match="takes 1 image an example, but 'blobs' has 2"):
        validate(encoder.card, class_task)


def test_batch_norm_of_one_image_is_refused_before_any_work(encoder, mask_task, depth_task):
    for head in ("deeplabv3+", "unet"):
        one = dataclasses.replace(mask_task, head=head, batch_size=1)
        if head == "unet":  # it has no batch norm
            validate(encoder.card, one, PAPER)
        else:
            with pytest.raises(SettingError, match="batch_size must be at least 2 for head 'deepl"):
                validate(encoder.card, one, PAPER)
    train = {"split": "train", "count": 1}
    spec = dataclasses.replace(
        mask_task.dataset, splits={**mask_task.dataset.splits, "train": train}
    )
    with pytest.raises(DataError, match="needs at least 2 training images; 'blobs-mask' has 1"):
        validate(encoder.card, dataclasses.replace(mask_task, dataset=spec), PAPER)
    validate(encoder.card, dataclasses.replace(depth_task, dataset=spec), PAPER)


@pytest.mark.parametrize("name", ["mask_task", "depth_task"])
def test_a_dense_head_that_diverges_loses_to_one_that_does_not(run, request, monkeypatch, name):
    """The answers of the first are NaN: a depth has no value then."""
    task = request.getfixturevalue(name)
    monkeypatch.setattr("vireo.probe.dense._TRIED", (1e30, 1.0))
    settings = dataclasses.replace(TUNED, learning_rates=(1.0, 1e30))
    (row,) = run(task, settings)
    assert row.hyperparameters["learning_rate"] == task.learning_rate
    assert np.isfinite(row.score)


def test_counts_have_their_mean_error_as_well(class_task):
    from vireo.probe.outcomes import Answered, scored

    truth, predicted = np.array([0, 2, 2, 1]), np.array([2, 2, 1, 1])
    outcomes = {"truth": truth, "predicted": predicted, "correct": truth == predicted}
    answered = Answered(seed=0, outcomes=outcomes, constant=outcomes, extra={}, gallery={})
    test = open_examples(class_task, PAPER).test
    counts = dataclasses.replace(class_task, target="count")
    assert scored(counts, answered, PAPER, test).metrics["count-error"] == 3 / 4
    assert "count-error" not in scored(class_task, answered, PAPER, test).metrics


def test_an_encoder_without_a_digest_is_refused(encoder, class_task):
    with pytest.raises(SettingError, match="no digest of its weights"):
        validate(dataclasses.replace(encoder.card, weights=""), class_task)


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": ()},
        {"seeds": (1, 1)},
        {"learning_rates": (0.0,)},
        {"learning_rates": (math.inf,)},
        {"weight_decays": (math.nan,)},
        {"level": 1.0},
    ],
)
def test_settings_that_cannot_work_are_refused(run, class_task, changes):
    with pytest.raises(SettingError, match="Probe"):
        run(class_task, dataclasses.replace(TUNED, **changes))


def test_a_split_in_which_nothing_is_valid_is_said(run, mask_task):
    spec = mask_task.dataset
    void = dataclasses.replace(
        spec, splits={**spec.splits, "test": {"split": "test", "count": 5, "void": 2.0}}
    )
    with pytest.raises(DataError, match="No pixel of the test split of 'blobs-mask' is valid"):
        run(dataclasses.replace(mask_task, dataset=void), PAPER)


def test_equal_scores_are_told_apart_by_loss_and_divergence_loses():
    assert best([0.5, 0.5], [2.0, 1.0]) == 1
    assert best([0.5, 0.5], [1.0, 1.0]) == 0
    assert best([float("nan"), 0.1], [0.0, 9.0]) == 1
    assert best([0.4, 0.5], [0.0, float("nan")]) == 1
