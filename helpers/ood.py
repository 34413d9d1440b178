"""What scores say about where a text came from: detectors and a domain classifier."""

import math
import zlib

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from scipy.stats import mannwhitneyu
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_curve
from sklearn.model_selection import KFold
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers import config
from helpers.likelihood import BATCH_TOKENS, Window, batches, interval
from helpers.models import LanguageModel, as_texts

# ---- how well a score tells two samples apart


def auroc(inside: np.ndarray, outside: np.ndarray, axis: int = -1):
    """Probability that a string of the domain scores higher than one from outside it.

    1 tells the two apart perfectly, 0.5 not at all, 0 perfectly the wrong way round; a
    tie counts one half. It is Mann and Whitney's U over the number of pairs (Hanley and
    McNeil 1982). Many pairs of samples at once lie along the other axes. ValueError for
    NaN.
    """
    inside, outside = np.asarray(inside), np.asarray(outside)
    test = {"method": "asymptotic", "nan_policy": "raise", "axis": axis}
    u = mannwhitneyu(inside, outside, **test).statistic
    return u / (inside.shape[axis] * outside.shape[axis])


def strangers_let_in(inside: np.ndarray, outside: np.ndarray) -> float:
    """Share of outside strings accepted where 95 % of the inside ones are.

    Also called the false positive rate at 95 % true positives. ValueError for an empty
    sample or what is no finite number.
    """
    is_inside = [True] * len(inside) + [False] * len(outside)
    # One point for each threshold, the highest first.
    false, true, _ = roc_curve(is_inside, [*inside, *outside], drop_intermediate=False)
    return float(false[true >= 0.95][0])


# ---- statistics of a string


def wide(scores: pd.DataFrame, value: str = "log_likelihood") -> pd.DataFrame:
    """A column of the scores, one row per string and one column per model.

    Indexed by `domain` and `text_id`. ValueError if a string has two values under one
    model, or none.
    """
    table = scores.pivot(index=["domain", "text_id"], columns="model", values=value)
    incomplete = table.index[table.isna().any(axis=1)]
    if len(incomplete):
        raise ValueError(f"Under one of the models, {incomplete[0]} has no {value}.")
    return table


def compressed_nats(text: str) -> float:
    """What a general-purpose compressor pays for a text (zlib at its best), in nats."""
    return 8 * math.log(2) * len(zlib.compress(text.encode("utf-8"), 9))


def statistics(scores: pd.DataFrame, strings: pd.DataFrame, model: str) -> pd.DataFrame:
    """Scores of each string as belonging to `model`'s domain; higher is more like it.

    One row per string, indexed by `domain` and `text_id`. Columns:

    - `raw log-likelihood` (nats) and `per token` (nats per token)
    - `token count`: minus the tokens (a control: no model is needed)
    - `base alone` (a control: a detector that was not fine-tuned on the domain)
    - `ratio`: log of the likelihood ratio to the base (nats; Ren et al. 2019, Zhang et
      al. 2025)
    - `complexity-corrected`: plus compressed length (nats; Serrà et al. 2020)

    ValueError naming a string that lacks a score under one of the models or has two
    texts in `strings`; KeyError naming one that has none.
    """
    table = wide(scores)
    tokens = wide(scores, "n_tokens")[model]
    by_string = strings.set_index(["domain", "text_id"]).text
    twice = by_string.index[by_string.index.duplicated()]
    if len(twice):
        raise ValueError(f"The string {twice[0]} has two texts.")
    texts = by_string.loc[table.index]
    raw, base = table[model], table["base"]
    return pd.DataFrame(
        {
            "raw log-likelihood": raw,
            "per token": raw / tokens,
            "token count": -tokens,
            "base alone": base,
            "ratio": raw - base,
            "complexity-corrected": raw + texts.map(compressed_nats),
        }
    )


@torch.inference_mode()
def hidden_states(lm: LanguageModel, texts: list[str]) -> np.ndarray:
    """Mean hidden state of each half of each text: shape (texts, 2, width).

    Of the model's middle layer, over the tokens of the first half and those of the
    second (an odd one in the middle is in both). The separator before a text does not
    count, and what is past the context is not read. ValueError for what is no list of
    texts.
    """
    texts = as_texts(texts, "texts")
    rows = [[lm.bos_id, *ids][: lm.context_length] for ids in lm.encode(texts)]
    todo, found = [Window(i, row, 0) for i, row in enumerate(rows)], {}
    for batch, ids in batches(lm, todo, "reading", BATCH_TOKENS, progress=True):
        # The model without its output matrix: what each layer hands on to the next.
        body = lm.model.base_model
        layers = body(ids, output_hidden_states=True, use_cache=False).hidden_states
        # (batch, tokens, width)
        middle = layers[len(layers) // 2].float().cpu().numpy()
        for window, states in zip(batch, middle):
            states = states[1 : len(window.ids)]  # (tokens, width)
            half = (len(states) + 1) // 2
            found[window.index] = states[:half].mean(0), states[-half:].mean(0)
    return np.array([found[i] for i in range(len(texts))])


# ---- detectors that are fitted on strings of the domain alone


def distances(known: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mahalanobis distance of each row from `known`'s mean: known's own, and new's.

    After Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution
    Samples and Adversarial Attacks": in units of how far strings of the domain spread
    in each direction. With more directions than strings, the covariance is shrunk
    (Ledoit and Wolf 2004), so that directions in which `known` does not spread count,
    too. Each row of `known` is measured from the others (in five folds), as new ones
    are. ValueError for what is no finite number.
    """
    known, new = np.asarray(known, float), np.asarray(new, float)
    own, folds = np.empty(len(known)), KFold(5, shuffle=True, random_state=config.SEED)
    for others, fold in folds.split(known):
        own[fold] = LedoitWolf().fit(known[others]).mahalanobis(known[fold])
    return own**0.5, LedoitWolf().fit(known).mahalanobis(new) ** 0.5


def density_of_states(known: pd.DataFrame, new: pd.DataFrame) -> pd.Series:
    """How typical each row of `new` is of the rows of `known`: higher is more typical.

    After Morningstar et al. 2021, "Density of States Estimation for
    Out-of-Distribution Detection": the density of each statistic among strings of the
    domain is estimated (Gaussian kernels, Scott's bandwidth, each column in units of
    its own spread), and a string's log-densities are added, as if the statistics were
    independent. A likelihood that is too *high* is as untypical as one too low. `known`
    holds held-out strings of the domain, and no example of anything else. ValueError
    for what is no finite number.
    """
    total = np.zeros(len(new))
    for column in known:
        density = make_pipeline(StandardScaler(), KernelDensity(bandwidth="scott"))
        total += density.fit(known[[column]]).score_samples(new[[column]])
    return pd.Series(total, index=new.index)


# ---- results


def worst_case(detectors: dict[str, pd.Series], cells: list[tuple[str, str]]) -> dict:
    """The lowest AUROC of a detector over cells, pairs of a home and another set.

    detectors: for each home the scores, indexed by `domain` (the set) and `text_id`.
    Keys `auroc`, `home` and `set` of the worst cell, and `low`, `high`: a 95 % interval
    of the *minimum*. For it the strings of every set are redrawn 1,000 times, all cells
    computed again, and the lowest taken each time: it need not be the same cell. With
    one cell it is that cell's own interval. KeyError for a set that is not there;
    ValueError for no cells, or as `auroc`.
    """
    sizes = {}  # strings in each set
    for scores in detectors.values():
        sizes |= scores.groupby(level=0, sort=False).size().to_dict()
    strings = [np.arange(size) for size in sizes.values()]  # by their places

    def aurocs(*drawn, axis=-1):
        """The AUROC of each cell; drawn: which strings of each set."""
        at, found = dict(zip(sizes, drawn)), []
        for home, other in cells:
            inside, outside = (
                detectors[home].loc[name].to_numpy()[at[name]] for name in (home, other)
            )
            found.append(auroc(inside, outside, axis))
        return np.array(found)

    def lowest(*drawn, axis):
        return aurocs(*drawn, axis=axis).min(0)

    found = aurocs(*strings)
    low, high = interval(lowest, *strings)
    home, other = cells[found.argmin()]
    worst = {"auroc": float(found.min()), "low": low, "high": high}
    return worst | {"home": home, "set": other}


def domain_posterior(scores: pd.DataFrame) -> pd.Series:
    """P(NeurIPS | x) by Bayes' rule from the two fine-tuned models, equal priors.

    A logistic function of the difference of their log-likelihoods. ValueError for a
    string that has not one score under each.
    """
    table = wide(scores[scores.model.isin(config.DOMAINS)])
    return expit(table["neurips"] - table["shakespeare"])
