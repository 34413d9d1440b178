"""The tool that asks live models, operated from Python: it shows what they say."""

import base64
import html
import re

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import refresh
import torch
from nbconvert import HTMLExporter
from scipy.special import expit

from helpers import likelihood, models, plots, sampling, submission
from helpers.explorer import live

TEXT = "To be, or not"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(live, "TEXT", TEXT)


@pytest.fixture(scope="module")
def trio():
    """Three tiny models that differ; the second and third are called fine-tuned."""
    made = {name: models.load("tiny") for name in ("base", "neurips", "shakespeare")}
    for seed, lm in enumerate(made.values()):
        weight = lm.model.transformer.wte.weight.data
        random = torch.Generator().manual_seed(seed)
        weight += 0.1 * torch.randn(weight.shape, generator=random)
    return made


@pytest.fixture(scope="module")
def scores():
    """Strings of two kinds under two models, the bits per byte of each near 8."""
    rng, rows = np.random.default_rng(0), []
    for kind in ("shakespeare", "ours"):
        for model in ("base", "shakespeare"):
            for i, nats in enumerate(rng.normal(-555, 30, 20)):
                rows.append((f"{kind}{i}", kind, model, 100, 100, 100, nats))
    table = pd.DataFrame(rows, columns=submission.SCORE_COLUMNS)
    return submission.add_rates(table)


@pytest.fixture
def tool(trio, scores):
    """The tool, with scores of none of its models: no histogram takes time."""
    return live.Tool(trio, scores.assign(model="another"))


def read(widget):
    """What an HTML widget shows, without its tags."""
    spaced = re.sub("<(td|th|tr|p|br)", r" <\1", widget.value)
    return html.unescape(re.sub("<[^>]*>", "", spaced))


def rows(tool):
    """The table of next tokens: for each its name, and the two cells beside it."""
    lines = re.findall(r"<tr>(.*?)</tr>", tool.next.value, flags=re.S)[1:]
    cells = [re.findall(r"<td[^>]*>([^<]*)</td>", line) for line in lines]
    return [tuple(html.unescape(cell) for cell in line) for line in cells]


def test_it_shows_the_scores_of_both_models(tool, trio):
    shown, tuned = read(tool.strips), plots.MODEL_NAMES["shakespeare"]
    tables = [
        likelihood.token_log_probs(trio[m], TEXT) for m in ("base", "shakespeare")
    ]
    for name, table in zip(("base", "shakespeare"), tables):
        total = -table.log_prob.sum()
        bits = total / np.log(2) / len(TEXT)
        head = f"{plots.MODEL_NAMES[name]}, {bits:.2f} bits per byte: {total:.1f} nats"
        assert head in shown
        for rank, nats in zip(table["rank"], -table.log_prob):
            assert f"{rank:,} · {nats:.1f}" in shown
    saved = (tables[1].log_prob - tables[0].log_prob).sum()
    alt = re.search('alt="([^"]+)"', tool.place.value)[1]
    number = f"{saved:+.1f}".replace("-", "−")
    assert alt == f"{number} nats from “base model” to “{tuned}”"


def test_the_tokens_that_make_most_of_the_difference_are_drawn(tool, trio, monkeypatch):
    drawn = []
    own = plots.bars
    keep = lambda table, **more: drawn.append(table) or own(table, **more)  # noqa: E731
    monkeypatch.setattr(plots, "bars", keep)
    monkeypatch.setattr(live, "SHOWN", 5)
    tool.compare()
    nats = [tool.tables[m].log_prob for m in ("base", "shakespeare")]
    saved = nats[1] - nats[0]
    most = sorted(saved.abs().nlargest(5).index)
    (table,) = drawn
    assert table.nats.tolist() == saved[most].tolist()
    names = [f"{i + 1}  {TEXT[i]!r}" for i in most]
    assert table.token.tolist() == names


def test_the_domain_is_judged_by_both_fine_tuned_models(tool):
    totals = {m: tool.tables[m].log_prob.sum() for m in ("neurips", "shakespeare")}
    gap = totals["neurips"] - totals["shakespeare"]
    assert f"P(NeurIPS | text) = {expit(gap):.3f}" in read(tool.strips)
    tool.tables.pop("neurips")
    tool.compare()
    assert "P(NeurIPS" not in read(tool.strips)


def test_its_place_among_the_scores_is_told(tool, scores):
    bits = -tool.tables["base"].log_prob.sum() / np.log(2) / len(TEXT)
    around = scores.log_likelihood + 555 - bits * np.log(2) * scores.n_bytes
    tool.scores = submission.add_rates(scores.assign(log_likelihood=around))
    tool.compare()
    part = tool.scores[scores.model == "base"]
    said = html.unescape(re.findall('alt="([^"]+)"', tool.place.value)[1])
    for kind, name in (("shakespeare", "Shakespeare"), ("ours", "ours")):
        share = (part.bits_per_byte[part.domain == kind] > bits).mean()
        assert 0 < share < 1 and f"{share:.0%} of {name}" in said
    assert f"at {bits:.2f} bits per byte" in said
    tool.first.value = "neurips"  # has no scores
    assert tool.place.value.count("<img") == 1


@pytest.mark.parametrize("added", [-3, 30])
def test_a_text_outside_every_histogram_is_in_the_picture(
    tool, scores, added, monkeypatch
):
    drawn = []
    own = plots.histogram
    keep = lambda *one, **more: drawn.append(own(*one, **more)) or drawn[-1]  # noqa: E731
    monkeypatch.setattr(plots, "histogram", keep)
    bits = scores.bits_per_byte + added
    nats = -bits * np.log(2) * scores.n_bytes
    live.place(tool.found(), submission.add_rates(scores.assign(log_likelihood=nats)))
    at = live.bits_per_byte(tool.tables["base"])
    low, high = drawn[0].axes[0].get_xlim()
    assert low < at < high and (at < bits.min() or at > bits.max())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 0},
        {"top_k": 3},
        {"top_p": 0.2},
        {"temperature": 1.7, "top_k": 100, "top_p": 0.4},
    ],
)
def test_next_tokens_are_the_models_own_and_the_reshaped(tool, trio, settings):
    for name, value in settings.items():
        tool.sliders[name].value = value
    lm = trio["shakespeare"]
    with torch.inference_mode():
        ids = [lm.bos_id, *lm.encode([TEXT])[0]]
        logits = lm.model(torch.tensor([ids])).logits[0, -1]
    before, after = sampling.reshape(logits), sampling.reshape(logits, **settings)
    shown = rows(tool)
    best = before.topk(12).indices.tolist()
    names = [*(repr(lm.decode([i])) for i in best), "all others"]
    assert [name for name, *_ in shown] == names
    stays = (after > -torch.inf).tolist()
    expected = [(before[i].exp().item(), after[i].exp().item(), stays[i]) for i in best]
    others = [1 - sum(one[column] for one in expected) for column in (0, 1)]
    kept = sum(stays)
    expected.append((*others, kept > sum(stays[i] for i in best)))
    for (p, q, stay), (_, one, other) in zip(expected, shown):
        assert one == f"{p:.1%}" and other == (f"{q:.1%}" if stay else "cut")
    entropies = [abs((p.exp() * p)[p > -torch.inf].sum()) for p in (before, after)]
    said = "entropy {:.2f} nats, now {:.2f}".format(*entropies)
    assert f"{said}; {kept:,} of {len(after):,} tokens kept" in read(tool.next)


def test_a_slider_asks_no_model(tool, monkeypatch):
    before = rows(tool)
    monkeypatch.setattr(live, "next_logits", None)
    monkeypatch.setattr(likelihood, "token_log_probs", None)
    tool.sliders["temperature"].value = 0.3
    assert rows(tool) != before
    assert "Characters scored" in read(tool.status)


def test_the_second_model_is_asked_what_comes_next(tool):
    one = rows(tool)
    tool.second.value = "neurips"
    assert rows(tool) != one
    expected = live.next_logits(tool.models["neurips"], tool.tables["neurips"])
    assert torch.equal(tool.logits, expected)


def test_write_on_appends_what_sampling_draws_and_scores_it(tool, trio):
    tool.sliders["top_k"].value = 5
    seed = tool.seed.value
    drawing = {"top_k": 5, "max_new_tokens": live.DRAWN, "seed": seed}
    (expected,) = sampling.sample(trio["shakespeare"], [TEXT], **drawing)
    tool.press_write.click()
    assert tool.text.value == TEXT + expected.text
    assert tool.seed.value == seed + 1
    total = -likelihood.token_log_probs(trio["base"], tool.text.value).log_prob.sum()
    assert f"{total:.1f} nats in all" in read(tool.strips)


def test_an_empty_text_shows_what_a_document_begins_with(tool, trio, fault):
    tool.text.value = ""
    assert read(tool.status) == "Changed: press Score."
    tool.press_score.click()
    assert read(tool.status) == "Characters scored: 0."
    assert tool.strips.value + tool.place.value == ""
    lm = trio["shakespeare"]
    with torch.inference_mode():
        first = lm.model(torch.tensor([[lm.bos_id]])).logits[0, -1].softmax(-1)
    likeliest = repr(lm.decode([first.argmax()])), f"{first.max():.1%}"
    assert rows(tool)[0][:2] == likeliest
    tool.press_write.click()
    assert tool.text.value and "bits per byte" in read(tool.strips)
    fault("an empty text in the live tool", "what a document begins with")


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "x y " * 250,  # past the tiny model's context
        "a\U0001f600b\u00e9",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>&amp;$x$",
        "a\0b\x1b[31m\r\n\t\u202ec",
        "   ",
    ],
)
def test_odd_texts_are_scored_and_escaped(tool, trio, text, fault):
    tool.text.value = text
    tool.press_score.click()
    assert read(tool.status) == f"Characters scored: {len(text):,}."
    total = -likelihood.token_log_probs(trio["base"], text).log_prob.sum()
    assert f"{total:.1f} nats in all" in read(tool.strips)
    for widget in (tool.strips, tool.next, tool.place, tool.status):
        assert not re.search("<(script|img src=x)|\x1b\\[31m", widget.value)
    assert len(rows(tool)) == 13
    fault(f"{text[:12]!r} in the live tool", read(tool.status))


def test_past_the_context_the_end_is_read(trio):
    lm = trio["base"]
    ids = lm.encode(["to be or not " * 40])[0]
    with torch.inference_mode():
        logits = lm.model(torch.tensor([ids[-lm.context_length :]])).logits[0, -1]
    found = live.next_logits(lm, pd.DataFrame({"token_id": ids}))
    assert torch.allclose(found, logits, atol=1e-5)


@pytest.mark.parametrize(
    "text, said",
    [
        ("a\ud83db", "The text has a lone surrogate, which is no text."),
        ("q" * 5001, "The text has 5,001 characters: leave 5,000 at most."),
    ],
)
@pytest.mark.parametrize("button", ["press_score", "press_write"])
def test_what_cannot_be_scored_is_said_in_one_line(tool, text, said, button, fault):
    tool.text.value = text
    getattr(tool, button).click()
    if len(text) > 5000 and button == "press_write":  # it ends past the context
        said = "The text and what follows take 5022 tokens, past the model's context"
        said += " of 256."
    assert read(tool.status) == said and tool.text.value == text
    if button == "press_score":  # nothing is left of the text before
        assert tool.strips.value + tool.next.value + tool.place.value == ""
        tool.sliders["top_k"].value = 7
        tool.first.value = "neurips"
        assert tool.strips.value + tool.next.value + tool.place.value == ""
    fault(f"{text[:6]!r}… in the live tool", said)


def test_no_room_to_write_on_is_said(tool, fault):
    tool.text.value = "q" * 250
    tool.press_write.click()
    said = "The text and what follows take 271 tokens, past the model's context of 256."
    assert read(tool.status) == said and tool.seed.value == live.config.SEED
    fault("writing on past the context", said)


def test_whatever_a_model_raises_is_one_line(tool, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of memory <b>\nand more")

    monkeypatch.setattr(likelihood, "token_log_probs", fail)
    tool.press_score.click()
    assert read(tool.status) == "out of memory <b>" and "<b>" not in tool.status.value


@pytest.mark.parametrize("given", [{}, [], models.load("tiny"), None])
def test_what_is_no_dictionary_of_models(given, scores, fault):
    with pytest.raises(ValueError, match="^models is .*; give one or more") as error:
        live.explore_text(given, scores)
    fault(f"explore_text of {type(given).__name__}", error.value)


def test_a_bad_table_of_scores(trio, scores, fault):
    with pytest.raises(ValueError, match="has no model") as error:
        live.explore_text(trio, scores.drop(columns="model"))
    fault("explore_text of a table without models", error.value)


def test_one_model_of_any_name_is_enough(scores):
    tool = live.Tool({"<b>mine": models.load("tiny")}, scores)
    assert tool.strips.value.count("nats in all") == 1
    assert "from “" not in tool.place.value
    shown = [tool.strips.value, tool.place.value, tool.next.value]
    assert not re.search("<b>mine", "".join(shown)) and len(rows(tool)) == 13


# ---- without a kernel


@pytest.fixture
def shown(monkeypatch):
    """What was displayed: pairs of a bundle and its metadata."""
    found = []
    monkeypatch.setattr(
        "IPython.display.display",
        lambda data, raw, metadata: found.append((data, metadata)),
    )
    return found


def test_one_output_holds_the_widget_and_a_picture(trio, scores, shown, tmp_path):
    assert live.explore_text(trio, scores) is None
    ((bundle, about),) = shown
    kinds = {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert {*bundle} == kinds
    said = bundle["text/plain"]
    assert about == {"image/png": {"alt": said}}
    tool = live.Tool(trio, scores)
    assert said == live.compared(tool.found())[0]
    (tmp_path / "still.png").write_bytes(bundle["image/png"])
    picture = plt.imread(tmp_path / "still.png")
    assert picture.shape[1] == 720 and picture.shape[0] > 300 and picture.min() < 0.3


def test_a_page_without_a_kernel_shows_the_picture(trio, scores, shown):
    """As nbconvert makes one; and in a notebook that is committed, nothing else."""
    live.explore_text(trio, scores)
    ((bundle, about),) = shown
    bundle["image/png"] = base64.b64encode(bundle["image/png"]).decode()
    output = nbformat.v4.new_output("display_data", bundle, metadata=about)
    cell = nbformat.v4.new_code_cell("explore_text(trio, scores)", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    for _ in range(2):
        page = HTMLExporter().from_notebook_node(notebook)[0]
        assert bundle["image/png"] in page.replace("\n", "")
        assert "widget-view+json" not in page
        refresh.clean(notebook)
    assert {*notebook.cells[0].outputs[0].data} == {"image/png", "text/plain"}


def test_the_picture_of_one_model_shows_what_its_tokens_cost(trio, scores, shown):
    live.explore_text({"base": trio["base"]}, scores)
    ((bundle, _),) = shown
    nats = likelihood.token_log_probs(trio["base"], TEXT).log_prob.sum()
    assert bundle["text/plain"] == f"−{-nats:.1f} nats under “base model”"
