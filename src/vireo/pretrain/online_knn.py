"""How good the features are while they are learnt: kNN on labels, nothing of it flows back."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float, Int64

from vireo.data import Batch, carve_validation, load_batches, open_split
from vireo.data.sources.source import Source
from vireo.data.splits import limit
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.features import knn_accuracy
from vireo.features.forward import run as run_encoder
from vireo.pretrain.prepare import Run

BANK, QUERIES = 10_000, 2_000
"""At most so many labelled images vote, and so many are classified: a fixed draw."""


class OnlineKnn:
    """Classifies held-out images of the pre-training set by their neighbours among the others.

    The split "val" is held out where the set has it, else a fifth of "train", whose images (but not
    labels) the encoder sees. The test split is not touched. k is 20 and the temperature .1.

    Args:
        run: whose images; they need classes.
        workers: processes that decode.
        every: epochs between two judgements; the last epoch is always judged.

    Raises:
        SettingError: the images have no classes.
    """

    def __init__(self, run: Run, workers: int, every: int) -> None:
        self._every, self._epochs = every, run.settings.epochs
        if run.num_classes is None:
            raise SettingError(
                f"Online kNN needs classes, and '{run.spec.name}' has none; leave it out."
            )
        known = {*run.spec.splits, *run.spec.carve}
        if "val" in known:
            bank, queries = run.source, open_split(run.spec, "val")
        else:
            bank, queries = carve_validation(run.source, 0.2, seed=0)
        self._bank = limit(bank, BANK, "bank")
        self._queries = limit(queries, QUERIES, "queries")
        self._compute, self._workers = run.compute, workers
        side = run.settings.image_size
        self._size = (side, side)

    def is_due(self, epoch: int) -> bool:
        """Whether the encoder is judged after so many epochs."""
        return epoch % self._every == 0 or epoch == self._epochs

    def __call__(self, encoder: Encoder) -> float:
        """Return the share of held-out images that their neighbours classify correctly."""
        bank, queries = (self._features(encoder, part) for part in (self._bank, self._queries))
        return knn_accuracy(*bank, *queries, k=20)

    def _features(
        self, encoder: Encoder, source: Source
    ) -> tuple[Float[np.ndarray, "n dim"], Int64[np.ndarray, " n"]]:
        batches = load_batches(
            source, size=self._size, target="class", batch_size=256, workers=self._workers
        )
        labels: list[np.ndarray] = []
        watched = _noting(batches, labels)
        found = [
            out["pooled"][:, 0] for out in run_encoder(encoder, watched, ("pooled",), self._compute)
        ]
        return np.concatenate(found), np.concatenate(labels)


def _noting(batches: Iterable[Batch], labels: list[np.ndarray]) -> Iterator[Batch]:
    for batch in batches:
        assert batch.target is not None
        labels.append(batch.target.numpy())
        yield batch
