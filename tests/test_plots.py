"""Pictures from tables alone."""

import html
import itertools
import json
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from sklearn.metrics import roc_auc_score

from helpers import config, explorer, likelihood, models, plots, submission
from helpers.explorer.page import explorer_page


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    rows = [
        {
            "text_id": f"{d}:{i}",
            "domain": d,
            "model": m,
            "n_chars": 100,
            "n_bytes": 100,
            "n_tokens": 25,
            "log_likelihood": rng.normal(mean, 15),
        }
        for m in config.MODELS
        for d, mean in zip(config.KINDS, (-120, -150, -430))
        for i in range(100)
    ]
    return submission.add_rates(pd.DataFrame(rows))


def test_figures_are_returned_closed_and_leave_settings_alone(scores):
    before = dict(matplotlib.rcParams)
    history = pd.DataFrame(
        {
            "tokens": [1, 2, 2],
            "loss": [3.0, 2.0, 2.5],
            "split": ["training", "training", "validation"],
        }
    )
    figures = [
        plots.headlines(scores),
        plots.histogram(scores, models=config.MODELS),
        plots.headline(scores, "random"),
        plots.loss_curve(history),
        plots.heat(pd.DataFrame({"a": [1.0]})),
        plots.heat(pd.DataFrame({"a": [1.0]}), numbers=False, xlabel="b"),
        plots.bars(pd.DataFrame({"t": ["x"], "p": [1]}), label="t", value="p"),
    ]
    assert all(isinstance(f, matplotlib.figure.Figure) for f in figures)
    assert dict(matplotlib.rcParams) == before
    assert not matplotlib.pyplot.get_fignums()


@pytest.mark.parametrize("kind", config.KINDS)
def test_the_headline_counts_every_string_in_one_frame(scores, kind):
    ax = plots.headline(scores, kind).axes[0]
    assert (
        ax.get_xlim() == plots.FRAME
        and "nats" in ax.get_xlabel()
        and "n = 100" in ax.get_ylabel()
    )
    for histogram in (p for p in ax.patches if isinstance(p, StepPatch)):
        assert (
            histogram.get_data().values.sum() == 100
            and len(histogram.get_data().values) == 50
        )


def said(figure):
    """All that stands in a figure, its titles unbroken."""
    return [text.get_text().replace("\n", " ") for text in figure.findobj(Text)]


def test_the_title_and_the_sentence_state_what_the_scores_say(scores):
    """The sentence has its own AUROC to be held against: scikit-learn's."""
    part = scores[scores.model == "neurips"].set_index("domain").log_likelihood
    mean = f"−{abs(part['neurips'].mean()):.0f} nats"
    sentence = plots.in_words(scores, "neurips")
    assert mean in plots.headline(scores, "neurips").axes[0].get_title()
    assert sentence.startswith(f"100 strings of NeurIPS abstracts: mean {mean} (fine-")
    pair = part[["neurips", "shakespeare"]]
    area = roc_auc_score(pair.index == "neurips", pair)
    assert f"against Shakespeare {area:.3f}, against random letters 1.000" in sentence
    (title,) = (one for one in said(plots.headline(scores, "random")) if "near" in one)
    assert title.split(", ")[1] in plots.in_words(scores, "random")


@pytest.mark.parametrize("length, drawn", [(100, True), (120, True), (200, False)])
def test_the_truth_of_random_letters_stands_in_their_panel_alone(scores, length, drawn):
    """Each letter's probability is 1/52; a line outside the frame is not drawn."""
    scores = scores.assign(n_chars=length)
    truth = f"the truth, −{length} ln 52 = −{length * np.log(52):.0f} nats"
    for kind in config.KINDS:
        panel = plots.headline(scores, kind)
        here = drawn and kind == "random"
        assert (truth in said(panel)) == here
        at = [line.get_xdata()[0] for line in panel.axes[0].lines]
        assert (-length * np.log(52) in at) == here
    assert truth in plots.in_words(scores, "random")


@pytest.mark.parametrize("layout", ["overlay", "ridge"])
@pytest.mark.parametrize("models", [config.MODELS, ["shakespeare", "base"], ["base"]])
def test_a_fine_tuned_model_is_filled_and_the_base_outlined(scores, models, layout):
    view = {"kinds": ["neurips"], "models": models, "layout": layout}
    ax = plots.histogram(scores, **view).axes[0]
    drawn = dict(zip(models, (p for p in ax.patches if isinstance(p, StepPatch))))
    outlined = {m for m, p in drawn.items() if not p.get_fill() and not p.get_hatch()}
    assert outlined == {"base"}
    assert sum(p.get_fill() for p in drawn.values()) == (len(models) > 1)


def test_lines_are_named_where_they_are_drawn(scores):
    for layout in ("overlay", "ridge", "cumulative"):
        figure = plots.histogram(scores, threshold=-250, layout=layout)
        assert {"mean", "threshold −250"} <= {*said(figure)}


def test_it_draws_on_an_axis_it_is_given(scores):
    figure, ax = matplotlib.pyplot.subplots()
    assert plots.histogram(scores, ax=ax) is figure and ax.patches
    matplotlib.pyplot.close(figure)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"measure": "words"}, "measure="),
        ({"kinds": ["milton"]}, "0 scores of milton under base"),
        ({"models": []}, "at least one kind and one model"),
        ({"layout": "pie"}, "layout="),
        ({"span": (0, -1)}, "x-range"),
        ({"span": (float("-inf"), 0)}, "x-range"),
        ({"span": (0, float("nan"))}, "x-range"),
        ({"bins": 0}, "at least one bin"),
        ({"bins": 301}, "at most 300"),
        ({"bins": 10**9}, "at most 300"),
        ({"bins": 2.5}, "bins=2.5"),
        ({"bins": float("nan")}, "bins=nan"),
        ({"bins": "40"}, "bins='40'"),
        ({"bin_width": -2}, "at least one bin"),
        ({"bin_width": 0}, "at least one bin"),
        ({"bin_width": 1e-6}, "at most 300"),
        ({"bin_width": 1e-320}, "at most 300"),
        ({"bin_width": 600 / 301}, "at most 300"),
        ({"bin_width": 1, "span": (-1e9, 0)}, "at most 300"),
        ({"bin_width": float("nan")}, "bin_width=nan"),
        ({"bin_width": float("inf")}, "bin_width=inf"),
        ({"layout": "ridge", "log": True}, "one baseline"),
    ],
)
def test_what_cannot_be_drawn_is_named(scores, arguments, message, fault):
    with pytest.raises(ValueError, match=message) as caught:
        plots.histogram(scores, **arguments)
    fault(f"a histogram with {arguments}", caught.value)


@pytest.mark.parametrize("view", [{"bins": 300}, {"bin_width": 2}, {"bin_width": 9e9}])
def test_up_to_300_bins_are_drawn(scores, view):
    ax = plots.histogram(scores, kinds=["neurips"], **view).axes[0]
    values, edges, _ = ax.patches[0].get_data()
    assert values.sum() == 100 and len(values) == view.get("bins", len(values)) <= 300


def test_a_headline_needs_every_kind_under_every_model(scores):
    for part in (scores.iloc[:1], scores[scores.model != "shakespeare"]):
        with pytest.raises(ValueError, match="0 scores of neurips under"):
            plots.headlines(part)
    assert plots.histogram(scores.iloc[:1], kinds=["neurips"])  # one string is drawn


def test_numbers_that_came_as_text_are_numbers(scores):
    assert plots.histogram(scores.astype({"log_likelihood": str}))


@pytest.mark.parametrize(
    "layout, density",
    [("overlay", False), ("ridge", True), ("cumulative", False), ("cumulative", True)],
)
def test_layouts_show_every_string(scores, layout, density):
    view = {"layout": layout, "density": density, "bin_width": 10}
    ax = plots.histogram(scores, models=config.MODELS, **view).axes[0]
    if layout == "cumulative":
        curves = [line.get_ydata() for line in ax.lines if len(line.get_ydata()) > 100]
        assert len(curves) == 9 and {curve[-1] for curve in curves} == {1.0}
    else:
        for patch in ax.patches:
            values, edges, baseline = patch.get_data()
            assert (values - baseline).sum() == pytest.approx(
                1 / 10 if density else 100
            )


def test_compared_histograms_share_bins_and_the_title_names_the_likeliest(scores):
    ax = plots.histogram(scores).axes[0]
    assert len({tuple(p.get_data().edges) for p in ax.patches}) == 1
    means = scores[scores.model == "base"].groupby("domain").log_likelihood.mean()
    likeliest = f"NeurIPS abstracts, base model (−{abs(means['neurips']):.0f} nats)"
    assert ax.get_title() == f"Likeliest: {likeliest}"


def test_names_never_cover_the_strings(scores):
    """The legend lies beside the strings or above them, whatever is shown."""
    views = [{"measure": measure} for measure in submission.MEASURES]
    views += [{"models": config.MODELS}, {"bins": 3}, {"kinds": ["neurips"]}]
    for view in views:
        figure = plots.histogram(scores, **view)
        figure.draw_without_rendering()
        ax = figure.axes[0]
        names = ax.get_legend().get_window_extent()
        for values, edges, _ in (patch.get_data() for patch in ax.patches):
            for value, left, right in zip(values, edges, edges[1:]):
                bar = Bbox(ax.transData.transform([(left, 0), (right, value)]))
                assert value == 0 or not names.overlaps(bar)


def test_a_threshold_splits_every_kind(scores):
    table = plots.accepted(scores, -135, models=config.MODELS)
    assert (table["likelier"] + table["not likelier"] == 100).all() and (
        table.share * 100 == table.likelier
    ).all()
    by_hand = (
        scores[
            (scores.model == "base") & (scores.domain == "shakespeare")
        ].log_likelihood
        > -135
    ).sum()
    assert table.likelier["base", "shakespeare"] == by_hand
    bits = plots.accepted(
        scores, 135 / np.log(2) / 100, models=config.MODELS, measure="bits_per_byte"
    )
    assert bits.equals(table)  # lower bits are likelier: the same decision


def test_a_threshold_is_a_number(scores):
    with pytest.raises(ValueError, match="threshold is NaN"):
        plots.accepted(scores, float("nan"))


@pytest.mark.filterwarnings("ignore:.*tritanomaly")
@pytest.mark.parametrize(
    "vision", ["normal", "Deuteranomaly", "Protanomaly", "Tritanomaly"]
)
def test_colours_are_told_apart_by_everyone(vision):
    """CIEDE2000, by the simulation of Machado et al. (2009); 20 within the series."""
    colour = pytest.importorskip(
        "colour", reason="colour-science is not installed: make test does that"
    )
    series, white = list(plots.COLORS.values()), "#EEEEEE"  # the base on a dark page
    shown = [*series, white, *plots.style.OWN_COLORS]
    rgb = [
        colour.models.eotf_sRGB(np.array(matplotlib.colors.to_rgb(color)))
        for color in shown
    ]
    if vision != "normal":
        matrix = colour.blindness.matrix_cvd_Machado2009(vision, 1.0)
        rgb = [np.clip(matrix @ value, 0, 1) for value in rgb]
    lab = [colour.XYZ_to_Lab(colour.RGB_to_XYZ(value, "sRGB")) for value in rgb]
    for one, other in itertools.combinations(range(len(shown)), 2):
        apart = colour.delta_E(lab[one], lab[other], method="CIE 2000")
        asked = 20 if other < len(series) + 1 else 8
        assert apart >= asked, (shown[one], shown[other], apart)


def contrast(one, other):
    """Of two colours, as WCAG 2 reckons it: from 1 to 21."""

    def luminance(color):
        rgb = np.array(matplotlib.colors.to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722] + 0.05

    pair = luminance(one), luminance(other)
    return max(pair) / min(pair)


def test_colours_are_seen_on_a_light_page_and_on_a_dark_one():
    """A contrast of three to one, as WCAG asks of what is drawn; the base changes."""
    series = [plots.COLORS[kind] for kind in config.KINDS]
    for color in (*series, *plots.style.OWN_COLORS):
        for page in ("#FFFFFF", "#1B1B1B"):
            assert contrast(color, page) >= 3, (color, page)


# ---- tables with kinds and models of a reader's own


@pytest.fixture
def own(scores):
    """A set that only the base has scored, a model of one's own, and long strings."""
    base = scores[scores.model == "base"]
    haiku = base.head(30).assign(domain="haiku")
    tuned = base.assign(model="mine", log_likelihood=2 * base.log_likelihood)
    return submission.add_rates(pd.concat([haiku, scores, tuned]))


def test_whatever_the_table_holds_is_in_the_summary(own):
    """The series' kinds and models first; one's own after them, under their names."""
    kinds, models = plots.tables.present(own)
    assert kinds == [*config.KINDS, "haiku"] and models == [*config.MODELS, "mine"]
    table = plots.summary(own)
    assert len(table) == 3 * 4 + 1 and table.notna().all(axis=None)
    assert list(table.index.unique("domain")) == kinds
    by_hand = own[(own.domain == "haiku")].log_likelihood.mean()
    assert table.log_likelihood["haiku", "base"] == pytest.approx(by_hand)


def test_they_are_drawn_in_colours_of_their_own(own):
    kinds, models = plots.tables.present(own)
    figure = plots.histogram(own, kinds=kinds, models=models, layout="ridge")
    drawn = [p for p in figure.axes[0].patches if isinstance(p, StepPatch)]
    colors = {
        (p.get_facecolor() if p.get_fill() else p.get_edgecolor())[:3] for p in drawn
    }
    assert len(drawn) == 13 and len(colors) == 4
    assert any("haiku, base model" in text for text in said(figure))
    assert figure.axes[0].get_xlim()[0] <= own.log_likelihood.min()
    assert len(plots.accepted(own, -250, kinds=kinds, models=models)) == 13
    with pytest.raises(ValueError, match="0 scores of haiku under mine"):
        plots.histogram(own, kinds=["haiku"], models=["mine"])


def test_a_colour_stays_with_its_name(own):
    """Whatever is chosen, and on the page as in a picture."""
    one = plots.histogram(own, kinds=["haiku"]).axes[0].patches[0].get_edgecolor()
    two = plots.histogram(own, kinds=["random", "haiku"]).axes[0].patches[1]
    assert one == two.get_edgecolor()
    color = matplotlib.colors.to_hex(one).upper()
    assert color == plots.style.OWN_COLORS[0] and color in explorer_page(own, "")


# ---- the explorer's page


def test_the_page_is_one_file_that_needs_no_network(scores, monkeypatch, tmp_path):
    monkeypatch.setattr(config, "submission", lambda: tmp_path)
    page = explorer.write_html(scores, "a <note>").read_text(encoding="utf-8")
    assert len(page) < 150_000 and "a &lt;note&gt;" in page
    assert "mathjax_ignore" in page.split("<meta")[0]
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", page)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    assert {*data} == {"note", "kinds", "models", "measures", "groups"}  # scores only
    kind, model, values = data["groups"][0]
    part = scores[(scores.domain == "neurips") & (scores.model == "base")]
    assert data["kinds"][kind]["code"] == "'neurips'" and model == 0
    for measure, numbers in zip(submission.MEASURES, values):
        assert numbers == sorted(part[measure])  # to the last digit


def test_a_figure_is_shown_with_its_words(scores):
    """Its titles and what its axes measure, each once; the picture itself is whole."""
    figure = plots.headlines(scores)
    shell = InteractiveShell()
    select_figure_formats(shell, {"png"})
    data, about = shell.display_formatter.format(figure)
    assert data["image/png"]
    said = about["image/png"]["alt"]
    first, second, third, *axes = said.split(" · ")
    assert first.startswith("NeurIPS abstracts: ") and third.startswith("Random")
    assert second.startswith("Shakespeare: ") and "\n" not in said
    assert axes == [figure.axes[2].get_xlabel(), figure.axes[0].get_ylabel()]
    broken = plots.histogram(scores, title="word " * 60)  # over several lines
    assert broken.alternative().startswith(("word " * 60).strip() + " · ")


def test_a_bad_table_leaves_no_page(scores, monkeypatch, tmp_path):
    monkeypatch.setattr(config, "submission", lambda: tmp_path)
    with pytest.raises(ValueError, match="no n_bytes"):
        explorer.write_html(scores.drop(columns="n_bytes"), "")
    assert not list(tmp_path.iterdir())


def test_a_notebook_gets_a_still_picture_and_the_page(scores, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    explorer.explore(scores, "made by a test")
    still, live = shown
    assert "Likeliest: NeurIPS" in still.alternative()
    page = html.unescape(re.search('srcdoc="(.*?)"', live["text/html"], re.S)[1])
    assert page == explorer_page(scores, "made by a test")


def test_the_token_strip_escapes_and_marks_every_band():
    table = pd.DataFrame(
        {
            "token": ["<b>", " &", "\n", "x"],
            "log_prob": [-0.5, -3.0, -6.0, -12.0],
            "rank": [1, 11, 1000, 50_000],
        }
    )
    text = plots.token_strip({"<model>": table}).data
    assert (
        "&lt;b&gt;" in text
        and "<b>&lt;model&gt;</b>: 21.5 nats" in text
        and "50,000 · 12.0" in text
    )
    lines = {"none", "2px dotted #333", "2px dashed #333", "4px double #111"}
    boxes = re.findall(r"border-bottom:([^;]+);", text)
    assert (
        boxes[:4] == ["none", "2px dotted #333", "2px dashed #333", "4px double #111"]
        and set(boxes[4:]) == lines
    )


def test_the_token_strip_is_read_on_a_light_page_and_on_a_dark_one():
    """A token's ink on its band, 4.5 to one; all else has the ink of the page."""
    table = pd.DataFrame({"token": [*"abcd"], "log_prob": -1.0})
    text = plots.token_strip({"m": table.assign(rank=[1, 99, 999, 9999])}).data
    boxes = re.findall("background:(#[^;]+);color:(#[^;]+);", text)
    assert len(boxes) == text.count("color:") == 8  # four tokens, and four in the key
    for band, ink in boxes:
        assert contrast(band, ink) >= 4.5, (band, ink)


def test_a_character_of_several_tokens_is_one_box_in_the_strip():
    lm = models.load("tiny")
    table = likelihood.token_log_probs(lm, "a\U0001f600b")
    text = plots.token_strip({"tiny": table}).data
    shown = re.findall(r'white-space:pre">([^<]*)<.*?<small>([^<]*)<', text)[:3]
    assert [token for token, _ in shown] == ["a", "\U0001f600", "b"]
    rank, surprise = table["rank"][1:5].max(), -table.log_prob[1:5].sum()
    assert shown[1][1] == f"4 tokens · {rank:,} · {surprise:.1f}"
    assert "tokens" not in shown[0][1]


# ---- charts and what is written beside pictures


def test_a_map_has_two_decimals_its_own_order_and_colours_for_each_column():
    rows = ["z", "a", "m"]
    table = pd.DataFrame({"x": [1, 2, 3], "y": [0.126, 0.05, 0.1], "z": 7}, rows)
    ax = plots.heat(table, by_column=True).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == rows
    assert ax.texts[1].get_text() == "0.13" and len(ax.texts) == 9
    shades = np.asarray(ax.collections[0].get_array()).reshape(3, 3)
    by_hand = [[-1, 0, 1], [1, -1, 0.012 / 0.038], [0, 0, 0]]  # a row for each column
    assert shades.T == pytest.approx(np.array(by_hand))


def test_bars_go_to_both_sides_and_lines_have_bands():
    table = pd.DataFrame({"a": ["x", "y"], "v": [-3.0, 2.0], "h": ["p", "p"]})
    low, high = plots.bars(table, label="a", value="v", hue="h").axes[0].get_xlim()
    assert low <= -3 and high >= 2
    plain = table.assign(x=[1, 2])
    banded = plain.assign(low=plain.v - 1, high=plain.v + 1)
    for table, bands in ((plain, 0), (banded, 1)):
        ax = plots.lines(table, x="x", y="v", hue="h").axes[0]
        assert len(ax.collections) == bands


@pytest.mark.parametrize("words", [3, 12, 30])
def test_a_long_title_is_broken_and_ends_with_its_axis(words):
    table = pd.DataFrame({"t": ["a long name at the side"], "p": [1.0]})
    title = "SmolLM2-135M-Instruct (4-bit) " * (words // 3)
    for figure in (
        plots.bars(table, label="t", value="p", title=title.strip()),
        plots.heat(table.set_index("t"), title=title.strip()),
    ):
        figure.draw_without_rendering()
        ax = figure.axes[0]
        shown = next(t for t in ax.findobj(Text) if "SmolLM2" in t.get_text())
        assert shown.get_text().split() == title.split()
        assert shown.get_window_extent().x1 <= figure.bbox.x1


def test_a_picture_names_what_made_it_below_all_else(scores, monkeypatch, tmp_path):
    figure = plots.headline(scores, "neurips")
    before = len(figure.findobj(Text))
    path = plots.save(figure, tmp_path / "a.png", "What it shows: −87 nats.")
    chunk = "Description\0\0\0\0\0What it shows: −87 nats."  # as PNG's iTXt has it
    assert chunk.encode() in path.read_bytes()
    assert len(figure.findobj(Text)) == before  # a second picture has it once, too
    seen = written(figure, tmp_path)
    base, abstracts = config.base().label, config.neurips().label
    assert seen.count(f"base: {base} · abstracts: {abstracts}") == 1
    path = plots.save(figure, tmp_path / "b.png", made="base: another")
    assert b"Description" not in path.read_bytes()


# ---- a $ is a dollar sign

SIGNS = r"$x_1^2$ \$5 $\frac$ a_b^c \alpha"
TOKENS = [SIGNS, "$5 and $6", "_i$"]


def written(figure, tmp_path):
    """All text of a figure, as it is seen; one line each."""
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        svg = plots.save(figure, tmp_path / "picture.svg").read_text("utf-8")
    return [html.unescape(text) for text in re.findall("<text[^>]*>([^<]*)<", svg)]


def charts_of(labels):
    """A picture of each kind whose names are `labels`."""
    first = labels[0]
    table = pd.DataFrame({"t": list("abc"), "p": [1.0, 2.0, 3.0], "h": labels})
    named = {"title": first, "xlabel": labels[1], "ylabel": labels[2]}
    matrix = pd.DataFrame(np.eye(3), index=labels, columns=list("abc"))
    history = pd.DataFrame({"tokens": [1], "loss": [2.0], "split": [first]})
    yield plots.bars(table, label="h", value="p", **named)
    yield plots.bars(table, label="t", value="p", hue="h")
    yield plots.lines(table, x="t", y="p", hue="h", log=True, **named)
    yield plots.heat(matrix, numbers=False, **named)
    yield plots.loss_curve(history, first)


def test_signs_of_mathematics_are_seen_as_they_are(tmp_path):
    one, both, legend, names, alone = charts_of(TOKENS)
    for figure in (one, both, legend, names):
        seen = written(figure, tmp_path)
        assert set(TOKENS) <= {*seen}, seen
    assert SIGNS in written(alone, tmp_path)


def test_a_histogram_has_them_in_its_title_on_any_axis(scores, tmp_path):
    assert SIGNS in written(plots.histogram(scores, title=SIGNS), tmp_path)
    figure, ax = matplotlib.pyplot.subplots()
    matplotlib.pyplot.close(figure)
    assert SIGNS in written(plots.histogram(scores, title=SIGNS, ax=ax), tmp_path)


@pytest.mark.parametrize("layout", ["overlay", "cumulative"])
def test_a_logarithmic_axis_has_powers(scores, layout):
    figure = plots.histogram(scores, log=True, density=True, layout=layout)
    figure.draw_without_rendering()
    labels = figure.axes[0].get_yticklabels()
    shown = [label for label in labels if label.get_text()]
    assert shown and all(label.get_parse_math() for label in shown)


def test_tables_and_strips_are_kept_from_mathjax():
    table = pd.DataFrame({"token": ["$x$"], "log_prob": [-1.0], "rank": [1]})
    for page in (table._repr_html_(), plots.token_strip({"$m$": table}).data):
        assert "tex2jax_ignore" in page and "mathjax_ignore" in page
