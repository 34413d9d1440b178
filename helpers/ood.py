"""What scores say about where a text came from: detectors, AUROC, a domain classifier."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import KernelDensity

from helpers import config


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Probability that a string from inside the domain scores higher than one from outside it.

    1 tells the two apart perfectly, 0.5 not at all, 0 perfectly the wrong way round.
    """
    labels = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    return float(roc_auc_score(labels, np.r_[inside, outside]))


def false_alarms(inside: np.ndarray, outside: np.ndarray, kept: float = 0.95) -> float:
    """Share of outside strings accepted at the threshold that accepts `kept` of those inside (FPR at 95 % TPR)."""
    labels = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    fpr, tpr, _ = roc_curve(labels, np.r_[inside, outside])
    return float(fpr[np.searchsorted(tpr, kept)])


def interval(
    statistic, *samples, n: int = 1000, level: float = 0.95, seed: int = config.SEED
) -> tuple[float, float]:
    """Bootstrap interval of `statistic(*samples)`, each sample drawn again with replacement (Efron 1979)."""
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(s) for s in samples]
    draws = [
        statistic(*(a[rng.integers(len(a), size=len(a))] for a in arrays))
        for _ in range(n)
    ]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def auroc_interval(
    inside: np.ndarray,
    outside: np.ndarray,
    *,
    n: int = 1000,
    level: float = 0.95,
    seed: int = config.SEED,
) -> tuple[float, float]:
    """`interval(auroc, inside, outside)`, a hundred times faster: the pairs are compared once, and draws weigh them."""
    rng = np.random.default_rng(seed)
    wins = np.sign(np.subtract.outer(np.asarray(inside), np.asarray(outside))) / 2 + 0.5
    left, right = (
        rng.multinomial(size, np.full(size, 1 / size), size=n) / size
        for size in wins.shape
    )
    low, high = np.quantile(
        np.einsum("ni,ij,nj->n", left, wins, right, optimize=True),
        [(1 - level) / 2, (1 + level) / 2],
    )
    return float(low), float(high)


def effect_size(left: np.ndarray, right: np.ndarray) -> float:
    """Cohen's d: the difference of two means in units of their pooled standard deviation."""
    pooled = np.sqrt((np.var(left, ddof=1) + np.var(right, ddof=1)) / 2)
    return float((np.mean(left) - np.mean(right)) / pooled)


def wide(scores: pd.DataFrame) -> pd.DataFrame:
    """Log-likelihoods, one row a string and one column a model, indexed by `domain` and `text_id`."""
    return scores.pivot(
        index=["domain", "text_id"], columns="model", values="log_likelihood"
    )


def compressed_nats(text: str) -> float:
    """What a general-purpose compressor pays for a text (zlib at its best, no model of language), in nats."""
    return 8 * math.log(2) * len(zlib.compress(text.encode("utf-8"), 9))


def statistics(scores: pd.DataFrame, strings: pd.DataFrame, model: str) -> pd.DataFrame:
    """Scores of each string as belonging to `model`'s domain; higher is more like it, but for the last column.

    One row a string, indexed by `domain` and `text_id`. Columns: `raw log-likelihood` (nats); `per byte` (nats);
    `base alone` (the control: a detector that never saw the domain); `ratio` to the base (nats; Ren et al. 2019,
    Zhang et al. 2024); `complexity-corrected` (log-likelihood plus compressed length, nats; Serrà et al. 2020).
    """
    table = wide(scores)
    texts = strings.set_index(["domain", "text_id"]).text.reindex(table.index)
    n_bytes = texts.str.encode("utf-8").str.len()
    return pd.DataFrame(
        {
            "raw log-likelihood": table[model],
            "per byte": table[model] / n_bytes,
            "base alone": table["base"],
            "ratio": table[model] - table["base"],
            "complexity-corrected": table[model] + texts.map(compressed_nats),
        }
    )


def density_of_states(known: pd.DataFrame, new: pd.DataFrame) -> pd.Series:
    """How typical each row of `new` is of the rows of `known`: higher is more typical.

    After Morningstar et al. 2021, "Density of States Estimation for Out-of-Distribution Detection": the density
    of each statistic among strings of the domain is estimated (Gaussian kernels, Scott's bandwidth, each column
    in units of its own spread), and a string's log-densities are added. A likelihood that is too *high* is as
    untypical as one too low. `known` holds held-out strings of the domain, and no example of anything else.
    """
    mean, spread = known.mean(), known.std()
    total = np.zeros(len(new))
    for column in known:
        model = KernelDensity(bandwidth="scott").fit(
            ((known[[column]] - mean[column]) / spread[column]).to_numpy()
        )
        total += model.score_samples(
            ((new[[column]] - mean[column]) / spread[column]).to_numpy()
        )
    return pd.Series(total, index=new.index)


def compare(detectors: pd.DataFrame, home: str, n: int = 1000) -> pd.DataFrame:
    """How each detector (a column of scores) tells `home`'s strings from every other set's.

    `detectors` is indexed by `domain` (the set) and `text_id`. One row for each set and detector, with `auroc`, its
    95 % bootstrap interval `low`, `high` (`n` draws), and `false alarms` (FPR at 95 % TPR).
    """
    rows = {}
    for name in detectors.index.unique("domain").drop(home):
        for detector in detectors:
            inside, outside = (
                detectors.loc[group, detector].to_numpy() for group in (home, name)
            )
            low, high = auroc_interval(inside, outside, n=n)
            rows[name, detector] = {
                "auroc": auroc(inside, outside),
                "low": low,
                "high": high,
                "false alarms": false_alarms(inside, outside),
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["set", "detector"])


def domain_posterior(scores: pd.DataFrame) -> pd.Series:
    """P(NeurIPS | x) by Bayes' rule from the two fine-tuned models, equal priors: a logistic of their difference."""
    table = wide(scores)
    return 1 / (1 + np.exp(-(table["neurips"] - table["shakespeare"]).clip(-500, 500)))
