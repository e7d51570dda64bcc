"""The processes that train one run together, started by torchrun: what they agree on, who speaks.

Each has a contiguous share of every batch, so the batches are those of one process. The first
process alone writes files, holds the folder and prints; an error of any ends all. Where all must do
the same (stop, save, give up) they agree in a small collective on the CPU, which waits for no GPU.
"""

import contextlib
import os
import warnings
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from vireo import console
from vireo.errors import SettingError, StoreError, VireoError
from vireo.methods.batch_norm import AllReducedBatchNorm
from vireo.methods.method import Method
from vireo.methods.parts import SplitBatchNorm2d
from vireo.methods.processes import rank_of

Result = TypeVar("Result")
WAIT = timedelta(minutes=30)  # for the slowest process, before the others give up


class ElsewhereError(VireoError):
    """What ended the run happened in another process; the first one says what."""


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Those of one run, seen from one of them.

    Attributes:
        rank: its number; count: of all; the default is a process that is alone.
        local_rank: its number on this machine, local_count: of those on this machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """Return the device of this process: of several on a machine, each has a GPU of its own.

        Raises:
            SettingError: one GPU is asked for by its number, for several processes.
        """
        if self.count == 1 or name == "cpu":
            return name
        if name.startswith("cuda:"):
            raise SettingError(
                f"Each of {self.count} processes takes a GPU of its own; got --device {name}. "
                f"Leave it out, or set CUDA_VISIBLE_DEVICES."
            )
        on_gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
        return f"cuda:{self.local_rank}" if on_gpu else name

    def settle(self, device: torch.device) -> None:
        """Make this process's GPU the default of libraries, or all would take the first."""
        if self.count > 1 and device.type == "cuda":
            torch.cuda.set_device(device)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return for each flag whether any process has set it."""
        if self.count == 1:
            return flags
        raised = torch.tensor(flags, dtype=torch.int32)
        distributed.all_reduce(raised, op=distributed.ReduceOp.MAX)
        return tuple(bool(flag) for flag in raised)

    def each(self, value: Result) -> list[Result]:
        """Return the values of all processes, by rank."""
        if self.count == 1:
            return [value]
        found: list[Any] = [None] * self.count
        distributed.all_gather_object(found, value)
        return found

    def agreed(self, work: Callable[[], Result]) -> Result:
        """Do what every process does; where it fails for one, it fails for all.

        Raises:
            VireoError: the first process: its own error, or another's with that one's number.
            ElsewhereError: the other processes, which keep silent.
        """
        if self.count == 1:
            return work()
        result, error = None, None
        try:
            result = work()
        except (VireoError, OSError) as caught:
            error = caught
        if self.any(error is not None)[0]:
            self._give_up(error)
        return result  # type: ignore[return-value]

    def first(self, work: Callable[[], Result]) -> Result:
        """Let the first process do it, and return what it found in all; its failure is all's."""
        found = self.agreed(lambda: work() if self.leads else None)
        if self.count == 1:
            return found  # type: ignore[return-value]
        sent = [found]
        distributed.broadcast_object_list(sent, src=0, device=torch.device("cpu"))
        return sent[0]  # type: ignore[return-value]

    @contextlib.contextmanager
    def held(self, lock: contextlib.AbstractContextManager[None]) -> Iterator[None]:
        """Enter `lock` in the first process, for the block in all."""
        with contextlib.ExitStack() as stack:
            self.first(lambda: stack.enter_context(lock))
            yield

    def in_step(self, items: Generator[Result, None, None]) -> Generator[Result, None, None]:
        """Yield the items, one in every process; an error in reading one ends all."""
        with contextlib.closing(items):
            while (item := self.agreed(lambda: next(items, None))) is not None:
                yield item

    def _give_up(self, error: Exception | None) -> None:
        errors = self.each(None if error is None else (type(error), str(error)))
        rank, (kind, message) = next((r, e) for r, e in enumerate(errors) if e is not None)
        if not self.leads:
            raise ElsewhereError(f"Process {rank}: {message}") from error
        if rank == 0 and error is not None:
            raise error
        kind = kind if issubclass(kind, VireoError) else StoreError
        raise kind(f"Process {rank}: {message}")


ALONE = Processes()


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun started for the block; a process without them is alone.

    All but the first are silent from then on.

    Raises:
        SettingError: WORLD_SIZE says that there are others, but not where.
    """
    if rank_of()[1] > 1:
        yield _here()
        return
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    missing = [n for n in ("RANK", "MASTER_ADDR", "MASTER_PORT") if n not in os.environ]
    if missing:
        raise SettingError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {', '.join(missing)} is not set. Start "
            f"with torchrun, or unset WORLD_SIZE for a single process."
        )
    distributed.init_process_group(_backend(), timeout=WAIT)
    here = _here()
    console.hush(not here.leads)
    try:
        yield here
    except (ElsewhereError, KeyboardInterrupt):
        distributed.destroy_process_group()
        raise
    except VireoError:
        console.hush(False)  # an error that the others do not know of must be seen
        raise
    distributed.destroy_process_group()


def spread(method: Method, processes: Processes) -> None:
    """Let batch norm be what it is in one process, or local where the method was published so.

    Splits stand for devices: each process has its share of them.

    Raises:
        SettingError: the splits cannot be shared out.
    """
    if processes.count == 1:
        return
    for module in method.modules():
        if isinstance(module, SplitBatchNorm2d):
            if module.splits % processes.count:
                raise SettingError(
                    f"bn_splits must be a multiple of the {processes.count} processes, or 1 for "
                    f"statistics of the whole batch; got {module.splits}. Set bn_splits = "
                    f"{-(-module.splits // processes.count) * processes.count}."
                )
            module.splits //= processes.count
    if method.sync_batch_norm:
        _synchronise(method)


def wrapped(method: Method, processes: Processes) -> nn.Module:
    """Return the method in torch's DistributedDataParallel, or itself if the process is alone."""
    if processes.count == 1:
        return method
    with warnings.catch_warnings():
        # a new torch has another name for the same; buffers must not be rank 0's at init either
        warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
        network = DistributedDataParallel(method, broadcast_buffers=False)
    if next(method.parameters()).device.type == "cpu":
        from vireo.pretrain.averaging import one_by_one  # of what not every build of torch has

        network.register_comm_hook(None, one_by_one)
    return network


def own_state(state: dict[str, Any], processes: Processes) -> dict[str, Any]:
    """Return a checkpoint's state as this process left it.

    With another number of processes than the run had, what each had for itself is lost but rank
    0's: running statistics of local batch norm, and sums since the last line of the log.
    """
    ranks = state.get("ranks", [])
    if len(ranks) != processes.count:
        return state
    mine = ranks[processes.rank]
    return {**state, **mine, "method": {**state["method"], **mine["method"]}}


def batch_norm_state(method: Method) -> dict[str, torch.Tensor]:
    """Return the running statistics, the state in which processes differ, as `state_dict` names."""
    return {
        f"{name}.{buffer}": value.cpu()
        for name, module in method.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for buffer, value in module.named_buffers(recurse=False)
    }


def _here() -> Processes:
    rank, count = rank_of()
    return Processes(
        rank=rank,
        count=count,
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        local_count=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
    )


def _backend() -> str:
    on_gpu = torch.cuda.is_available() and distributed.is_nccl_available()
    return "cpu:gloo,cuda:nccl" if on_gpu else "gloo"


def _synchronise(network: nn.Module) -> None:
    """Replace, in place, every plain batch norm by one over all processes."""
    for name, child in network.named_children():
        if not isinstance(child, nn.modules.batchnorm._BatchNorm):
            _synchronise(child)
        elif next(iter(child.buffers())).device.type == "cuda":
            synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(child)  # type: ignore[no-untyped-call]
            setattr(network, name, synchronised)
        else:
            setattr(network, name, AllReducedBatchNorm(child))
