"""Pictures from tables alone."""
import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest

from helpers import config, plots, submission


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    rows = [{"text_id": f"{d}:{i}", "domain": d, "model": m, "n_chars": 100, "n_bytes": 100, "n_tokens": 25,
             "log_likelihood": rng.normal(mean, 15)}
            for m in config.MODELS for d, mean in zip(config.KINDS, (-120, -150, -430)) for i in range(100)]
    return submission.add_rates(pd.DataFrame(rows))


def test_pictures_need_no_model():
    code = "import sys, helpers.plots; print([m for m in ('torch', 'transformers', 'datasets') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True).stdout.strip() == "[]"


def test_figures_are_returned_closed_and_leave_settings_alone(scores):
    before = dict(matplotlib.rcParams)
    history = pd.DataFrame({"tokens": [1, 2, 2], "loss": [3.0, 2.0, 2.5],
                            "split": ["training", "training", "validation"]})
    figures = [plots.headlines(scores), plots.histogram(scores, models=config.MODELS),
               plots.headline(scores, "random"), plots.loss_curve(history), plots.heat(pd.DataFrame({"a": [1.0]})),
               plots.bars(pd.DataFrame({"t": ["x"], "p": [1]}), label="t", value="p")]
    assert all(isinstance(f, matplotlib.figure.Figure) for f in figures)
    assert dict(matplotlib.rcParams) == before
    assert not matplotlib.pyplot.get_fignums()


@pytest.mark.parametrize("kind", config.KINDS)
def test_the_headline_counts_every_string_in_one_frame(scores, kind):
    ax = plots.headline(scores, kind).axes[0]
    assert ax.get_xlim() == plots.FRAME and "nats" in ax.get_xlabel() and "of 100" in ax.get_ylabel()
    assert sum(p.get_height() for p in ax.patches if p.__class__.__name__ == "Rectangle") == 100


def test_the_title_states_what_the_scores_say(scores):
    mean = scores[(scores.domain == "neurips") & (scores.model == "neurips")].log_likelihood.mean()
    assert f"−{abs(mean):.0f} nats" in plots.headline(scores, "neurips").axes[0].get_title(loc="left")


def test_it_draws_on_an_axis_it_is_given(scores):
    figure, ax = matplotlib.pyplot.subplots()
    assert plots.histogram(scores, ax=ax) is figure and ax.patches
    matplotlib.pyplot.close(figure)


@pytest.mark.parametrize("arguments, message", [
    ({"measure": "words"}, "measure="), ({"kinds": ["milton"]}, "milton under base"),
    ({"models": []}, "empty selection")])
def test_what_cannot_be_drawn_is_named(scores, arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.histogram(scores, **arguments)


def test_shares_above_a_threshold(scores):
    shares = plots.shares_above(scores, -300, model="base")
    assert shares["neurips"] == shares["shakespeare"] == 1 and shares["random"] == 0


def test_the_page_is_one_file_that_needs_no_network(scores, monkeypatch, tmp_path):
    monkeypatch.setattr(config, "submission", lambda: tmp_path)
    page = plots.write_html(scores, "a <note>").read_text(encoding="utf-8")
    assert len(page) < 2_000_000 and "a &lt;note&gt;" in page
    assert "<script src" not in page and "binwidth" in page and "threshold" in page
