"""A column of a table to numbers: labels to codes and their names, counts, measures."""

from collections.abc import Callable, Sequence

import numpy as np
import xxhash
from jaxtyping import Float32, Int64

from vireo.catalog import unknown
from vireo.errors import DataError

Where = Callable[[int], str]

_MISSING = ("", "na", "n/a", "nan", "null")
_LARGEST = float(np.finfo(np.float32).max)


def encode_labels(
    values: Sequence[str | int], class_names: Sequence[str], where: Where
) -> tuple[Int64[np.ndarray, " n"], tuple[str, ...]]:
    """Turn labels into codes: whole numbers stay, names become their place in the list of names.

    Args:
        values: whole numbers, their texts, or names.
        class_names: of the codes, in order; if empty, names are listed in sorted order.
        where: says where value i stands, for messages.

    Raises:
        DataError: a blank, a number without a name, a name that is not listed, or numbers among
            names (a slip of the pen would become a class of its own).
    """
    texts = [str(value).strip() for value in values]
    if "" in texts:
        raise DataError(f"{where(texts.index(''))} is blank; fill it in or drop the row.")
    whole = [_is_whole(text) for text in texts]
    if all(whole):
        return _check_range(np.array(texts, dtype=np.int64), class_names, where), tuple(class_names)
    if any(whole) and not class_names:
        odd = min(whole.index(True), whole.index(False))
        other = whole.index(not whole[odd])
        raise DataError(
            f"{where(odd)} is '{texts[odd]}' but {where(other)} is '{texts[other]}': labels are "
            "all whole numbers or all names; correct one, or list the names in 'class_names'."
        )
    names = tuple(class_names) or tuple(sorted(set(texts)))
    code_of = {name: code for code, name in enumerate(names)}
    for place, text in enumerate(texts):
        if text not in code_of:
            raise DataError(f"{where(place)}: {unknown(text, names, 'class')}")
    return np.array([code_of[text] for text in texts], dtype=np.int64), names


def whole_numbers(values: Sequence[str], where: Where) -> Int64[np.ndarray, " n"]:
    """Turn texts into whole numbers.

    Raises:
        DataError: a text is none.
    """
    for place, value in enumerate(values):
        if not _is_whole(value.strip()):
            raise DataError(
                f"{where(place)} is '{value}', but must be a whole number; correct the table."
            )
    return np.array([int(value) for value in values], dtype=np.int64)


def read_measures(values: Sequence[str], where: Where) -> Float32[np.ndarray, " n"]:
    """Turn texts into measures; a blank, "NA", "N/A", "null" or "nan" is a missing one: NaN.

    Raises:
        DataError: a text is no number, or an infinite one.
    """
    return np.array([_measure(value, where, n) for n, value in enumerate(values)], np.float32)


def _measure(value: str, where: Where, place: int) -> float:
    text = value.strip()
    if text.lower() in _MISSING:
        return float("nan")
    try:
        number = float("_" if "_" in text else text)  # Python would read 1_000
    except ValueError as error:
        raise DataError(
            f"{where(place)} is '{value}', but must be a number, or blank where it is missing; "
            "correct the table."
        ) from error
    if not abs(number) <= _LARGEST:
        raise DataError(f"{where(place)} is '{value}', which is not finite; correct the table.")
    return number


def _is_whole(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 19


def _check_range(
    codes: Int64[np.ndarray, " n"], class_names: Sequence[str], where: Where
) -> Int64[np.ndarray, " n"]:
    top = len(class_names) if class_names else np.iinfo(np.int64).max
    wrong = np.flatnonzero((codes < 0) | (codes >= top))
    if wrong.size:
        place = int(wrong[0])
        upto = f"below {top}, the number of class names" if class_names else "not negative"
        raise DataError(f"{where(place)} is {codes[place]}: a class code must be {upto}.")
    return codes


def digest_integers(values: Int64[np.ndarray, " n"]) -> str:
    """Return a hash of whole numbers in order, the same on every machine."""
    return xxhash.xxh3_64_hexdigest(values.astype("<i8").tobytes())
