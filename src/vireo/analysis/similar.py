"""Do layers of an encoder resemble each other, and does the algorithm decide it?

CKA between the blocks of one encoder, averaged over an algorithm's encoders. The study found it .18
higher for MoCo v2 than for SwAV on average, reads this as low-level information that is kept to the
last layers, and offers it as a reason why MoCo v2 does better on pixel tasks.

References:
    Kotar et al. 2021, Contrasting contrastive self-supervised representation learning pipelines,
    section 5 (3) and appendix E. https://arxiv.org/abs/2103.14005
"""

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from scipy import stats

from vireo.analysis.alike import SETTING, between_encoders, mean_maps, one_setting
from vireo.analysis.context import ALONE, Context
from vireo.analysis.encoders import TAUGHT
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.table import level_of
from vireo.analysis.words import interval_words, listed, numbered, p_words
from vireo.errors import SettingError

PAIR = ("moco-v2", "swav")
"""The study's two algorithms: compared where both are there."""
PUBLISHED = "biased"
THIRDS = ("early", "middle", "late")
PARTS = tuple(f"{a}_{b}" for a, b in combinations_with_replacement(THIRDS, 2))
CAPTION = (
    "Linear CKA on {n} images ({dataset}, {side} x {side}, {representation}). `between_layers`: "
    "mean over all pairs of different blocks of one encoder, then over the encoders of a method; "
    "`early_late` and so on: the same over pairs of blocks in those thirds of the depth. "
    "`biased` is what the study reports; it exceeds the truth where there are more features than "
    "images, `unbiased` (HSIC1) does not. Compare networks of one architecture only."
)


def similar(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a method and estimator: how alike the layers of its encoders are.

    Args:
        table: states the methods of encoders that it has; others are as their cards say.
        context: of it the similarities are asked.

    Raises:
        SettingError: no similarities were computed.
    """
    if context.similarities is None or context.similarities.empty:
        raise SettingError(
            "No similarities are here; compute some with 'vireo similarity', which writes into a"
            " study's folder by --out."
        )
    chosen, notes = one_setting(context.similarities)
    within = _within(chosen, table)
    encoders = _per_encoder(within)
    lines = _per_method(encoders)
    facts = chosen.iloc[0]
    return Finding(
        title="Similarity of layers",
        table=lines,
        caption=CAPTION.format(n=facts["n"], **{name: facts[name] for name in SETTING[1:]}),
        verdict=_verdict(encoders, int(facts["n"]), level_of(table) if len(table) else 0.95),
        figures=_figures(within, encoders, chosen),
        notes=notes,
    )


def _within(chosen: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return the cells between blocks of one encoder, with `method` and thirds of the depth."""
    within = chosen[chosen["first"] == chosen["second"]]
    stated = table.drop_duplicates("encoder").set_index("encoder")["method"]
    method = within["first"].map(stated).where(lambda m: m.notna(), within["first_method"])
    depth = within.groupby("first")["first_index"].transform("max") + 1
    thirds = {
        f"{side}_third": within[f"{side}_index"] * len(THIRDS) // depth
        for side in ("first", "second")
    }
    return within.assign(method=method, encoder=within["first"], blocks=depth, **thirds)


def _per_encoder(within: pd.DataFrame) -> pd.DataFrame:
    """Return one line an encoder and estimator: the mean between layers, and between thirds."""
    pairs = within[within["first_index"] < within["second_index"]]
    names = np.array(THIRDS)
    part = [
        f"{names[a]}_{names[b]}"
        for a, b in zip(pairs["first_third"], pairs["second_third"], strict=True)
    ]
    keys = ["estimator", "method", "encoder"]
    parts = pairs.assign(part=part).pivot_table(index=keys, columns="part", values="value")
    means = pairs.groupby(keys)["value"].mean().rename("between_layers")
    facts = within.groupby(keys)["blocks"].first()
    found = pd.concat([facts, means, parts.reindex(columns=list(PARTS))], axis=1)
    return found.reset_index().sort_values(keys, ignore_index=True)


def _per_method(encoders: pd.DataFrame) -> pd.DataFrame:
    grouped = encoders.groupby(["estimator", "method"])
    lines = grouped[["between_layers", *PARTS]].mean()
    lines.insert(0, "encoders", grouped["encoder"].nunique())
    return lines.reset_index().sort_values(["estimator", "method"], ignore_index=True)


def _verdict(encoders: pd.DataFrame, images: int, level: float) -> str:
    known = list(dict.fromkeys(encoders["estimator"]))
    estimator = PUBLISHED if PUBLISHED in known else known[0]
    values = encoders[encoders["estimator"] == estimator].dropna(subset="between_layers")
    groups = {str(method): part for method, part in values.groupby("method")}
    pair = _pair(groups)
    if pair is None:
        return (
            "These similarities cannot say how algorithms differ: encoders of two self-supervised "
            f"methods are needed, here are {listed(sorted(groups)) or 'none'}."
        )
    first, second = (groups[name]["between_layers"].to_numpy() for name in pair)
    means = (
        f"mean {estimator} CKA between layers is {first.mean():.2f} for {pair[0]} and "
        f"{second.mean():.2f} for {pair[1]}, a difference of {first.mean() - second.mean():+.2f}"
    )
    counts = f"{len(first)} and {numbered(len(second), 'encoder')}, {numbered(images, 'image')}"
    depths = sorted({*groups[pair[0]]["blocks"], *groups[pair[1]]["blocks"]})
    if len(depths) > 1:
        counts += f"; networks of {listed(list(map(str, depths)))} blocks, not algorithms alone"
    if min(len(first), len(second)) < 2:
        return f"Of two runs, not of two algorithms: {means} ({counts})."
    test = stats.ttest_ind(first, second, equal_var=False)
    interval = test.confidence_interval(level)
    said = f"{interval_words(interval.low, interval.high, level)}, Welch's t test over encoders"
    return f"The {means} ({said}, {p_words(float(test.pvalue))}; {counts})."


def _pair(groups: dict[str, pd.DataFrame]) -> tuple[str, str] | None:
    """Return the study's pair, or else the two self-supervised methods with the most encoders."""
    if all(name in groups for name in PAIR):
        return PAIR
    own = sorted(set(groups) - set(TAUGHT), key=lambda name: (-len(groups[name]), name))
    return (own[0], own[1]) if len(own) > 1 else None


def _figures(
    within: pd.DataFrame, encoders: pd.DataFrame, chosen: pd.DataFrame
) -> tuple[Figure, ...]:
    found = []
    for estimator, maps in mean_maps(within).items():
        found.append(
            Figure(
                kind="heatmap",
                title=f"Mean {estimator} CKA between the layers of an encoder",
                x="block",
                y="block",
                data=maps,
                value="CKA",
                limits=(0.0, 1.0),
            )
        )
    for name, part in encoders.groupby("estimator"):
        boxes = part.rename(
            columns={"method": "label", "between_layers": "value", "encoder": "point"}
        )
        found.append(
            Figure(
                kind="box",
                title=f"Mean {name} CKA between layers, by method",
                x="method",
                y="CKA",
                data=boxes[["label", "value", "point"]].reset_index(drop=True),
            )
        )
    found += between_encoders(chosen)
    return tuple(found)
