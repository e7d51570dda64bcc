"""What PIRL and NPID share: a bank with an embedding of every image, its negatives, the losses.

n examples of the batch, N images, d dimensions, K negatives of each example, T the temperature.
Scores are similarities [n, 1 + K], the image's own row first.

References:
    Wu et al. 2018, arXiv 1805.01978; Misra & van der Maaten 2020, arXiv 1912.01991.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vireo.console import warn
from vireo.methods.processes import of_all_processes

# The constants of SplitMix64 (Steele et al. 2014), as signed 64-bit integers.
_GAMMA, _MIX_1, _MIX_2 = (
    c - (1 << 64) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


class MemoryBank(nn.Module):
    """A unit row for each image: the moving average of its embeddings in earlier epochs.

    Beside them Z, the sum of exp(s / T) over all images as the first batch estimated it.
    """

    rows: Tensor
    Z: Tensor

    def __init__(self, num_images: int, dimension: int) -> None:
        super().__init__()
        uniform = torch.rand(num_images, dimension) * 2 - 1
        self.register_buffer("rows", F.normalize(uniform, dim=1))
        self.register_buffer("Z", torch.zeros(()))  # 0 is not estimated yet

    def scores(
        self, v: Float[Tensor, "n d"], index: Int64[Tensor, " n"], negatives: Int64[Tensor, "n K"]
    ) -> Float[Tensor, "n K_and_1"]:
        """Return the similarity of each embedding to its own row and to its negatives.

        What takes fewer numbers is computed: similarities to all N rows, or a copy of K rows of d
        numbers for each example.
        """
        N, d = self.rows.shape
        positive = (v * self.rows[index]).sum(1, keepdim=True)
        if negatives.shape[1] * d < N:
            negative = torch.einsum("nd,nkd->nk", v, self.rows[negatives])
        else:
            negative = (v @ self.rows.T).gather(1, negatives)
        return torch.cat([positive, negative], dim=1)

    @torch.no_grad()
    def partition(self, scores: Float[Tensor, "n K_and_1"], T: float) -> Float[Tensor, ""]:
        """Return Z: the mean of exp(s / T) over these scores times N, if there is none yet."""
        estimate = of_all_processes((scores / T).exp().mean(1)).mean() * len(self.rows)
        # By a tensor, for a condition would make the host wait for the GPU in every step.
        return torch.where(self.Z > 0, self.Z, estimate)

    @torch.no_grad()
    def update(self, index: Int64[Tensor, " n"], v: Float[Tensor, "n d"], m: float) -> None:
        """Set the rows of the batch's images to m * themselves + (1 - m) * v, of unit length."""
        moved = m * self.rows[index] + (1 - m) * v
        self.rows.index_copy_(0, index, F.normalize(moved, dim=1))


def draw_negatives(
    index: Int64[Tensor, " n"], num_images: int, num_negatives: int, *, seed: int
) -> Int64[Tensor, "n K"]:
    """Draw images with replacement from all, the example's own among them.

    A counter-based generator (SplitMix64), so that what an example gets depends on its number and
    the seed alone: not on the device, nor on the rest of the batch or the rank that has it. Each
    output of 64 bits gives two images, a number r of 32 bits the image r N / 2^32.

    Example:
        >>> draw_negatives(torch.tensor([7, 3]), 1000, 3, seed=0)[1].tolist()
        [173, 771, 122]
    """
    counts = (num_negatives + 1) // 2
    places = torch.arange(1, counts + 1, device=index.device)
    x = (index[:, None] * counts + places).mul_(_GAMMA).add_(seed)
    _fold(x, 30).mul_(_MIX_1)
    _fold(x, 27).mul_(_MIX_2)
    _fold(x, 31)
    halves = torch.cat([_first_bits(x, 32), x & 0xFFFFFFFF], dim=1)[:, :num_negatives]
    return halves.mul_(num_images).bitwise_right_shift_(32)


def warn_of_own_row(num_negatives: int, num_images: int) -> None:
    """Say that an image's own row is expected among its negatives, as in MoCo's full queue."""
    if num_negatives >= num_images:
        warn(
            f"num_negatives {num_negatives} is not below the {num_images} images: an image's own "
            f"row is about {num_negatives / num_images:.0f} times among its negatives. Consider "
            f"fewer."
        )


def nce(scores: Float[Tensor, "n K_and_1"], T: float, c: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Tell the own row from the negatives one by one, mean over examples.

    -ln h(positive) - sum over negatives of ln(1 - h(negative)), where h(s) = e / (e + c) with
    e = exp(s / T). With c = Z K / N this is noise-contrastive estimation: h is the odds of the
    model's e / Z against K draws of probability 1 / N.
    """
    return _logistic(scores / T - c.log())


def nce_of_sum(scores: Float[Tensor, "n K_and_1"], T: float) -> Float[Tensor, ""]:
    """Return `nce` with c = the example's own sum of exp(s / T) over its negatives.

    Equations 3 and 4 of PIRL's paper, each negative in its turn in the place of h's first argument.
    It equals `nce` where every example's sum is c; and its first term is `info_nce`, which it
    exceeds by -sum over negatives of ln(1 - h).
    """
    u = scores / T
    return _logistic(u - u[:, 1:].logsumexp(1, keepdim=True))


def info_nce(scores: Float[Tensor, "n K_and_1"], T: float) -> Float[Tensor, ""]:
    """Return the cross-entropy of telling the own row among all."""
    return F.cross_entropy(scores / T, scores.new_zeros(len(scores), dtype=torch.int64))


def _logistic(u: Float[Tensor, "n K_and_1"]) -> Float[Tensor, ""]:
    """Return the cross-entropy of logits u, the first of each row being of the positive class."""
    return F.softplus(-u[:, 0]).mean() + F.softplus(u[:, 1:]).sum(1).mean()


def _fold(x: Int64[Tensor, "n counts"], bits: int) -> Int64[Tensor, "n counts"]:
    """Replace x, in place, by x ^ (x >> bits)."""
    return x.bitwise_xor_(_first_bits(x, 64 - bits))


def _first_bits(x: Int64[Tensor, "n counts"], bits: int) -> Int64[Tensor, "n counts"]:
    """Return x >> (64 - bits) without the copies of the sign that torch shifts in."""
    return (x >> (64 - bits)).bitwise_and_((1 << bits) - 1)
