"""Names to objects, through tables of `"package.module:Object"` strings, resolved when used.

Every package keeps its own table. Importing one costs nothing, and adding a part is one line. A
dotted path works wherever a name does, so that a person's own method, task or source needs no fork.
"""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from vireo.errors import MissingExtraError, SettingError


def resolve(table: Mapping[str, str], name: str, kind: str, base: type | None = None) -> Any:
    """Import and return the object that `name` stands for in `table`.

    Args:
        table: catalogue name to `"package.module:Object"`.
        name: a key of the table, or itself a `"package.module:Object"` path.
        kind: what the table holds, in the singular, for messages ("method").
        base: what classes of this kind derive from. A dotted path to anything else is refused:
            names come from files that strangers write, and what they name will be called.

    Raises:
        SettingError: no such name, module or attribute, or not a `base`.

    Example:
        >>> resolve({"root": "math:sqrt"}, "root", "function")(9.0)
        3.0
    """
    path = table.get(name) or (name if ":" in name else None)
    if path is None:
        raise SettingError(unknown(name, table, kind))
    if not all(part.isidentifier() for part in path.replace(":", ".", 1).split(".")):
        raise SettingError(
            f"The {kind} '{name}' is no path of the form 'package.module:Object'; correct it."
        )
    module_name, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if name in table:
            library = error.name or module_name
            raise MissingExtraError(needs(library, f"The {kind} '{name}'")) from error
        raise SettingError(f"{kind} '{name}': no module '{error.name}'; check the path.") from error
    except AttributeError as error:
        raise SettingError(
            f"{kind} '{name}': module '{module_name}' has no '{attribute}'."
        ) from error
    if base is not None and not (isinstance(found, type) and issubclass(found, base)):
        raise SettingError(f"The {kind} '{name}' is no {base.__name__}; derive its class from it.")
    return found


def unknown(name: str, known: Iterable[str], kind: str) -> str:
    """Say that `name` is unknown, what was probably meant, and what there is."""
    choices = sorted(known)
    spelt = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(name.lower(), spelt, n=1)
    hint = f" Did you mean '{spelt[close[0]]}'?" if close else ""
    return f"Unknown {kind} '{name}'.{hint} Known: {', '.join(choices)}."


def needs(library: str, what: str) -> str:
    """Say which library is missing for what, and how to install it."""
    return (
        f"{what} needs the library '{library}', which is not installed. Run: pip install {library}"
    )
