"""KITTI 2015: pairs of street images with sparse optical flow.

Flow of the published test images is not given out, so of the 200 training pairs, sorted by name,
the last 20 are the test split, as in the study's released code.
"""

from vireo.records import Carve, DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="kitti-flow",
    source="image-pair-flow",
    options={
        "root": "$VIREO_DATASETS/kitti-flow",
        "first": "training/image_2/*_10.png",
        "second": "training/image_2/*_11.png",
        "flows": "training/flow_occ/*_10.png",
    },
    carve={"test": Carve(fraction=0.1, rule="tail")},
)

CARD = DatasetCard(
    name="kitti-flow",
    summary="pairs of street images from a car, about 375x1242, with sparse optical flow",
    splits={"train": 180, "test": 20},
    licence="CC BY-NC-SA 3.0",
    homepage="https://www.cvlibs.net/datasets/kitti/eval_scene_flow.php?benchmark=flow",
    how_to_get=(
        "Request data_scene_flow.zip (1.7 GB) on the homepage with an e-mail address and unpack it "
        "into the folder."
    ),
    layout={
        "training/image_2/*_10.png": "200 first images",
        "training/image_2/*_11.png": "the images that follow them",
        "training/flow_occ/*_10.png": "flow from the first to the second, 16 bits a channel",
    },
)
