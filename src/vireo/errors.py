"""The exceptions a person can meet. Every message says the rule, the value found and the next step.

A `ValueError` of this family is the person's to mend; an `AssertionError` anywhere in vireo is a
bug of ours.
"""


class VireoError(Exception):
    """Base of all errors that the command line prints as one sentence, without a traceback."""


class SettingError(VireoError, ValueError):
    """A name, option, file of settings or combination of them that cannot work."""


class DataError(VireoError, ValueError):
    """A dataset, image or label that is missing, broken or of the wrong kind."""


class CheckpointError(VireoError, ValueError):
    """A checkpoint that cannot be read safely or does not fill its network exactly."""


class StoreError(VireoError, RuntimeError):
    """A stored block, row or run that is incomplete, changed or not ours."""


class NoSpaceError(StoreError):
    """A disk or a quota that is full: nothing that follows can be kept, so the work stops."""


class DamagedBlockError(StoreError):
    """A block of features whose bytes are not those that were written; it can be computed again."""


class TrainingError(VireoError, RuntimeError):
    """A run that cannot go on: a loss that is not finite, or a collapsed representation."""


class MissingExtraError(VireoError, ImportError):
    """An optional library that a feature needs and that is not installed."""
