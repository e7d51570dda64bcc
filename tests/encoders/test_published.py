"""Published weights: from a cache that has them, and what is said when nothing can be had."""

import urllib.error

import pytest
import torch
from torchvision import models

from vireo.encoders import open_encoder
from vireo.errors import CheckpointError, SettingError
from vireo.records import EncoderSpec


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torch's cache of downloads, and no network."""

    def refuse(url, *args, **options):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    return tmp_path / "checkpoints"


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
    encoder = open_encoder(EncoderSpec(spec="timm:resnet10t.c3_in1k", name="small"))
    assert encoder.classifier.weight.shape == (1000, 512)
    assert (encoder.card.method, encoder.card.pretraining_set) == ("supervised", "imagenet")
    assert (encoder.card.name, encoder.card.architecture) == ("small", "timm:resnet10t")
    assert encoder.card.input_size == (176, 176)
    assert encoder.backbone.network is made[0]


def test_timms_failed_download_says_from_where_and_what_else_to_do(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError) as raised:
        open_encoder("timm:resnet10t.c3_in1k")
    for said in ("https://huggingface.co/timm/resnet10t.c3_in1k", constants.HF_HUB_CACHE):
        assert said in str(raised.value)
    assert "file:PATH with architecture timm:resnet10t" in str(raised.value)
