"""The lecture as slides: the plan of TEACHING.md, the notebooks' cells, one file."""

import importlib.metadata
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from browsing import overflowing

ROOT = Path(__file__).resolve().parents[1]
lecture = SimpleNamespace(**runpy.run_path(str(ROOT / "book" / "lecture.py")))
TEXT = (ROOT / "book" / "lecture.md").read_text(encoding="utf-8")
TEACHING = (ROOT / "TEACHING.md").read_text(encoding="utf-8")
QUESTION = r"“[^”]*\?”"
AXE_ON = (0, 4, 9, 20, 22, 28)  # a title, code, a picture, two tables, a page


def section(heading):
    """A section of TEACHING.md."""
    return TEACHING.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def joined(text):
    """Text without its line breaks, as it is read."""
    return " ".join(text.split())


# ---- what is on them


def test_each_part_of_the_plan_has_its_slides_and_each_slide_its_notes():
    plan = section("A lecture of 90 minutes, with a live demonstration")
    minutes = re.findall(r"^\| (\d+–\d+) \|", plan, re.MULTILINE)
    assert len(minutes) == 9
    assert re.findall(r'class="minutes">(.+)</p>', TEXT) == minutes
    slides = TEXT.split("\n---\n")
    assert all("\nNote:\n" in slide for slide in slides)
    assert "When you are late, drop" in slides[0]


def test_the_notes_hold_the_questions_of_what_is_played_with():
    notes = joined(
        " ".join(re.findall(r"\nNote:\n(.+?)(?:\n---\n|$)", TEXT, re.DOTALL))
    )
    rows = section("What a class can play with").splitlines()
    shown = re.findall(r"^@play next_token (\w+)", TEXT, re.MULTILINE)
    names = {
        "Real distributions" if n == "openings" else lecture.TITLES[n] for n in shown
    }
    rows = [row for row in rows if any(f"| *{name}* |" in row for name in names)]
    questions = [one for row in rows for one in re.findall(QUESTION, row)]
    assert len(rows) == 4 and len(questions) >= 9
    assert [one for one in questions if one not in notes] == []


def test_every_tag_of_the_notebooks_is_shown_and_there():
    used = re.findall(r"^@(?:code|output) (\S+)", TEXT, re.MULTILINE)
    assert {lecture.TAG + name for name in used} == set(lecture.tagged())


def test_a_tag_that_is_missing_or_without_output_is_named():
    with pytest.raises(ValueError, match="has the tag lecture-nothing"):
        lecture.shown("output", "nothing", "", {})
    cells = {"lecture-silent": SimpleNamespace(source="1", outputs=[])}
    with pytest.raises(ValueError, match="lecture-silent has no output"):
        lecture.shown("output", "silent", "", cells)


def test_a_question_comes_before_what_answers_it():
    text = "## Which?\n\n@code one\n\n. . .\n\n@output one\n\nNote:\n\nAsk."
    stream = {"output_type": "stream", "name": "stdout", "text": "this"}
    cell = SimpleNamespace(source="print()", outputs=[stream])
    deck = lecture.notebook(text, {"lecture-one": cell}).cells
    kinds = [cell.metadata.get("slideshow", {}).get("slide_type") for cell in deck]
    assert kinds == ["slide", None, "notes", "fragment"]
    assert deck[1].outputs == [] and deck[3].source == ""


# ---- the file


@pytest.fixture(scope="module")
def deck(tmp_path_factory):
    """The slides as one file."""
    try:
        importlib.metadata.distribution("sphinx-revealjs")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("reveal.js is not installed: make slides")
    path = tmp_path_factory.mktemp("slides") / "lecture.html"
    page = lecture.html(lecture.notebook(TEXT, lecture.tagged()))
    path.write_text(page, encoding="utf-8")
    return path


def test_it_is_one_file_and_says_what_its_pictures_show(deck):
    page = deck.read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:)[^#"]', page.split('id="pages"')[0])
    pictures = re.findall(r"<img\b[^>]*>", page.split('id="pages"')[0])
    assert len(pictures) == 9
    for one in pictures:
        alt = re.search(r'alt="([^"]+)"', one)
        assert alt and "No description" not in alt[1], one[-200:]


@pytest.fixture
def opened(page, deck):
    """Open the slides from the disk, without a network; errors fail the test."""
    wrong = []
    page.context.set_offline(True)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda one: "://" in one.url and wrong.append(one.url))

    def open_deck(width=1400, scheme="light"):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        page.goto(deck.as_uri())
        page.wait_for_function("Reveal.isReady()")
        return page

    yield open_deck
    assert [one for one in wrong if not one.startswith("file:")] == []


def turn_to(page, number):
    """Show a slide, counted from 0, with all of its steps."""
    page.evaluate("number => Reveal.slide(number, 0, 99)", number)
    page.wait_for_timeout(100)
    if page.locator("section.present iframe").count():
        inside = page.frame_locator("section.present iframe")
        inside.locator("[role=status]:visible").first.wait_for()


@pytest.mark.browser
@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_cut_off(opened, width):
    page = opened(width)
    number = page.evaluate("Reveal.getTotalSlides()")
    assert number == TEXT.count("\n---\n") + 1
    box = page.locator(".slides section").first.bounding_box()
    assert box["width"] > 0.9 * width
    for i in range(number):
        turn_to(page, i)
        assert overflowing(page) == [], i


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for width, slides in ((400, [2]), (1400, AXE_ON)):
        page = opened(width, scheme)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")
        for i in slides:
            turn_to(page, i)
            # the pages inside have tests of their own
            found = axe.run(page, options={"iframes": False}).response["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], i


@pytest.mark.browser
def test_the_pages_inside_are_played_with_by_mouse_and_by_keys(opened):
    page = opened()
    turn_to(page, 2)
    inside = page.frame_locator("section.present iframe")
    button, status = inside.locator("[name=reveal]"), inside.locator("#guessing")
    button.click()
    assert "1 of" in status.inner_text()
    button.press("Enter")
    assert "2 of" in status.inner_text() and not inside.locator("#toy").is_visible()
    button.press("PageDown")
    assert page.evaluate("Reveal.getIndices().h") == 3
    page.keyboard.press("ArrowLeft")  # the slides have the keys again
    assert page.evaluate("Reveal.getIndices().h") == 2 and "2 of" in status.inner_text()
    turn_to(page, 28)
    slider = page.frame_locator("section.present iframe").get_by_label("slider").last
    before = page.frame_locator("section.present iframe").locator("#said").inner_text()
    slider.press("ArrowRight")
    after = page.frame_locator("section.present iframe").locator("#said").inner_text()
    assert before != after


@pytest.mark.browser
def test_the_speaker_sees_the_notes(opened):
    page = opened()
    page.evaluate("Reveal.slide(10)")
    with page.context.expect_page() as window:
        page.keyboard.press("s")
    notes = window.value.locator(".speaker-controls-notes .value")
    notes.get_by_text("Why is the training loss so ragged").wait_for()
    page.keyboard.press("Space")  # the picture, and then the next slide
    page.keyboard.press("Space")
    notes.get_by_text("Where will the colours be darkest").wait_for()
