"""Published encoders as cards: the study's, landmarks of other methods, supervised baselines.

A card is known without the file and without torch. `zoo:NAME` opens one: the file is fetched into
a cache if it is not there, verified, read by the loader like any file, and the encoder's card has
the zoo's facts. How and from where is in `vireo.encoders.published`.
"""

import difflib

from vireo.encoders.downloads.fetching import cache_folder
from vireo.encoders.zoo import hosted, landmarks, study
from vireo.errors import SettingError
from vireo.records import PublishedEncoder

ZOO: dict[str, PublishedEncoder] = {
    card.name: card for card in (*study.ROWS, *landmarks.ROWS, *hosted.ROWS)
}
TIMM = "timm:"


def find(name: str) -> PublishedEncoder:
    """Return the card of a published encoder.

    Raises:
        SettingError: no such name; the message suggests the nearest.

    Example:
        >>> find("swav-half-200").images
        500000
    """
    if name not in ZOO:
        close = difflib.get_close_matches(name, ZOO, n=3)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise SettingError(
            f"Unknown published encoder '{name}'.{hint} vireo list encoders has all {len(ZOO)}."
        )
    return ZOO[name]


def source_of(card: PublishedEncoder) -> str:
    """Say in a few words where the weights come from."""
    if card.converted:
        return "a file to convert"
    if not card.address:
        return "not published"
    return "Hugging Face Hub, through timm" if card.address.startswith(TIMM) else "download"


def is_cached(card: PublishedEncoder) -> bool | None:
    """Whether the file is on this machine; None where only huggingface_hub can tell."""
    return (cache_folder() / card.file).is_file() if card.file else None
