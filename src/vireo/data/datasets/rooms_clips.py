"""Clips of six frames, each of one gesture of the camera: which one lies in their order."""

from vireo.data.rooms.motion import GESTURES
from vireo.records import DatasetCard, DatasetSpec

IMAGES = {"train": 1200, "val": 200, "test": 400}

SPEC = DatasetSpec(
    name="rooms-clips",
    source="rooms",
    options={"sequence": "clip"},
    splits={split: {"split": split, "images": number} for split, number in IMAGES.items()},
)

CARD = DatasetCard(
    name="rooms-clips",
    summary="clips of six frames of a room, each one of ten gestures of the camera",
    splits=IMAGES,
    licence="Apache-2.0, as vireo: the frames are computed",
    homepage="",
    how_to_get="Nothing to get: the frames are rendered on first use and kept in ~/.cache/vireo.",
    class_names=tuple(GESTURES),
)
