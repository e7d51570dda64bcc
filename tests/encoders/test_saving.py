"""An encoder written and read back, and folders whose halves do not belong together."""

import dataclasses
import json
import sys

import pytest
import torch
from torch import nn

from vireo.encoders import Encoder, build, open_encoder, save_encoder
from vireo.encoders.saving import CARD, WEIGHTS, read_card
from vireo.errors import CheckpointError, SettingError
from vireo.records import EncoderSpec


@pytest.fixture
def saved(tmp_path):
    encoder = build("resnet20", seed=5)
    encoder.card = dataclasses.replace(encoder.card, name="mine", method="moco-v2", epochs=2.5)
    save_encoder(encoder, tmp_path / "run")
    return encoder, tmp_path / "run"


def change_card(folder, **changes):
    content = json.loads((folder / CARD).read_text())
    content["card"] |= changes
    (folder / CARD).write_text(json.dumps(content))


def test_what_is_read_is_what_was_written(saved):
    encoder, folder = saved
    again = open_encoder(f"run:{folder}")
    assert again.card == dataclasses.replace(encoder.card, source=f"run:{folder}")
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(again.eval()(images).pooled, encoder.eval()(images).pooled)
    assert again.classifier is None


def test_a_classifier_is_kept(tmp_path):
    encoder = build("resnet20")
    classifier = nn.Linear(64, 3)
    save_encoder(Encoder(encoder.card, encoder.backbone, classifier), tmp_path)
    again = open_encoder(f"run:{tmp_path}")
    torch.testing.assert_close(again.classifier.weight, classifier.weight)


def test_the_card_is_of_the_weights_as_they_are_when_saved(saved):
    encoder, folder = saved
    with torch.no_grad():
        encoder.backbone.network.conv1.weight.add_(1.0)
    card = save_encoder(encoder, folder)
    assert card.weights != encoder.card.weights
    assert open_encoder(f"run:{folder}").card.weights == card.weights


def test_a_card_of_before_recipes_were_stated_has_none(saved):
    _, folder = saved
    change_card(folder, recipe="0123456789abcdef")
    assert read_card(folder).recipe == "0123456789abcdef"
    content = json.loads((folder / CARD).read_text())
    del content["card"]["recipe"]
    (folder / CARD).write_text(json.dumps(content))
    assert open_encoder(f"run:{folder}").card.recipe == ""


def test_a_transformer_of_another_size_comes_back_at_that_size(tmp_path):
    encoder = build("timm:vit_tiny_patch16_224", input_size=(64, 64))
    save_encoder(encoder, tmp_path)
    assert open_encoder(f"run:{tmp_path}").card.input_size == (64, 64)


def test_the_spec_has_the_last_word(saved):
    encoder, folder = saved
    spec = EncoderSpec(spec=f"run:{folder}", name="other", std=(0.1, 0.1, 0.1), input_size=(64, 32))
    card = open_encoder(spec).card
    assert (card.name, card.method, card.std) == ("other", "moco-v2", (0.1, 0.1, 0.1))
    assert card.input_size == (64, 32)
    assert card.flops == 2 * encoder.card.flops


def test_weights_of_another_run_are_refused(saved, tmp_path):
    _, folder = saved
    save_encoder(build("resnet20", seed=6), tmp_path / "other")
    (tmp_path / "other" / WEIGHTS).replace(folder / WEIGHTS)
    with pytest.raises(CheckpointError, match="another digest than"):
        open_encoder(f"run:{folder}")


def test_a_flipped_bit_is_found(saved):
    _, folder = saved
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-100] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(CheckpointError, match="another digest"):
        open_encoder(f"run:{folder}")


def test_a_card_of_another_architecture_is_refused(saved):
    _, folder = saved
    change_card(folder, architecture="resnet32")
    with pytest.raises(CheckpointError, match="does not fill 'resnet32'"):
        open_encoder(f"run:{folder}")


def test_an_unfinished_run_is_said_to_be_one(saved, tmp_path):
    _, folder = saved
    (folder / CARD).unlink()
    with pytest.raises(CheckpointError, match="the run is unfinished"):
        open_encoder(f"run:{folder}")
    with pytest.raises(CheckpointError, match="There is no folder"):
        open_encoder(f"run:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a card of format 1"),
        ('{"format": 0, "card": {}}', "not a card of format 1"),
        ('{"format": 1, "card": {"name": "x"}}', "written by another version of vireo"),
        ('{"format": 1, "card": 3}', "written by another version of vireo"),
    ],
)
def test_an_old_or_foreign_card_is_refused(saved, content, said):
    _, folder = saved
    (folder / CARD).write_text(content)
    with pytest.raises(CheckpointError, match=said):
        read_card(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 3),
        ("parameters", "many"),
        ("parameters", True),
        ("mean", [0.5, 0.5]),
        ("input_size", [32, "x"]),
        ("strides", [1, 2, 4, 8, 16.5]),
        ("epochs", "two"),
    ],
)
def test_a_card_with_a_field_of_the_wrong_kind_is_refused(saved, field, value):
    _, folder = saved
    change_card(folder, **{field: value})
    with pytest.raises(CheckpointError, match=f"'{field}' is"):
        read_card(folder)


def test_a_save_that_dies_leaves_no_card_that_lies(saved, monkeypatch):
    encoder, folder = saved

    def full(path, content):
        raise OSError("disk full")

    monkeypatch.setattr("vireo.encoders.saving.files.write_bytes", full)
    with pytest.raises(OSError, match="disk full"):
        save_encoder(encoder, folder)
    with pytest.raises(CheckpointError, match="unfinished"):
        open_encoder(f"run:{folder}")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("resnet18", "write 'random:resnet18' for random weights"),
        ("weights.pth", "For a file write 'file:weights.pth'"),
        ("fiel:weights.pth", "Unknown encoder 'fiel:...'. Did you mean 'file:...'"),
        ("run:", "An encoder is written KIND:WHERE"),
    ],
)
def test_a_spec_of_another_form_is_refused_with_the_right_one(spec, said):
    with pytest.raises(SettingError) as raised:
        open_encoder(spec)
    assert said in str(raised.value)


def test_a_card_from_elsewhere_imports_no_code_unless_the_person_says_so(saved, monkeypatch):
    """A card may name a builder of one's own by its dotted path: importing it runs its code."""
    _, folder = saved
    witness, builder = folder / "code-ran", "their_builder:build"
    (folder / "their_builder.py").write_text(
        "from vireo.encoders.cifar_resnet import cifar_resnet\n"
        f"open({str(witness)!r}, 'w').close()\n"
        "def build(name, input_size):\n    return cifar_resnet('resnet20')\n"
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "their_builder", raising=False)
    change_card(folder, architecture=builder)
    with pytest.raises(CheckpointError, match=f"code outside vireo.*architecture = '{builder}'"):
        open_encoder(f"run:{folder}")
    assert not witness.exists()
    stated = EncoderSpec(spec=f"run:{folder}", architecture=builder)
    assert open_encoder(stated).card.architecture == builder
    assert witness.exists()


def test_a_stated_architecture_must_be_the_cards(saved):
    _, folder = saved
    with pytest.raises(CheckpointError, match=r"'resnet32'.*card says 'resnet20'"):
        open_encoder(EncoderSpec(spec=f"run:{folder}", architecture="resnet32"))
