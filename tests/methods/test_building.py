"""From options to settings: types, suggestions, seeds."""

import pytest
import torch
from tests.tiny import tiny_encoder

from vireo.errors import SettingError
from vireo.methods import METHODS, find_method
from vireo.methods.building import build_method, method_settings
from vireo.methods.moco_v2 import MoCoV2, MoCoV2Settings


def test_options_replace_the_papers_values_and_only_those():
    got = method_settings(
        MoCoV2, 32, {"queue_size": 64, "temperature": 1, "crop_scale": [0.5, 1], "blur": False}
    )
    assert got == MoCoV2Settings(
        image_size=32, queue_size=64, temperature=1.0, crop_scale=(0.5, 1.0), blur=False
    )


def test_an_unknown_option_suggests_the_nearest():
    with pytest.raises(SettingError, match="Did you mean 'queue_size'"):
        method_settings(MoCoV2, 32, {"queue_siz": 64})
    with pytest.raises(SettingError, match="Unknown option of MoCoV2 'image_size'"):
        method_settings(MoCoV2, 32, {"image_size": 64})


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"queue_size": 1.5}, "int"),
        ({"queue_size": True}, "int"),
        ({"temperature": "warm"}, "float"),
        ({"crop_scale": (0.1,)}, r"tuple\[float, float\]"),
        ({"crop_scale": (True, True)}, "float"),
        ({"blur": 1}, "bool"),
    ],
)
def test_an_option_of_another_type_is_refused(options, kind):
    with pytest.raises(SettingError, match=f"must be of type {kind}"):
        method_settings(MoCoV2, 32, options)


def test_an_unknown_method_lists_the_known():
    with pytest.raises(SettingError, match=f"Known: {', '.join(sorted(METHODS))}"):
        find_method("nothing")


def test_heads_follow_the_seed_and_global_randomness_is_left_alone():
    def heads(seed):
        settings = MoCoV2Settings(queue_size=16)
        return build_method(
            MoCoV2, tiny_encoder(), settings, num_examples=99, num_classes=None, seed=seed
        ).state_dict()

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = heads(0), heads(0), heads(1)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["projector.0.weight"], other["projector.0.weight"])
    assert not torch.equal(first["queue.columns"], other["queue.columns"])
