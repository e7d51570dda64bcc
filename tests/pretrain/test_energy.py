"""Joules from a driver's counters, laid out as Linux lays them out."""

import sys
from types import SimpleNamespace

import torch

from vireo.pretrain.energy import energy_counter

CPU = torch.device("cpu")


def package(root, name, used, largest=1_000_000):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "energy_uj").write_text(f"{used}\n")
    (folder / "max_energy_range_uj").write_text(f"{largest}\n")
    return folder / "energy_uj"


def test_packages_are_summed_and_their_parts_are_not(tmp_path):
    first = package(tmp_path, "intel-rapl:0", 500)
    second = package(tmp_path, "intel-rapl:1", 0)
    package(tmp_path, "intel-rapl:0:0", 7)
    joules = energy_counter(CPU, tmp_path)
    start = joules()
    first.write_text("200500")
    second.write_text("100000")
    assert round(joules() - start, 9) == 0.3


def test_a_counter_that_begins_anew_goes_on(tmp_path):
    counter = package(tmp_path, "intel-rapl:0", 900_000)
    joules = energy_counter(CPU, tmp_path)
    for value, expected in ((990_000, 0.09), (10_000, 0.11), (400_000, 0.5)):
        counter.write_text(str(value))
        assert round(joules(), 9) == expected


def test_no_counter_is_no_number(tmp_path):
    assert energy_counter(CPU, tmp_path) is None
    (tmp_path / "intel-rapl:0").mkdir()
    assert energy_counter(CPU, tmp_path) is None


def test_a_gpus_counter_is_asked_by_its_identity(monkeypatch):
    asked = []

    class NVMLError(Exception):
        pass

    nvml = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: asked.append(uuid) or "card",
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: 1500,
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="abc")
    )
    assert energy_counter(torch.device("cuda"))() == 1.5
    assert asked == ["GPU-abc"]

    def refuse(handle):
        raise NVMLError

    nvml.nvmlDeviceGetTotalEnergyConsumption = refuse
    assert energy_counter(torch.device("cuda")) is None
