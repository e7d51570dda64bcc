"""What is known of each method without importing it: one card a row of METHODS."""

from vireo.records import MethodCard

CARDS: dict[str, MethodCard] = {
    "moco-v2": MethodCard(
        title="MoCo v2",
        summary="Tell another view of the same image from a queue of views of other images.",
        kind="contrastive",
        paper="https://arxiv.org/abs/2003.04297",
        year=2020,
    ),
    "swav": MethodCard(
        title="SwAV",
        summary="Predict the balanced cluster assignment of one view from another.",
        kind="clustering",
        paper="https://arxiv.org/abs/2006.09882",
        year=2020,
    ),
    "supervised": MethodCard(
        title="Supervised",
        summary="Predict the label: cross-entropy on the pooled feature.",
        kind="supervised",
        paper="https://arxiv.org/abs/1512.03385",
        year=2015,
        needs=("labels",),
    ),
}
