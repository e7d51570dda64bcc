"""What an engine may use to run cells: where, how much a cell gets, and where features lie."""

from dataclasses import dataclass
from pathlib import Path

from vireo.errors import SettingError


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Where cells run and what each of them takes.

    A cell takes as many cores as it has threads and loading processes. So the number of threads,
    which is part of the numbers, also says how many cells a machine runs at once.

    Attributes:
        address: of a running cluster ("auto", "host:port"); empty for one on this machine that
            lives as long as the run.
        gpus_per_cell: share of a GPU that the probing of an encoder takes; pre-training takes a
            whole one. None: one where the run computes on GPUs, else none.
        cells_at_once: at most so many cells run at a time. None: as many as the machines hold.
        features: folder on every machine's own disk where features are kept; None keeps them in
            the study's folder. Cells then go to the machine that has their features.
    """

    address: str = ""
    gpus_per_cell: float | None = None
    cells_at_once: int | None = None
    features: Path | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that no machine can give.

        Raises:
            SettingError: more than one GPU a cell, less than none, or no cell at a time.
        """
        if self.gpus_per_cell is not None and not 0 <= self.gpus_per_cell <= 1:
            raise SettingError(
                f"A cell computes on one GPU or a share of it; got {self.gpus_per_cell:g} GPUs. "
                "Give a number from 0 to 1."
            )
        if self.cells_at_once is not None and self.cells_at_once < 1:
            raise SettingError(f"At least one cell runs at a time; got {self.cells_at_once}.")

    @property
    def are_of_a_cluster(self) -> bool:
        """Whether they ask for something that one process cannot give."""
        return bool(self.address or self.gpus_per_cell or self.cells_at_once)


@dataclass(frozen=True)
class Need:
    """What a worker takes of its machine."""

    cores: int
    gpus: float = 0.0

    def fits(self, machine: dict[str, float]) -> int:
        """Return how many of such workers a machine holds; a share never spans two GPUs.

        Args:
            machine: its resources as Ray counts them.

        Example:
            >>> Need(2, 0.25).fits({"CPU": 16.0, "GPU": 1.0})
            4
            >>> Need(2, 0.3).fits({"CPU": 16.0, "GPU": 2.0}), Need(2).fits({"CPU": 5.0})
            (6, 2)
        """
        by_cores = int(machine.get("CPU", 0.0) // self.cores)
        if not self.gpus:
            return by_cores
        return min(by_cores, int(machine.get("GPU", 0.0)) * int(1 / self.gpus + 1e-9))
