"""What is asked for and is not there is one sentence, not a traceback of torch."""

import pytest
import torch

from vireo import devices
from vireo.errors import SettingError


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"device": "tpu"}, "Device must be auto"),
        ({"device": "cpu:x"}, "'cpu:x' is not here"),
        ({"device": "cpu", "precision": "float8"}, "Precision must be"),
        ({"device": "cpu", "threads": 0}, "Threads must be at least 1; got 0"),
    ],
)
def test_what_cannot_be_is_refused(asked, message):
    with pytest.raises(SettingError, match=message):
        devices.choose(**asked)


@pytest.mark.parametrize("device", ["cuda:2", "cuda:", "cuda:first"])
def test_a_gpu_beyond_those_that_are_there_is_refused(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SettingError, match="torch numbers those of cuda from 0 to 1"):
        devices.choose(device)


def test_what_is_asked_for_is_what_is_chosen():
    before = torch.get_num_threads()
    try:
        chosen = devices.choose("cpu", "bfloat16", threads=before)
    finally:
        torch.set_num_threads(before)
    assert (chosen.device, chosen.precision, chosen.threads) == ("cpu", "bfloat16", before)
    with chosen.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
