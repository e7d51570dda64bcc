"""The zoo: the study's table, facts held to what is built, opening by name without a network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchvision import models

from vireo.digest import digest
from vireo.encoders import open_encoder
from vireo.encoders.backbones import Network
from vireo.encoders.downloads import fetching
from vireo.encoders.measure import measure
from vireo.encoders.opening import make_network
from vireo.encoders.published import card_of
from vireo.encoders.zoo import ZOO, find, is_cached, source_of
from vireo.encoders.zoo.sizes import SIZES
from vireo.errors import CheckpointError, SettingError
from vireo.records import EncoderSpec

ROOT = Path(__file__).parents[2]
# Table 3 of the study, as printed: name, method, set, size, epochs, trained by the study.
TABLE_3 = """
SwAV ImageNet 800|SwAV|ImageNet|1.3M|800|No
SwAV ImageNet 200|SwAV|ImageNet|1.3M|200|No
SwAV ImageNet 100|SwAV|ImageNet|1.3M|100|Yes
SwAV ImageNet 50|SwAV|ImageNet|1.3M|50|Yes
SwAV Half ImageNet 200|SwAV|ImageNet-1/2|0.5M|200|Yes
SwAV Half ImageNet 100|SwAV|ImageNet-1/2|0.5M|100|Yes
SwAV Quarter ImageNet 200|SwAV|ImageNet-1/4|0.25M|200|Yes
SwAV Linear Unbalanced ImageNet 200|SwAV|ImageNet-1/2-Lin|0.5M|200|Yes
SwAV Linear Unbalanced ImageNet 100|SwAV|ImageNet-1/2-Lin|0.5M|100|Yes
SwAV Log Unbalanced ImageNet 200|SwAV|ImageNet-1/4-Log|0.25M|200|Yes
SwAV Places 200|SwAV|Places|1.3M|200|Yes
SwAV Kinetics 200|SwAV|Kinetics|1.3M|200|Yes
SwAV Taskonomy 200|SwAV|Taskonomy|1.3M|200|Yes
SwAV Combination 200|SwAV|Combination|1.3M|200|Yes
MoCov2 ImageNet 800|MoCov2|ImageNet|1.3M|800|No
MoCov2 ImageNet 200|MoCov2|ImageNet|1.3M|200|No
MoCov2 ImageNet 100|MoCov2|ImageNet|1.3M|100|Yes
MoCov2 ImageNet 50|MoCov2|ImageNet|1.3M|50|Yes
MoCov2 Half ImageNet 200|MoCov2|ImageNet-1/2|0.5M|200|Yes
MoCov2 Half ImageNet 100|MoCov2|ImageNet-1/2|0.5M|100|Yes
MoCov2 Quarter ImageNet 200|MoCov2|ImageNet-1/4|0.25M|200|Yes
MoCov2 Linear Unbalanced ImageNet 200|MoCov2|ImageNet-1/2-Lin|0.5M|200|Yes
MoCov2 Linear Unbalanced ImageNet 100|MoCov2|ImageNet-1/2-Lin|0.5M|100|Yes
MoCov2 Log Unbalanced ImageNet 200|MoCov2|ImageNet-1/4-Log|0.25M|200|Yes
MoCov2 Places 200|MoCov2|Places|1.3M|200|Yes
MoCov2 Kinetics 200|MoCov2|Kinetics|1.3M|200|Yes
MoCov2 Taskonomy 200|MoCov2|Taskonomy|1.3M|200|Yes
MoCov2 Combination 200|MoCov2|Combination|1.3M|200|Yes
MoCov1 ImageNet 200|MoCov1|ImageNet|1.3M|200|No
PIRL ImageNet 800|PIRL|ImageNet|1.3M|800|No
""".strip().splitlines()
METHODS = {"SwAV": "swav", "MoCov2": "moco-v2", "MoCov1": "moco-v1", "PIRL": "pirl"}
SETS = {
    "ImageNet": ("imagenet", "balanced"),
    "ImageNet-1/2": ("imagenet-half", "balanced"),
    "ImageNet-1/4": ("imagenet-quarter", "balanced"),
    "ImageNet-1/2-Lin": ("imagenet-half-linear", "linear"),
    "ImageNet-1/4-Log": ("imagenet-quarter-log", "log"),
    "Places": ("places", "uniform-per-group"),
    "Kinetics": ("kinetics", "constant-rate"),
    "Taskonomy": ("taskonomy", "uniform-per-group"),
    "Combination": ("combination", "balanced"),
}
# The files that the study and others released, below their two addresses.
OURS = """SWAV_100 SWAV_50 SWAVHalfImagenet SWAVHalfImagenet_100 SWAVQuarterImagenet
SWAVUnbalancedImagenet SWAVUnbalancedImagenet_100 SWAVLogImagenet SWAVPlaces SWAVKinetics
SWAVTaskonomy SWAVCombination MoCov2_100 MoCov2_50 MoCov2HalfImagenet MoCov2HalfImagenet_100
MoCov2QuarterImagenet MoCov2UnbalancedImagenet MoCov2UnbalancedImagenet_100 MoCov2LogImagenet
MoCov2Places MoCov2Kinetics MoCov2Taskonomy MoCov2Combination"""
THEIRS = """deepcluster/swav_800ep_pretrain.pth.tar deepcluster/swav_200ep_pretrain.pth.tar
moco/moco_checkpoints/moco_v1_200ep/moco_v1_200ep_pretrain.pth.tar
moco/moco_checkpoints/moco_v2_800ep/moco_v2_800ep_pretrain.pth.tar
moco/moco_checkpoints/moco_v2_200ep/moco_v2_200ep_pretrain.pth.tar
vissl/model_zoo/pirl_jigsaw_4node_pirl_jigsaw_4node_resnet_22_07_20.34377f59/\
model_final_checkpoint_phase799.torch"""
STUDY = [card for card in ZOO.values() if card.group == "study"]


def test_the_studys_thirty_are_those_of_its_table():
    found = {
        (card.method, card.pretraining_set, card.balance, round(card.images, -4), card.epochs)
        for card in STUDY
    }
    sizes = {"1.3M": (1_280_000, 1_300_000), "0.5M": (500_000,), "0.25M": (250_000,)}
    printed = set()
    for line in TABLE_3:
        _, method, images_of, size, epochs, _ = line.split("|")
        name, balance = SETS[images_of]
        images = sizes[size][0 if images_of.startswith("ImageNet") else -1]
        printed.add((METHODS[method], name, balance, images, float(epochs)))
    assert len(STUDY) == len(TABLE_3) == 30
    assert found == printed


def test_the_studys_files_are_where_they_were_released():
    bucket = "https://prior-model-weights.s3.us-east-2.amazonaws.com/contrastive_encoders"
    released = {f"{bucket}/{file}.pt" for file in OURS.split()}
    released |= {f"https://dl.fbaipublicfiles.com/{path}" for path in THEIRS.split()}
    assert {card.address for card in STUDY} == released
    ours = {card.address for card in STUDY if card.format == "study"}
    assert len(ours) == sum(line.endswith("Yes") for line in TABLE_3)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("swav-linear-100", "SWAVUnbalancedImagenet_100.pt"),
        ("moco-v2-half-200", "MoCov2HalfImagenet.pt"),
        ("moco-v2-100", "MoCov2_100.pt"),
        ("swav-log-200", "SWAVLogImagenet.pt"),
        ("moco-v1-200", "moco_v1_200ep_pretrain.pth.tar"),
    ],
)
def test_a_name_leads_to_its_file(name, file):
    assert ZOO[name].address.endswith(f"/{file}")


def test_ablations_are_there():
    names = [card.name for card in ZOO.values() if card.group == "ablation"]
    for said in ("multicrop", "simsiam", "exemplar-v2", "supervised", "log-200-draw", "200-seed"):
        assert any(said in name for name in names), said


def test_landmarks_are_there():
    methods = {card.method for card in ZOO.values() if card.group == "landmark"}
    assert methods >= {"simclr", "byol", "barlow-twins", "vicreg", "dino", "dinov2", "moco-v3"}
    assert methods >= {"mae", "ibot", "clip", "simsiam", "deepcluster-v2", "npid", "pirl"}


@pytest.mark.parametrize("card", ZOO.values(), ids=lambda card: card.name)
def test_a_row_is_whole(card):
    assert re.fullmatch(r"[a-z0-9][a-z0-9+.-]*", card.name)
    assert card.group in ("study", "ablation", "landmark", "baseline")
    assert card.paper.startswith("https://arxiv.org/abs/")
    assert card.balance in ("balanced", "log", "linear", "uniform-per-group", "constant-rate") or (
        card.balance == "unknown"
    )
    assert (card.parameters, card.flops) == (
        SIZES[card.architecture].parameters,
        SIZES[card.architecture].flops,
    )
    if card.address.startswith("timm:"):
        assert card.file == ""
        assert card.address.removeprefix("timm:").startswith(card.architecture[len("timm:") :])
    else:
        assert card.file
        assert "/" not in card.file
        assert card.address.startswith("https://") or (not card.address and card.note)
    assert re.fullmatch(r"((sha256|md5):[0-9a-f]{8,64})?", card.checksum)


def test_files_do_not_share_a_name_in_the_cache():
    files = [card.file for card in ZOO.values() if card.file]
    assert len(files) == len(set(files))
    assert len({card.address for card in ZOO.values() if card.address}) == len(
        [card for card in ZOO.values() if card.address]
    )


def test_formats_are_the_loaders():
    from vireo.encoders.checkpoints import FORMATS

    known = {layout.name for layout in FORMATS}
    assert {card.format for card in ZOO.values() if card.format} <= known


def test_the_pages_name_every_format_and_count_the_zoo():
    from vireo.encoders.checkpoints import FORMATS

    page = (ROOT / "docs" / "encoders.md").read_text()
    table = page[page.index("| format |") : page.index("## What is refused")]
    assert {layout.name for layout in FORMATS} <= set(re.findall(r"`([a-z0-9-]+)`", table))
    assert f"the study's 30 encoders and {len(ZOO) - 30} others" in (ROOT / "README.md").read_text()


def test_a_hash_in_a_files_name_is_checked():
    for card in ZOO.values():
        assert fetching.stated_checksum(card.file) in ("", card.checksum), card.name


def on_meta(architecture) -> Network:
    with torch.device("meta"):
        return make_network(architecture)


@pytest.mark.parametrize("architecture", SIZES)
def test_parameters_and_flops_are_the_networks(architecture):
    network, size = on_meta(architecture), SIZES[architecture]
    assert network.input_size == (size.side, size.side)
    found = measure(network.backbone, network.input_size)
    assert (found.parameters, found.flops) == (size.parameters, size.flops)


def test_every_size_is_of_a_row():
    assert {card.architecture for card in ZOO.values()} == set(SIZES)


@pytest.mark.parametrize(
    "card",
    [card for card in ZOO.values() if card.address.startswith("timm:")],
    ids=lambda card: card.name,
)
def test_hosted_rows_agree_with_timms_own_records(card):
    import timm

    facts = timm.get_pretrained_cfg(card.address.removeprefix("timm:"))
    assert facts.hf_hub_id
    assert card.mean == tuple(facts.mean)
    assert card.std == tuple(facts.std)
    assert card.input_size == tuple(facts.input_size[1:])
    if card.method != "clip":  # timm's default, where OpenAI's repository says MIT
        assert card.licence.lower() == facts.license


def test_torchvisions_row_agrees_with_torchvision():
    card, weights = ZOO["supervised-resnet50"], models.ResNet50_Weights.IMAGENET1K_V1
    assert card.address == weights.url
    assert card.checksum == fetching.stated_checksum(card.file)
    assert card.mean == tuple(weights.transforms().mean)


def test_the_zoo_needs_no_torch():
    code = (
        "import sys; from vireo.encoders.zoo import ZOO, is_cached;"
        "[is_cached(card) for card in ZOO.values()];"
        "assert not {'torch', 'timm', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(SettingError, match=r"Did you mean 'swav-half-200' or "):
        find("swav-half200")
    with pytest.raises(SettingError, match=r"Unknown published encoder"):
        card_of(EncoderSpec(spec="zoo:nothing"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and a network that is switched off."""
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setenv(fetching.OFFLINE, "1")
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


def test_a_cached_file_opens_with_the_zoos_facts(cache):
    theirs = models.resnet50().eval()
    released = {f"model.{name}": value for name, value in theirs.state_dict().items()}
    torch.save(released, cache / "SWAVHalfImagenet.pt")
    assert is_cached(ZOO["swav-half-200"])
    encoder = open_encoder("zoo:swav-half-200").freeze()
    card = encoder.card
    assert (card.method, card.pretraining_set, card.images) == ("swav", "imagenet-half", 500_000)
    assert (card.epochs, card.balance, card.architecture) == (200, "balanced", "resnet50")
    assert (card.name, card.source) == ("zoo:swav-half-200",) * 2
    assert (card.parameters, card.flops) == (ZOO["swav-half-200"].parameters, 8_174_272_512)
    images = torch.rand(1, 3, 64, 64)
    expected = torch.nn.Sequential(*list(theirs.children())[:-1])(images).flatten(1)
    torch.testing.assert_close(encoder(images).pooled, expected)
    stated = EncoderSpec(spec="zoo:swav-half-200", name="mine", method="swav-again")
    assert open_encoder(stated).card.method == "swav-again"
    assert card_of(stated).name == "mine"


def test_a_file_that_was_exchanged_is_refused(cache):
    torch.save(models.resnet18().state_dict(), cache / "resnet50-0676ba61.pth")
    with pytest.raises(CheckpointError, match="publisher states 0676ba61"):
        open_encoder("zoo:supervised-resnet50")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "swav-800",
            "VIREO_OFFLINE is set, so https://dl.fbaipublicfiles.com/deepcluster/swav_800",
        ),
        ("simsiam-200", "Nobody publishes this file"),
        ("byol-1000", r"convert the file at the address .* Put the converted file at"),
    ],
)
def test_a_file_that_cannot_be_had_says_where_it_belongs(cache, name, said):
    for action in (open_encoder, card_of):
        with pytest.raises(CheckpointError, match=said) as raised:
            action(EncoderSpec(spec=f"zoo:{name}"))
        assert str(cache / ZOO[name].file) in str(raised.value)


def test_a_plan_can_be_checked_without_fetching(cache, monkeypatch):
    monkeypatch.delenv(fetching.OFFLINE)
    monkeypatch.setattr(fetching, "_download", None)  # any attempt to fetch would fail
    card = card_of(EncoderSpec(spec="zoo:moco-v2-half-200", name="half"))
    assert (card.name, card.pretraining_set, card.epochs) == ("half", "imagenet-half", 200)
    assert (card.strides, card.features) == ((2, 4, 8, 16, 32), 2048)
    assert card.weights == digest(ZOO["moco-v2-half-200"])
    assert card_of(EncoderSpec(spec="random:resnet20")).weights


def test_another_architecture_than_the_zoos_is_refused(cache):
    with pytest.raises(SettingError, match="is a resnet50, and its spec says 'resnet18'"):
        card_of(EncoderSpec(spec="zoo:swav-800", architecture="resnet18"))


def test_sources_are_told_apart():
    said = {
        source_of(ZOO[name]) for name in ("swav-800", "simsiam-200", "byol-1000", "mae-vit-b16")
    }
    assert len(said) == 4


def test_moco_v3s_small_vit_has_its_own_heads():
    import timm

    architecture = ZOO["moco-v3-vit-s16"].architecture
    ours = make_network(architecture).backbone.network.eval()
    theirs = timm.create_model("vit_small_patch16_224", num_heads=12, num_classes=0).eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))
