"""What a run takes: time, operations, memory, energy; added up through all parts of a run."""

import copy
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from vireo import devices
from vireo.data.batch import ViewBatch
from vireo.data.views.draws import grouped_views, single_views
from vireo.data.views.recipe import ViewRecipe
from vireo.devices import Compute
from vireo.methods.method import Method
from vireo.pretrain.energy import energy_counter


@dataclass(frozen=True, kw_only=True)
class RunCost:
    """The bill of a run; times and energy are facts of this machine.

    Attributes:
        seconds: wall time of training, with its input pipeline, without the parts that a kill
            threw away.
        cpu_seconds: of all processes of the run; gpu_seconds: wall time that a GPU was held.
        flops: multiply-adds, counted twice, of all forward and backward passes; None where a method
            cannot be counted.
        energy_joules: of the whole device, whatever else ran on it; None if its driver does not
            tell.
    """

    images: int
    seconds: float
    images_per_second: float
    cpu_seconds: float
    gpu_seconds: float
    flops: int | None
    peak_memory_bytes: int
    energy_joules: float | None
    device: str
    threads: int


class Ledger:
    """Counts while a run trains; its state goes into checkpoints.

    Args:
        compute: where the run trains.
    """

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._energy = energy_counter(compute.torch_device)
        self._before = {"seconds": 0.0, "cpu_seconds": 0.0, "energy_joules": 0.0, "peak": 0.0}
        self._start = self._read()

    def look(self) -> None:
        """Read the counter of energy, which begins anew every half an hour or so."""
        if self._energy:
            self._energy()

    def state_dict(self) -> dict[str, float]:
        """Return what has been used so far, by this part of the run and those before it."""
        used = {
            name: self._before[name] + value - self._start[name]
            for name, value in self._read().items()
        }
        peak = max(self._before["peak"], float(devices.peak_memory_bytes(self._compute.device)))
        return {**used, "peak": peak}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from what an earlier part of the run had used."""
        self._before = dict(state)
        self._start = self._read()

    def bill(self, images: int, flops: int | None) -> RunCost:
        """Return the cost of a run over `images` images (each counted once an epoch)."""
        used = self.state_dict()
        on_gpu = self._compute.torch_device.type == "cuda"
        return RunCost(
            images=images,
            seconds=used["seconds"],
            images_per_second=images / max(used["seconds"], 1e-9),
            cpu_seconds=used["cpu_seconds"],
            gpu_seconds=used["seconds"] if on_gpu else 0.0,
            flops=flops,
            peak_memory_bytes=int(used["peak"]),
            energy_joules=used["energy_joules"] if self._energy else None,
            device=self._compute.device,
            threads=self._compute.threads,
        )

    def _read(self) -> dict[str, float]:
        mine, workers = (
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        cpu = sum(usage.ru_utime + usage.ru_stime for usage in (mine, workers))
        joules = self._energy() if self._energy else 0.0
        return {"seconds": time.perf_counter(), "cpu_seconds": cpu, "energy_joules": joules}


def together(bills: Sequence[RunCost]) -> RunCost:
    """Return the bill of processes that ran one run, the first's facts of the run among them.

    Seconds of CPUs and GPUs are added; energy too, each process's device being its own; memory is
    that of the process with most.
    """
    joules = [bill.energy_joules for bill in bills if bill.energy_joules is not None]
    return replace(
        bills[0],
        cpu_seconds=sum(bill.cpu_seconds for bill in bills),
        gpu_seconds=sum(bill.gpu_seconds for bill in bills),
        peak_memory_bytes=max(bill.peak_memory_bytes for bill in bills),
        energy_joules=sum(joules) if joules else None,
    )


def step_flops(method: Method, batch_size: int) -> int | None:
    """Count one step's forward and backward on tensors without numbers.

    Returns:
        Multiply-adds, counted twice; None for a method that looks at its own numbers on the way.
    """
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counter:
            twin = without_numbers(method)
            twin(empty_batch(method.views, batch_size)).total.backward()
    except (RuntimeError, NotImplementedError):
        return None
    return int(counter.get_total_flops())


def without_numbers(module: nn.Module) -> nn.Module:
    """Return a copy whose tensors are the current mode's: a bank of gigabytes is not copied."""
    memo: dict[int, Tensor] = {}
    for parameter in module.parameters():
        empty = torch.empty(parameter.shape, dtype=parameter.dtype)
        memo[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
    for buffer in module.buffers():
        memo[id(buffer)] = torch.empty(buffer.shape, dtype=buffer.dtype)
    return copy.deepcopy(module, memo)


def empty_batch(recipe: ViewRecipe, batch_size: int) -> ViewBatch:
    """Return a batch of the recipe's shapes, its pixels anything."""
    views = single_views(recipe)
    sides = [(len(numbers), views[numbers[0]].side) for numbers in grouped_views(recipe)]
    index = torch.empty(batch_size, dtype=torch.int64)
    patches = None
    if recipe.jigsaw is not None:
        side = recipe.jigsaw.side
        patches = torch.empty(batch_size, 9, 3, side, side)
    return ViewBatch(
        groups=tuple(torch.empty(count, batch_size, 3, side, side) for count, side in sides),
        index=index,
        label=index,
        patches=patches,
    )
