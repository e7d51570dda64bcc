"""A subset is a dataset like any other, and the encoder's card remembers how it was balanced."""

from vireo.data import find_dataset
from vireo.data.subsets.making import make_subset
from vireo.data.subsets.recipe import SubsetRecipe
from vireo.devices import Compute
from vireo.encoders.saving import read_card
from vireo.pretrain import pretrain
from vireo.records import OptimizerSettings, PretrainSettings


def test_an_encoder_pretrained_on_a_subset_says_so(tmp_path):
    recipe = SubsetRecipe(rule="linear", data=(find_dataset("digits"),), first=2, last=6)
    make_subset(recipe, tmp_path / "few")
    settings = PretrainSettings(
        method="supervised",
        architecture="resnet20",
        data=f"subset:{tmp_path / 'few'}",
        epochs=1,
        batch_size=20,
        image_size=16,
        optimizer=OptimizerSettings(learning_rate=0.1, weight_decay=0.0),
    )
    cpu = Compute(device="cpu", precision="float32", threads=1, reason="test")
    card = read_card(pretrain(settings, tmp_path / "run", compute=cpu, workers=0))
    assert (card.balance, card.images, card.pretraining_set) == ("linear", 40, "few")
    assert card.steps == 2
