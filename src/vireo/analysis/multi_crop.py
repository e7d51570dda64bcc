"""Does multi-crop explain how SwAV differs from MoCo v2? The study's appendix I.

MoCo v2 trained with SwAV's crops is compared with both on every task. If crops were all, it would
score as SwAV does; the study finds it between the two, and below plain MoCo v2 on some pixel tasks.

References:
    Kotar et al. 2021, appendix I and figure 15. https://arxiv.org/abs/2103.14005
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from vireo.analysis.context import ALONE, Context
from vireo.analysis.encoders import facts_of
from vireo.analysis.finding import Figure, Finding
from vireo.analysis.sign_flips import sign_flip_test, signed_ranks
from vireo.analysis.table import present
from vireo.analysis.wide import families, spreads, wide_scores
from vireo.analysis.words import numbered, p_words
from vireo.errors import SettingError

DONOR = "swav"
CAPTION = (
    "`plain`: the method without multi-crop, `cropped`: with it, `donor`: SwAV, whose crops they "
    "are. `change`: cropped - plain. `way`: (cropped - plain) / (donor - plain), 0 as the method, "
    "1 as SwAV; it means little where those two are close. `between`: whether the score lies "
    "between theirs; of three encoders in no order a third of the tasks would. One run each: the "
    "tests are over tasks, and do not cover another pre-training run."
)
_CROPPED = re.compile(r"[-_+ ]*multi[-_ ]?crop", re.IGNORECASE)


@dataclass(frozen=True)
class _Trio:
    plain: str
    cropped: str
    donor: str


def multi_crop(table: pd.DataFrame, context: Context = ALONE) -> Finding:
    """Return one line a task: the scores of the three, and how far multi-crop goes.

    Args:
        table: cells may be missing; a task needs all three.
        context: is not asked.

    Raises:
        SettingError: the three are not there, or share no task.
    """
    table, notes = present(table)
    trio = _trio(facts_of(table))
    names = [trio.plain, trio.cropped, trio.donor]
    wide = wide_scores(table).loc[names]
    spread = spreads(wide_scores(table))
    scores = wide.dropna(axis=1)
    if scores.empty:
        raise SettingError(f"No task has scores of {', '.join(names)}; run the study again.")
    lines = _lines(scores, families(table))
    gone = [name for name in wide.columns if name not in scores.columns]
    notes += (f"Left out, without all three: {', '.join(gone)}.",) if gone else ()
    notes += (f"Compared: {', '.join(names)}.",)
    verdict = _verdict(lines, trio, spread)
    return Finding("Multi-crop", lines, CAPTION, verdict, (_figure(lines, trio),), notes)


def _trio(facts: pd.DataFrame) -> _Trio:
    """Choose the cropped encoder, its method without crops, and SwAV: one set, equal epochs."""
    cropped = [name for name in facts.index if _is_cropped(name, facts)]
    for name in cropped:
        line = facts.loc[name]
        method = _CROPPED.sub("", line["method"])
        same = facts[
            (facts["pretraining_set"] == line["pretraining_set"])
            & (facts["architecture"] == line["architecture"])
            & ~facts.index.isin(cropped)
        ]
        plain, donor = same[same["method"] == method], same[same["method"] == DONOR]
        shared = sorted(set(plain["epochs"].dropna()) & set(donor["epochs"].dropna()))
        if shared:
            epochs = line["epochs"] if line["epochs"] in shared else shared[-1]
            first = [part.index[part["epochs"] == epochs][0] for part in (plain, donor)]
            return _Trio(str(first[0]), str(name), str(first[1]))
    raise SettingError(
        "This question needs an encoder trained with multi-crop (its method or name says so), the "
        "same method without, and SwAV, on one set for as many epochs; "
        f"got {', '.join(cropped) or 'no encoder with multi-crop'}."
    )


def _is_cropped(name: str, facts: pd.DataFrame) -> bool:
    method = str(facts["method"][name])
    return bool(_CROPPED.search(f"{name} {method}")) and method != DONOR


def _lines(scores: pd.DataFrame, family: dict[str, str]) -> pd.DataFrame:
    plain, cropped, donor = scores.to_numpy(dtype=np.float64)
    apart = donor - plain
    return pd.DataFrame(
        {
            "task": scores.columns,
            "family": [family[task] for task in scores.columns],
            "plain": plain,
            "cropped": cropped,
            "donor": donor,
            "change": cropped - plain,
            "way": np.divide(
                cropped - plain, apart, out=np.full(len(apart), np.nan), where=apart != 0
            ),
            "between": (cropped - plain) * (cropped - donor) < 0,
        }
    )


def _verdict(lines: pd.DataFrame, trio: _Trio, spread: pd.Series) -> str:
    count, between = len(lines), int(lines["between"].sum())
    chance = stats.binomtest(between, count, 1 / 3, alternative="greater").pvalue
    said = (
        f"On {between} of {numbered(count, 'task')} {trio.cropped} scores between {trio.plain} and "
        f"{trio.donor} (a third would by chance, binomial {p_words(float(chance))})"
    )
    parts = []
    for words, suffix in (("tasks of whole images", "image"), ("pixel tasks", "pixel")):
        part = lines[lines["family"].str.endswith(suffix)]
        if len(part):
            deviation = spread.loc[part["task"]].to_numpy()
            change = part["change"].to_numpy() / np.where(deviation > 0, deviation, 1.0)
            p = float(sign_flip_test(change[:, None], words, signed_ranks)[0])
            better = int((part["change"] > 0).sum())
            parts.append(
                f"{better} of {len(part)} {words} (by {change.mean():+.2f} "
                f"standard deviations on average, signed ranks {p_words(p)})"
            )
    return f"{said}; of these two runs that with multi-crop is better on {' and '.join(parts)}."


def _figure(lines: pd.DataFrame, trio: _Trio) -> Figure:
    parts = [
        pd.DataFrame({"label": lines["task"], "value": lines[column], "group": name})
        for column, name in (
            ("plain", trio.plain),
            ("cropped", trio.cropped),
            ("donor", trio.donor),
        )
    ]
    data = pd.concat(parts, ignore_index=True)
    return Figure(kind="bars", title="With and without multi-crop", x="", y="score", data=data)
