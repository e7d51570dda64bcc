"""The protocols: what each answers, against scikit-learn and loops; what it stores and refuses."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import t
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from vireo.encoders.encoder import Encoder
from vireo.errors import DataError, SettingError, TrainingError
from vireo.features import encode
from vireo.probe import few_shot, probe, row_keys, validate
from vireo.probe.examples import open_examples
from vireo.probe.outcomes import Answered, scored
from vireo.probe.protocols import PROTOCOLS, protocol_digest
from vireo.records import HeadOptimizer, ProbeSettings
from vireo.store import ResultStore

KNN = ProbeSettings(protocol="knn", neighbours=5, temperature=0.2, resamples=50)
FEW = ProbeSettings(
    protocol="few-shot", shots=3, draws=4, learning_rates=(0.3, 3.0), weight_decays=(0.0,)
)
SETS = tuple(
    HeadOptimizer(optimizer=name, learning_rate=rate)
    for name, rate in (("adam", 1e-3), ("adam", 3e-2), ("sgd", 1e-1), ("adam", 1e-5))
)
REFERENCE = ProbeSettings(protocol="reference", sets=SETS, resamples=50, seeds=(0, 1))
TUNED = ProbeSettings(learning_rates=(0.3, 1.0), weight_decays=(0.0, 0.01), resamples=50)
PAPER = ProbeSettings(protocol="paper", resamples=50)


@pytest.fixture
def run(encoder, compute, tmp_path):
    def start(task, settings, store="store"):
        return probe(encoder, task, settings, store=tmp_path / store, compute=compute)

    return start


@pytest.fixture
def stored(tmp_path):
    return ResultStore(tmp_path / "store" / "results")


def unit_features(encoder, compute, part):
    """Unit features of the frames joined, by NumPy."""
    block = encode(
        encoder.freeze(), part.source, size=(16, 16), store=None, split=part.split, compute=compute
    )["pooled"].astype(np.float64)[part.rows]
    unit = block / np.linalg.norm(block, axis=2, keepdims=True)
    return unit.reshape(len(unit), -1)


def votes(distances):
    """exp(s / T) of Euclidean distances on the unit sphere: s = 1 - d^2 / 2."""
    return np.exp((1 - distances**2 / 2) / KNN.temperature)


@pytest.mark.parametrize("name", ["class_task", "pair_task", "place_task"])
def test_neighbours_answer_as_those_of_scikit_learn(run, request, encoder, compute, stored, name):
    task = request.getfixturevalue(name)
    (row,) = run(task, KNN)
    data = open_examples(task, KNN)
    assert (len(data.fit), data.validation) == (40, None)
    kind = KNeighborsRegressor if name == "place_task" else KNeighborsClassifier
    oracle = kind(n_neighbors=5, weights=votes, algorithm="brute")
    truth = np.array([data.fit.source.target(i, task.target) for i in range(40)])
    known = np.isfinite(truth.reshape(40, -1)).all(1)
    train, test = (unit_features(encoder, compute, part) for part in (data.fit, data.test))
    # of joined frames, the cosine is the mean of the frames'
    train, test = train / task.frames**0.5, test / task.frames**0.5
    expected = oracle.fit(train[known], truth[known]).predict(test)
    found = stored.outcomes(row.key)
    np.testing.assert_allclose(found["predicted"], expected, rtol=1e-4)
    assert (row.protocol, row.n) == ("knn", 21)
    assert row.hyperparameters["neighbours"] == 5
    assert row.hyperparameters["temperature"] == 0.2
    assert not {"epochs", "optimizer", "learning_rate", "batch_size"} & {*row.hyperparameters}


def test_k_is_cut_to_the_examples_there_are_and_the_row_says_so(run, class_task):
    (row,) = run(class_task, dataclasses.replace(KNN, neighbours=1000))
    assert row.hyperparameters["neighbours"] == 40


@pytest.mark.parametrize("settings", [PAPER, TUNED], ids=["paper", "tuned"])
@pytest.mark.parametrize("name", ["pair_task", "place_task"])
def test_heads_of_several_images_and_of_numbers_learn(run, request, stored, name, settings):
    task = dataclasses.replace(request.getfixturevalue(name), epochs=60)
    (row,) = run(task, settings)
    if (name, settings.protocol) != ("place_task", "paper"):  # too slow a rate for pixels
        assert row.score > row.floor
    outcomes, gallery = stored.outcomes(row.key), stored.gallery(row.key)
    frames, outputs = task.frames, () if name == "pair_task" else (2,)
    assert gallery["image"].shape == (6, 16, 16 * frames, 3)
    assert outcomes["predicted"].shape == (21, *outputs)
    if name == "pair_task":
        assert row.score == outcomes["correct"].mean()
        source = open_examples(task, PAPER).test.source
        np.testing.assert_array_equal(gallery["image"][0][:, :16], source.frames(0)[0])
        np.testing.assert_array_equal(gallery["image"][0][:, 16:], source.frames(0)[1])
        return
    data = open_examples(task, PAPER)
    truth = np.stack([data.test.source.target(i, "place") for i in range(21)])
    error = np.abs(outcomes["predicted"] - truth)[np.isfinite(truth).all(1)]
    assert len(error) == 18  # three of 21 are missing
    assert row.raw == pytest.approx(error.mean(), rel=1e-5)
    fit = np.stack([data.fit.source.target(i, "place") for i in range(40)])
    median = np.median(fit[np.isfinite(fit).all(1)], axis=0)
    floor = np.abs(median - truth)[np.isfinite(truth).all(1)].mean()
    assert row.floor == pytest.approx(-floor)


def test_targets_that_are_all_missing_are_said(run, place_task, monkeypatch):
    blobs = type(open_examples(place_task, PAPER).fit.source)
    monkeypatch.setattr(blobs, "target", lambda *a: np.full(2, np.nan, dtype=np.float32))
    with pytest.raises(DataError, match="No example of 'train' in 'blobs' has a 'place'"):
        run(place_task, PAPER)


# few-shot


def test_shots_are_drawn_from_every_class_without_repetition():
    labels = np.repeat([4, 1, 7], [9, 5, 3])
    rows = few_shot.draw_shots(labels, 3, np.random.default_rng(0))
    assert [set(labels[each]) for each in rows] == [{1}, {4}, {7}]
    assert all(len(set(each)) == 3 for each in rows)
    counts = np.zeros(17)
    for seed in range(600):
        counts[few_shot.draw_shots(labels, 3, np.random.default_rng(seed))] += 1
    np.testing.assert_allclose(counts / 600, np.repeat([3 / 9, 3 / 5, 1], [9, 5, 3]), atol=0.07)


@pytest.mark.parametrize("name", ["class_task", "pair_task"])
def test_the_score_is_the_mean_over_draws_with_students_interval(run, request, stored, name):
    task = dataclasses.replace(request.getfixturevalue(name), epochs=10)
    (row,) = run(task, FEW)
    found = stored.outcomes(row.key)
    assert len(found["correct"]) == 4 * 21
    np.testing.assert_array_equal(found["index"], np.tile(np.arange(21), 4))
    each = [found["correct"][found["draw"] == draw].mean() for draw in range(4)]
    assert len(set(each)) > 1
    assert row.score == pytest.approx(np.mean(each))
    low, high = t.interval(0.95, 3, np.mean(each), np.std(each, ddof=1) / 2)
    assert (row.low, row.high) == pytest.approx((low, high))
    assert row.n == 21
    facts = row.hyperparameters
    assert (facts["shots"], facts["draws"], facts["folds"]) == (3, 4, 3)
    assert facts["train_images"] == 9
    assert len(facts["learning_rates"].split()) == 4
    assert facts["steps"] == 10 * 2  # 9 images in batches of 8


def test_few_shot_reads_no_test_image_and_no_other_training_label_to_choose(
    run, class_task, monkeypatch
):
    """Heads are judged on held-out shots alone: three of each draw's nine, in three folds."""
    judged, selecting, read = [], [], []
    real_judge, real_best = few_shot.OneHead.judge, few_shot.best
    blobs = type(open_examples(class_task, PAPER).fit.source)
    frames = blobs.frames
    monkeypatch.setattr(
        blobs, "frames", lambda s, i: (read.append(s.digest.split("-")[1]), frames(s, i))[1]
    )
    monkeypatch.setattr(
        few_shot.OneHead,
        "judge",
        lambda self, x, y: (judged.append(sorted(y.tolist())), real_judge(self, x, y))[1],
    )

    def best(scores, losses):
        selecting.append(set(read))
        return real_best(scores, losses)

    monkeypatch.setattr(few_shot, "best", best)
    run(dataclasses.replace(class_task, epochs=2), FEW)
    assert judged == [[0, 1, 2]] * (3 * 4 * 2)  # folds, draws, configurations
    assert selecting == [{"train"}] * 4


def test_draws_are_the_same_for_every_encoder_and_differ_between_seeds(
    run, tiny, compute, class_task, tmp_path, monkeypatch
):
    drawn = []
    real = few_shot.draw_shots
    monkeypatch.setattr(few_shot, "draw_shots", lambda *a: _note(drawn, real(*a)))
    task = dataclasses.replace(class_task, epochs=1)
    run(task, dataclasses.replace(FEW, seeds=(0, 1)))
    other = tiny.tiny_encoder(features=6, seed=4, input_size=(16, 16))
    probe(other, task, FEW, store=tmp_path / "other", compute=compute)
    assert drawn[:4] == drawn[8:]
    assert drawn[:4] != drawn[4:8]
    assert len({str(each) for each in drawn[:4]}) == 4


def _note(drawn, rows):
    drawn.append(rows.tolist())
    return rows


def test_a_seed_of_few_shot_is_the_same_alone_and_in_company(run, class_task):
    task = dataclasses.replace(class_task, epochs=3)
    both = run(task, dataclasses.replace(FEW, seeds=(0, 1)), store="both")
    alone = run(task, dataclasses.replace(FEW, seeds=(1,)), store="alone")
    assert alone[0].score == both[1].score
    assert alone[0].key == both[1].key


def test_one_shot_takes_the_one_configuration_there_is(run, class_task):
    one = dataclasses.replace(FEW, shots=1, learning_rates=(1.0,))
    (row,) = run(dataclasses.replace(class_task, epochs=2), one)
    assert row.hyperparameters["folds"] == 0
    assert row.hyperparameters["train_images"] == 3


# reference


def test_the_reference_encoder_chooses_by_validation_and_others_follow(run, class_task):
    own = run(class_task, REFERENCE)
    assert [row.key.seed for row in own] == [0, 1]
    for row in own:
        facts = row.hyperparameters
        assert facts["set"] == facts["own_set"]
        assert facts["schedule"] == "constant"
        assert facts["train_images"] == 32
    told = dataclasses.replace(REFERENCE, chosen=SETS[3], reference="swav")
    for row, before in zip(run(class_task, told), own, strict=True):
        facts = row.hyperparameters
        assert (facts["set"], facts["reference"]) == ("adam 1e-05", "swav")
        assert facts["learning_rate"] == 1e-5
        assert facts["own_set"] == before.hyperparameters["own_set"] != facts["set"]
        assert facts["validation_score"] <= facts["own_validation_score"]
        assert facts["own_validation_score"] == before.hyperparameters["validation_score"]
        assert row.key.protocol != before.key.protocol
    again = dataclasses.replace(REFERENCE, chosen=SETS[3], reference="another name")
    assert [r.key for r in run(class_task, again)] == [r.key for r in run(class_task, told)]


# what all share


def test_a_protocols_digest_covers_what_it_uses_and_nothing_else():
    changes = {
        "learning_rates": (7.0,),
        "weight_decays": (0.7,),
        "validation": 0.7,
        "sets": SETS[:2],
        "chosen": SETS[0],
        "neighbours": 7,
        "temperature": 0.7,
        "shots": 7,
        "draws": 7,
        "encoder_rate": 0.7,
        "resamples": 7,
        "level": 0.7,
        "seeds": (7,),
        "reference": "seven",
    }
    fields = {field.name for field in dataclasses.fields(ProbeSettings)}
    assert fields - {"protocol", "scoring"} == set(changes)
    for name, protocol in PROTOCOLS.items():
        base = ProbeSettings(protocol=name)
        moved = {
            field
            for field, value in changes.items()
            if protocol_digest(dataclasses.replace(base, **{field: value})) != protocol_digest(base)
        }
        assert moved == set(protocol.uses)
    assert len({protocol_digest(ProbeSettings(protocol=name)) for name in PROTOCOLS}) == 6


REFUSED = [
    (
        "mask_task",
        {"protocol": "knn"},
        "'knn' is not for dense tasks as 'blobs-mask': an image has",
    ),
    ("depth_task", {"protocol": "few-shot"}, "'few-shot' is not for dense tasks"),
    ("place_task", {"protocol": "few-shot"}, "every class, and 'mae' has no classes"),
    ("class_task", {"protocol": "knn", "seeds": (0, 1)}, "every seed gives the same row"),
    ("class_task", {"protocol": "knn", "neighbours": 0}, "neighbours must be at least 1; got 0"),
    ("class_task", {"protocol": "knn", "temperature": 0.0}, "temperature must be above 0"),
    ("class_task", {"protocol": "few-shot", "shots": 0}, "shots must be at least 1"),
    ("class_task", {"protocol": "few-shot", "draws": 1}, "draws must be at least 2"),
    (
        "class_task",
        {"protocol": "few-shot", "shots": 1},
        "18 configurations; ask for two shots, or give one of",
    ),
    ("class_task", {"protocol": "few-shot", "shots": 30}, r"class \d of 'blobs-class' has \d+ in"),
    ("class_task", {"protocol": "reference", "sets": ()}, "sets must have learning rates above 0"),
    ("class_task", {"protocol": "reference", "sets": SETS[:1] * 2}, "sets must differ"),
    ("class_task", {"protocol": "reference", "chosen": SETS[1]}, "chosen must be one of sets"),
    ("class_task", {"validation": 1.0}, "validation must be between 0 and 1"),
]


@pytest.mark.parametrize(("name", "changes", "said"), REFUSED)
def test_settings_that_do_not_go_with_a_task_are_refused_before_any_work(
    encoder, request, monkeypatch, name, changes, said
):
    monkeypatch.setattr(Encoder, "forward", lambda *a: pytest.fail("worked"))
    settings = dataclasses.replace(ProbeSettings(), **changes)
    with pytest.raises((SettingError, DataError), match=said):
        validate(encoder.card, request.getfixturevalue(name), settings)


def test_a_probe_reads_rows_that_are_there(run, encoder, class_task, monkeypatch):
    task = dataclasses.replace(class_task, epochs=2)
    for settings in (KNN, FEW, REFERENCE):
        rows = run(task, settings)
        assert [row.key for row in rows] == row_keys(encoder, task, settings)
        with monkeypatch.context() as patch:
            patch.setattr(Encoder, "freeze", lambda *a: pytest.fail("computed again"))
            assert run(task, settings) == rows


def test_a_dense_task_follows_the_reference_too(run, mask_task):
    settings = dataclasses.replace(REFERENCE, seeds=(0,))
    (own,) = run(mask_task, settings)
    assert own.hyperparameters["set"] == own.hyperparameters["own_set"]
    (told,) = run(mask_task, dataclasses.replace(settings, chosen=SETS[2]))
    assert (told.hyperparameters["set"], told.hyperparameters["optimizer"]) == ("sgd 0.1", "sgd")
    assert told.hyperparameters["own_set"] == own.hyperparameters["set"]


def test_a_choice_that_diverges_is_an_error_and_a_set_that_diverges_loses(run, class_task):
    broken = HeadOptimizer(optimizer="sgd", learning_rate=3e38)
    settings = dataclasses.replace(REFERENCE, seeds=(0,), sets=(broken, SETS[1]))
    (row,) = run(class_task, settings)
    assert row.hyperparameters["set"] == "adam 0.03"
    with pytest.raises(TrainingError, match="diverged at the rate 3e\\+38"):
        run(class_task, dataclasses.replace(settings, chosen=broken))


def test_released_scoring_is_another_row(run, class_task):
    (standard,) = run(class_task, PAPER)
    (released,) = run(class_task, dataclasses.replace(PAPER, scoring="released"))
    assert (standard.key.scoring, released.key.scoring) == ("standard", "released")
    assert standard.key.protocol == released.key.protocol


def test_released_scoring_drops_the_last_partial_batch_of_every_draw(class_task):
    """Ten tests in batches of four: eight count in each of three draws, whatever is asked."""
    rng = np.random.default_rng(0)
    task = dataclasses.replace(class_task, metric="count", target="count", batch_size=4)
    truth, predicted = np.tile(rng.integers(3, size=10), 3), rng.integers(3, size=30)
    right, index = predicted == truth, np.tile(np.arange(10), 3)
    found = {"index": index, "predicted": predicted, "truth": truth, "correct": right}
    one = {name: array[:10] for name, array in found.items()}
    answered = Answered(
        seed=0, outcomes=found, constant=one, extra={"more": found}, gallery={}, draws=3
    )
    settings = dataclasses.replace(FEW, scoring="released")
    numbers = scored(task, answered, settings, open_examples(class_task, FEW).test)
    whole = index < 8
    assert numbers.score == pytest.approx(right[whole].mean())
    assert numbers.metrics["count@more"] == pytest.approx(right[whole].mean())
    error = np.abs(predicted - truth)[whole].mean()
    assert numbers.metrics["count-error"] == pytest.approx(error)
