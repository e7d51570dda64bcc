"""Optical digits: the smallest real dataset, inside scikit-learn, for demos and tests.

The publisher's own cut (by writer) is lost in scikit-learn's copy, which is the publisher's test
file; a fifth is cut out here, stratified and seeded.
"""

from vireo.records import Carve, DatasetCard, DatasetSpec

SPEC = DatasetSpec(name="digits", source="digits", carve={"test": Carve(fraction=0.2)})

CARD = DatasetCard(
    name="digits",
    summary="handwritten digits, 8x8 grey, enlarged to 32x32",
    splits={"train": 1438, "test": 359},
    licence="CC BY 4.0",
    homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    how_to_get="It comes with scikit-learn: pip install scikit-learn.",
    class_names=tuple(str(digit) for digit in range(10)),
)
