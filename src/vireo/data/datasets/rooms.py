"""Rooms: 64 x 64 frames of a ray-cast indoor world, rendered on first use in well under a minute.

Training, validation and test worlds are different draws.
"""

from vireo.data.rooms.world import DEFAULT_IMAGES, SURFACES
from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="rooms",
    source="rooms",
    splits={
        "train": {"split": "train", "images": DEFAULT_IMAGES["train"]},
        "val": {"split": "val", "images": DEFAULT_IMAGES["val"]},
        "test": {"split": "test", "images": DEFAULT_IMAGES["test"]},
    },
)

CARD = DatasetCard(
    name="rooms",
    summary="a ray-cast indoor world with exact counts, shapes, masks, instances and depth",
    splits=DEFAULT_IMAGES,
    licence="Apache-2.0, as vireo: the frames are computed",
    homepage="",
    how_to_get="Nothing to get: the frames are rendered on first use and kept in ~/.cache/vireo.",
    class_names=SURFACES,
)
