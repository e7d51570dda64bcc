"""A TOML file to plain values: bounded in size and depth, for its writer may be a stranger."""

import tomllib
from pathlib import Path
from typing import Any

from vireo.errors import SettingError
from vireo.files import expand

_MOST_BYTES = 2**20
_MOST_LEVELS = 8


def read_toml(path: str | Path, what: str) -> tuple[dict[str, Any], str]:
    """Return the values of a file and its text, with line feeds alone.

    Args:
        path: of the file; `$VARIABLES` are expanded.
        what: it should be, for the message ("a study").

    Raises:
        SettingError: it is missing, no file, too large, not UTF-8, not TOML, or nested too deeply.
    """
    text = _text(path, what)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # the former also for a number of 5000 digits
        raise SettingError(f"{path} is not valid TOML: {str(error).removesuffix('.')}.") from error
    if _is_deeper(values, _MOST_LEVELS):
        raise SettingError(f"{path} has tables within more than {_MOST_LEVELS} others; flatten it.")
    return values, text


def _text(path: str | Path, what: str) -> str:
    place = expand(str(path))
    try:
        other = place.exists() and not place.is_file()  # a pipe would be waited for
        content = b"" if other else _start(place)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not UTF-8 text ({error.reason}).") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingError(
            f"{what.capitalize()} is a TOML file; {str(path)!r} cannot be read: {reason}."
        ) from error
    if other:
        raise SettingError(f"{path} is no file; give the path of {what}, a TOML file.")
    if len(content) > _MOST_BYTES:
        raise SettingError(f"{path} has more than {_MOST_BYTES} bytes; {what} has a few thousand.")
    return text.replace("\r\n", "\n")


def _start(place: Path) -> bytes:
    with place.open("rb") as file:
        return file.read(_MOST_BYTES + 1)


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in items)
