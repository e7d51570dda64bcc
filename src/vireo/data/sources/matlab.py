"""Values out of a MATLAB file, each of the kind that a reader expects or refused by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from vireo.errors import DataError


def structs_of(value: Any, fields: Sequence[str], where: str) -> list[dict[str, Any]]:
    """Return the elements of a struct array.

    Raises:
        DataError: it is something else, or lacks one of the fields.
    """
    if not isinstance(value, list):
        raise DataError(
            f"{where} is {_say(value)}, not an array of structs; download the file again."
        )
    for element in value:
        missing = [field for field in fields if field not in element]
        if missing:
            raise DataError(
                f"{where} has no field '{missing[0]}'; it has {', '.join(element)}. Check that the "
                "file is the published one."
            )
    return value


def text_of(value: Any, where: str) -> str:
    """Return a text.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, str):
        raise DataError(f"{where} is {_say(value)}, not a text; download the file again.")
    return value


def whole_number_of(value: Any, where: str) -> int:
    """Return a whole number, of whatever numeric type.

    Raises:
        DataError: it is something else.
    """
    numbers = numbers_of(value, where)
    if numbers.size != 1 or not float(numbers.item()).is_integer():
        raise DataError(f"{where} is {_say(value)}, not one whole number; download the file again.")
    return int(numbers.item())


def numbers_of(value: Any, where: str) -> Float64[np.ndarray, "..."]:
    """Return an array of finite numbers.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, np.ndarray):
        raise DataError(f"{where} is {_say(value)}, not numbers; download the file again.")
    if not np.isfinite(value).all():
        raise DataError(f"{where} has numbers that are not finite; download the file again.")
    return value


def _say(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of numbers of shape {list(value.shape)}"
    return "a text" if isinstance(value, str) else "an array of structs"
