"""next_token.html used as a person would, in a real Chromium, without a network."""

import math
import random
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
from browsing import CLIPPED, NEXT_FRAME, WIDTHS
from test_next_token import zipf

from helpers import config, explorer, models, sampling, submission
from helpers.explorer import next_token
from helpers.explorer import page as pages

pytestmark = pytest.mark.browser
PARTS = ("toy", "openings", "writing", "guessing", "comparing")
SETTINGS = ("temperature", "top_k", "top_p")
SET = """([section, values]) => {
  for (const [name, value] of Object.entries(values)) {
    const control = document.querySelector(`#${section} [name=${name}]`);
    control.value = value;
    control.dispatchEvent(new Event("input", {bubbles: true}));
  }
}"""
# Of each table of a part: its caption, and of each row the name, the two
# probabilities (null for "cut") and the bars' widths in percent.
READ = """section => [
  ...document.querySelectorAll(`#${section} table.next`)].map(one => ({
  caption: one.caption.textContent,
  scale: Number(one.querySelector(".scale").textContent.trim().split(" ").at(-1)),
  rows: [...one.rows].slice(1).map(row => ({
    name: row.cells[0].textContent.trim(),
    p: [2, 3].map(i => row.cells[i].querySelector("data")?.value ?? null)
        .map(value => value === null ? null : Number(value)),
    bars: [...row.cells[1].children].map(bar => parseFloat(bar.style.width)),
  })),
}))"""


@pytest.fixture(scope="module")
def lm():
    return models.load("tiny")


@pytest.fixture(scope="module")
def trio(lm):
    """The tiny model, and two made from it that say something else."""
    made = {"base": lm}
    for name in config.DOMAINS:
        made[name] = models.load("tiny")
        with torch.no_grad():
            made[name].model.get_input_embeddings().weight.mul_(8 + len(made))
    return made


@pytest.fixture(scope="module")
def content(trio):
    return next_token.content(trio)


@pytest.fixture
def opened(page, content, tmp_path):
    """Open the page without a network; errors fail the test."""
    wrong = []
    page.context.set_offline(True)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))

    def open_page(content=content, note="three models"):
        path = tmp_path / "next_token.html"
        path.write_text(pages.fill("next_token", note, content), encoding="utf-8")
        page.goto(path.as_uri())
        page.locator("#toy table").wait_for()
        return page

    yield open_page
    assert wrong == []


def choose(page, section, **values):
    page.evaluate(SET, [section, values])


def said(page, section):
    return page.locator(f"#{section} [role=status]").inner_text()


def press(page, section, name):
    page.locator(f"#{section} [name={name}]").click()


# ---- distributions


def test_the_toy_is_that_of_notebook_5(opened):
    page = opened()
    logits = torch.tensor(list(next_token.TOY.values())).log()
    for settings in (
        {},
        {"temperature": 0.5},
        {"temperature": 2},
        {"top_k": 2},
        {"top_p": 0.8},
        {"temperature": 1.5, "top_k": 4, "top_p": 0.75},
    ):
        choose(page, "toy", **dict.fromkeys(SETTINGS, 1) | {"top_k": 0} | settings)
        (table,) = page.evaluate(READ, "toy")
        expected = sampling.reshape(logits, **settings).exp().tolist()
        assert [row["name"] for row in table["rows"]] == list(next_token.TOY)
        for row, p, before in zip(table["rows"], expected, next_token.TOY.values()):
            assert row["p"][0] == pytest.approx(before)
            assert (row["p"][1] or 0) == pytest.approx(p, abs=1e-6)
            for width, share in zip(row["bars"], (before, p)):
                assert width * table["scale"] / 100 == pytest.approx(share, abs=1e-4)


def test_probabilities_are_those_of_reshape_at_any_setting(opened, content):
    """24 openings, three models, ten settings drawn for each: to 1 %."""
    rng, logits = random.Random(1), {}
    openings = []
    for i, opening in enumerate(content["openings"]):
        # from nearly settled to nearly open
        rows = [zipf(3 * i + m, rng.uniform(0.7, 3)) for m in range(3)]
        logits[i] = rows
        trees = [
            next_token.summary(row.log_softmax(-1), *next_token.LEVELS[0])
            for row in rows
        ]
        openings.append(opening | {"trees": trees})
    names = {
        i: f"token {i}" for one in openings for t in one["trees"] for i in t["ids"]
    }
    page = opened(content | {"openings": openings, "names": names})
    for i, opening in enumerate(openings):
        choose(page, "openings", opening=str(i))
        for _ in range(10):
            settings = {
                "temperature": rng.randint(2, 60) / 20,
                "top_k": rng.choice([0, 0, rng.randint(1, 256)]),
                "top_p": rng.choice([1, rng.randint(1, 99) / 100]),
            }
            choose(page, "openings", **settings)
            tables = page.evaluate(READ, "openings")
            for table, row, tree in zip(tables, logits[i], opening["trees"]):
                agree(
                    table,
                    sampling.reshape(row.double(), **settings),
                    tree["ids"],
                    settings,
                )


def agree(table, log_p, ids, settings):
    """The table says of its tokens, and of all others, what a distribution says."""
    p = log_p.exp()
    *listed, others = table["rows"]
    assert len(listed) == 10
    for one, number in zip(listed, ids):
        assert one["name"] == f"token·{number}"
        assert (one["p"][1] or 0) == pytest.approx(float(p[number]), rel=0.01)
    rest = float(1 - p[ids[:10]].sum())
    assert (others["p"][1] or 0) == pytest.approx(rest, rel=0.01, abs=1e-5)
    kept, entropy = re.search(
        r"([\d,]+) of 50,000 kept,\s+entropy (.+) nats", table["caption"]
    ).groups()
    exact = -float((p * log_p.clamp(min=-999)).sum())
    assert float(entropy) == pytest.approx(exact, abs=0.02)
    count = int((log_p > -math.inf).sum())
    assert int(kept.replace(",", "")) == pytest.approx(count, rel=0.05, abs=1), settings


def test_the_three_models_stand_side_by_side(opened, content, trio):
    page = opened()
    choose(page, "openings", opening="3")
    tables = page.evaluate(READ, "openings")
    for table, (name, lm) in zip(tables, trio.items()):
        assert pages.style.MODEL_NAMES[name] in table["caption"]
        ids = torch.tensor(
            [[lm.bos_id, *lm.encode([content["openings"][3]["text"]])[0]]]
        )
        p = lm.model(ids).logits[0, -1].softmax(-1)
        top = p.topk(10)
        found = [row["p"][0] for row in table["rows"][:10]]
        assert found == pytest.approx(top.values.tolist(), rel=1e-3)
    boxes = [one.bounding_box() for one in page.locator("#openings table").all()]
    assert len(boxes) == 3 and len({box["y"] for box in boxes}) == 1


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("temperature", "", "Temperature"),
        ("temperature", 0, "Temperature"),
        ("top_k", 2.5, "Top-k"),
        ("top_p", 2, "Top-p"),
    ],
)
@pytest.mark.parametrize("section", PARTS[:3])
def test_a_number_out_of_range_is_said_and_nothing_drawn(
    opened, section, name, value, message
):
    page = opened()
    choose(page, section, **{name: value})
    assert said(page, section).startswith(message)
    assert page.locator(f"#{section} .figure").inner_text().startswith(message)
    assert page.locator(f"#{section} table").count() == 0
    page.locator(f"#{section} [type=reset]").click()
    page.locator(f"#{section} table.next").first.wait_for()
    assert page.locator(f"#{section} [name={name}]").input_value() in ("0", "1")


# ---- writing


def steps(page):
    rows = page.locator("#writing table.steps tr").all()[1:]
    return [
        [cell.strip() for cell in row.locator("th, td").all_inner_texts()]
        for row in rows
    ]


def number(text):
    return float(text.replace("−", "-").replace("< ", ""))


@pytest.mark.parametrize("model", [0, 1, 2])
def test_what_is_written_adds_up_to_its_log_likelihood(opened, trio, content, model):
    """Three tokens clicked: log p of each, their sum and product are the model's."""
    page = opened()
    lm = list(trio.values())[model]
    opening = content["openings"][2]
    choose(page, "writing", opening="2", model=str(model))
    ids = [lm.bos_id, *lm.encode([opening["text"]])[0]]
    tree, total, expected = opening["trees"][model], 0.0, []
    for at in (1, 4, 0):
        log_p = lm.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1).detach()
        ids.append(tree["ids"][at])
        total += float(log_p[ids[-1]])
        expected.append((float(log_p[ids[-1]]), total, math.exp(total)))
        page.locator(f"#writing .next button[value='{at}']").click()
        tree = tree["branches"][at] if "branches" in tree else None
    rows = steps(page)
    assert len(rows) == 3
    for row, (log_p, total, product) in zip(rows, expected):
        assert number(row[2]) == pytest.approx(log_p, abs=0.006)
        assert number(row[3]) == pytest.approx(total, abs=0.006)
        assert number(row[4]) == pytest.approx(product, rel=0.01)
    assert "tree ends here" in said(page, "writing")
    assert page.locator("#writing table.next").count() == 0
    assert page.locator("#writing [name=draw]").is_disabled()
    press(page, "writing", "back")
    assert len(steps(page)) == 2 and page.locator("#writing table.next").count() == 1
    press(page, "writing", "again")
    assert steps(page) == [] and "ends here" not in said(page, "writing")
    assert page.locator("#writing [name=back]").is_disabled()


def test_the_same_seed_draws_the_same(opened):
    page, drawn = opened(), []
    for seed in (1, 2, 3, 4, 5, 6, 1):
        choose(page, "writing", seed=str(seed))
        press(page, "writing", "draw")
        drawn.append(steps(page))
        press(page, "writing", "again")
    assert drawn[0] == drawn[-1] and len({str(one) for one in drawn}) > 3


def test_draws_come_as_often_as_they_are_likely(opened, content):
    """Of 2,000 seeds; a token of the reshaped distribution, or "another"."""
    page = opened()
    choose(page, "writing", temperature=0.7, top_k=6)
    (table,) = page.evaluate(READ, "writing")
    drawn = page.evaluate("""() => {
      const find = name => document.querySelector(`#writing [name=${name}]`);
      const first = seed => {
        find("seed").value = seed;
        find("draw").click();
        const token = document.querySelector("#writing .steps tr:nth-child(2) th");
        const name = token.textContent.trim();
        find("again").click();
        return name;
      };
      return Array.from({length: 2000}, (_, seed) => first(seed));
    }""")
    expected = Counter()  # some bytes alone are no letter, and all look alike
    for row in table["rows"]:
        expected[row["name"]] += row["p"][1] or 0
    for name, p in expected.items():
        assert drawn.count(name) / 2000 == pytest.approx(p, abs=0.035), name
    assert set(drawn) == {name for name, p in expected.items() if p}


def test_a_draw_outside_the_tree_says_so_and_goes_back(opened, content):
    """A listed token without a branch; and with heat, one of those counted in bins."""
    page = opened()
    page.locator("#writing .next button[value='7']").click()
    assert "does not go on from this token" in said(page, "writing")
    name = content["names"][content["openings"][0]["trees"][0]["ids"][7]]
    (row,) = steps(page)
    assert row[0] == name.replace(" ", "·")
    press(page, "writing", "back")
    wide = [summary_of(0.05, seed) for seed in range(3)]
    openings = [one | {"trees": wide} for one in content["openings"]]
    names = {i: "x" for tree in wide for i in tree["ids"]}
    page = opened(content | {"openings": openings, "names": names})
    press(page, "writing", "draw")
    (row,) = steps(page)
    assert row[0] == "another" and number(row[2]) < -8
    assert "go back, or begin again" in said(page, "writing")


def summary_of(steepness, seed):
    return next_token.summary(
        zipf(seed, steepness).log_softmax(-1), *next_token.LEVELS[0]
    )


# ---- the game, and two models


def test_the_game_reveals_token_by_token_and_counts(opened, content):
    page = opened()
    choose(page, "guessing", sentence="25", first="0", second="2")
    scores = content["sentences"][25]["scores"]
    tokens = scores[0]["token"]
    assert page.locator("#guessing [name=hit]").is_disabled()
    assert page.locator("#guessing .boxes li").count() == 2  # a head, and what is left
    assert (
        content["sentences"][25]["text"] not in page.locator("#guessing").inner_text()
    )
    for n in range(1, len(tokens) + 1):
        press(page, "guessing", "reveal")
        if n in (2, 3):
            press(page, "guessing", "hit")
    rows = page.locator("#guessing table tr").all()[1:]
    cells = [
        [one.strip() for one in row.locator("td").all_inner_texts()] for row in rows
    ]
    assert cells[0][0] == "2"
    for (hits, nats), score in zip(cells[1:], (scores[0], scores[2])):
        assert int(hits) == score["rank"].count(1)
        assert number(nats) == pytest.approx(-sum(score["log_prob"]), abs=0.06)
    boxes = page.locator("#guessing .boxes li").all()[1:]
    assert len(boxes) == len(tokens)
    first = boxes[0].locator("small").all_inner_texts()
    expected = f"{scores[0]['rank'][0]:,} · {-scores[0]['log_prob'][0]:.1f}"
    assert first[0] == expected
    assert boxes[1].locator("small").all_inner_texts()[-1] == "class ✓"
    assert page.locator("#guessing [name=reveal]").is_disabled()
    press(page, "guessing", "again")
    assert page.locator("#guessing .boxes li").count() == 2
    press(page, "guessing", "reveal")
    press(page, "guessing", "hit")
    press(page, "guessing", "hit")  # taken back
    assert page.locator("#guessing table td").first.inner_text() == "0"


def test_two_models_are_compared_token_by_token(opened, content):
    page = opened()
    choose(page, "comparing", sentence="3", first="1", second="2")
    first, second = (content["sentences"][3]["scores"][i] for i in (1, 2))
    gains = [b - a for a, b in zip(first["log_prob"], second["log_prob"])]
    boxes = page.locator("#comparing .boxes li").all()
    assert len(boxes) == len(gains)
    for box, gain in zip(boxes, gains):
        assert number(box.locator("small").inner_text()) == pytest.approx(
            gain, abs=0.051
        )
    total = re.search(r": ([+−]?[\d.]+) nats\.", said(page, "comparing"))[1]
    assert number(total) == pytest.approx(sum(gains), abs=0.06)
    strongest = max(range(len(gains)), key=lambda i: abs(gains[i]))
    look = boxes[strongest].locator("code").get_attribute("style")
    assert content["models"][2 if gains[strongest] > 0 else 1]["color"] in look


# ---- for any reader


# What changes a control: those that stand at their last value are turned back.
KEYS = {"select-one": "ArrowDown", "button": "Enter", "number": "ArrowUp"}
BACK = ("top_p", "Top-p (1 keeps all), slider", "second")
FOCUSED = """() => {
  const one = document.activeElement;
  const section = one.closest("section");
  const name = one.name || one.ariaLabel || one.value;
  return section && [section.id, name, one.type, section.innerHTML];
}"""
CONTROLS = "section select, section input, section form button:not([type=reset])"
NAMES = "all => all.map(one => [one.closest('section').id, one.name || one.ariaLabel])"


def test_every_control_is_reached_and_works_by_keys_alone(opened):
    """Tab through the page; each control changes what its part shows."""
    page, reached, undone = opened(), set(), []
    page.locator("nav a").last.focus()
    while True:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        section, name, kind, before = focused
        reached.add((section, name))
        if kind == "reset" or name == "again":  # what was done shall stay
            continue
        back = "ArrowDown" if kind != "select-one" else "ArrowUp"
        page.keyboard.press(back if name in BACK else KEYS.get(kind, "ArrowUp"))
        page.evaluate(NEXT_FRAME)
        if page.locator(f"#{section}").inner_html() == before and name != "seed":
            undone.append((section, name))
    assert {*map(tuple, page.locator(CONTROLS).evaluate_all(NAMES))} <= reached
    assert undone == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_clipped_at_any_width(opened, width):
    page = opened()
    page.set_viewport_size({"width": width, "height": 768})
    page.locator("#writing .next button").first.click()
    for _ in range(4):
        press(page, "guessing", "reveal")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CLIPPED) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened()
    page.emulate_media(color_scheme=scheme)
    choose(page, "toy", top_k=2)
    page.locator("#writing .next button").first.click()
    press(page, "guessing", "reveal")
    press(page, "guessing", "hit")
    found = axe.run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_texts_and_names_are_shown_and_never_run(opened, content):
    bad = "<img src=x onerror=alert(1)>&\"'"
    names = dict.fromkeys(content["names"], bad)
    openings = [one | {"text": bad} for one in content["openings"]]
    sentences = []
    for one in content["sentences"]:
        scores = [
            score | {"token": [bad] * len(score["token"])} for score in one["scores"]
        ]
        sentences.append(one | {"text": bad, "scores": scores})
    named = [model | {"name": bad} for model in content["models"]]
    page = opened(
        content
        | {
            "names": names,
            "openings": openings,
            "sentences": sentences,
            "models": named,
        },
        note=bad,
    )
    page.locator("#writing .next button").first.click()
    press(page, "guessing", "reveal")
    assert page.locator("img").count() == 0
    assert bad in page.locator("#writing .steps caption").inner_text()
    assert bad.replace(" ", "·") in page.locator("#comparing .boxes").inner_text()


def test_it_prints_in_the_light_and_without_controls(opened):
    page = opened()
    page.emulate_media(color_scheme="dark", media="print")
    assert page.locator("form").first.is_hidden()
    color = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(color) == "rgb(255, 255, 255)"


def test_the_two_pages_link_to_each_other(opened, scores_page):
    page = opened()
    link = page.locator("nav a[href='histograms.html']")
    assert link.count() == 1
    page.goto(scores_page)
    assert page.locator("nav a[href='next_token.html']").is_visible()


@pytest.fixture
def scores_page(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "submission", lambda: tmp_path)
    root = Path(__file__).resolve().parents[1]
    scores = submission.read_scores(root / "submission" / "likelihoods.csv")
    return explorer.write_html(scores, "scores").as_uri()
