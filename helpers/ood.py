"""What scores say about where a text came from: detectors and a domain classifier."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_curve
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

from helpers.likelihood import interval


def auroc(inside: np.ndarray, outside: np.ndarray, axis: int = -1):
    """Probability that a string of the domain scores higher than one from outside it.

    1 tells the two apart perfectly, 0.5 not at all, 0 perfectly the wrong way round; a
    tie counts one half. It is Mann and Whitney's U over the number of pairs (Hanley and
    McNeil 1982). Many pairs of samples at once lie along the other axes.
    """
    inside, outside = np.asarray(inside, float), np.asarray(outside, float)
    u = mannwhitneyu(inside, outside, axis=axis, method="asymptotic").statistic
    return u / (inside.shape[axis] * outside.shape[axis])


def false_alarms(inside: np.ndarray, outside: np.ndarray, kept: float = 0.95) -> float:
    """Share of outside strings accepted where a share `kept` of the inside ones is.

    Also called the false positive rate at 95 % true positives.
    """
    labels = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    fpr, tpr, _ = roc_curve(labels, np.r_[inside, outside], drop_intermediate=False)
    return float(fpr[np.searchsorted(tpr, kept)])


def wide(scores: pd.DataFrame) -> pd.DataFrame:
    """Log-likelihoods, one row per string and one column per model.

    Indexed by `domain` and `text_id`.
    """
    return scores.pivot(
        index=["domain", "text_id"], columns="model", values="log_likelihood"
    )


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
    """
    table = wide(scores)
    texts = strings.set_index(["domain", "text_id"]).text.reindex(table.index)
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
    holds held-out strings of the domain, and no example of anything else.
    """
    total = np.zeros(len(new))
    for column in known:
        scaler = StandardScaler().fit(known[[column]])
        density = KernelDensity(bandwidth="scott")
        density.fit(scaler.transform(known[[column]]))
        total += density.score_samples(scaler.transform(new[[column]]))
    return pd.Series(total, index=new.index)


def compare(detectors: pd.DataFrame, home: str) -> pd.DataFrame:
    """How each detector (a column of scores) tells `home`'s strings from other sets'.

    `detectors` is indexed by `domain` (the set) and `text_id`. One row for each set and
    detector, with `auroc`, its 95 % bootstrap interval `low`, `high`, and
    `false alarms` (false positive rate at 95 % true positives).
    """
    rows = {}
    for name in detectors.index.unique("domain").drop(home):
        for detector in detectors:
            inside = detectors.loc[home, detector].to_numpy()
            outside = detectors.loc[name, detector].to_numpy()
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

    A logistic function of the difference of their log-likelihoods.
    """
    table = wide(scores)
    return expit(table["neurips"] - table["shakespeare"])
