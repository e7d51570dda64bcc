"""Images that every test of views uses."""

import numpy as np
import pytest
import torch
from tests.data.views.compositions import smooth_image


@pytest.fixture
def photos() -> list[np.ndarray]:
    return [smooth_image(i, *size) for i, size in enumerate([(40, 52)] * 6 + [(60, 33)] * 6)]


@pytest.fixture
def float_images() -> torch.Tensor:
    """Six float images [6, 3, 17, 21] in [0, 1]: noise, with black, white, gray and two equal."""
    images = torch.rand(6, 3, 17, 21, generator=torch.Generator().manual_seed(0))
    images[:, :, 0] = 0
    images[:, :, 1] = 1
    images[:, :, 2] = 0.3
    images[:, 0, 3] = images[:, 1, 3]
    images[:, 2, 4] = images[:, 1, 4]
    return images
