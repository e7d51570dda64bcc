"""Published weights: from a cache that has them, and what is said when nothing can be had."""

import hashlib

import pytest
import torch
from torchvision import models

from vireo.encoders import open_encoder
from vireo.encoders.downloads import fetching, hub, transfers
from vireo.encoders.published import card_of, fetch_published
from vireo.encoders.zoo import ZOO
from vireo.errors import CheckpointError, SettingError
from vireo.records import EncoderSpec


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torch's cache of downloads, and no network."""

    def refuse(address, *_):
        raise transfers.RefusedError("there is no network (Name or service not known).")

    monkeypatch.setattr(transfers, "get", refuse)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(fetching, "_check_published", lambda *_: None)
    monkeypatch.delenv(fetching.OFFLINE, raising=False)
    return tmp_path / "checkpoints"


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """huggingface_hub's cache, and no network: whatever asks it fails the test."""
    from huggingface_hub import constants

    def asked(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.socket.connect", asked)
    monkeypatch.setattr(transfers, "reachable", lambda _: False)
    return tmp_path


def put(folder, name, content):
    """Lay a file into a cache of the Hub as huggingface_hub does."""
    repository = folder / f"models--timm--{name}"
    blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
    snapshot = repository / "snapshots" / ("0" * 40)
    for path in (blob.parent, snapshot, repository / "refs"):
        path.mkdir(parents=True)
    blob.write_bytes(content)
    (repository / "refs" / "main").write_text("0" * 40)
    (snapshot / "model.safetensors").symlink_to(blob)
    return snapshot / "model.safetensors"


def test_torchvisions_weights_are_taken_from_its_cache(cache):
    cache.mkdir()
    theirs = models.resnet18().eval()
    url = models.ResNet18_Weights.IMAGENET1K_V1.url
    torch.save(theirs.state_dict(), cache / url.rpartition("/")[2])
    encoder = open_encoder("torchvision:resnet18.IMAGENET1K_V1").freeze()
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(encoder.classifier(encoder(images).pooled), theirs(images))
    card = encoder.card
    assert (card.method, card.pretraining_set, card.images) == ("supervised", "imagenet", 1281167)
    assert (card.architecture, card.input_size) == ("resnet18", (224, 224))
    assert card.mean == (0.485, 0.456, 0.406)


def test_a_failed_download_says_from_where_and_to_where(cache):
    url = models.ResNet50_Weights.DEFAULT.url
    with pytest.raises(CheckpointError) as raised:
        open_encoder("torchvision:resnet50")
    assert url in str(raised.value)
    assert str(cache / url.rpartition("/")[2]) in str(raised.value)
    assert "Name or service not known" in str(raised.value)


def test_the_wrong_file_in_the_cache_is_refused(cache):
    cache.mkdir()
    url = models.ResNet18_Weights.DEFAULT.url
    torch.save(models.mobilenet_v2().state_dict(), cache / url.rpartition("/")[2])
    with pytest.raises(CheckpointError, match="does not fill the network: 0 tensors match"):
        open_encoder("torchvision:resnet18")


def test_unknown_weights_are_listed(cache):
    with pytest.raises(SettingError, match="has no weights 'V3'; it has IMAGENET1K_V1"):
        open_encoder("torchvision:resnet18.V3")
    with pytest.raises(SettingError, match="Did you mean 'resnet18'"):
        open_encoder("torchvision:resnet8")


def test_timms_weights_enter_the_card_and_keep_the_classifier(monkeypatch):
    import timm

    create = timm.create_model
    made = []

    def downloaded(name, pretrained, **options):
        assert pretrained
        made.append(create(name, **options))
        return made[-1]

    monkeypatch.setattr("timm.create_model", downloaded)
    monkeypatch.setattr(transfers, "reachable", lambda _: True)
    encoder = open_encoder(EncoderSpec(spec="timm:resnet10t.c3_in1k", name="small"))
    assert encoder.classifier.weight.shape == (1000, 512)
    assert (encoder.card.method, encoder.card.pretraining_set) == ("supervised", "imagenet")
    assert (encoder.card.name, encoder.card.architecture) == ("small", "timm:resnet10t")
    assert encoder.card.input_size == (176, 176)
    assert encoder.backbone.network is made[0]


def test_timms_failed_download_says_from_where_and_what_else_to_do(hub_cache):
    from huggingface_hub import constants

    with pytest.raises(CheckpointError) as raised:
        open_encoder("timm:resnet10t.c3_in1k")
    for said in ("https://huggingface.co/timm/resnet10t.c3_in1k", constants.HF_HUB_CACHE):
        assert said in str(raised.value)
    assert "file:PATH with architecture timm:resnet10t" in str(raised.value)
    assert constants.HF_HUB_OFFLINE is False


def test_what_the_hubs_cache_has_needs_no_network(hub_cache, monkeypatch):
    import timm
    from safetensors.torch import save

    theirs = timm.create_model("resnet10t").eval()
    file = put(hub_cache, "resnet10t.c3_in1k", save(theirs.state_dict()))
    monkeypatch.setattr(transfers, "reachable", None)  # is not even called
    assert hub.cached("resnet10t.c3_in1k") == file
    assert hub.fetch("resnet10t.c3_in1k") == file
    encoder = open_encoder("timm:resnet10t.c3_in1k").freeze()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder.classifier(encoder(images).pooled), theirs(images))


def test_a_damaged_file_of_the_hub_is_noticed(hub_cache):
    file = put(hub_cache, "resnet10t.c3_in1k", b"weights")
    file.resolve().write_bytes(b"Weights")
    with pytest.raises(CheckpointError, match="is damaged: its SHA-256"):
        hub.fetch("resnet10t.c3_in1k")


def test_a_zoo_row_of_the_hub_has_the_zoos_facts(hub_cache):
    import timm
    from safetensors.torch import save

    card = ZOO["dino-vit-s16"]
    theirs = timm.create_model("vit_small_patch16_224", num_classes=0)
    file = put(hub_cache, "vit_small_patch16_224.dino", save(theirs.state_dict()))
    assert fetch_published(card) == file
    found = open_encoder("zoo:dino-vit-s16").card
    assert (found.method, found.pretraining_set, found.epochs) == ("dino", "imagenet", 800)
    assert (found.mean, found.std) == (card.mean, card.std)
    assert (found.parameters, found.flops) == (card.parameters, card.flops)
    assert found.source == "zoo:dino-vit-s16"


def test_a_zoo_row_of_the_hub_is_checked_without_its_file(hub_cache, monkeypatch):
    card = card_of(EncoderSpec(spec="zoo:clip-vit-b32"))
    assert (card.method, card.pretraining_set) == ("clip", "wit-400m")
    assert card.mean == ZOO["clip-vit-b32"].mean
    monkeypatch.setenv(fetching.OFFLINE, "1")
    with pytest.raises(CheckpointError, match="cannot be downloaded"):
        card_of(EncoderSpec(spec="zoo:clip-vit-b32"))


def test_a_network_that_timm_lacks_is_said_before_anything_is_fetched(hub_cache):
    with pytest.raises(SettingError, match="timm has no network 'resnet10q'"):
        open_encoder("timm:resnet10q")
    with pytest.raises(SettingError, match=r"timm has no weights 'resnet10t\.none'"):
        open_encoder("timm:resnet10t.none")
