"""One forward and backward over a batch: through DistributedDataParallel, and in parts.

The gradient of a loss that is a mean over examples is the mean of the gradients of equal parts of
the batch, so large batches fit where their activations do not. Batch norm sees a part at a time.
"""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vireo import seeding
from vireo.data.batch import ViewBatch
from vireo.devices import Compute
from vireo.methods.method import Losses, Progress
from vireo.methods.processes import of_all_processes, rank_of


@dataclass(frozen=True, kw_only=True)
class Learner:
    """What a batch is run through.

    Attributes:
        network: a method, or the wrapper around it.
        parts: of the batch, one after the other.
    """

    network: nn.Module
    parts: int = 1

    def learn(self, batch: ViewBatch, now: Progress, compute: Compute) -> Losses:
        """Add the gradients of the batch's loss; `pending` is of all parts and processes."""
        found = []
        for part, views in enumerate(split(batch, self.parts)):
            with self._sums_gradients(last=part == self.parts - 1):
                with seeded(now, compute.torch_device, part), compute.autocast():
                    losses: Losses = self.network(views)
                (losses.total / self.parts).backward()  # type: ignore[no-untyped-call]
                found.append(replace(losses, total=losses.total.detach()))
        return _joined(found)

    def _sums_gradients(self, *, last: bool) -> contextlib.AbstractContextManager[None]:
        """Let processes exchange gradients once a step, after the last part."""
        if last or not isinstance(self.network, DistributedDataParallel):
            return contextlib.nullcontext()
        waiting: contextlib.AbstractContextManager[None] = self.network.no_sync()
        return waiting


def split(batch: ViewBatch, parts: int) -> list[ViewBatch]:
    """Return equal runs of neighbouring examples."""
    if parts == 1:
        return [batch]
    groups = zip(*(group.chunk(parts, dim=1) for group in batch.groups), strict=True)
    index = batch.index.chunk(parts)
    label = [None] * parts if batch.label is None else batch.label.chunk(parts)
    patches = [None] * parts if batch.patches is None else batch.patches.chunk(parts)
    return [
        ViewBatch(groups=g, index=i, label=c, patches=p)
        for g, i, c, p in zip(groups, index, label, patches, strict=True)
    ]


@contextlib.contextmanager
def seeded(now: Progress, device: torch.device, part: int = 0) -> Generator[None, None, None]:
    """Seed torch's global generators for one forward: dropout has no generator of its own."""
    on_gpu = device.type == "cuda"
    rank = rank_of()[0]
    purpose = "forward" if part == 0 else f"forward of part {part}"
    seed = seeding.integer(now.digest, purpose, rank, now.step)
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def _joined(parts: list[Losses]) -> Losses:
    """Return the mean loss and terms, and the rows of all parts and processes in their order.

    Rows of several parts in several processes come a process at a time: the batch's order.
    """
    first = parts[0]
    if len(parts) > 1:
        first = Losses(
            total=torch.stack([losses.total for losses in parts]).mean(),
            terms={name: _mean(parts, name) for name in first.terms},
            features=torch.cat([losses.features for losses in parts]),
            pending={
                name: torch.cat([losses.pending[name] for losses in parts])
                for name in first.pending
            },
        )
    return replace(
        first, pending={name: of_all_processes(rows) for name, rows in first.pending.items()}
    )


def _mean(parts: list[Losses], name: str) -> Tensor:
    return torch.stack([losses.terms[name] for losses in parts]).mean()
