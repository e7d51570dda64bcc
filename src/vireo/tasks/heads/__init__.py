"""The heads that are trained on a frozen encoder.

A head is sized by the encoder's card alone, so the same task asks the same question of every
encoder. Small-image networks with fewer than five stages repeat their last tap; a head follows the
strides of the card. It brings maps to those strides itself, after its own 1x1 convolution where it
has one: the result is the same as before it, and so maps can be stored and read as the network has
them, a ViT's 17 times smaller.
"""

from vireo.tasks.heads.deeplab import DeepLabV3Plus
from vireo.tasks.heads.head import Head, initialised, takes
from vireo.tasks.heads.pooled import FusionHead, LinearHead
from vireo.tasks.heads.unet import SiameseUNet, UNet

__all__ = [
    "DeepLabV3Plus",
    "FusionHead",
    "Head",
    "LinearHead",
    "SiameseUNet",
    "UNet",
    "initialised",
    "takes",
]
