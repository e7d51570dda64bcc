"""AI2-THOR frames with depth, as the study's archive stores them: grey JPEG files.

The archive does not say what white stands for. It is taken as the simulator's range, 19.9 m from
its near plane at 0.1 m to its far plane at 20 m. Errors in metres are in proportion to this number,
so it changes no ranking of encoders; another goes into the option `white` of a dataset of one's
own.
"""

from vireo.records import DatasetCard, DatasetSpec

SPEC = DatasetSpec(
    name="thor-depth",
    source="vireo.data.sources.thor_depth:ThorDepthSource",
    options={"root": "$VIREO_DATASETS/thor-depth", "white": 19.9},
    splits={"train": {"subfolder": "train"}, "test": {"subfolder": "test"}},
)

CARD = DatasetCard(
    name="thor-depth",
    summary="rooms of the AI2-THOR simulator, with depth",
    splits={"train": 60_000, "test": 0},
    licence="none stated; AI2-THOR is Apache-2.0",
    homepage="https://github.com/allenai/ViRB",
    how_to_get=(
        "Download https://prior-datasets.s3.us-east-2.amazonaws.com/ViRB/thor_depth.zip (0.25 GB) "
        "and move what its folder thor_depth_prediction holds into the folder."
    ),
    layout={
        f"{part}/*/*{kind}.jpg": f"{what} of the {name} split"
        for part, name in {"train": "training", "test": "test"}.items()
        for kind, what in {"rgb": "frames", "depth": "depth as grey levels"}.items()
    },
)
