"""A study of a second whose images fail, kill their reader or take their time, as files say.

Encoders and heads are tiny and real: rows are compared with those of another engine. Every pass
over a set of images is noted in a journal.
"""

import os
import signal
import time
from pathlib import Path

import numpy as np
from tests.tiny import ArraySource

from vireo.errors import DataError

PROBED = 5
"""The image at which things happen; checks before a run read the first one alone."""


class FaultySource(ArraySource):
    """`ArraySource` that does at one image what its folder of faults says.

    Args:
        faults: a folder. `journal`: passes are noted there. `slow`: seconds to wait. `deadly-NAME`:
            removed, and the process killed. `broken-NAME`: an error.
        name: of this set of images.
    """

    def __init__(self, *, faults: str, name: str, **array: int) -> None:
        super().__init__(**array)
        self._faults, self._called = Path(faults), name

    def frames(self, index: int) -> tuple[np.ndarray, ...]:
        if index == PROBED:
            self._happen()
        return super().frames(index)

    def _happen(self) -> None:
        with (self._faults / "journal").open("a") as file:
            file.write(f"{self._called} {os.getpid()}\n")
        if (self._faults / "slow").exists():
            time.sleep(float((self._faults / "slow").read_text()))
        deadly = self._faults / f"deadly-{self._called}"
        if deadly.exists():
            deadly.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if (self._faults / f"broken-{self._called}").exists():
            raise DataError(f"{self._called} is broken.")


def write_study(
    folder: Path, sets: dict[str, int], encoders: int = 3, *, trained: bool = False, seed: int = 0
) -> Path:
    """Write a study of some random encoders; return its file.

    Args:
        folder: gets `study.toml`, the task files and the folder `faults`.
        sets: task name to the seed of its images; tasks of one seed share them.
        encoders: how many.
        trained: whether one more is pre-trained first.
        seed: of the heads.
    """
    faults = folder / "faults"
    faults.mkdir(parents=True)
    (faults / "journal").touch()
    for name, images in sets.items():
        (folder / f"{name}.toml").write_text(_task(name, images, faults))
    random = "".join(
        f'[[encoders]]\nname = "e{number}"\nspec = "random:tests.tiny:tiny_network"\n'
        f"seed = {number}\n"
        for number in range(encoders)
    )
    path = folder / "study.toml"
    path.write_text(
        f'name = "faulty"\nsummary = "s"\ntasks = {[f"{name}.toml" for name in sets]}\n'
        f'[probe]\nprotocol = "paper"\nresamples = 20\nseeds = [{seed}]\n'
        f"{random}{PRETRAIN * trained}"
    )
    return path


def passes(folder: Path) -> list[str]:
    """Return the names of the sets that were read, one a pass over a split."""
    lines = (folder / "faults" / "journal").read_text().splitlines()
    return [line.split()[0] for line in lines]


def _task(name: str, seed: int, faults: Path) -> str:
    return (
        f'name = "{name}"\nsummary = "s"\ntarget = "class"\noutputs = 2\n'
        'family = "semantic-image"\nhead = "linear"\nloss = "cross-entropy"\nmetric = "top-1"\n'
        "epochs = 2\ninput_size = [8, 8]\n"
        '[data]\nname = "array"\nsource = "tests.study.faulty:FaultySource"\n'
        f'[data.options]\nfaults = "{faults}"\nname = "images{seed}"\ncount = 24\n'
        f"[data.splits]\ntrain = {{ seed = {2 * seed} }}\ntest = {{ seed = {2 * seed + 1} }}\n"
    )


PRETRAIN = """
[pretrain.trained]
method = "supervised"
architecture = "tests.tiny:tiny_network"
epochs = 1
batch_size = 8
image_size = 8
engine = "torch"
optimizer = { learning_rate = 0.05, weight_decay = 1e-4 }
[pretrain.trained.data]
name = "array"
source = "tests.tiny:ArraySource"
options = { count = 27, labelled = true }
"""
