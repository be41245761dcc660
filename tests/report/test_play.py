"""The trained models in the page, as a reader uses them; and what is embedded for it."""

import copy
import json
import os
import re
import shlex
from dataclasses import replace
from itertools import product
from pathlib import Path
from urllib.parse import quote, urlencode

import fastjsonschema
import numpy as np
import pytest
from chromium import axe_violations
from playing import results_of, trained_pair, write_page
from playwright.sync_api import expect
from project_files import ROOT
from pypdf import PdfReader
from run_folders import silent
from small_notebooks import a_cell, arranged
from tested_fonts import use_tested_fonts

import charlm.runs.folder
import charlm_core as core
import generate
from charlm import ngram, sampling
from charlm.protocol import Study
from charlm.report import make, play
from charlm.report.collect import SCHEMA
from charlm.report.html import TEMPLATES
from charlm.report.pdf import make_pdf
from charlm.runs import embedded
from charlm_core import CharlmError, encode

REPORT = Path(os.environ.get("CHARLM_PAGE") or ROOT / "report" / "report.html").resolve()
expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def runs(tiny, tiny_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return folder, trained_pair(tiny, tiny_config, folder)


@pytest.fixture(scope="module")
def made(runs, tiny):
    """What can be tried of the tiny runs, as if their text were a known one."""
    folder, records = runs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "CORPORA", {"tiny": {"sha256": tiny.sha256}})
        return play.make_play(results_of(records), tiny, folder)


@pytest.fixture(scope="module")
def own(runs, tiny):
    """The same, where the text is your own."""
    folder, records = runs
    return play.make_play(results_of(records), tiny, folder)


@pytest.fixture(scope="module")
def file(made, tmp_path_factory):
    return write_page(made, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def visit(browser, file):
    """Opens a page, where a script was run before it, and at the end asks that nothing was asked for, and nothing complained of."""
    said = []

    def at(path=file, fragment="", before="", ready="#play[data-ready]", **options):
        page = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options)).new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url[:80]))
        page.add_init_script(before)
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector(ready)
        return page

    yield at
    assert [line for line in said if not line.startswith(("file://", "blob:", "data:"))] == []


@pytest.fixture(scope="module")
def opened(visit):
    return visit(permissions=["clipboard-read", "clipboard-write"])


@pytest.fixture
def page(opened):
    """A page that many tests share, with all settings as they are at first."""
    ask_for(opened, "#play?look=away")
    opened.evaluate("location.hash = '#play?look=write'")
    expect(at(opened, "address")).to_be_hidden()
    rest(opened)
    return opened


def at(page, name):
    return page.locator(f"#play-{name}")


def rest(page):
    for name in ("texts", "rows"):
        expect(at(page, name)).to_have_attribute("aria-busy", "false")


def ask_for(page, address):
    """Gives the page an address that cannot be read, and waits until it says so."""
    page.evaluate("location.hash = '#play?'")
    expect(at(page, "address")).to_be_hidden()
    page.evaluate("address => location.hash = address", address)
    expect(at(page, "address")).to_be_visible()
    rest(page)


def write_all(page, length=300):
    page.evaluate("document.querySelector('#play-end').click()")  # where it is over already, that does nothing
    expect(at(page, "summary")).to_have_text(f"{length} characters written.")
    rest(page)


def fragment(**settings):
    return "#play?" + urlencode({name.replace("_", "-"): value for name, value in settings.items()}, quote_via=quote)


def fill(page, name, value):
    """Types into a field as a reader does, and waits for what comes of it."""
    at(page, name).fill(value)
    rest(page)


def verse(page):
    return page.text_content(".play-verse")


def from_command(capsys, command):
    """The texts that a command out of the page writes, as generate.py has it for --json."""
    program, *arguments = shlex.split(command)[1:]
    assert program == "generate.py"
    assert generate.main([*arguments, "--json"]) == 0
    out, _ = capsys.readouterr()
    return json.loads(out)


# ---------------------------------------------------------------------------------------------------------------------
# Write


def test_the_first_thing_shown_is_a_text_that_is_written_already_and_the_address_stays(visit, made):
    page = visit()
    text = verse(page)
    assert len(text) == 301 and text[0] == made.content["prompt"] == sampling.default_prompts(made.content["vocab"])[0]
    assert at(page, "temperature-shown").text_content() == "0.7" and at(page, "play").is_enabled()
    page.wait_for_timeout(1000)  # more than the page waits before it writes its address
    assert "#" not in page.url


def test_the_page_writes_what_the_command_writes(page, runs, capsys, monkeypatch):
    monkeypatch.setattr(charlm.runs.folder, "RUNS", runs[0])
    assert written_otherwise(page, capsys, "Clara:\nthe ", range(1)) == []


@pytest.mark.slow
def test_the_committed_report_writes_what_the_command_reads_out_of_it(visit, capsys, monkeypatch, tmp_path):
    assert embedded.read_page(REPORT), "the committed report carries no models"
    monkeypatch.setattr(charlm.runs.folder, "RUNS", tmp_path)
    monkeypatch.setattr(embedded, "PAGE", REPORT)
    assert written_otherwise(visit(REPORT), capsys, "--'Tis; First\nCitizen:", range(2)) == []


def written_otherwise(page, capsys, prompt, seeds):
    """Of the texts of 300 characters, of both cells, at three temperatures, with these seeds, whole and cut off, those that the
    page writes otherwise than the command beside them."""
    wrong = []
    models = page.evaluate("JSON.parse(document.querySelector('#play-data').textContent).models")
    for cell, seed, cut in product(("rnn", "lstm"), seeds, ({}, {"top_k": 4, "top_p": 0.8})):
        asked = {"temperature": 0, "second": 0.7, "third": 1.5, "seed": seed, "length": 300, "written": 300} | cut
        page.evaluate("address => location.hash = address", fragment(cell=cell, prompt=prompt, **asked))
        cut_off = "--top-k 4 --top-p 0.8 " if cut else ""
        end = f"--temperature 1.5 {cut_off}--seed {seed}"
        expect(at(page, "command")).to_contain_text(re.compile(f"{models[cell]['run']} .*{end}$", re.DOTALL))
        written = from_command(capsys, at(page, "command").text_content())
        assert [(text["temperature"], text["weights"]) for text in written] == [(t, "float16") for t in (0, 0.7, 1.5)]
        for expected, shown in zip(written, page.locator(".play-verse").all_text_contents(), strict=True):
            if shown != expected["text"]:
                wrong.append((cell, expected["temperature"], seed, cut))
    return wrong


def test_writing_is_stepped_played_paused_and_begun_again_by_keys(visit):
    page = visit(fragment=fragment(length=5000, written=0, look="write"))
    prompt = len(at(page, "prompt").input_value())
    at(page, "step").press("Enter")
    expect(at(page, "summary")).to_contain_text("1 character written")
    assert len(verse(page)) == prompt + 1
    at(page, "play").press("Space")
    expect(at(page, "summary")).to_contain_text(re.compile("^[3-9][0-9] "))
    assert at(page, "play").text_content() == "Pause" and at(page, "end").is_enabled()
    at(page, "play").press("Space")
    rest(page)
    text = verse(page)
    assert at(page, "play").text_content() == "Play" and 20 < len(text) < 5000
    fill(page, "length", str(len(text) - prompt))
    page.evaluate(SHORTEST)
    page.emulate_media(reduced_motion="reduce")  # without a reader's pace
    at(page, "play").press("Enter")  # at the end it begins again
    rest(page)
    assert verse(page) == text
    assert page.evaluate("shortest") == prompt


SHORTEST = """() => {
    window.shortest = Infinity;
    const look = () => (shortest = Math.min(shortest, document.querySelector(".play-verse").textContent.length));
    new MutationObserver(look).observe(document.querySelector("#play-texts"), { childList: true });
}"""


def test_the_bars_are_the_models_probabilities(page, made, runs):
    fill(page, "length", "1")
    page.evaluate("address => location.hash = address", fragment(written=0, look="write"))
    expect(at(page, "summary")).to_contain_text("0 characters written")
    weights, config, vocab = charlm.runs.folder.load_weights(runs[0] / made.content["models"]["lstm"]["run"])
    logits = sampling.next_logits(embedded.float16_weights(weights), config, vocab, made.content["prompt"])
    p = sampling.temperature_softmax(logits, 0.7)
    best = vocab[int(p.argmax())]
    first = page.locator(".play-next li").first
    assert first.locator("b").get_attribute("title") == {" ": "space", "\n": "end of line"}.get(best, f"“{best}”")
    assert float(first.locator("span").text_content().rstrip("%")) == pytest.approx(100 * p.max(), abs=0.51)


def test_the_slider_is_moved_by_keys_and_the_text_follows_with_the_same_random_numbers(page):
    before = verse(page)
    for key, t in (("ArrowRight", "0.75"), ("End", "10"), ("Home", "0")):
        at(page, "temperature").press(key)
        expect(at(page, "command")).to_contain_text(f"--temperature {t} ")
        rest(page)
        assert len(verse(page)) == len(before) and at(page, "temperature-shown").text_content().split(",")[0] == t
    assert verse(page) != before
    assert "greedy" in at(page, "temperature").get_attribute("aria-valuetext")


def test_to_the_end_hurries_a_text_that_is_playing_and_quick_changes_lose_nothing_of_it(page):
    page.evaluate("address => location.hash = address", fragment(length=4000, written=0, look="write"))
    expect(at(page, "summary")).to_have_text("0 characters written.")
    at(page, "play").click()
    at(page, "end").click()  # at a reader's pace it would take 88 seconds
    write_all(page, 4000)
    page.evaluate("""() => {
        const seeds = [1, 2, 3], field = document.querySelector("#play-seed");
        const next = () => {
            if (seeds.length && document.querySelector(".play-verse").textContent.length < 4000) set();
        };
        const set = () => {
            field.value = seeds.shift();
            field.dispatchEvent(new Event("input"));
        };
        new MutationObserver(next).observe(document.querySelector("#play-texts"), { childList: true });
        set();
    }""")
    expect(at(page, "command")).to_contain_text("--seed 3")
    rest(page)
    assert at(page, "summary").text_content() == "4000 characters written."


def test_the_slider_carries_what_the_study_found(page):
    evidence = at(page, "evidence").text_content()
    assert "Closest to real text: 0.7 (95% interval 0.6 to 0.8)" in evidence and "From 1.6 on" in evidence
    slider, band, worse = (page.locator(x).bounding_box() for x in ("#play-scale", ".play-band", ".play-worse"))
    assert slider["x"] < band["x"] < band["x"] + band["width"] < worse["x"] < slider["x"] + slider["width"]


def test_what_is_new_is_marked(page, tiny_text):
    fill(page, "prompt", f"{tiny_text[:60]} kingqueen ")
    assert "kingqueen" in page.locator(".play-verse u").all_text_contents()


def test_what_is_copied_is_marked_without_prompt_and_speakers(visit, made, runs, tmp_path):
    """A model of an output layer's bias alone, and a corpus that is what it writes."""
    content = copy.deepcopy(made.content)
    about, vocab = content["models"]["lstm"], content["vocab"]
    weights, config, _ = charlm.runs.folder.load_weights(runs[0] / about["run"])
    weights = {name: w * 0 for name, w in weights.items()}
    for c, bias in (("e", 12), ("\n", 10), (":", 10)):
        weights["head.bias"][vocab.index(c)] = bias
    halves = embedded.float16_weights(weights)
    (text,) = sampling.sample(halves, config, vocab, ["e" * 30], 1000)
    content["text"] = text + "e" * content["chunk_length"]
    about |= {"weights": embedded.packed_weights(halves, config), "training": "/" * 80}  # all chunks are for training
    address = fragment(prompt="e" * 30, temperature=1, length=1000, written=1000, look="write")
    page = visit(write_page(replace(made, content=content), tmp_path), address)
    assert verse(page) == text
    assert re.search(r"longest copy in the last 64 characters\s+64\b", page.inner_text("#play-measures"))
    pieces = re.split(r"^e+:$", text[30:], flags=re.MULTILINE)
    assert len(pieces) > 3
    assert page.evaluate(MARKED) == [piece for piece in pieces if len(piece) >= 20]


MARKED = """() => {
    const passages = [];
    let open = false;
    for (const node of document.querySelector(".play-verse").childNodes) {
        if (node.nodeName !== "MARK") open = false;
        else if (open) passages.push(passages.pop() + node.textContent);
        else open = passages.push(node.textContent);
    }
    return passages;
}"""


def test_a_prompt_that_cannot_be_read_is_told_and_nothing_is_written(page):
    for prompt, told in {
        "the é": "“é” (U+00E9) at position 5",
        "a" * 1001: "1001 characters, of 1000",
        "": "at least one",
    }.items():
        at(page, "prompt").fill(prompt)
        expect(at(page, "prompt-said")).to_contain_text(told)
        assert at(page, "play").is_disabled() and at(page, "step").is_disabled()
    fill(page, "prompt", "a" * 1000)
    assert at(page, "prompt-said").text_content() == "" and at(page, "play").is_enabled()


def test_a_number_that_makes_no_sense_changes_nothing_and_is_told(page):
    command = at(page, "command").text_content()
    for name, value in {"second": "11", "seed": "1.5", "top-k": "-1", "top-p": "0", "length": ""}.items():
        good = at(page, name).input_value()
        at(page, name).fill(value)
        assert "needs a" in at(page, "summary").text_content()
        assert at(page, name).get_attribute("aria-invalid") == "true"
        assert at(page, "command").text_content() == command
        fill(page, name, good)
        assert at(page, name).get_attribute("aria-invalid") == "false"


# ---------------------------------------------------------------------------------------------------------------------
# Read


def surprises(page, model):
    """The surprise of each character of the text under a model, as the page says it."""
    rest(page)
    name = {"ngram": "counting"}.get(model, model.upper())
    labels = page.evaluate("Array.from(document.querySelectorAll('#play-rows [role=option]'), (o) => o.ariaLabel)")
    found = [re.search(rf"{name} ([\d.]+)", label) for label in labels]
    return [float(match[1]) if match else None for match in found]


def test_each_character_has_the_surprise_that_the_models_have_in_python(page, made, runs, tiny):
    """Also after the text was changed and has grown: what stayed is not read again."""
    text = "Clara:\nThe king and queen will speak."
    fill(page, "sentence", text.replace("king", "queen"))
    fill(page, "sentence", text[:16])
    at(page, "sentence").press_sequentially(text[16:])
    content = made.content
    for cell in ("rnn", "lstm"):
        weights, config, _ = charlm.runs.folder.load_weights(runs[0] / content["models"][cell]["run"])
        ours = play.surprise(embedded.float16_weights(weights), config, encode(text, tiny.vocab))
        assert surprises(page, cell)[1:] == pytest.approx(list(ours), abs=0.006)
    training, _ = core.split_chunks(core.count_chunks(len(tiny.ids), config.chunk_length), config)
    rows = tiny.ids[training[:, None] * config.chunk_length + np.arange(config.chunk_length + 1)]
    counting = ngram.NGram(list(rows), content["counting"]["order"], len(tiny.vocab))
    ours = -counting.log_probabilities(encode(text, tiny.vocab))
    assert surprises(page, "ngram")[1:] == pytest.approx(list(ours), abs=0.006)


def test_the_means_stand_beside_those_of_held_out_text(page, made):
    fill(page, "sentence", "the king")
    found = surprises(page, "lstm")
    means = {row.split("\t")[0]: row.split("\t")[1:] for row in page.inner_text("#play-means tbody").splitlines()}
    assert means["LSTM"][0] == f"{np.mean(found[1:]):.2f}"
    usual = made.content["held_out"]["ngram"]
    assert means["counting"][1:] == [f"{usual['mean']:.2f}", f"{usual['low']:.2f} to {usual['high']:.2f}"]


def test_what_was_expected_is_shown_to_a_mouse_and_to_keys(page):
    fill(page, "sentence", "the king and")
    page.hover("#play-rows [role=option]:nth-child(6)")
    shown = at(page, "expected").text_content()
    assert "After “the k” comes “i”" in shown and shown.count("Expected:") == 3
    at(page, "sentence").press("Tab")
    page.keyboard.press("End")
    assert "comes “d”" in at(page, "expected").text_content()
    page.keyboard.press("ArrowLeft")
    assert "comes “n”" in at(page, "expected").text_content()


def test_a_character_that_no_model_knows_is_named_and_shown(page):
    fill(page, "sentence", "the é queen")
    assert "“é” (U+00E9) at position 5" in at(page, "sentence-said").text_content()
    assert [i for i, nats in enumerate(surprises(page, "lstm")) if nats is None] == [0, 4, 5]


def test_of_a_long_text_the_beginning_is_read(page):
    fill(page, "sentence", "a" * 2001)
    assert len(surprises(page, "rnn")) == 2000
    assert "only the first 2000 are read" in at(page, "sentence-said").text_content()


def test_whether_a_text_was_trained_on_is_told(page, made, tiny, tiny_text):
    config = core.Config(**made.content["models"]["lstm"]["config"])
    parts = core.split_chunks(core.count_chunks(len(tiny.ids), config.chunk_length), config)
    trained, held_out = ([tiny_text[i * config.chunk_length :][: config.chunk_length] for i in part] for part in parts)
    held_out = [piece for piece in held_out if not any(piece in text for text in trained)]
    for text, told in (
        (trained[0], "Trained on it: RNN and LSTM"),
        (held_out[0], "Held out, at least in part, from RNN and LSTM"),
        ("zz", "does not have this"),
    ):
        fill(page, "sentence", text)
        assert at(page, "trained").text_content().count(told) == 1


def test_the_first_example_is_the_held_out_piece_whose_losses_are_closest_to_the_means():
    losses = np.array([1.0, 2.0, 3.0])
    pieces = {"rnn": (np.array([7, 5, 3]), losses), "lstm": (np.array([3, 5, 9]), losses)}
    assert play.typical_piece(pieces) == 5
    assert play.typical_piece(pieces | {"ngram": (np.array([4]), losses[:1])}) is None


# ---------------------------------------------------------------------------------------------------------------------
# Draw two runs, send it


def test_two_runs_are_drawn_and_the_tally_grows(page, runs):
    at(page, "two").click()
    at(page, "two").press("Enter")
    said = at(page, "two-said").text_content()
    rnn, lstm = re.search(r"RNN, seed (\d).*LSTM, seed (\d)", said).groups()
    losses = {(r["cell"], r["seed"]): r["val_loss_last"] for r in runs[1]}
    difference = losses["rnn", int(rnn)] - losses["lstm", int(lstm)]
    assert f"the {'LSTM' if difference > 0 else 'RNN'} wins by {abs(difference):.4f} nats" in said
    wins = re.search(r"After 2 draws: RNN (\d), LSTM (\d)", said).groups()
    assert sum(map(int, wins)) == 2
    assert "the LSTM is lower in 5 of 100 pairs" in page.text_content("#play")


def test_what_is_looked_at_lives_in_the_address_and_comes_back(page, visit):
    page.check("#play-cells [value=rnn]")
    fill(page, "prompt", "the \nking")
    fill(page, "seed", "11")
    sentence = "<img src=x onerror=alert(1)> & 1+1 is no sorrow."
    fill(page, "sentence", sentence)
    expect(page).to_have_url(re.compile("sorrow.*&look=read$"))  # mail drops a full stop from an address's end
    assert "+" not in page.url and "%20no%20sorrow." in page.url
    other = visit(fragment=page.url[page.url.index("#") :])
    rest(other)
    assert verse(other) == verse(page)
    assert at(other, "seed").input_value() == "11" and other.is_checked("#play-cells [value=rnn]")
    assert at(other, "sentence").input_value() == sentence
    assert other.evaluate("Math.abs(document.querySelector('#play-read').getBoundingClientRect().top) < 200")
    assert other.locator("#play img").count() == 0


def test_back_takes_back_what_was_set_and_forward_sets_it_again(visit):
    page = visit()
    shown = {"0": verse(page)}
    for seed in ("5", "6"):
        fill(page, "seed", seed)
        expect(page).to_have_url(re.compile(f"seed={seed}&"))
        shown[seed] = verse(page)
    at(page, "play").click()  # to write again is no step
    at(page, "end").click()
    for go, seed in ((page.go_back, "5"), (page.go_back, "0"), (page.go_forward, "5")):
        go()
        expect(page.locator(".play-verse")).to_have_text(shown[seed])
        assert at(page, "seed").input_value() == seed
    page.go_back()
    assert "#" not in page.url


BAD = {  # part of an address: what it is called
    fragment(cell="__proto__"): "cell",
    fragment(prompt=""): "prompt",
    fragment(second="11"): "second",
    fragment(seed="0x10"): "seed",
    fragment(written="999999"): "written",
    fragment(text="a" * 2001): "text",
    "#play?prompt=the+king": "prompt",  # the plus was a space, or itself
    "#play?text=the%2": "text",
    "#play?text=%E9": "text",
    "#play?constructor=1": "not known",
}


def test_what_cannot_be_read_in_an_address_is_told_and_the_default_stands(page):
    fields = [at(page, name) for name in ("prompt", "sentence", "second", "length")]
    command, before = at(page, "command").text_content(), [field.input_value() for field in fields]
    for part, told in BAD.items():
        ask_for(page, f"{part}&look=write")
        assert f"{told})" in at(page, "address").text_content()
        assert at(page, "command").text_content() == command
        assert [field.input_value() for field in fields] == before
    assert page.evaluate("Math.abs(document.querySelector('#play-address').getBoundingClientRect().top) < 200")


def test_an_address_that_was_cut_off_is_told(page):
    address = fragment(seed=1, text="Speak no more.", look="read")
    for end in ("d", "=read", ".&look=read", "0more.&look=read", "Speak%20no%20more.&look=read"):
        ask_for(page, address.removesuffix(end))
    ask_for(page, f"{address}.")


def test_the_command_and_the_address_are_copied(page):
    at(page, "copy").click()
    expect(at(page, "copied")).to_contain_text("command is copied")
    assert page.evaluate("navigator.clipboard.readText()") == at(page, "command").text_content()
    at(page, "copy-address").press("Enter")
    expect(at(page, "copied")).to_contain_text("address is copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    assert "seed=0&" in page.url


# ---------------------------------------------------------------------------------------------------------------------
# where not all of it works

SOONER = "const later = setTimeout; window.setTimeout = (act, ms, ...given) => later(act, ms / 100, ...given);"
HELD = """window.held = [];
window.Worker = class extends Worker {
    postMessage(asked) { held ? held.push(() => super.postMessage(asked)) : super.postMessage(asked); }
};
window.release = () => { const posts = held; held = null; for (const post of posts) post(); };"""
WITHOUT = {
    "no worker is known": "delete window.Worker",
    "it cannot be loaded": "const W = Worker; window.Worker = class extends W { constructor() { super('blob:none'); } }",
    "no WebAssembly": "const B = Blob; window.Blob = class extends B { "
    "constructor(parts, about) { super(['delete self.WebAssembly;', ...parts], about); } }",
}


def assert_only_told(page):
    """One line says why nothing can be tried, and what was stored stands there."""
    assert at(page, "instead").is_visible() and page.is_hidden("#play")
    assert at(page, "failed").text_content().count("The models cannot be tried here: ") == 1


@pytest.mark.parametrize("name", WITHOUT)
def test_without_what_they_need_a_line_says_so_and_what_was_stored_stands_there(name, visit):
    assert_only_told(visit(before=WITHOUT[name], ready="#play-failed"))


def test_a_worker_that_does_not_answer_is_told_and_one_that_answers_late_is_taken_all_the_same(visit):
    page = visit(before=SOONER + HELD, ready="#play-failed")
    assert_only_told(page)
    page.evaluate("release()")
    page.wait_for_selector("#play[data-ready]")
    assert at(page, "failed").is_hidden() and at(page, "instead").is_hidden()


def test_in_a_frame_that_has_no_address_a_line_says_so_and_the_rest_works(browser, file):
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_content("<iframe sandbox='allow-scripts' width=1000 height=800></iframe>")
    page.evaluate("html => document.querySelector('iframe').srcdoc = html", file.read_text("utf-8"))
    page.frame_locator("iframe").locator("#play[data-ready]").wait_for()
    (frame,) = page.main_frame.child_frames
    fill(frame, "seed", "1")
    expect(at(frame, "kept")).to_contain_text("In this frame")
    assert at(frame, "copy-address").is_disabled()
    fill(frame, "sentence", "the king")
    assert len(surprises(frame, "lstm")) == 8
    at(frame, "copy").click()
    expect(at(frame, "copied")).not_to_be_empty()
    assert errors == []


def test_a_browser_without_properties_for_aria_has_the_same_attributes():
    """As Firefox up to 118."""
    assert re.findall(r"\.(?:aria[A-Z]\w*|role) =", (TEMPLATES / "play.js").read_text("utf-8")) == []


@pytest.mark.parametrize(
    "was, becomes",
    [('"hidden_size":16', '"hidden_size":17'), (" data-crc32=", " data-crc33="), ('"play-data"', '"other"')],
)
def test_a_page_that_was_altered_tries_nothing(was, becomes, visit, file, tmp_path):
    page = file.read_text("utf-8")
    assert was in page
    path = tmp_path / "report.html"
    path.write_text(page.replace(was, becomes, 1), "utf-8", newline="\n")
    assert_only_told(visit(path, ready="#play-failed"))


# ---------------------------------------------------------------------------------------------------------------------
# for everybody


def test_each_control_has_one_name_of_its_own(page):
    named = page.evaluate("""() => Array.from(document.querySelectorAll("#play :is(input, textarea, button, pre)"), (control) =>
        [...(control.labels ?? [])].map((label) => label.textContent.trim()).concat(control.getAttribute("aria-label") ?? [],
            control.nodeName === "BUTTON" ? control.textContent.trim() : [])
    )""")
    assert all(len(names) == 1 and names[0] for names in named)
    assert len({names[0] for names in named}) == len(named) > 15


def test_axe_finds_nothing_while_it_is_used(visit):
    """On a phone in the dark; test_browser.py looks at all of the committed page."""
    width = 390
    page = visit(viewport={"width": width, "height": 900}, color_scheme="dark", reduced_motion="reduce")
    at(page, "second").fill("0.2")
    fill(page, "third", "10")
    write_all(page)
    fill(page, "sentence", "the king é zqx")
    page.focus("#play-rows [tabindex='0']")
    at(page, "two").click()
    assert [(v["id"], v["nodes"][0]["html"]) for v in axe_violations(page, "#play")] == []
    use_tested_fonts(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_and_in_print_what_was_stored_stands_there(page, browser, file):
    silent = browser.new_page(java_script_enabled=False)
    silent.goto(file.as_uri())
    assert at(silent, "instead").is_visible() and silent.is_hidden("#play")
    assert silent.is_visible("#smp-play") and silent.is_visible("#fig-play-read")
    assert at(page, "instead").is_hidden() and page.is_visible("#play")
    page.emulate_media(media="print")
    assert at(page, "instead").is_visible() and page.is_hidden("#play")
    page.emulate_media(media="screen")


# ---------------------------------------------------------------------------------------------------------------------
# what is embedded


def test_the_better_run_of_each_cell_is_embedded_and_read_back_to_the_bit(made, runs, file):
    folder, records = runs
    for found in embedded.read_page(file):
        cell = found.config.cell
        best = min((r for r in records if r["cell"] == cell), key=lambda r: r["val_loss_best"])
        assert found.run_id == best["run_id"] == made.content["models"][cell]["run"]
        weights, config, vocab = charlm.runs.folder.load_weights(folder / best["run_id"])
        assert (found.config, found.vocab) == (config, vocab)
        assert all(found.weights[name].equal(w.half()) for name, w in weights.items())


def test_the_loss_of_the_rounded_weights_stands_beside_that_of_the_originals(page, made, runs):
    for model in made.content["models"].values():
        record = next(r for r in runs[1] if r["run_id"] == model["run"])
        assert model["measured"]["float32"] == pytest.approx(record["val_loss_best"], abs=0.02)
        assert model["measured"]["float16"] == pytest.approx(model["measured"]["float32"], abs=0.01)
        assert f"{model['measured']['float16']:.5f} after it" in page.text_content("#play")


def test_a_text_of_your_own_stays_at_home(own, visit, tiny_text, tmp_path):
    """Then two models read, and nothing is looked up."""
    assert tiny_text[:200] not in json.dumps(own.content, ensure_ascii=False)
    page = visit(write_page(own, tmp_path))
    assert at(page, "summary").text_content() == "300 characters written."
    assert "The corpus is not in this page" in page.text_content("#play")
    fill(page, "sentence", "the king")
    assert len(surprises(page, "lstm")) == 8 and set(surprises(page, "ngram")) == {None}
    assert page.locator(".play-verse u, .play-verse mark, #play-key").count() == 0


def test_a_text_of_your_own_goes_into_the_page_where_that_is_asked_for(runs, tiny, tiny_text):
    folder, records = runs
    own = play.make_play(results_of(records), tiny, folder, own_text=True)
    assert own.content["text"] == tiny_text and "counting" in own.content


def test_a_text_too_long_for_the_page_is_refused_before_anything_is_trained(tiny_text, tmp_path, monkeypatch):
    path, out = tmp_path / "my.txt", tmp_path / "out"
    path.write_text(tiny_text, "utf-8")
    monkeypatch.setattr(play, "LARGEST_TEXT", 100)
    monkeypatch.setattr(make, "train_sweep", lambda *given, **options: pytest.fail("it trains"))
    with pytest.raises(CharlmError, match=r"^my\.txt has \d,\d+ bytes.*up to 100: leave out --own-text"):
        make.make_report(Study(corpus=str(path)), out, silent, own_text=True)
    assert not out.exists()


def test_a_report_without_such_models_says_why(runs, tiny):
    records = runs[1]
    with pytest.raises(CharlmError, match="no RNN run finished; no LSTM run finished"):
        play.make_play(results_of([r | {"status": "diverged"} for r in records]), tiny, runs[0])


@pytest.fixture
def bare(monkeypatch):
    """A report that is nothing but what can be tried."""

    def arrange(executed, results, subtitle, play):
        return arranged(a_cell("# A title\n\nSummary."), a_cell("## Try it"), subtitle=subtitle, play=play)

    monkeypatch.setattr(make, "arrange", arrange)


def test_the_report_holds_the_page_the_numbers_and_what_stands_in_its_place(made, tiny, bare, tmp_path, monkeypatch):
    monkeypatch.setattr(make, "make_play", lambda *given, **named: made)
    monkeypatch.setattr(make, "check_results", lambda results: None)
    results = results_of([])
    document = make.write_page([], results, "a subtitle", tmp_path, tiny)
    assert len(embedded.read_page(tmp_path / "report.html")) == 2
    assert results == json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert [item["label"] for item in results["samples"]["play"]] == ["RNN, T = 0.7, seed 0", "LSTM, T = 0.7, seed 0"]
    drawn = results["figures"]["play-read"]["rows"]
    assert {row["model"] for row in drawn} == {"rnn", "lstm", "ngram"} and drawn[0]["surprise"] is None
    make_pdf(document, tmp_path, lambda line: None)
    text = " ".join(" ".join(page.extract_text() for page in PdfReader(tmp_path / "report.pdf").pages).split())
    assert (
        "Try it" in text and "LSTM, T = 0.7, seed 0" in text and "How much each character surprises each model" in text
    )


def test_a_report_whose_runs_are_gone_is_made_without_them(runs, tiny, bare, tmp_path, monkeypatch):
    monkeypatch.setattr(charlm.runs.folder, "RUNS", tmp_path / "none")
    results = results_of(runs[1])
    make.write_page([], results, "a subtitle", tmp_path, tiny)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "The trained models cannot be tried in this page: RNN:" in page
    assert embedded.read_page(tmp_path / "report.html") == []
    assert "play" not in results


def test_what_the_results_hold_of_the_models_follows_the_schema(made):
    schema = json.loads(SCHEMA.read_text("utf-8"))["properties"]["play"]
    fastjsonschema.validate(schema, made.facts)


def test_too_many_characters_leave_the_models_out(runs, tiny, monkeypatch):
    monkeypatch.setattr(play, "LARGEST_VOCABULARY", 10)
    with pytest.raises(CharlmError, match="a page carries models of 10 at most"):
        play.make_play(results_of(runs[1]), tiny, runs[0])
