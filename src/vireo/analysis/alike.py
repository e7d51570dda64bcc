"""Tables of CKA made ready for analyses: of one setting, averaged over encoders, over blocks."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vireo.analysis.finding import Figure
from vireo.analysis.words import numbered

SETTING = ("images", "dataset", "side", "representation", "batch_size", "compute")
"""What has to be the same for similarities to be compared."""
_CELL = ("estimator", "first", "second", "first_index", "second_index")


def one_setting(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the cells of one set of images and one way of looking at them, and what is left out.

    Taken is the setting with the most encoders, then flattened maps, then the most images. The two
    estimators of an exact comparison stay together; of two comparisons of encoders with the same
    names (one was trained anew) the later one is taken.

    Args:
        table: as `vireo.store.similarities.read_similarities` gives it, not empty.
    """
    settings = table.groupby(list(SETTING), sort=True).agg(
        encoders=("first", "nunique"), n=("n", "max")
    )
    ordered = settings.reset_index().sort_values(
        ["encoders", "representation", "n"], ascending=[False, True, False], kind="stable"
    )
    best = ordered.iloc[0]
    taken = (table[list(SETTING)] == best[list(SETTING)]).all(axis=1)
    chosen = table[taken].sort_values(["time", "digest"], kind="stable")
    latest = chosen.groupby(["estimator", "first", "second"])["digest"].transform("last")
    chosen = chosen[chosen["digest"] == latest].sort_values(list(_CELL), ignore_index=True)
    notes = [_left_out(line) for line in ordered.iloc[1:].to_dict("records")]
    return chosen, tuple(notes)


def mean_maps(within: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return for each estimator the mean map of each method's encoders, as data of a heat map.

    Encoders whose blocks have other names get a panel of their own.

    Args:
        within: cells between blocks of one encoder, with `method` and `encoder`.
    """
    names = within[within["second_index"] == 0].groupby(["estimator", "encoder"])["first_block"]
    blocks = names.agg(" ".join).rename("names")
    cells = within.merge(blocks.reset_index(), on=["estimator", "encoder"])
    found: dict[str, list[pd.DataFrame]] = {}
    for (estimator, method, _), part in cells.groupby(["estimator", "method", "names"]):
        place = ["first_index", "second_index", "first_block", "second_block"]
        means = part.groupby(place)["value"].mean().reset_index()
        panel = f"{method} ({numbered(part['encoder'].nunique(), 'encoder')})"
        data = means.rename(columns={"first_block": "row", "second_block": "column"})
        found.setdefault(str(estimator), []).append(
            data.assign(panel=panel)[["row", "column", "value", "panel"]]
        )
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def between_encoders(chosen: pd.DataFrame) -> list[Figure]:
    """Return a heat map an estimator: CKA of two encoders' blocks of the same place, averaged.

    Only of encoders with as many blocks; none if there is one encoder.
    """
    same = chosen[chosen["first_index"] == chosen["second_index"]]
    depth = chosen.groupby("digest")[["first_index", "second_index"]].max()
    even = depth.index[depth["first_index"] == depth["second_index"]]
    pairs = same[same["digest"].isin(even)]
    means = pairs.groupby(["estimator", "first", "second"])["value"].mean().reset_index()
    turned = means.rename(columns={"first": "second", "second": "first"})
    # encoder with encoder is the same number either way; it is blocks that must not be exchanged
    both = pd.concat([means, turned[turned["first"] != turned["second"]]], ignore_index=True)
    found = []
    for estimator, part in both.groupby("estimator"):
        if part["first"].nunique() < 2:
            continue
        ordered = part.sort_values(["first", "second"], ignore_index=True)
        found.append(
            Figure(
                kind="heatmap",
                title=f"Mean {estimator} CKA between blocks of the same place",
                x="encoder",
                y="encoder",
                data=ordered.rename(columns={"first": "row", "second": "column"}),
                value="CKA",
                limits=(0.0, 1.0),
            )
        )
    return found


def _left_out(setting: Mapping[Any, Any]) -> str:
    encoders = numbered(setting["encoders"], "encoder")
    return (
        f"Left out: similarities of {encoders} on {setting['n']} images of {setting['dataset']} "
        f"at side {setting['side']}, {setting['representation']}, "
        f"{setting['compute']}"
        + (f", batches of {setting['batch_size']}." if setting["batch_size"] else ".")
    )
