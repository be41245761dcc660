"""The report in a browser: the committed one, or the one that CHARLM_PAGE names; and a small one with every kind of thing."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest
from chromium import axe_violations, until
from project_files import ROOT
from tested_fonts import use_tested_fonts

PAGE = Path(os.environ.get("CHARLM_PAGE") or ROOT / "report" / "report.html").resolve()
HEIGHT = 900


@pytest.fixture(scope="module")
def show(browser):
    """The page at a width in a colour scheme, opened once; what it said and asked for is in .said."""
    opened = {}

    def at(width, scheme="light"):
        if (width, scheme) not in opened:
            context = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
            page = context.new_page()
            page.said = []
            page.on("console", lambda message: page.said.append(message.text))
            page.on("pageerror", lambda error: page.said.append(str(error)))
            page.on("request", lambda request: page.said.append(request.url[:80]))
            page.goto(PAGE.as_uri())
            use_tested_fonts(page)
            opened[width, scheme] = page
        return opened[width, scheme]

    return at


@pytest.fixture
def fresh(browser):
    """A page that a test may change."""
    contexts = []

    def at(width):
        contexts.append(browser.new_context(viewport={"width": width, "height": HEIGHT}))
        page = contexts[-1].new_page()
        page.goto(PAGE.as_uri())
        use_tested_fonts(page)
        return page

    yield at
    for context in contexts:
        context.close()


def open_all(page):
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")


def focused(page):
    return page.evaluate("document.activeElement.className || document.activeElement.localName")


# ---------------------------------------------------------------------------------------------------------------------
# it loads nothing and fits


@pytest.mark.parametrize("width, scheme", [(1440, "light"), (1024, "dark"), (390, "light")])
def test_the_page_says_nothing_asks_for_nothing_and_fits(width, scheme, show):
    page = show(width, scheme)
    page.wait_for_load_state("networkidle")
    assert [said for said in page.said if said != PAGE.as_uri() and not said.startswith(("data:", "blob:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].filter(i => !(i.complete && i.naturalWidth)).length") == 0


@pytest.mark.parametrize("width, scheme", [(1440, "light"), (390, "dark")])
def test_axe_finds_nothing_folds_open(width, scheme, browser, built):
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto((built / "report.html").as_uri())
    use_tested_fonts(page)
    open_all(page)
    found = axe_violations(page)
    context.close()
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []


def test_every_table_fits_at_1024(fresh):
    page = fresh(1024)
    open_all(page)
    wide = """[...document.querySelectorAll('.scroll')].filter(s => s.scrollWidth > s.clientWidth)
              .map(s => s.getAttribute('aria-label'))"""
    assert page.evaluate(wide) == []


def test_letters_in_figures_are_not_shrunk_on_a_phone(show):
    """The smallest have 10 points."""
    page = show(390)
    sizes = page.evaluate(
        """[...document.querySelectorAll('figure img, .cards img')]
           .filter(image => image.checkVisibility() && !image.closest('details'))
           .map(image => [image.alt.slice(0, 40), image.clientWidth / image.naturalWidth])"""
    )
    assert sizes
    assert [alt for alt, scale in sizes if 10 / 72 * 96 * scale < 11] == []


# ---------------------------------------------------------------------------------------------------------------------
# how long it is


def test_it_is_read_to_its_end(show):
    page = show(1440)
    height = page.evaluate(
        "document.documentElement.scrollHeight - (document.getElementById('play')?.offsetHeight ?? 0)"
    )
    assert height <= 20_800  # in these fonts, which are wide: 22 screens of HEIGHT in a narrower one
    figures = page.evaluate(
        "[...document.querySelectorAll('.figure')].filter(f => !f.closest('details, #play-instead')).length"
    )
    assert figures <= 12


def test_what_we_say_is_short_however_much_the_models_write(fresh):
    page = fresh(1440)
    page.evaluate("document.querySelectorAll('#play, #play-instead, .sample').forEach(e => e.remove())")
    assert len(page.locator("main").inner_text().split()) <= 4008  # words


def test_no_sentence_stands_twice(show):
    texts = show(1440).evaluate(
        """[...document.querySelectorAll('main p, main li, main figcaption')]
           .filter(e => !e.closest('.tiles, .more, .question, .sample, #play') && !e.querySelector('p, li'))
           .map(e => [...e.childNodes].filter(n => n.className !== 'links').map(n => n.textContent).join(''))"""
    )
    sentences = Counter(
        sentence
        for text in texts
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(text.split()))
        if len(sentence.split()) >= 5
    )
    assert [sentence for sentence, n in sentences.items() if n > 1] == []


# ---------------------------------------------------------------------------------------------------------------------
# keys


def test_the_first_stop_leads_past_the_contents(fresh):
    page = fresh(1440)
    page.keyboard.press("Tab")
    assert focused(page) == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('nav')") is None


def test_every_stop_shows_where_one_is_and_a_figure_enlarges_by_key_and_closes_by_escape(fresh):
    """Tab goes through what can be worked, and each stop has an outline."""
    page = fresh(390)
    page.locator("main").focus()
    seen: Counter[str] = Counter()
    for _ in range(30):
        page.keyboard.press("Tab")
        seen[focused(page).split()[0]] += 1
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert {"enlarge", "summary", "a"} <= set(seen)
    page.locator("a.enlarge").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog").is_visible()
    assert page.locator("dialog img").get_attribute("alt")
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert "enlarge" in focused(page)
    open_all(page)  # a table that scrolls is a stop, and one that fits is none
    stops = """() => [...document.querySelectorAll('.scroll')]
               .every(s => (s.scrollWidth > s.clientWidth) === s.hasAttribute('tabindex'))"""
    until(page, stops)


def test_all_code_shows_at_once(show):
    page = show(1440)
    for state in (True, False):
        page.locator("#all-code").click()
        assert set(page.evaluate("[...document.querySelectorAll('details.code')].map(d => d.open)")) == {state}


def test_the_contents_show_where_one_is(show):
    page = show(1440)
    target = page.locator("nav li > a").first.get_attribute("href")
    page.evaluate(f"document.querySelector('{target}').scrollIntoView({{behavior: 'instant'}})")
    until(page, "target => document.querySelector('nav [aria-current]')?.hash === target", target)
    assert page.locator("nav [aria-current]").count() == 1


def test_a_figures_numbers_can_be_had(show):
    page = show(1440)
    with page.expect_download() as download:
        page.locator("figcaption .links a", has_text="CSV").first.click()
    assert download.value.suggested_filename.endswith(".csv")
    lines = Path(download.value.path()).read_text("utf-8").splitlines()
    assert len(lines) > 1
