"""A text of one's own under live models: what it costs each, and what may come next."""

import base64
import html
import io
import math
import re
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import ipywidgets as w
import pandas as pd
import torch
from matplotlib.figure import Figure

from helpers import config, likelihood, ood, plots, sampling, submission
from helpers.engine import decoding, files
from helpers.models import LanguageModel
from helpers.plots import style

TEXT = "The king hath sent his fairest daughter hence, and will not hear her speak."
LONGEST = 5_000  # characters scored at once: on two cores, ten seconds a model
SHOWN = 12  # of the next tokens by name; all others are one bar
DRAWN = 20  # tokens at each press of Write on
LOOK = (Path(__file__).parent / "live.css").read_text(encoding="utf-8")
# What ipywidgets leaves out. Keys pressed on a control would reach the notebook, where
# an "r" makes its cell a raw one: JupyterLab passes over an element with this mark. And
# a slider is not tied to its name.
ON_FOCUS = """this.closest('.live').addEventListener('focusin', ({target}) => {
  target.dataset.lmSuppressShortcuts = '';
  const slider = target.closest('.widget-hslider');
  if (slider) target.ariaLabel = slider.querySelector('label').textContent; })"""


def explore_text(models: Mapping[str, LanguageModel], scores: pd.DataFrame) -> None:
    """Show below a notebook's cell a text to edit, its scores, what may come next.

    models: one or more, by name, made from one base; all of them score the text.
    scores: as `submission.read_scores` gives them; among them the text is placed. Where
    no kernel runs, a picture of the first text remains. ValueError for what is no
    dictionary of models, or a bad table of scores.
    """
    from IPython.display import display  # here: whoever tests the tool needs none

    tool = Tool(models, scores)
    said, picture = compared(tool.found())
    shown = {"image/png": picture, "text/plain": said}
    bundle = tool.box._repr_mimebundle_() | shown
    display(bundle, raw=True, metadata={"image/png": {"alt": said}})


class Tool:
    """The controls, what the models have said, and what is shown of it."""

    def __init__(self, models, scores: pd.DataFrame):
        if not isinstance(models, Mapping) or not models:
            raise ValueError(f"models is {models!r:.30}; give one or more, by name.")
        self.models, self.scores = models, submission.add_rates(scores)
        # The text's tokens under each model; logits (vocabulary,) of the one after it.
        self.tables, self.logits = {}, None

        menu = {"options": [(name_of(name), name) for name in models]}
        # Told to the kernel when it loses the focus: before a button is pressed.
        self.text = w.Textarea(TEXT, description="Text", continuous_update=False)
        self.first = w.Dropdown(description="Compare", **menu)
        self.second = w.Dropdown(value=[*models][-1], description="with", **menu)
        self.sliders = {
            "temperature": w.FloatSlider(1, min=0, max=2, description="Temperature"),
            "top_k": w.IntSlider(0, min=0, max=200, description="Top-k (0 keeps all)"),
            "top_p": w.FloatSlider(
                1, min=0.01, max=1, step=0.01, description="Top-p (1 keeps all)"
            ),
        }
        self.seed = w.BoundedIntText(config.SEED, 0, 2**31, description="Seed")
        self.press_score = w.Button(description="Score")
        self.press_write = w.Button(description="Write on")
        self.status, self.strips, self.next, self.place = (w.HTML() for _ in range(4))

        self.text.observe(lambda _: self.say("Changed: press Score."), "value")
        self.press_score.on_click(self.score)
        self.press_write.on_click(self.write_on)
        self.first.observe(self.compare, "value")
        self.second.observe(self.compare, "value")
        for slider in self.sliders.values():
            slider.observe(self.draw_next, "value")

        look = w.HTML(f'<style onload="{ON_FOCUS}">{LOOK}</style>')
        ask = w.HBox([self.press_score, self.first, self.second, self.status])
        shape = w.VBox([*self.sliders.values(), self.seed, self.press_write])
        rows = ask, self.strips, w.HBox([shape, self.next]), self.place
        self.box = w.VBox([look, self.text, *rows])
        self.box.add_class("live")
        self.score()

    def score(self, _=None) -> None:
        """Score the text in the box under every model, and show what they say."""
        text, found, self.tables = self.text.value, {}, {}
        with self.in_one_line():
            if len(text) > LONGEST:
                many = f"The text has {len(text):,} characters"
                raise ValueError(f"{many}: leave {LONGEST:,} at most.")
            for name, lm in self.models.items():
                self.say(f"Scoring under {name_of(name)} …")
                found[name] = likelihood.token_log_probs(lm, text)
            self.tables = found
        self.compare()
        if self.tables:
            self.say(f"Characters scored: {len(text):,}.")

    def compare(self, _=None) -> None:
        """Show the text under the two models; ask the second what comes next."""
        self.strips.value = self.place.value = ""
        found, self.logits = self.found(), None
        if found:
            last = self.second.value
            self.logits = next_logits(self.models[last], found[last])
        if any(map(len, found.values())):
            self.strips.value = strips(found) + judged(self.tables)
            self.place.value = image(*compared(found)) + place(found, self.scores)
        self.draw_next()

    def draw_next(self, _=None) -> None:
        """Show what may come next, from the logits kept: no model is asked."""
        lm, drawn = self.models[self.second.value], ""
        if self.logits is not None:
            drawn = next_tokens(lm, self.logits, self.settings())
        self.next.value = drawn  # once, or it would flicker

    def write_on(self, _=None) -> None:
        """Draw tokens under the settings, append them, and score again."""
        lm = self.models[self.second.value]
        drawing = {"max_new_tokens": DRAWN, "seed": self.seed.value} | self.settings()
        with self.in_one_line():
            self.say("Writing …")
            (drawn,) = sampling.sample(lm, [self.text.value], **drawing)
            self.seed.value += 1
            self.text.value += drawn.text
            self.score()

    def found(self) -> dict[str, pd.DataFrame]:
        """The text's tokens under the one or two models chosen; {} if not scored."""
        both = self.first.value, self.second.value
        return {name: self.tables[name] for name in both if self.tables}

    def settings(self) -> dict:
        return {name: slider.value for name, slider in self.sliders.items()}

    @contextmanager
    def in_one_line(self):
        """Say in one line why something fails."""
        try:
            yield
        except Exception as error:  # of many kinds: a model has reasons of its own
            self.say(
                re.sub(r"^(texts|prompts)\[0\]", "The text", files.first_line(error))
            )

    def say(self, what: str) -> None:
        self.status.value = f'<span role="status">{html.escape(what)}</span>'


# ---- from what a model says to what is shown


@torch.inference_mode()
def next_logits(lm: LanguageModel, table: pd.DataFrame) -> torch.Tensor:
    """Logits of the token after a text, shape (vocabulary,); of a long one, its end."""
    ids = [lm.bos_id, *table.token_id][-min(lm.context_length, likelihood.WINDOW) :]
    return decoding.Plain(lm.model, [ids], lm.bos_id).logits[0].cpu()


def next_tokens(lm: LanguageModel, logits: torch.Tensor, settings: dict) -> str:
    """The likeliest tokens, and all others as one, in a table with bars.

    logits: shape (vocabulary,); settings: those of `sampling.reshape`.
    """
    p, q = (sampling.reshape(logits, **s).double().exp() for s in ({}, settings))
    every = pd.DataFrame({"before": p, "now": q})
    best = every.nlargest(SHOWN, "before")
    others = every.drop(best.index).sum().to_frame().T
    table = pd.concat([best, others], ignore_index=True)
    names = [html.escape(repr(lm.decode([i]))) for i in best.index]
    table.insert(0, "token", [*names, "all others"])
    said = "What comes next: entropy {:.2f} nats, now {:.2f}; {:,} of {:,} tokens kept"
    entropies = (torch.special.entr(each).sum() for each in (p, q))
    said = said.format(*entropies, (q > 0).sum(), len(q))
    shown = table.style.set_caption(said).hide()
    shown.format(lambda p: f"{p:.1%}" if p else "cut", subset=["before", "now"])
    shown.bar(["before", "now"], axis=None, vmin=0, color="rgb(0 114 178 / 45%)")
    return shown.to_html()


def name_of(model: str) -> str:
    return style.MODEL_NAMES.get(model, str(model))


def bits_per_byte(table: pd.DataFrame) -> float:
    n_bytes = len("".join(table.token).encode("utf-8"))
    return -table.log_prob.sum() / math.log(2) / n_bytes


def compared(found: dict[str, pd.DataFrame]) -> tuple[str, bytes]:
    """What a text costs under a model, or saves under the second of two.

    In words, and as a PNG: the tokens that make most of it, in their order.
    """
    *first, last = found
    nats, said = found[last].log_prob, f"under “{name_of(last)}”"
    if first:
        nats = nats - found[first[0]].log_prob
        said = f"from “{name_of(first[0])}” to “{name_of(last)}”"
    said = f"{nats.sum():+.1f}".replace("-", "−") + f" nats {said}"
    # Numbered: a token that comes twice has two bars.
    names = [f"{i}  {token!r}" for i, token in enumerate(found[last].token, start=1)]
    most = nats.abs().rank(ascending=False, method="first") <= SHOWN
    parts = pd.DataFrame({"token": names, "nats": nats})[most]
    return said, png(plots.bars(parts, label="token", value="nats", title=said))


def strips(found: dict[str, pd.DataFrame]) -> str:
    """The text under one model or two, token by token."""
    bits = {name: f"{bits_per_byte(table):.2f}" for name, table in found.items()}
    rated = {f"{name_of(n)}, {bits[n]} bits per byte": found[n] for n in found}
    return plots.token_strip(rated).data


def judged(found: dict[str, pd.DataFrame]) -> str:
    """What the two fine-tuned models take the text for; nothing if one is missing."""
    if not {*config.DOMAINS} <= {*found}:
        return ""
    totals = {domain: found[domain].log_prob.sum() for domain in config.DOMAINS}
    row = {"domain": "own", "text_id": "own", "model": totals.keys()}
    p = ood.domain_posterior(pd.DataFrame(row | {"log_likelihood": totals.values()}))
    return f"<p>P(NeurIPS | text) = {p.item():.3f}, by the two fine-tuned models.</p>"


def place(found: dict[str, pd.DataFrame], scores: pd.DataFrame) -> str:
    """The first model's histograms of bits per byte, with the text in them."""
    (name, table), *_ = found.items()
    own, bits = scores[scores.model == name], bits_per_byte(table)
    if own.empty:
        return ""
    harder = (own.bits_per_byte > bits).groupby(own.domain, sort=False).mean()
    less = ", ".join(f"{p:.0%} of {style.inside(kind)}" for kind, p in harder.items())
    said = f"Under “{name_of(name)}”, at {bits:.2f} bits per byte, likelier than {less}"
    every = [*own.bits_per_byte, bits]
    figure = plots.histogram(
        own,
        kinds=[*harder.index],
        models=[name],
        measure="bits_per_byte",
        span=(min(every) - 0.1, max(every) + 0.1),
        threshold=bits,
        title=said,
    )
    return image(said, png(figure))


def png(figure: Figure) -> bytes:
    """A figure as a PNG, to be shown below a cell."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=90)
    return picture.getvalue()


def image(said: str, picture: bytes) -> str:
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    return f'<img alt="{html.escape(said)}" src="{source}">'
