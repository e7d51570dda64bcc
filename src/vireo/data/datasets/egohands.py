"""EgoHands: 48 first-person videos of two people at a table, 100 labelled frames each.

The split is the study's: 36, 4 and 8 of the videos in the order of their names. What its test
videos show is also seen from across the table, outside of the test split (`..._B_S` and `..._S_B`
are one game's two cameras); other lists go into the option `videos` of a dataset of one's own.
"""

from vireo.records import DatasetCard, DatasetSpec

_GAMES = {
    "CARDS_COURTYARD": "B_T H_S S_H T_B",
    "CARDS_LIVINGROOM": "B_T H_S S_H T_B",
    "CARDS_OFFICE": "B_S H_T S_B T_H",
    "CHESS_COURTYARD": "B_T H_S S_H T_B",
    "CHESS_LIVINGROOM": "B_S H_T S_B T_H",
    "CHESS_OFFICE": "B_S H_T S_B T_H",
    "JENGA_COURTYARD": "B_H H_B S_T T_S",
    "JENGA_LIVINGROOM": "B_H H_B S_T T_S",
    "JENGA_OFFICE": "B_S H_T S_B T_H",
    "PUZZLE_COURTYARD": "B_S H_T S_B T_H",
    "PUZZLE_LIVINGROOM": "B_T H_S S_H T_B",
    "PUZZLE_OFFICE": "B_H H_B S_T T_S",
}
VIDEOS = tuple(f"{game}_{pair}" for game, pairs in _GAMES.items() for pair in pairs.split())
TEST = tuple(VIDEOS[place] for place in (0, 10, 12, 19, 30, 33, 37, 43))
VAL = tuple(VIDEOS[place] for place in (6, 13, 27, 46))
TRAIN = tuple(video for video in VIDEOS if video not in (*TEST, *VAL))

SPEC = DatasetSpec(
    name="egohands",
    source="vireo.data.sources.egohands:EgoHandsSource",
    options={"root": "$VIREO_DATASETS/egohands"},
    splits={"train": {"videos": TRAIN}, "val": {"videos": VAL}, "test": {"videos": TEST}},
)

CARD = DatasetCard(
    name="egohands",
    summary="first-person frames, 720x1280, with the outlines of up to four hands",
    splits={"train": 3600, "val": 400, "test": 800},
    licence="none stated; the authors ask to cite Bambach et al. 2015",
    homepage="http://vision.soic.indiana.edu/projects/egohands",
    how_to_get=(
        "Download egohands_data.zip (1.3 GB) from the homepage and unpack it into the folder."
    ),
    class_names=("background", "own left", "own right", "other's left", "other's right"),
    layout={
        "_LABELLED_SAMPLES/*/frame_*.jpg": "100 frames of each of 48 videos",
        "metadata.mat": "the outlines of the hands in all frames",
    },
)
