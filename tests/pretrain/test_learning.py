"""Gradients added up over parts of a batch are those of the whole; where they are not, refused."""

import dataclasses

import pytest
import torch
from tests.pretrain.ranks import CPU, SGD, batch_for, build, now, settings
from tests.tiny import view_batch

from vireo.errors import SettingError
from vireo.methods import METHODS, find_method
from vireo.methods.pirl import BankContrast
from vireo.pretrain import pretrain
from vireo.pretrain.learning import Learner, split
from vireo.pretrain.loop import train_step
from vireo.pretrain.optimizers import Optimizer
from vireo.pretrain.prepare import prepare

REFUSED = {
    "moco-v1": "keys are shuffled over the whole batch",
    "moco-v2": "keys are shuffled over the whole batch",
    "exemplar-v2": "keys are shuffled over the whole batch",
    "swav": "balances the whole batch",
    "deepcluster-v2": "mean over those images of the batch that have a cluster",
    "simclr": "negatives of a view are the other images",
    "barlow-twins": "correlations of the loss are over the batch",
    "vicreg": "covariances of the loss are over the batch",
}
ALLOWED = sorted(set(METHODS) - set(REFUSED))


def trained(name: str, parts: int, *, steps: int = 3, Z: float = 30.0) -> dict:
    """Steps without batch statistics, which parts do not share, nor a first estimate of Z."""
    method = build(name)
    method.eval()
    if isinstance(method, BankContrast):
        method.bank.Z.fill_(Z)
    optimizer = Optimizer(method, SGD)
    learner = Learner(network=method, parts=parts)
    losses = [
        train_step(
            method, optimizer, batch_for(method, step), now(step), compute=CPU, learner=learner
        )
        for step in range(steps)
    ]
    terms = {f"{name} of {n}": v for n, s in enumerate(losses) for name, v in s.terms.items()}
    return {**method.state_dict(), **terms, "losses": torch.stack([s.total for s in losses])}


@pytest.mark.parametrize("name", ALLOWED)
@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_a_batch_teach_what_the_whole_teaches(name, parts):
    whole, apart = trained(name, 1), trained(name, parts)
    assert whole.keys() == apart.keys()
    for key, value in whole.items():
        if not key.startswith("projection_std"):  # a statistic of the part
            torch.testing.assert_close(apart[key], value, rtol=1e-9, atol=1e-12, msg=key)


def test_the_constant_of_nce_is_the_whole_batchs_though_the_first_steps_parts_have_their_own():
    whole, apart = (trained("npid", parts, steps=1, Z=0.0) for parts in (1, 2))
    torch.testing.assert_close(apart["bank.Z"], whole["bank.Z"], rtol=1e-9, atol=0)
    torch.testing.assert_close(apart["bank.rows"], whole["bank.rows"], rtol=1e-9, atol=0)
    assert apart["losses"].item() != pytest.approx(whole["losses"].item(), rel=1e-6)


def test_a_batch_is_split_into_runs_of_neighbours():
    batch = view_batch(6, ((2, 8), (3, 4)), classes=3, patches=4)
    parts = split(batch, 3)
    for name in ("index", "label", "patches"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(batch, name))
    for number, group in enumerate(batch.groups):
        assert torch.equal(torch.cat([part.groups[number] for part in parts], dim=1), group)
    assert [len(part.index) for part in parts] == [2, 2, 2]


def test_every_method_says_whether_its_batch_has_parts():
    assert {name for name in METHODS if find_method(name).batch_interaction} == set(REFUSED)


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_parts_are_refused_with_the_reason(name, reason):
    given = dataclasses.replace(settings(name), accumulate=2, options={})
    with pytest.raises(SettingError, match=f"{name} cannot accumulate .*{reason}"):
        prepare(given, CPU)


def test_a_run_in_parts_is_a_run_of_its_own(tmp_path):
    given = dataclasses.replace(settings("supervised", epochs=1), accumulate=2)
    pretrain(given, tmp_path / "r", compute=CPU, workers=0)
    with pytest.raises(SettingError, match="another accumulate"):
        pretrain(dataclasses.replace(given, accumulate=1), tmp_path / "r", compute=CPU)
    with pytest.raises(SettingError, match="3 equal parts of at least 2"):
        prepare(dataclasses.replace(given, accumulate=3), CPU)
