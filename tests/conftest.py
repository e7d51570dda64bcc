"""What every test shares: one thread (sums are ordered by it), and real data where it is."""

import os
import signal
from pathlib import Path

import pytest


def pytest_configure():
    """Hear Ctrl-C in a shell's background too, where programs and what they start ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real images, from VIREO_DATA; tests that need it are skipped without it."""
    root = os.environ.get("VIREO_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("set VIREO_DATA to the folder of real data sets")
    return Path(root)


@pytest.fixture(scope="session")
def real_weights(real_data: Path) -> Path:
    """Folder of real trained networks, from VIREO_WEIGHTS, or `weights` beside VIREO_DATA."""
    root = Path(os.environ.get("VIREO_WEIGHTS", real_data.parent / "weights"))
    if not root.is_dir():
        pytest.skip("set VIREO_WEIGHTS to the folder of real trained networks")
    return root


def pytest_collection_modifyitems(items):
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))
