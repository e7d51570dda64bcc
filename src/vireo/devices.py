"""Where and how precisely to compute, decided once a process and with the reason.

Everything here changes numbers (precision, threads) or speed (memory format), so the decision is
made from what the machine is, never from a stopwatch, and is written beside every result.
"""

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

import torch

from vireo.errors import SettingError


@dataclass(frozen=True, kw_only=True)
class Compute:
    """A decision: device, precision of autocast, memory format and threads, and why.

    Attributes:
        device: "cpu", "cuda" or "cuda:N".
        precision: "bfloat16" (autocast) or "float32".
        threads: of torch on the CPU; recorded because sums over threads are ordered by them.
        reason: one sentence.
    """

    device: str
    precision: str
    threads: int
    reason: str

    @property
    def torch_device(self) -> torch.device:
        """The device as torch takes it."""
        return torch.device(self.device)

    @property
    def memory_format(self) -> torch.memory_format:
        """Channels last: convolutions are faster in it on both kinds of device."""
        return torch.channels_last

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Run the block in the chosen precision; losses and statistics belong outside it."""
        kind = self.torch_device.type
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"):
            yield


def choose(device: str = "auto", precision: str = "auto", threads: int | None = None) -> Compute:
    """Decide where to compute and set torch's thread count.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "auto", "float32" or "bfloat16".
        threads: of torch on the CPU; None keeps torch's own choice (or OMP_NUM_THREADS).

    Raises:
        SettingError: a device this machine lacks, an unknown precision, or no threads.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.split(":")[0] not in ("cpu", "cuda"):
        raise SettingError(f"Device must be auto, cpu, cuda or cuda:N; got '{device}'.")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SettingError(
            f"Device '{device}' was asked for, but torch sees no GPU here; use --device cpu."
        )
    _check_index(device)
    if precision not in ("auto", "float32", "bfloat16"):
        raise SettingError(f"Precision must be auto, float32 or bfloat16; got '{precision}'.")
    if threads is not None and threads < 1:
        raise SettingError(f"Threads must be at least 1; got {threads}.")
    if threads is not None:
        torch.set_num_threads(threads)
    fast, reason = _bfloat16_in_hardware(device)
    chosen = ("bfloat16" if fast else "float32") if precision == "auto" else precision
    return Compute(device=device, precision=chosen, threads=torch.get_num_threads(), reason=reason)


def _check_index(device: str) -> None:
    kind, colon, index = device.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if colon and not (index.isdecimal() and int(index) < count):
        raise SettingError(
            f"Device '{device}' is not here: torch numbers those of {kind} from 0 to {count - 1}."
        )


def versions() -> dict[str, str]:
    """Return the versions that can change a number."""
    libraries = ("vireo", "torch", "torchvision", "timm", "numpy")
    found = {library: metadata.version(library) for library in libraries}
    return {"python": platform.python_version(), **found}


def peak_memory_bytes(device: str) -> int:
    """Return the most memory held so far: by torch on a GPU, by this process on a CPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bfloat16_in_hardware(device: str) -> tuple[bool, str]:
    if device.startswith("cuda"):
        fast = torch.cuda.get_device_capability(device)[0] >= 8
        name = torch.cuda.get_device_name(device)
        return fast, f"GPU {name}, bfloat16 {'in' if fast else 'not in'} hardware"
    fast = bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return fast, f"CPU, bfloat16 {'in' if fast else 'not in'} hardware"
