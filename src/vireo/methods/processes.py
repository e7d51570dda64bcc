"""What the processes of one run tell each other while a method computes; nothing if one is alone.

Each of W processes (ranks) has n examples of a batch of N = W n, in the batch's order: rank 0 the
first n. A queue, bank, centre or memory is equal on all ranks because each takes in every rank's
rows; a loss over the batch has every rank's rows with their gradients.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed

_ALONE = ContextVar("alone", default=False)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Compute in the block as if there were no other process: they do not do what this one does."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def rank_of() -> tuple[int, int]:
    """Return the number of this process, and of how many.

    Example:
        >>> rank_of()
        (0, 1)
    """
    if _ALONE.get() or not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def gather(x: Float[Tensor, "n d"]) -> Float[Tensor, "N d"]:
    """Return the rows of all processes, in the order of their ranks; x itself if there is one.

    Every process then has the loss of the whole batch. Gradients of all processes' losses flow back
    to the rows' own, so that their mean, which DistributedDataParallel takes, is the loss's.
    """
    if rank_of()[1] == 1:
        return x
    rows: Tensor = _Gather.apply(x)
    return rows


def of_all_processes(x: Tensor) -> Tensor:
    """Return the rows of all processes, by rank, without gradient; x itself if there is one."""
    if rank_of()[1] == 1:
        return x
    parts = [
        torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(rank_of()[1])
    ]
    distributed.all_gather(parts, x.detach().contiguous())
    return torch.cat(parts)


def own_share(rows: Tensor) -> Tensor:
    """Return this process's rows of what `of_all_processes` gave; all if it is alone."""
    rank, count = rank_of()
    return rows if count == 1 else rows.chunk(count)[rank]


def mean_of_all_processes(x: Tensor) -> Tensor:
    """Return the mean of the processes' tensors, without gradient; x itself if there is one."""
    count = rank_of()[1]
    if count == 1:
        return x
    total = x.detach().clone()
    distributed.all_reduce(total)
    return total / count


def of_first_process(x: Tensor) -> Tensor:
    """Return rank 0's tensor: for what is computed everywhere, but may be rounded differently."""
    if rank_of()[1] > 1:
        x = x.contiguous()
        distributed.broadcast(x, src=0)
    return x


class _Gather(torch.autograd.Function):
    """`of_all_processes`; backward, the rows' own share of the sum of all ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return of_all_processes(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return own_share(total)
