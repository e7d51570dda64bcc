"""What methods on crops of several sizes share, and the optimiser of SwAV's release.

References:
    Caron et al. 2020, Unsupervised Learning of Visual Features by Contrasting Cluster Assignments,
    arXiv 2006.09882.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.records import OptimizerSettings

LARGE = 2  # full-size crops: the first two of a batch


def pooled_crops(
    encoder: Encoder, groups: tuple[Float[Tensor, "_crops n 3 _side _side"], ...]
) -> Float[Tensor, "all_crops_n dim"]:
    """Return the features of all crops, one crop of all images after the other, large first.

    The backbone runs once a resolution.
    """
    return torch.cat([encoder(group.flatten(0, 1)).pooled for group in groups])


def swav_optimizer(batch_size: int) -> OptimizerSettings:
    """LARC, .6 for a batch of 256 and 4.8 for 4096, cosine by the step to a thousandth.

    The two published rates are on no one line through zero; the power 3/4 of the batch goes through
    both. The runs at 4096 warm up over ten epochs from .3, those at 256 do not; here batches above
    1024 do, their geometric mean.
    """
    rate = 0.6 * (batch_size / 256) ** 0.75
    large = batch_size > 1024
    return OptimizerSettings(
        name="larc",
        learning_rate=rate,
        final_learning_rate=rate / 1000,
        weight_decay=1e-6,
        schedule_unit="step",
        warmup_epochs=10.0 if large else 0.0,
        warmup_learning_rate=0.3 if large else 0.0,
    )


def check_crops(local_crops: int, local_size: int, image_size: int) -> None:
    """Refuse a set of crops that cannot be told apart by size.

    Raises:
        SettingError: the rule that is broken, the values, and what to change.
    """
    if local_crops < 0 or not 0 <= local_size < image_size:
        raise SettingError(
            f"local_crops must be 0 or more, and local_size below image_size ({image_size}) or 0 "
            f"for 96 pixels of every 224; got {local_crops} and {local_size}."
        )
