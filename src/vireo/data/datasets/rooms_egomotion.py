"""Pairs of frames before and after an action of an agent: ahead, left, right, up, down."""

from vireo.data.rooms.motion import ACTIONS
from vireo.data.rooms.world import DEFAULT_IMAGES
from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="rooms-egomotion",
    source="rooms",
    options={"sequence": "egomotion"},
    splits={split: {"split": split, "images": number} for split, number in DEFAULT_IMAGES.items()},
)

CARD = DatasetCard(
    name="rooms-egomotion",
    summary="pairs of frames of a room, before and after one of five moves of the camera",
    splits=DEFAULT_IMAGES,
    licence="Apache-2.0, as vireo: the frames are computed",
    homepage="",
    how_to_get="Nothing to get: the frames are rendered on first use and kept in ~/.cache/vireo.",
    class_names=tuple(ACTIONS),
)
