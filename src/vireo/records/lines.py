"""On which line of a TOML file each key stands, for messages that name it."""

import tomllib

_ENDS = ("]", "}", '"', "'")
"""How a value of several lines can end, comments apart."""


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    r"""Return the line on which each key or table of a valid TOML text begins, from 1.

    A statement is whole as soon as tomllib reads it by itself, so that the grammar is tomllib's.

    Example:
        >>> key_lines("a = 1\n[b.c]\nd.e = 2")
        {('a',): 1, ('b',): 2, ('b', 'c'): 2, ('b', 'c', 'd'): 3, ('b', 'c', 'd', 'e'): 3}
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    statement, start = "", 1
    for number, line in enumerate(text.split("\n"), start=1):
        if statement and not _may_end(line):
            statement += f"\n{line}"
            continue
        start = start if statement else number
        statement = f"{statement}\n{line}" if statement else line
        values = _read(statement)
        if values is None:
            continue
        is_header = statement.lstrip().startswith("[")
        paths = list(_paths(values))
        for path in paths:
            lines.setdefault(path if is_header else (*table, *path), start)
        table = paths[-1] if is_header else table
        statement = ""
    return lines


def _may_end(line: str) -> bool:
    return "#" in line or line.rstrip().endswith(_ENDS)


def _read(statement: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(statement)
    except ValueError:
        return None


def _paths(values: object) -> list[tuple[str, ...]]:
    """Return the paths of all keys, outer before inner; places in lists are no part of them."""
    if isinstance(values, list):
        return [path for item in values for path in _paths(item)]
    if not isinstance(values, dict):
        return []
    return [
        path
        for key, value in values.items()
        for path in [(key,), *((key, *inner) for inner in _paths(value))]
    ]
