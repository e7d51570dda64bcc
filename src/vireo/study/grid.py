"""Many pre-training runs in few lines of a study file: named sets of images, and grids over them.

`[data.NAME]` names a set: a dataset's own table (`source = ...`), or a part of other sets (`rule =
...`, as `vireo subset` draws it). `[[grid]]` is a run whose `method`, `data`, `epochs` or `seed`
may be lists: it stands for every combination. Both are written out, in place, before the file's
types are checked, so that a plan has plain runs and each has its own digest.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from vireo.catalog import unknown
from vireo.data.datasets import DATASETS
from vireo.digest import plain

AXES = ("method", "data", "epochs", "seed")
_CHANGES = "only"
"""The key of a grid's table of methods whose runs differ from the others."""

Table = dict[str, Any]


def write_out(values: Table) -> list[str]:
    """Replace `data` and `grid` of a study file by the runs they stand for.

    Returns:
        What is wrong, one sentence each.

    Example:
        >>> file = {"grid": [{"method": ["simclr", "swav"], "data": "digits", "seed": [0, 1]}]}
        >>> write_out(file), *file["pretrain"]
        ([], 'simclr-digits', 'simclr-digits-seed1', 'swav-digits', 'swav-digits-seed1')
    """
    named, grids = values.pop("data", {}), values.pop("grid", [])
    if not _is_tables(named):
        return ["data should be tables [data.NAME], one for each set of images"]
    if not isinstance(grids, list) or not all(isinstance(grid, dict) for grid in grids):
        return ["grid should be one table [[grid]] or more"]
    mistakes: list[str] = []
    sets = {name: _described(name, table, named, mistakes) for name, table in named.items()}
    runs = values.setdefault("pretrain", {}) if grids else values.get("pretrain", {})
    if _is_tables(runs):  # what else it may be is told when types are checked
        _fill(runs, grids, mistakes)
        for run in runs.values():
            if isinstance(run.get("data"), str):
                run["data"] = sets.get(run["data"], run["data"])
    return mistakes


def _fill(runs: Table, grids: list[Table], mistakes: list[str]) -> None:
    """Add the runs of all grids."""
    for number, grid in enumerate(grids):
        for name, run in _runs(grid, f"grid[{number}]", mistakes):
            if name in runs:
                mistakes.append(f"two pre-training runs are called '{name}'; change one")
            runs[name] = run


def _is_tables(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, dict) for item in value.values())


def _described(name: str, table: Table, named: Mapping[str, Table], mistakes: list[str]) -> Table:
    """Return a set's table with its name, and with the sets that it is a part of."""
    table = {"name": name, **table}
    if "rule" not in table or not isinstance(table.get("data"), list):
        return table
    parts = [_part(f"data.{name}", item, named, mistakes) for item in table["data"]]
    return {**table, "data": parts}


def _part(where: str, item: Any, named: Mapping[str, Table], mistakes: list[str]) -> Any:
    if not isinstance(item, str):
        return item
    if item in named and "rule" not in named[item]:
        return {"name": item, **named[item]}
    if item in DATASETS:
        from vireo.data import find_dataset

        return plain(find_dataset(item))
    whole = [name for name, table in named.items() if "rule" not in table]
    mistakes.append(f"{where}.data: {unknown(item, [*whole, *DATASETS], 'set of images')}")
    return item


def _runs(grid: Table, where: str, mistakes: list[str]) -> Iterator[tuple[str, Table]]:
    """Yield name and table of every run of a grid."""
    axes = {axis: _listed(grid[axis]) for axis in AXES if axis in grid}
    lacking = [axis for axis in ("method", "data") if not axes.get(axis)]
    if wrong := [axis for axis in axes if not all(isinstance(v, str | int) for v in axes[axis])]:
        mistakes += [f"{where}.{axis} should be one name or number, or a list" for axis in wrong]
        return
    if lacking or not _is_tables(grid.get(_CHANGES, {})):
        mistakes += [f"{where}.{axis} is missing" for axis in lacking]
        mistakes += [] if lacking else [f"{where}.{_CHANGES} should be tables, one for a method"]
        return
    changes = grid.get(_CHANGES, {})
    mistakes += [
        f"{where}.{_CHANGES}: {unknown(name, axes['method'], 'method of the grid')}"
        for name in changes
        if name not in axes["method"]
    ]
    shared = {key: value for key, value in grid.items() if key not in (*axes, _CHANGES)}
    for values in product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        yield _name(point, axes), _merged({**shared, **point}, changes.get(point["method"], {}))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _name(point: Table, axes: Mapping[str, list[Any]]) -> str:
    """Return what tells a grid's runs apart: a seed other than 0, and one of several epochs."""
    parts = [str(point["method"]), str(point["data"])]
    if len(axes.get("epochs", ())) > 1:
        parts.append(str(point["epochs"]))
    if point.get("seed"):
        parts.append(f"seed{point['seed']}")
    return "-".join(parts)


def _merged(run: Table, changes: Table) -> Table:
    """Return a run with what is changed of it; tables of options are changed key by key."""
    inner = {
        key: {**run[key], **value}
        for key, value in changes.items()
        if isinstance(value, dict) and isinstance(run.get(key), dict)
    }
    return {**run, **changes, **inner}
