"""What scores say about where a text came from: detectors and a domain classifier."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_curve
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

from helpers import config
from helpers.likelihood import interval


def auroc(inside: np.ndarray, outside: np.ndarray, axis: int = -1):
    """Probability that a string of the domain scores higher than one from outside it.

    1 tells the two apart perfectly, 0.5 not at all, 0 perfectly the wrong way round; a
    tie counts one half. It is Mann and Whitney's U over the number of pairs (Hanley and
    McNeil 1982). Many pairs of samples at once lie along the other axes. ValueError for
    an empty sample or what is no finite number.
    """
    inside, outside = _finite(inside, "inside"), _finite(outside, "outside")
    u = mannwhitneyu(inside, outside, axis=axis, method="asymptotic").statistic
    return u / (inside.shape[axis] * outside.shape[axis])


def false_alarms(inside: np.ndarray, outside: np.ndarray, kept: float = 0.95) -> float:
    """Share of outside strings accepted where a share `kept` of the inside ones is.

    Also called the false positive rate at 95 % true positives. ValueError as `auroc`,
    and for a share that is none.
    """
    inside, outside = _finite(inside, "inside", 1), _finite(outside, "outside", 1)
    if not 0 < kept <= 1:
        raise ValueError(f"kept={kept!r:.20}: a share is above 0 and at most 1.")
    labels = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    fpr, tpr, _ = roc_curve(labels, np.r_[inside, outside], drop_intermediate=False)
    return float(fpr[np.searchsorted(tpr, kept - 1e-12)])  # 0.3 is not quite 3 * 0.1


def _finite(values, name: str, dimensions: int | None = None) -> np.ndarray:
    """Values as an array. ValueError, saying where, for what is no finite number."""
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no array of numbers ({error!s:.100}).") from None
    misshapen = array.ndim != dimensions if dimensions else array.ndim == 0
    if array.size == 0 or misshapen:
        raise ValueError(f"{name} is no sample of numbers: its shape is {array.shape}.")
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0]
        value, place = array[tuple(where)], ", ".join(map(str, where))
        raise ValueError(f"{name}, at {place}: {value} is not a finite number.")
    return array


def wide(scores: pd.DataFrame, models: Sequence[str] = ()) -> pd.DataFrame:
    """Log-likelihoods, one row per string and one column per model.

    Indexed by `domain` and `text_id`. ValueError if a string has two scores under one
    model, or none under one of `models`.
    """
    key, value = ["domain", "text_id"], "log_likelihood"
    if scores.empty or not {*key, "model", value} <= {*scores}:
        raise ValueError(f"Scores need rows, and the columns {key}, model and {value}.")
    twice = scores[scores.duplicated([*key, "model"])]
    if len(twice):
        raise ValueError(f"{_name(twice)} has two scores under {twice.model.iloc[0]}.")
    scores = scores.astype({value: float})
    table = scores.pivot(index=key, columns="model", values=value)
    needed = table.reindex(columns=list(models))
    for model in models:
        lacking = needed[~np.isfinite(needed[model])].reset_index()
        if len(lacking):
            raise ValueError(f"{_name(lacking)} has no score under {model}.")
    return table


def _name(table: pd.DataFrame) -> str:
    """The string in the first row of a table."""
    return f"The string {table.text_id.iloc[0]!r:.60} of {table.domain.iloc[0]}"


def compressed_nats(text: str) -> float:
    """What a general-purpose compressor pays for a text (zlib at its best), in nats."""
    return 8 * math.log(2) * len(zlib.compress(text.encode("utf-8"), 9))


def statistics(scores: pd.DataFrame, strings: pd.DataFrame, model: str) -> pd.DataFrame:
    """Scores of each string as belonging to `model`'s domain; higher is more like it.

    One row per string, indexed by `domain` and `text_id`. Columns:

    - `raw log-likelihood` (nats) and `per byte` (nats per byte)
    - `base alone` (the control: a detector that never saw the domain)
    - `ratio`: log of the likelihood ratio to the base (nats; Ren et al. 2019, Zhang et
      al. 2024)
    - `complexity-corrected`: plus compressed length (nats; Serrà et al. 2020)

    ValueError naming a string that has no score under the model or the base, or not one
    text in `strings`.
    """
    table = wide(scores, [model, "base"])
    texts = strings.set_index(["domain", "text_id"])["text"]
    texts = pd.Series([texts.get(key) for key in table.index], table.index)
    for (domain, text_id), text in texts.items():
        if not isinstance(text, str) or not text:
            said = f"The string {text_id!r:.60} of {domain} has not one text"
            raise ValueError(f"{said} in the table of strings.")
    raw, base = table[model], table["base"]
    return pd.DataFrame(
        {
            "raw log-likelihood": raw,
            "per byte": raw / texts.str.encode("utf-8").str.len(),
            "base alone": base,
            "ratio": raw - base,
            "complexity-corrected": raw + texts.map(compressed_nats),
        }
    )


def density_of_states(known: pd.DataFrame, new: pd.DataFrame) -> pd.Series:
    """How typical each row of `new` is of the rows of `known`: higher is more typical.

    After Morningstar et al. 2021, "Density of States Estimation for
    Out-of-Distribution Detection": the density of each statistic among strings of the
    domain is estimated (Gaussian kernels, Scott's bandwidth, each column in units of
    its own spread), and a string's log-densities are added, as if the statistics were
    independent. A likelihood that is too *high* is as untypical as one too low. `known`
    holds held-out strings of the domain, and no example of anything else. ValueError
    for a statistic that is missing, not finite, or the same for all of `known`.
    """
    known, new = pd.DataFrame(known), pd.DataFrame(new)
    if known.columns.empty or not known.columns.isin(new.columns).all():
        raise ValueError("known has no statistics, or some that new does not have.")
    total = np.zeros(len(new))
    for column in known:
        _finite(new[column], f"new, {column}", 1)
        values = _finite(known[column], f"known, {column}", 1)
        if np.isclose(values.min(), values.max(), rtol=1e-12, atol=0):
            raise ValueError(
                f"known, {column}: one value has no spread, so no density."
            )
        scaler = StandardScaler().fit(known[[column]])
        density = KernelDensity(bandwidth="scott")
        density.fit(scaler.transform(known[[column]]))
        total += density.score_samples(scaler.transform(new[[column]]))
    return pd.Series(total, index=new.index)


def compare(detectors: pd.DataFrame, home: str) -> pd.DataFrame:
    """How each detector (a column of scores) tells `home`'s strings from other sets'.

    `detectors` is indexed by `domain` (the set) and `text_id`. One row for each set and
    detector, with `auroc`, its 95 % bootstrap interval `low`, `high`, and
    `false alarms` (false positive rate at 95 % true positives). ValueError if there is
    nothing to compare, or for a score that is not finite.
    """
    sets, rows = detectors.index.unique(0), {}
    if home not in sets or len(sets) < 2 or detectors.columns.empty:
        found = ", ".join(map(str, sets[:10])) or "none"
        needed = f"a detector, and strings of {home!r} and of another set"
        raise ValueError(f"compare needs {needed}; the sets are {found}.")
    for name in sets.drop(home):
        for detector in detectors:
            inside, outside = (
                _finite(detectors.loc[one, detector], f"{detector} of {one}", 1)
                for one in (home, name)
            )
            low, high = interval(auroc, inside, outside)
            rows[name, detector] = {
                "auroc": float(auroc(inside, outside)),
                "low": low,
                "high": high,
                "false alarms": false_alarms(inside, outside),
            }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis(["set", "detector"])


def domain_posterior(scores: pd.DataFrame) -> pd.Series:
    """P(NeurIPS | x) by Bayes' rule from the two fine-tuned models, equal priors.

    A logistic function of the difference of their log-likelihoods. ValueError for a
    string that has not one score under each.
    """
    table = wide(scores, config.DOMAINS)
    return expit(table["neurips"] - table["shakespeare"])
