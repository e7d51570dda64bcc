"""The energy a device has used, where its driver counts it."""

from collections.abc import Callable
from pathlib import Path

import torch

Joules = Callable[[], float]

RAPL = Path("/sys/class/powercap")
"""Where Linux shows the counters of Intel's and AMD's processors; often for the superuser alone."""


def energy_counter(device: torch.device, rapl: Path = RAPL) -> Joules | None:
    """Return a function that gives the joules used since some fixed time, or None if nobody tells.

    A GPU's counter is NVML's, of the whole card; a processor's is RAPL's, of all packages and of
    everything that runs on them.
    """
    return _gpu(device) if device.type == "cuda" else _packages(rapl)


def _gpu(device: torch.device) -> Joules | None:
    try:
        import pynvml

        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except (ImportError, AttributeError, RuntimeError, OSError):
        return None
    except pynvml.NVMLError:  # a driver without the counter
        return None
    return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3


def _packages(rapl: Path) -> Joules | None:
    found = [package for package in sorted(rapl.glob("*-rapl:*")) if package.name.count(":") == 1]
    try:
        counters = [_Package(package) for package in found]
    except (OSError, ValueError):
        return None
    return (lambda: sum(counter.joules() for counter in counters)) if counters else None


class _Package:
    """One package's counter, in microjoules; it begins anew after `max_energy_range_uj`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text())
        self._last = int(self._file.read_text())
        self._total = 0

    def joules(self) -> float:
        value = int(self._file.read_text())
        self._total += (value - self._last) % self._range
        self._last = value
        return self._total / 1e6
