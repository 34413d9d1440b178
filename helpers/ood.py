"""What scores say about where a text came from: AUROC, the likelihood ratio, a domain classifier."""
from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score, roc_curve

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


def interval(statistic, *samples, n: int = 1000, level: float = 0.95, seed: int = config.SEED) -> tuple[float, float]:
    """Bootstrap interval of `statistic(*samples)`, each sample drawn again with replacement (Efron 1979)."""
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(s) for s in samples]
    draws = [statistic(*(a[rng.integers(len(a), size=len(a))] for a in arrays)) for _ in range(n)]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def effect_size(left: np.ndarray, right: np.ndarray) -> float:
    """Cohen's d: the difference of two means in units of their pooled standard deviation."""
    pooled = np.sqrt((np.var(left, ddof=1) + np.var(right, ddof=1)) / 2)
    return float((np.mean(left) - np.mean(right)) / pooled)


def wide(scores: pd.DataFrame) -> pd.DataFrame:
    """Log-likelihoods, one row a string and one column a model, indexed by `domain` and `text_id`."""
    return scores.pivot(index=["domain", "text_id"], columns="model", values="log_likelihood")


def likelihood_ratio(scores: pd.DataFrame, model: str) -> pd.Series:
    """log p_model(x) − log p_base(x) in nats: what fine-tuning taught, with what any text costs taken away.

    Ren et al. 2019, "Likelihood Ratios for Out-of-Distribution Detection"; with a pretrained model as
    the background, Zhang et al. 2024 (arXiv 2404.08679).
    """
    table = wide(scores)
    return table[model] - table["base"]


def domain_posterior(scores: pd.DataFrame) -> pd.Series:
    """P(NeurIPS | x) by Bayes' rule from the two fine-tuned models, equal priors: a logistic of their difference."""
    table = wide(scores)
    return 1 / (1 + np.exp(-(table["neurips"] - table["shakespeare"]).clip(-500, 500)))
