"""The bank, its negatives and losses against plain loops; where the losses must agree."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import stats
from tests.oracles import memory_bank as oracle

from vireo.methods.memory_bank import (
    MemoryBank,
    draw_negatives,
    info_nce,
    nce,
    nce_of_sum,
    warn_of_own_row,
)

LEVEL = 1e-3


def unit_rows(*shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randn(*shape, generator=draw, dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=-1)


def some_scores(n=5, K=7, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(n, 1 + K, generator=draw, dtype=torch.float64) * 2 - 1


def test_the_oracle_gives_the_published_outputs_of_splitmix64():
    wanted = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [oracle.splitmix64(0, place) for place in (1, 2, 3)] == wanted


@pytest.mark.parametrize("K", [1, 2, 7, 8])
@pytest.mark.parametrize("seed", [0, 12345678901234567, (1 << 63) - 1])
def test_negatives_are_splitmix64_in_pythons_integers(K, seed):
    index = [0, 3, 1281166]
    ours = draw_negatives(torch.tensor(index), 1281167, K, seed=seed)
    assert ours.tolist() == [oracle.negatives(i, 1281167, K, seed) for i in index]


def test_negatives_are_uniform_over_all_images_the_own_one_too():
    drawn = draw_negatives(torch.arange(50), 50, 4000, seed=7)
    counts = np.bincount(drawn.numpy().ravel(), minlength=50)
    assert len(counts) == 50
    assert stats.chisquare(counts).pvalue > LEVEL
    own = int((drawn == torch.arange(50)[:, None]).sum())
    assert stats.binomtest(own, drawn.numel(), 1 / 50).pvalue > LEVEL


def test_negatives_in_a_row_and_of_neighbours_are_independent():
    drawn = draw_negatives(torch.arange(200), 4, 1000, seed=3).numpy()
    for first, second in ((drawn[:, 1:], drawn[:, :-1]), (drawn[1:], drawn[:-1])):
        table = np.zeros((4, 4))
        np.add.at(table, (first.ravel(), second.ravel()), 1)
        assert stats.chi2_contingency(table).pvalue > LEVEL


def test_an_examples_negatives_depend_on_its_number_and_the_seed_alone():
    together = draw_negatives(torch.tensor([4, 9, 2]), 100, 64, seed=5)
    assert torch.equal(draw_negatives(torch.tensor([9]), 100, 64, seed=5)[0], together[1])
    assert not torch.equal(draw_negatives(torch.tensor([9]), 100, 64, seed=6)[0], together[1])
    assert not torch.equal(together[0], together[1])


def test_an_own_row_that_is_surely_drawn_is_said(capsys):
    warn_of_own_row(49, 50)
    assert capsys.readouterr().err == ""
    warn_of_own_row(200, 50)
    said = " ".join(capsys.readouterr().err.split())
    assert "num_negatives 200 is not below the 50 images" in said
    assert "own row is about 4 times among its negatives" in said


@pytest.mark.gpu
def test_negatives_are_the_same_on_a_gpu():
    index = torch.tensor([0, 3, 1281166])
    ours = draw_negatives(index.cuda(), 1281167, 33, seed=(1 << 62) + 5)
    assert torch.equal(ours.cpu(), draw_negatives(index, 1281167, 33, seed=(1 << 62) + 5))


@pytest.mark.parametrize("T", [0.07, 0.5])
def test_losses_equal_the_loops(T):
    scores, Z, N = some_scores(), 91.0, 40
    c = torch.tensor(Z * 7 / N, dtype=torch.float64)
    values = scores.numpy()
    assert nce(scores, T, c).item() == pytest.approx(oracle.nce(values, T, Z, N), rel=1e-12)
    assert nce_of_sum(scores, T).item() == pytest.approx(
        oracle.nce_of_the_paper(values, T), rel=1e-9
    )
    assert info_nce(scores, T).item() == pytest.approx(oracle.info_nce(values, T), rel=1e-12)


def test_the_released_nce_is_the_papers_where_every_examples_sum_is_the_constant():
    scores = some_scores()
    scores[:, 1:] = scores[0, 1:]  # the same negatives for all: one sum
    scores[1, 1:] = scores[0, 1:].flip(0)
    S = (scores[0, 1:] / 0.3).exp().sum()
    assert nce(scores, 0.3, S).item() == pytest.approx(nce_of_sum(scores, 0.3).item(), rel=1e-12)
    scores[2, 1] += 0.1
    assert nce(scores, 0.3, S).item() != pytest.approx(nce_of_sum(scores, 0.3).item(), rel=1e-6)


def test_the_papers_nce_is_info_nce_and_what_it_asks_of_the_negatives():
    scores, T = some_scores(), 0.3
    share = (scores[:, 1:] / T).softmax(1)  # e / S, so 1 - h = 1 / (1 + share)
    rest = (1 + share).log().sum(1).mean()
    wanted = info_nce(scores, T) + rest
    assert nce_of_sum(scores, T).item() == pytest.approx(wanted.item(), rel=1e-12)


@pytest.mark.parametrize("K", [1, 10, 32000])
def test_all_agree_on_features_that_say_nothing(K):
    """All similarities equal: h is 1 / (1 + K) for every row, in each of them."""
    scores, bank = torch.full((3, 1 + K), 0.4, dtype=torch.float64), MemoryBank(50, 4).double()
    wanted = math.log(1 + K) + K * math.log((1 + K) / K)
    c = bank.partition(scores, 0.07) * K / 50
    assert nce(scores, 0.07, c).item() == pytest.approx(wanted, rel=1e-9)
    assert nce_of_sum(scores, 0.07).item() == pytest.approx(wanted, rel=1e-9)
    assert info_nce(scores, 0.07).item() == pytest.approx(math.log(1 + K), rel=1e-9)


@pytest.mark.parametrize("K", [2, 40])
def test_scores_are_the_loops_whichever_way_they_are_computed(K):
    """With d = 4 and N = 30, two negatives are copied, forty looked up in all similarities."""
    bank, v = MemoryBank(30, 4).double(), unit_rows(3, 4).requires_grad_()
    bank.rows.copy_(unit_rows(30, 4, seed=1))
    index = torch.tensor([5, 0, 29])
    drawn = draw_negatives(index, 30, K, seed=1)
    scores = bank.scores(v, index, drawn)
    wanted = oracle.similarities(
        v.detach().numpy(), bank.rows.numpy(), index.tolist(), drawn.tolist()
    )
    np.testing.assert_allclose(scores.detach(), wanted, rtol=1e-12, atol=1e-15)
    weight = torch.randn(3, 1 + K, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((scores * weight).sum(), v)
    rows = torch.cat([bank.rows[index][:, None], bank.rows[drawn]], dim=1)
    torch.testing.assert_close(gradient, (weight[:, :, None] * rows).sum(1))


def test_an_update_moves_the_batchs_rows_alone_and_keeps_them_unit():
    bank, v, index = MemoryBank(9, 4).double(), unit_rows(3, 4), torch.tensor([7, 0, 4])
    before = bank.rows.clone()
    bank.update(index, v, 0.3)
    wanted = oracle.update(before.numpy(), index.tolist(), v.numpy(), 0.3)
    np.testing.assert_allclose(bank.rows, wanted, rtol=1e-12)
    np.testing.assert_allclose(bank.rows.norm(dim=1), 1, rtol=1e-6)
    others = [1, 2, 3, 5, 6, 8]
    assert torch.equal(bank.rows[others], before[others])


def test_rows_start_as_unit_vectors_of_a_seeded_cube():
    torch.manual_seed(3)
    bank = MemoryBank(4000, 3)
    torch.manual_seed(3)
    assert torch.equal(bank.rows, MemoryBank(4000, 3).rows)
    torch.testing.assert_close(bank.rows.norm(dim=1), torch.ones(4000))
    largest = bank.rows.abs().amax(1, keepdim=True)
    # Scaled to the surface of the cube, the two other coordinates are uniform on its face.
    inside = (bank.rows / largest)[bank.rows.abs() < largest]
    assert stats.kstest(inside.numpy(), stats.uniform(-1, 2).cdf).pvalue > LEVEL
    assert bank.Z == 0


def test_the_partition_is_estimated_once():
    bank, scores = MemoryBank(30, 4).double(), some_scores()
    Z = bank.partition(scores, 0.2)
    assert Z.item() == pytest.approx(oracle.partition(scores.numpy(), 0.2, 30), rel=1e-12)
    bank.Z.copy_(Z)
    assert torch.equal(bank.partition(some_scores(seed=1), 0.2), Z)


TWO_PROCESSES = """
import sys, torch
from torch import distributed
from vireo.methods.memory_bank import MemoryBank
from vireo.methods.processes import of_all_processes
folder, rank = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
rows, index, v, scores = torch.load(f"{folder}/in.pt")
bank = MemoryBank(*rows.shape).double()
bank.rows.copy_(rows)
Z = bank.partition(scores.chunk(2)[rank], 0.2)
mine = (of_all_processes(part.chunk(2)[rank]) for part in (index, v))
bank.update(*mine, 0.5)
torch.save((Z, bank.rows), f"{folder}/out-{rank}.pt")
distributed.barrier()
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_have_the_bank_and_the_partition_of_one(tmp_path):
    bank, index, v = MemoryBank(9, 4).double(), torch.tensor([7, 0, 4, 5]), unit_rows(4, 4)
    torch.save((bank.rows, index, v, some_scores(4)), tmp_path / "in.pt")
    command = [sys.executable, "-W", "ignore", "-c", TWO_PROCESSES, str(tmp_path)]
    started = [subprocess.Popen([*command, str(rank)]) for rank in range(2)]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    Z = bank.partition(some_scores(4), 0.2)
    bank.update(index, v, 0.5)
    for rank in range(2):
        other_Z, rows = torch.load(tmp_path / f"out-{rank}.pt")
        assert other_Z.item() == pytest.approx(Z.item(), rel=1e-12)
        assert torch.equal(rows, bank.rows)
