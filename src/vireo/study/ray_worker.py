"""A worker of the Ray engine: what it is told, what it says of itself, and its two methods.

It knows nothing of Ray, so that it can be run and tested without one.
"""

import os
import platform
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vireo.errors import SettingError
from vireo.files import write_bytes
from vireo.records import StudyPlan
from vireo.store.folder import StudyFolder
from vireo.study.cells import Cell
from vireo.study.work import Outcome, Worker

if TYPE_CHECKING:
    from vireo.devices import Compute

SIGN_SECONDS = 10.0
"""How long a shared disk may take to show a file that another machine wrote."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a driver tells its workers.

    Attributes:
        root: the study's folder, as all machines see it.
        features: folder on each machine's own disk, or None.
        compute: the driver's. A worker with a share of a GPU computes there; threads are the
            driver's, and so is the precision where both compute on the same kind of device.
        sign: a file of this run in the folder: who does not see it sees another folder.
        directory: the driver's; paths in a study file may be relative to it.
        variables: of the environment, which paths may name.
    """

    plan: StudyPlan
    root: Path
    features: Path | None
    compute: "Compute"
    workers: int
    sign: Path
    directory: Path
    variables: dict[str, str]


def job_of(worker: Worker) -> Job:
    """Return what every worker is told, and leave a sign in the folder for it to find."""
    folder, features = worker.folder, worker.folder.features_at
    root = folder.root.resolve()
    sign = root / folder.claims.name / f"run-{secrets.token_hex(8)}"
    write_bytes(sign, b"")
    return Job(
        plan=worker.plan,
        root=root,
        features=features.absolute() if features else None,
        compute=worker.compute,
        workers=worker.workers,
        sign=sign,
        directory=Path.cwd(),
        variables={name: os.environ[name] for name in os.environ if name.startswith("VIREO_")},
    )


@dataclass(frozen=True, kw_only=True)
class Hello:
    """What a worker says when it has started.

    Attributes:
        machine: its machine's identity in the cluster; host: its name.
        facts: versions and precision; numbers of one table come from equal ones.
        problem: why it cannot work; empty if it can.
    """

    machine: str
    host: str
    process: int
    facts: dict[str, str]
    problem: str = ""


class CellWorker:
    """Runs the cells of one study that it is given, one after another.

    Args:
        job: what to do.
        gpus: its share of a GPU; it cannot take more of the memory than that.
    """

    def __init__(self, job: Job, gpus: float = 0.0) -> None:
        self._job, self._gpus = job, gpus
        self._worker: Worker | None = None

    def open(self, machine: str) -> Hello:
        """Prepare to work, and say with what; `machine` is its identity in the cluster."""
        from vireo.devices import versions

        os.environ.update(self._job.variables)
        if self._job.directory.is_dir():
            os.chdir(self._job.directory)
        try:
            compute = self._compute()
            problem = "" if self._sees_sign() else _NOT_SHARED.format(self._job.root)
            if self._job.features:
                self._job.features.mkdir(parents=True, exist_ok=True)
        except (SettingError, OSError) as error:
            return self._hello(machine, {}, str(error).rstrip("."))
        folder = StudyFolder(self._job.root, self._job.features)
        self._worker = Worker(self._job.plan, folder, compute, self._job.workers)
        self._worker.shares_machine = True
        return self._hello(machine, versions() | {"precision": compute.precision}, problem)

    def attempt(self, cell: Cell) -> Outcome:
        """Compute a cell if it is missing."""
        assert self._worker is not None, "open comes first"
        return self._worker.attempt(cell)

    def _hello(self, machine: str, facts: dict[str, str], problem: str) -> Hello:
        return Hello(
            machine=machine,
            host=platform.node(),
            process=os.getpid(),
            facts=facts,
            problem=problem,
        )

    def _compute(self) -> "Compute":
        import torch

        from vireo.devices import choose

        told = self._job.compute
        device = "cuda" if self._gpus else "cpu"
        same = told.device.split(":")[0] == device
        chosen = choose(device, told.precision if same else "auto", told.threads)
        if 0 < self._gpus < 1:
            torch.cuda.set_per_process_memory_fraction(self._gpus)
        return chosen

    def _sees_sign(self) -> bool:
        give_up = time.monotonic() + SIGN_SECONDS
        while not self._job.sign.exists():
            if time.monotonic() > give_up:
                return False
            time.sleep(0.5)
        return True


_NOT_SHARED = "it does not see the study's folder {}; give --out on a disk that all machines share"
