"""What is known of each method without importing it: one card a row of METHODS."""

from vireo.records import MethodCard

_QUEUE = (
    "Keep bn_splits at 2 or more (batch norm tells a query its key), the momentum above 0 and the "
    "queue shorter than the set; then lower the learning rate."
)
_CLUSTERS = (
    "Use fewer prototypes (10 to 300 for small sets), batches larger than their number or a queue, "
    "more steps with frozen prototypes, and a lower learning rate."
)
_STOPPED = (
    "Keep batch norm in the projector and the predictor, synchronised over devices, and scale the "
    "learning rate to the batch."
)
_BANK = (
    'Set loss = "infonce" with temperature = 0.1, or loss = "nce-paper": the released loss is '
    "steep on small sets, whatever the number of negatives."
)

CARDS: dict[str, MethodCard] = {
    "moco-v1": MethodCard(
        title="MoCo v1",
        summary="MoCo v2's first form: linear projection, weaker views, rate by steps.",
        kind="contrastive",
        paper="https://arxiv.org/abs/1911.05722",
        year=2019,
        advice=_QUEUE,
    ),
    "moco-v2": MethodCard(
        title="MoCo v2",
        summary="Tell another view of the same image from a queue of views of other images.",
        kind="contrastive",
        paper="https://arxiv.org/abs/2003.04297",
        year=2020,
        advice=_QUEUE,
    ),
    "exemplar-v2": MethodCard(
        title="Exemplar-v2",
        summary="MoCo v2 whose negatives are of other classes alone.",
        kind="contrastive",
        paper="https://arxiv.org/abs/2006.06606",
        year=2020,
        needs=("labels",),
        advice=_QUEUE,
    ),
    "swav": MethodCard(
        title="SwAV",
        summary="Predict the balanced cluster assignment of one view from another.",
        kind="clustering",
        paper="https://arxiv.org/abs/2006.09882",
        year=2020,
        advice=_CLUSTERS,
    ),
    "deepcluster-v2": MethodCard(
        title="DeepCluster-v2",
        summary="Predict from every crop the k-means cluster of the image's last embedding.",
        kind="clustering",
        paper="https://arxiv.org/abs/2006.09882",
        year=2020,
        needs=("indices",),
        advice=_CLUSTERS,
    ),
    "dino": MethodCard(
        title="DINO",
        summary="Predict from every crop what a moving average of the network says of another.",
        kind="distillation",
        paper="https://arxiv.org/abs/2104.14294",
        year=2021,
        advice="Lower the teacher's temperature, or raise momentum to .9995 for batches of 256.",
    ),
    "simclr": MethodCard(
        title="SimCLR",
        summary="Among all views of the batch, tell the other view of the same image.",
        kind="contrastive",
        paper="https://arxiv.org/abs/2002.05709",
        year=2020,
        needs=("large batch",),
        advice="Use larger batches (the other images are the negatives) or a higher temperature.",
    ),
    "byol": MethodCard(
        title="BYOL",
        summary="Predict what a slowly moving copy of the network says of another view.",
        kind="distillation",
        paper="https://arxiv.org/abs/2006.07733",
        year=2020,
        advice=_STOPPED,
    ),
    "simsiam": MethodCard(
        title="SimSiam",
        summary="Predict one view's projection from another's, whose gradient is stopped.",
        kind="distillation",
        paper="https://arxiv.org/abs/2011.10566",
        year=2020,
        advice=_STOPPED,
    ),
    "barlow-twins": MethodCard(
        title="Barlow Twins",
        summary="Make two views' features equal, and each dimension tell something else.",
        kind="redundancy reduction",
        paper="https://arxiv.org/abs/2103.03230",
        year=2021,
        advice="Lower the learning rate, or give scale = 0.1.",
    ),
    "vicreg": MethodCard(
        title="VICReg",
        summary="Views agree, dimensions vary, and no two of them vary together.",
        kind="redundancy reduction",
        paper="https://arxiv.org/abs/2105.04906",
        year=2021,
        advice="Lower the learning rate, or raise the weight of the variance term.",
    ),
    "pirl": MethodCard(
        title="PIRL",
        summary="Tell an image, and its shuffled patches or rotation, from a bank of other images.",
        kind="contrastive",
        paper="https://arxiv.org/abs/1912.01991",
        year=2019,
        needs=("indices",),
        advice=_BANK,
    ),
    "npid": MethodCard(
        title="NPID",
        summary="Tell an image from a bank of other images, whatever its crop and colours.",
        kind="contrastive",
        paper="https://arxiv.org/abs/1805.01978",
        year=2018,
        needs=("indices",),
        advice=_BANK,
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
