"""What to learn: the pre-training algorithms, one file each, and what several of them share."""

from typing import Any

from vireo.catalog import resolve

METHODS: dict[str, str] = {
    "moco-v2": "vireo.methods.moco_v2:MoCoV2",
    "swav": "vireo.methods.swav:SwAV",
    "supervised": "vireo.methods.supervised:Supervised",
}


def find_method(name: str) -> type[Any]:
    """Return the class of a method by its name in `METHODS` or by a dotted path.

    Raises:
        SettingError: there is none of that name.

    Example:
        >>> find_method("moco-v2").__name__
        'MoCoV2'
    """
    from vireo.methods.method import Method

    found: type[Method] = resolve(METHODS, name, "method", Method)
    return found


__all__ = ["METHODS", "find_method"]
