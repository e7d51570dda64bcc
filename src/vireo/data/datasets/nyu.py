"""NYU Depth v2, as the study's archive cuts and stores it: 1,159 images to train, 290 to test."""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="nyu",
    source="vireo.data.sources.nyu:NyuSource",
    options={"root": "$VIREO_DATASETS/nyu"},
    splits={"train": {"subfolder": "train"}, "test": {"subfolder": "test"}},
)

CARD = DatasetCard(
    name="nyu",
    summary="rooms seen by a Kinect: depth in metres, and the surfaces one can walk on",
    splits={"train": 1159, "test": 290},
    licence="none stated; the authors ask to cite Silberman et al. 2012",
    homepage="https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
    how_to_get=(
        "Download https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/nyu.zip (5.6 GB), the "
        "study's cut, and unpack it into the folder."
    ),
    class_names=("not walkable", "walkable"),
    layout={
        f"{part}/{kind}": f"{what} of the {name} split"
        for part, name in {"train": "training", "test": "test"}.items()
        for kind, what in {
            "images/*.png": "images",
            "depths/*.tiff": "depth in metres",
            "walkable/*.png": "masks of walkable surfaces",
        }.items()
    },
)
