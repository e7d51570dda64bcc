"""Where a study keeps what: the one place that knows the names of its files."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StudyFolder:
    """The layout of a study's output folder.

    Attributes:
        root: the folder.
        features_at: another place for the features, such as a machine's own disk.

    Example:
        >>> StudyFolder(Path("runs/demo")).results.as_posix()
        'runs/demo/results'
    """

    root: Path
    features_at: Path | None = None

    @property
    def plan(self) -> Path:
        """The plan as it was last run."""
        return self.root / "plan.json"

    @property
    def cells(self) -> Path:
        """Which rows belong to which cell of the plan; rows of earlier plans stay in `results`."""
        return self.root / "cells.json"

    @property
    def classes(self) -> Path:
        """Task name to the names of its classes, for pages that show answers."""
        return self.root / "classes.json"

    @property
    def results(self) -> Path:
        """The result rows."""
        return self.root / "results"

    @property
    def features(self) -> Path:
        """The cached features; may be deleted at any time, they are computed again."""
        return self.features_at or self.root / "features"

    @property
    def similarity(self) -> Path:
        """How alike the encoders are, one file a pair."""
        return self.root / "similarity"

    @property
    def runs(self) -> Path:
        """The pre-training runs, one folder each."""
        return self.root / "runs"

    @property
    def errors(self) -> Path:
        """One text file for each cell that failed in the last run."""
        return self.root / "errors"

    @property
    def claims(self) -> Path:
        """One lock for each cell that a process computes; gone when the study is at its end."""
        return self.root / ".claims"

    @property
    def lock(self) -> Path:
        """Held while a process runs the study."""
        return self.root / ".lock"
