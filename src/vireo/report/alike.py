"""How alike encoders' blocks are: CKA of every block with every block, as maps for the page."""

from typing import Any

import numpy as np
import pandas as pd

from vireo.analysis import Figure
from vireo.analysis.table import order

MOST_VALUES = 300_000
"""Values that the page carries; beyond, blocks of two encoders are left out, those of one kept."""


def embedded_similarities(table: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return what the page's script draws: of each pair of encoders a map in thousandths.

    Rows are the blocks of the first encoder. A map and its mirror, (i, j) and (j, i) of two
    encoders, hold different cells, so neither is made from the other.
    """
    if table is None or table.empty:
        return None
    table = table.assign(setting=_settings(table))
    groups = table.groupby(["setting", "first", "second"], sort=False)
    whole = [_map(part) for _, part in groups]
    kept = whole if len(table) <= MOST_VALUES else [m for m in whole if m["first"] == m["second"]]
    return {
        "encoders": order([*table["first"], *table["second"]]),
        "settings": order(list(table["setting"])),
        "maps": kept,
        "left_out": len(whole) - len(kept),
    }


def _settings(table: pd.DataFrame) -> list[str]:
    """Say of each line how it was measured: only lines of one setting make a map."""
    known = [name for name in ("dataset", "side", "representation") if name in table.columns]
    lines = zip(*(table[name] for name in ("estimator", "n", *known)), strict=True)
    words = ("images", "", "px", "")
    return [
        ", ".join(
            [
                str(estimator),
                *(f"{fact} {word}".strip() for fact, word in zip(facts, words, strict=False)),
            ]
        )
        for estimator, *facts in lines
    ]


def _map(part: pd.DataFrame) -> dict[str, Any]:
    rows = _blocks(part, "first")
    columns = _blocks(part, "second")
    wide = part.pivot_table(index="first_block", columns="second_block", values="value", sort=False)
    values = wide.reindex(index=rows, columns=columns).to_numpy(dtype=float)
    return {
        **{name: str(part[name].iloc[0]) for name in ("setting", "first", "second")},
        "rows": rows,
        "columns": columns,
        "values": [[None if np.isnan(v) else round(1000 * v) for v in line] for line in values],
    }


def _blocks(part: pd.DataFrame, side: str) -> list[str]:
    """Return the blocks of one side from the first layer to the last."""
    name, index = f"{side}_block", f"{side}_index"
    ordered = part.sort_values(index, kind="stable") if index in part.columns else part
    return order(list(ordered[name].astype(str)))


def similarity_figures(table: pd.DataFrame | None) -> dict[str, Figure]:
    """Return "SETTING-FIRST-SECOND" to its map, for a paper."""
    found = {}
    for one in (embedded_similarities(table) or {"maps": ()})["maps"]:
        lines = [
            {"row": row, "column": column, "value": np.nan if value is None else value / 1000}
            for row, values in zip(one["rows"], one["values"], strict=True)
            for column, value in zip(one["columns"], values, strict=True)
        ]
        found[f"{one['setting']}-{one['first']}-{one['second']}"] = Figure(
            kind="heatmap",
            title=f"Similarity of {one['first']} and {one['second']}",
            x=one["second"],
            y=one["first"],
            data=pd.DataFrame(lines),
            value="CKA",
            limits=(0.0, 1.0),
        )
    return found
