"""Compare encoders on images and store the result: the function behind `vireo similarity`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations_with_replacement
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from vireo import console, files
from vireo.data.sources.source import Source
from vireo.devices import Compute, versions
from vireo.digest import digest
from vireo.encoders.encoder import Encoder
from vireo.errors import SettingError
from vireo.records import SimilarityKey, SimilarityRow
from vireo.similarity.cka import ESTIMATORS, cka, hsic
from vireo.similarity.exact import moments_of_kept
from vireo.similarity.images import load_pixels
from vireo.similarity.minibatch import even_batch_size, mean_hsic
from vireo.similarity.settings import Member, Openers, SimilaritySettings, member
from vireo.similarity.stored import Keeper, Kept, Pixels, check_disk, missing_blocks
from vireo.store.blocks import FeatureStore
from vireo.store.folder import StudyFolder
from vireo.store.similarities import SimilarityStore

Matrix = Float64[Tensor, "blocks blocks"]


def compare(
    openers: Openers,
    images: tuple[Source, str],
    settings: SimilaritySettings,
    *,
    root: Path,
    compute: Compute,
    workers: int = 0,
) -> list[SimilarityRow]:
    """Return the CKA of every block against every block, within and between all encoders.

    One row a pair of encoders and estimator, in the order of `openers`; what is stored in `root`
    is not computed again.

    Args:
        openers: name to what opens the encoder; it is frozen. "exact" holds one at a time.
        images: the images, and the name of their split.
        settings: which estimator, of what.
        root: folder of a study, or any other.
        compute: where; its precision is part of the result.
        workers: processes that decode images.

    Raises:
        SettingError: an encoder named twice under two names, or that takes no such images; too
            little memory.
        DataError: images that cannot be read, features that are not finite.
        StoreError: a full disk, a broken row, or another process at work on similarities in `root`.
    """
    source, split = images
    where = images_of(source, split)
    members = [
        member(name, open_encoder().freeze(), settings, images=where, compute=compute)
        for name, open_encoder in openers.items()
    ]
    _check_distinct(members)
    job = _Job(openers, members, images, settings, StudyFolder(root), compute, workers)
    with files.lock(job.folder.similarity / ".lock", f"similarities in {root}"):
        return job.run()


def images_of(source: Source, split: str) -> tuple[str, str]:
    """Return the identity of images: their digest, and their split."""
    return source.digest, split


@dataclass(frozen=True)
class _Job:
    openers: Openers
    members: Sequence[Member]
    images: tuple[Source, str]
    settings: SimilaritySettings
    folder: StudyFolder
    compute: Compute
    workers: int

    def run(self) -> list[SimilarityRow]:
        store = SimilarityStore(self.folder.similarity)
        keys = list(self._keys())
        lacking = [key for key, _, _ in keys if not store.has(key)]
        active = [
            one
            for one in self.members
            if any(one.digest in (key.first, key.second) for key in lacking)
        ]
        if active:
            console.say(f"{len(lacking)} comparisons to compute, of {len(active)} encoders")
            exact = self.settings.estimator == "exact"
            found = self._exact(active) if exact else self._minibatch(active)
            for estimator, matrix in found.items():
                self._write(store, active, estimator, matrix)
            self._note(active).unlink(missing_ok=True)
        return [store.named(key, first.name, second.name) for key, first, second in keys]

    def _keys(self) -> Iterator[tuple[SimilarityKey, Member, Member]]:
        exact = self.settings.estimator == "exact"
        for first, second in combinations_with_replacement(self.members, 2):
            for estimator in ESTIMATORS if exact else ("minibatch",):
                yield self._key(first, second, estimator), first, second

    def _key(self, first: Member, second: Member, estimator: str) -> SimilarityKey:
        source, least = self.images[0], self.settings.batch_size
        batch = even_batch_size(len(source), least) if estimator == "minibatch" else 0
        return SimilarityKey(
            first=first.digest,
            second=second.digest,
            images=digest(*images_of(*self.images)),
            side=self.settings.side,
            representation=self.settings.representation,
            estimator=estimator,
            batch_size=batch,
            compute=self.compute.precision,
        )

    def _exact(self, active: Sequence[Member]) -> dict[str, Matrix]:
        store, n = FeatureStore(self.folder.features), len(self.images[0])
        missing = [missing_blocks(one, store) for one in active]
        check_disk([block for blocks in missing for block in blocks], n, self.folder.root)
        pixels: Pixels | None = None
        for one, blocks in zip(active, missing, strict=True):
            if blocks:
                if pixels is None:
                    pixels = load_pixels(self.images[0], self.settings.side, self.workers)
                encoder = self.openers[one.name]().freeze()
                keeper = Keeper(encoder, one, pixels, store=store, compute=self.compute)
                keeper.keep(blocks, self.settings)
        kept = [Kept(one, block, store, n) for one in active for block in one.blocks]
        moments = moments_of_kept(kept, n, settings=self.settings, compute=self.compute)
        return {estimator: cka(hsic(moments, estimator)) for estimator in ESTIMATORS}

    def _minibatch(self, active: Sequence[Member]) -> dict[str, Matrix]:
        opened: dict[str, tuple[Member, Encoder]] = {
            one.name: (one, self.openers[one.name]().freeze()) for one in active
        }
        found = mean_hsic(
            opened,
            self.images[0],
            self.settings,
            note=self._note(active),
            compute=self.compute,
            workers=self.workers,
        )
        return {"minibatch": cka(found)}

    def _note(self, active: Sequence[Member]) -> Path:
        keys = [self._key(active[0], one, "minibatch") for one in active]
        return self.folder.similarity / f"unfinished-{digest(keys)}.npz"

    def _write(
        self, store: SimilarityStore, active: Sequence[Member], estimator: str, matrix: Matrix
    ) -> None:
        """Store each pair's part of the matrix of all blocks."""
        owner = torch.arange(len(active)).repeat_interleave(
            torch.tensor([len(one.blocks) for one in active])
        )
        for first, second in combinations_with_replacement(range(len(active)), 2):
            part = matrix.cpu()[owner == first][:, owner == second]
            store.write(self._row(active[first], active[second], estimator, part))

    def _row(
        self, first: Member, second: Member, estimator: str, values: Float64[Tensor, "_rows _cols"]
    ) -> SimilarityRow:
        source, split = self.images
        return SimilarityRow(
            key=self._key(first, second, estimator),
            first=first.name,
            second=second.name,
            first_method=first.card.method,
            second_method=second.card.method,
            first_set=first.card.pretraining_set,
            second_set=second.card.pretraining_set,
            first_blocks=first.block_names,
            second_blocks=second.block_names,
            dataset=f"{source.name} {split}",
            n=len(source),
            values=tuple(tuple(None if v != v else v for v in row) for row in values.tolist()),
            versions=versions(),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _check_distinct(members: Sequence[Member]) -> None:
    seen: dict[str, str] = {}
    for one in members:
        if one.digest in seen:
            raise SettingError(
                f"'{seen[one.digest]}' and '{one.name}' are the same encoder (weights and"
                " preprocessing); leave one out."
            )
        seen[one.digest] = one.name
