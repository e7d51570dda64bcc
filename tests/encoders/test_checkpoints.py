"""Files of others: what is read, what is refused and with which words, and that nothing runs."""

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from vireo.encoders import build, open_encoder
from vireo.encoders.checkpoints import recognise
from vireo.encoders.inspecting import inspect
from vireo.encoders.layouts.flattening import flatten
from vireo.encoders.reading.files import Content
from vireo.errors import CheckpointError
from vireo.records import EncoderSpec

STATE = build("resnet20", seed=9).backbone.network.state_dict()
CLASSIFIER = {"linear.weight": torch.ones(4, 64), "linear.bias": torch.zeros(4)}


def write(path, tensors, form):
    if form == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=form == "zip")
    return path


def assert_filled(encoder):
    for name, tensor in encoder.backbone.network.state_dict().items():
        assert_close(tensor, STATE[name])


@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
def test_every_format_fills_the_network_and_keeps_the_classifier(tmp_path, form):
    path = write(tmp_path / "x.bin", {**STATE, **CLASSIFIER}, form)
    encoder = open_encoder(f"file:{path}")
    assert encoder.card.architecture == "resnet20"
    assert (encoder.card.method, encoder.card.pretraining_set) == ("unknown", "unknown")
    assert_filled(encoder)
    assert_close(encoder.classifier.weight.data, CLASSIFIER["linear.weight"])
    assert encoder.card.weights == build("resnet20", seed=9).card.weights


@pytest.mark.parametrize("key", ["state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.encoder_q."])
def test_wrapped_and_prefixed_names_are_understood(tmp_path, key, prefix):
    tensors = {prefix + name: tensor for name, tensor in STATE.items()}
    tensors["module.queue"] = torch.zeros(3)
    content = {key: tensors, "epoch": 3, "optimizer": {"state": {0: torch.zeros(2)}}}
    path = write(tmp_path / "x.pth", content, "zip")
    encoder = open_encoder(f"file:{path}")
    assert_filled(encoder)
    assert encoder.classifier is None


def test_options_of_the_spec_enter_the_card(tmp_path):
    path = write(tmp_path / "x.pth", STATE, "zip")
    spec = EncoderSpec(
        spec=f"file:{path}",
        name="mine",
        method="moco-v2",
        pretraining_set="cifar10",
        input_size=(48, 64),
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
    )
    card = open_encoder(spec).card
    assert (card.name, card.method, card.pretraining_set) == ("mine", "moco-v2", "cifar10")
    assert (card.input_size, card.mean, card.std) == ((48, 64), (0.5,) * 3, (0.2,) * 3)
    assert card.flops == 3 * build("resnet20").card.flops
    assert card.source == f"file:{path}"


def test_half_precision_becomes_float32(tmp_path):
    half = {k: v.half() if v.is_floating_point() else v for k, v in STATE.items()}
    encoder = open_encoder(f"file:{write(tmp_path / 'x', half, 'safetensors')}")
    for name, tensor in encoder.backbone.network.state_dict().items():
        assert_close(tensor, half[name].to(STATE[name].dtype), rtol=0, atol=0)
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


def test_files_without_batch_counters_are_whole(tmp_path):
    state = {k: v for k, v in STATE.items() if "num_batches" not in k}
    assert len(state) < len(STATE)
    assert_filled(open_encoder(f"file:{write(tmp_path / 'x', state, 'safetensors')}"))


def without(name):
    return {key: tensor for key, tensor in STATE.items() if key != name}


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (without("layer3.2.bn2.bias"), r"113 tensors match; 1 missing \(layer3.2.bn2.bias\)"),
        (
            {**STATE, "conv1.weight": torch.zeros(16, 3, 5, 5)},
            r"1 of another shape \(conv1.weight\)",
        ),
        (
            {**STATE, "layer1.3.conv1.weight": torch.zeros(16, 16, 3, 3)},
            r"1 too many for this network \(layer1.3.conv1.weight\)",
        ),
        (
            {**STATE, "conv1.weight": torch.full((16, 3, 3, 3), torch.nan)},
            "'conv1.weight' holds NaN or infinity",
        ),
        (
            {**STATE, "conv1.weight": torch.zeros(16, 3, 3, 3, dtype=torch.int8)},
            "'conv1.weight' is torch.int8",
        ),
        (
            {**STATE, "conv1.weight": torch.zeros(16, 3, 3, 3).to_sparse()},
            "'conv1.weight' is sparse",
        ),
        (
            {f"{k}.{name}": t for k in ("left", "right") for name, t in STATE.items()},
            r"2 networks, under 'left.', 'right.'.* take = 'left.'",
        ),
        ({"something": torch.zeros(2)}, r"0 tensors match; \d+ missing"),
    ],
)
def test_what_does_not_fill_the_network_exactly_is_refused(tmp_path, tensors, said):
    path = write(tmp_path / "x.pth", tensors, "zip")
    with pytest.raises(CheckpointError, match=said):
        open_encoder(EncoderSpec(spec=f"file:{path}", architecture="resnet20"))


def test_a_deeper_networks_file_is_not_taken_for_a_shallower_one(tmp_path):
    deeper = build("resnet32").backbone.network.state_dict()
    path = write(tmp_path / "x.pth", deeper, "zip")
    assert open_encoder(f"file:{path}").card.architecture == "resnet32"
    with pytest.raises(CheckpointError, match="too many for this network"):
        open_encoder(EncoderSpec(spec=f"file:{path}", architecture="resnet20"))


def test_an_unknown_network_is_reported_with_the_closest(tmp_path):
    path = write(tmp_path / "x.pth", without("layer3.2.bn2.bias"), "zip")
    with pytest.raises(CheckpointError, match="Closest is 'resnet20': 113 tensors match; 1 miss"):
        open_encoder(f"file:{path}")


class Hostile:
    """Pickles as a call of os.system that leaves a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_file_that_would_run_code_is_read_and_the_code_is_not_run(tmp_path, form):
    witness = tmp_path / "code-ran"
    path = write(tmp_path / "x.pth", {"state_dict": STATE, "args": Hostile(witness)}, form)
    assert_filled(open_encoder(f"file:{path}"))
    assert inspect(path).foreign == (f"{os.system.__module__}.system",)
    assert not witness.exists()
    torch.load(path, weights_only=False)
    assert witness.exists(), "the file is not hostile, so the test shows nothing"


def test_a_bare_pickle_is_refused_and_does_not_run(tmp_path):
    witness = tmp_path / "code-ran"
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Hostile(witness)))
    with pytest.raises(CheckpointError):
        open_encoder(f"file:{tmp_path / 'x.pkl'}")
    assert not witness.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.zeros(2)], "holds a list, not a dictionary of tensors"),
        ({"epoch": 3, "args": {"lr": 0.1}}, "has no named tensors; it has: args, epoch"),
        ({"state_dict": {}}, "has no named tensors"),
    ],
)
def test_a_torch_file_without_tensors_is_refused(tmp_path, content, said):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=said):
        open_encoder(f"file:{tmp_path / 'x.pth'}")


def test_a_missing_file_a_folder_and_an_unset_variable_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("VIREO_NOWHERE", raising=False)
    with pytest.raises(CheckpointError, match="No such file"):
        open_encoder(f"file:{tmp_path / 'nothing'}")
    with pytest.raises(CheckpointError, match=f"open it as run:{tmp_path}"):
        open_encoder(f"file:{tmp_path}")
    with pytest.raises(CheckpointError, match="not set"):
        open_encoder("file:$VIREO_NOWHERE/x.pth")


def test_a_classifier_of_another_form_is_left_out(tmp_path):
    odd = {"linear.weight": torch.ones(4, 64), "linear.bias": torch.tensor(0.0)}
    path = write(tmp_path / "x.pth", {**STATE, **odd}, "zip")
    assert open_encoder(f"file:{path}").classifier is None


def test_foreign_objects_that_hold_each_other_hide_no_network(tmp_path):
    ring = [Ring() for _ in range(20)]
    for place, link in enumerate(ring):
        link.others = ring
        link.next = ring[place - 1]
    path = tmp_path / "x.ckpt"
    torch.save({"callbacks": ring, "state_dict": STATE}, path)
    encoder = open_encoder(f"file:{path}")
    assert_filled(encoder)


class Ring:
    """A foreign class, such as a trainer's callback that knows its trainer."""


@pytest.mark.parametrize(
    ("first_layer", "name"),
    [
        ({"projector.0.weight"}, "solo-learn-moco-v3"),
        ({"projector.0.weight", "projector.0.bias"}, "solo-learn"),
    ],
)
def test_solo_learns_moco_v3_is_known_by_its_projector(first_layer, name):
    """Its ViT-S has 12 heads, with the tensors of one of 6; BYOL's has biases and 6."""
    rest = {"backbone.blocks.0.attn.qkv.weight", "classifier.weight"}
    twins = {"predictor.0.weight", "momentum_projector.0.weight"}
    state = dict.fromkeys(rest | twins | first_layer, torch.zeros(1))
    content = Content(tree={"state_dict": state, "pytorch-lightning_version": "2"}, reader="torch")
    assert recognise(flatten(content)).name == name
