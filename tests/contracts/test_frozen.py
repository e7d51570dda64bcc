"""A frozen encoder stays what it was, whatever is asked of it: every kind of task and protocol."""

import pytest
from tests.synthetic import with_synthetic_data
from tests.tiny import tiny_encoder

from vireo.devices import Compute
from vireo.encoders.weights import weights_digest
from vireo.errors import SettingError
from vireo.probe import probe
from vireo.probe.protocols import PROTOCOLS, protocol_of
from vireo.records import ProbeSettings
from vireo.tasks import TASKS, find_task
from vireo.tasks.checks import head_of

TRAINS_THE_ENCODER = {"fine-tune"}
COMPUTE = Compute(device="cpu", precision="float32", threads=1, reason="test")


def kinds():
    """One task of each kind that the catalogue has: what differs only in its images is alike."""
    found = {}
    for name in TASKS:
        task = find_task(name)
        facts = (task.head, task.metric, task.loss, task.frames, task.crop is None)
        found.setdefault((*facts, bool(task.class_weights)), name)
    return sorted(found.values())


@pytest.fixture
def encoder():
    return tiny_encoder(input_size=(16, 16)).freeze()


def settings_of(protocol):
    quick = {"learning_rates": (1.0,), "weight_decays": (0.0,), "resamples": 20}
    return ProbeSettings(protocol=protocol, shots=1, draws=2, neighbours=3, **quick)


@pytest.mark.parametrize("protocol", sorted(set(PROTOCOLS) - TRAINS_THE_ENCODER))
@pytest.mark.parametrize("name", kinds())
def test_a_probe_leaves_the_encoder_as_it_was_or_says_why_it_cannot(
    name, protocol, encoder, tmp_path
):
    task, settings = with_synthetic_data(find_task(name)), settings_of(protocol)
    before, buffers = weights_digest(encoder.backbone), dict(encoder.backbone.named_buffers())
    copies = {key: value.clone() for key, value in buffers.items()}
    answered = protocol_of(settings).pixels if head_of(task).dense else protocol_of(settings).images
    if ":" in answered and " " not in answered:
        (row,) = probe(encoder, task, settings, store=tmp_path, compute=COMPUTE)
        assert row.protocol == protocol
        assert row.n == 12
    else:
        with pytest.raises(SettingError):
            probe(encoder, task, settings, store=tmp_path, compute=COMPUTE)
    assert weights_digest(encoder.backbone) == before
    assert all((copies[key] == value).all() for key, value in buffers.items())
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


@pytest.mark.parametrize("protocol", sorted(TRAINS_THE_ENCODER & set(PROTOCOLS)))
@pytest.mark.parametrize("name", ["digits", "rooms-depth"])
def test_fine_tuning_changes_a_copy_and_not_what_it_was_given(name, protocol, encoder, tmp_path):
    before = weights_digest(encoder.backbone)
    task = with_synthetic_data(find_task(name))
    (row,) = probe(encoder, task, settings_of(protocol), store=tmp_path, compute=COMPUTE)
    assert row.protocol == protocol
    assert weights_digest(encoder.backbone) == before
