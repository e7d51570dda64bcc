"""Rooms for questions about objects: a few large ones of one colour each, in grey rooms.

In the textured rooms of `rooms` the surfaces fill most of a picture and decide its pooled features:
a linear head finds next to nothing of number and shape of the objects in those of a small network.
"""

from vireo.data.rooms.world import DEFAULT_IMAGES, SURFACES
from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="rooms-objects",
    source="rooms",
    options={"style": "studio", "clutter": 0, "max_objects": 5, "object_size": 1.5, "reach": 4.0},
    splits={split: {"split": split, "images": number} for split, number in DEFAULT_IMAGES.items()},
)

CARD = DatasetCard(
    name="rooms-objects",
    summary="grey rooms with one to five large, bright objects: counts, shapes, masks and depth",
    splits=DEFAULT_IMAGES,
    licence="Apache-2.0, as vireo: the frames are computed",
    homepage="",
    how_to_get="Nothing to get: the frames are rendered on first use and kept in ~/.cache/vireo.",
    class_names=SURFACES,
)
