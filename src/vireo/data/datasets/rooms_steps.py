"""Rooms seen by an agent that stands before an object or a wall, at one height, as in simulators.

How many steps of 0.25 m are free ahead, 0 to 4, is equally often each.
"""

from vireo.data.rooms.world import DEFAULT_IMAGES, SURFACES
from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="rooms-steps",
    source="rooms",
    options={"camera": "approach", "style": "studio", "clutter": 0, "object_size": 1.4},
    splits={split: {"split": split, "images": number} for split, number in DEFAULT_IMAGES.items()},
)

CARD = DatasetCard(
    name="rooms-steps",
    summary="grey rooms before an object or a wall, 0 to 4 free steps of 0.25 m away from it",
    splits=DEFAULT_IMAGES,
    licence="Apache-2.0, as vireo: the frames are computed",
    homepage="",
    how_to_get="Nothing to get: the frames are rendered on first use and kept in ~/.cache/vireo.",
    class_names=SURFACES,
)
