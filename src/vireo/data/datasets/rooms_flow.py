"""Pairs of frames a small move of the camera apart, and the optical flow between them.

The flow is some pixels long and not known where the point is hidden or outside in the second frame.
"""

from vireo.records import DatasetCard, DatasetSpec

IMAGES = {"train": 1000, "val": 150, "test": 300}

SPEC = DatasetSpec(
    name="rooms-flow",
    source="rooms",
    options={"sequence": "flow"},
    splits={split: {"split": split, "images": number} for split, number in IMAGES.items()},
)

CARD = DatasetCard(
    name="rooms-flow",
    summary="pairs of frames of a room with exact optical flow and occlusion",
    splits=IMAGES,
    licence="Apache-2.0, as vireo: the frames are computed",
    homepage="",
    how_to_get="Nothing to get: the frames are rendered on first use and kept in ~/.cache/vireo.",
)
