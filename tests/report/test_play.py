"""The trained models in the page, as a reader uses them; and what is embedded for it."""

import base64
import copy
import json
import os
import re
import shlex
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from urllib.parse import quote, urlencode

import jsonschema
import numpy as np
import pytest
from chromium import axe_violations, until
from playing import results_of, trained_pair, write_page
from project_files import ROOT
from pypdf import PdfReader
from small_notebooks import a_cell, arranged
from tested_fonts import use_tested_fonts

import charlm.runs.folder
import charlm_core as core
import generate
from charlm import ngram, sampling
from charlm.report import make, play
from charlm.report.collect import SCHEMA
from charlm.report.pdf import make_pdf
from charlm.runs import embedded
from charlm_core import CharlmError, encode

REPORT = Path(os.environ.get("CHARLM_PAGE") or ROOT / "report" / "report.html").resolve()


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
def file(made, tmp_path_factory):
    return write_page(made, tmp_path_factory.mktemp("page"))


@pytest.fixture
def visit(browser, file):
    """Opens a page, where a script was run before it, and at the end asks that nothing was asked for, and nothing complained of."""
    contexts = []
    said = []

    def at(path=file, fragment="", before="", ready="#play[data-ready]", **options):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url[:80]))
        page.add_init_script(before)
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector(ready)
        return page

    yield at
    for context in contexts:
        context.close()
    assert [line for line in said if not line.startswith(("file://", "blob:", "data:"))] == []


def rest(page):
    page.wait_for_selector("#play-texts[aria-busy=false]")


def write_all(page, length=300):
    page.evaluate("document.querySelector('#play-end').click()")  # where it is over already, that does nothing
    until(page, "n => document.querySelector('#play-summary').textContent.startsWith(`${n} characters`)", length)


def fragment(**settings):
    return "#play?" + urlencode({name.replace("_", "-"): value for name, value in settings.items()}, quote_via=quote)


def fill(page, name, value):
    """Types into a field as a reader does, and waits for the text that comes of it."""
    page.fill(f"#play-{name}", value)
    rest(page)


def texts(page):
    return page.locator(".play-verse").all_text_contents()


def from_command(capsys, command):
    """The texts that a command out of the page writes, as generate.py has it for --json."""
    program, *arguments = shlex.split(command)[1:]
    assert program == "generate.py"
    assert generate.main([*arguments, "--json"]) == 0
    out, _ = capsys.readouterr()
    return json.loads(out)


# ---------------------------------------------------------------------------------------------------------------------
# Write


def test_the_first_thing_shown_is_a_text_that_is_written_already(visit, made):
    page = visit()
    text = page.text_content(".play-verse")
    assert len(text) == 301 and text[0] == made.content["prompt"] == sampling.default_prompts(made.content["vocab"])[0]
    assert page.text_content("#play-temperature-shown") == "0.7" and page.is_enabled("#play-play")


def test_the_page_writes_what_the_command_writes(visit, runs, capsys, monkeypatch):
    monkeypatch.setattr(charlm.runs.folder, "RUNS", runs[0])
    page = visit()
    assert written_otherwise(page, capsys, "BRUTUS:", range(4)) == []


@pytest.mark.slow
def test_the_committed_report_writes_what_the_command_reads_out_of_it(visit, capsys, monkeypatch, tmp_path):
    assert embedded.read_page(REPORT), "the committed report carries no models"
    monkeypatch.setattr(charlm.runs.folder, "RUNS", tmp_path)
    monkeypatch.setattr(embedded, "PAGE", REPORT)
    page = visit(REPORT)
    begun = time.perf_counter()
    assert written_otherwise(page, capsys, "First Citizen:", range(20)) == []
    print(f"120 texts in {time.perf_counter() - begun:.0f} s, with the command's own")


def written_otherwise(page, capsys, prompt, seeds):
    """Of the texts of 300 characters, of both cells, at three temperatures and these seeds, those that the page writes
    otherwise than the command."""
    wrong = []
    models = page.evaluate("JSON.parse(document.querySelector('#play-data').textContent).models")
    for cell, seed in product(("rnn", "lstm"), seeds):
        command = f"python generate.py --weights float16 --run {models[cell]['run']} --prompt='{prompt}' --length 300"
        command += f" --temperature 0 --temperature 0.7 --temperature 1.5 --seed {seed}"
        asked = {"temperature": 0, "second": 0.7, "third": 1.5, "seed": seed, "length": 300, "written": 300}
        page.evaluate("address => location.hash = address", fragment(cell=cell, prompt=prompt, **asked))
        until(page, "command => document.querySelector('#play-command').textContent === command", command)
        for expected, shown in zip(from_command(capsys, command), texts(page), strict=True):
            if shown != expected["text"]:
                wrong.append((cell, expected["temperature"], seed))
    return wrong


def test_the_command_in_the_page_writes_the_text_beside_it(visit, runs, capsys, monkeypatch):
    monkeypatch.setattr(charlm.runs.folder, "RUNS", runs[0])
    page = visit()
    page.check("#play-cells [value=rnn]")
    page.fill("#play-prompt", "Clara:\nthe ")
    for name, value in {"seed": "7", "top-k": "4", "top-p": "0.8", "length": "50"}.items():
        fill(page, name, value)
    write_all(page, 50)
    (text,) = from_command(capsys, page.text_content("#play-command"))
    assert text["text"] == page.text_content(".play-verse")
    assert (text["top_k"], text["top_p"], text["seed"], text["weights"]) == (4, 0.8, 7, "float16")


def test_a_prompt_is_quoted_for_a_shell_so_that_nothing_in_it_is_a_command(visit):
    page = visit()
    prompt = "-- 'the king' $(no); `or`\n"
    page.evaluate("p => history.replaceState(null, '', '#play?prompt=' + encodeURIComponent(p))", prompt)
    known = "".join(
        c for c in prompt if c in page.evaluate("JSON.parse(document.querySelector('#play-data').textContent).vocab")
    )
    page.fill("#play-prompt", f"{known}")
    rest(page)
    words = shlex.split(page.text_content("#play-command"))
    assert f"--prompt={known}" in words


SHORTEST = """() => {
    window.shortest = Infinity;
    const look = () => (shortest = Math.min(shortest, document.querySelector(".play-verse").textContent.length));
    new MutationObserver(look).observe(document.querySelector("#play-texts"), { childList: true });
}"""


def test_writing_is_stepped_played_paused_and_begun_again_by_keys(visit):
    page = visit(fragment=fragment(length=5000, written=0, look="write"))
    page.focus("#play-step")
    page.keyboard.press("Enter")
    prompt = len(page.input_value("#play-prompt"))
    until(page, "n => document.querySelector('.play-verse').textContent.length > n", prompt)
    rest(page)
    assert len(page.text_content(".play-verse")) == prompt + 1
    page.focus("#play-play")
    page.keyboard.press("Space")
    until(page, "() => document.querySelector('.play-verse').textContent.length > 20")
    assert page.text_content("#play-play") == "Pause" and page.is_enabled("#play-end")
    until(page, "() => parseInt(document.querySelector('#play-summary').textContent) > 20")
    page.keyboard.press("Space")
    rest(page)
    text = page.text_content(".play-verse")
    assert page.text_content("#play-play") == "Play" and 20 < len(text) < 5000
    fill(page, "length", str(len(text) - prompt))
    page.evaluate(SHORTEST)
    page.emulate_media(reduced_motion="reduce")  # without a reader's pace
    page.focus("#play-play")
    page.keyboard.press("Enter")  # at the end it begins again
    rest(page)
    assert page.text_content(".play-verse") == text
    assert page.evaluate("shortest") == prompt


def test_the_bars_are_the_models_probabilities(visit, made, runs):
    page = visit(fragment=fragment(written=0, look="write"))
    weights, config, vocab = charlm.runs.folder.load_weights(runs[0] / made.content["models"]["lstm"]["run"])
    logits = sampling.next_logits(embedded.float16_weights(weights), config, vocab, made.content["prompt"])
    p = sampling.temperature_softmax(logits, 0.7)
    shown = {
        line.query_selector("b").get_attribute("title"): line.query_selector("span").text_content()
        for line in page.query_selector_all(".play-next li")
    }
    best = vocab[int(p.argmax())]
    name = {" ": "space", "\n": "end of line"}.get(best, f"“{best}”")
    assert next(iter(shown)) == name
    assert float(shown[name].rstrip("%")) == pytest.approx(100 * p.max(), abs=0.51)


def test_the_slider_is_moved_by_keys_and_the_text_follows_with_the_same_random_numbers(visit):
    page = visit()
    write_all(page)
    before = page.text_content(".play-verse")
    page.focus("#play-temperature")
    page.keyboard.press("ArrowRight")
    until(page, "() => document.querySelector('#play-command').textContent.includes('--temperature 0.75')")
    rest(page)
    assert len(page.text_content(".play-verse")) == len(before) != 0
    assert page.text_content("#play-temperature-shown") == "0.75"
    for key, t in (("End", "10"), ("Home", "0")):
        page.keyboard.press(key)
        until(page, "t => document.querySelector('#play-command').textContent.includes(`--temperature ${t} `)", t)
        rest(page)
        assert len(page.text_content(".play-verse")) == len(before) and page.text_content(".play-verse") != before
    assert "greedy" in page.get_attribute("#play-temperature", "aria-valuetext")


def test_to_the_end_hurries_a_text_that_is_playing_and_quick_changes_lose_nothing_of_it(visit):
    page = visit(fragment=fragment(length=4000, written=0, look="write"))
    page.click("#play-play")
    page.click("#play-end")  # at a reader's pace it would take a minute and a half
    write_all(page, 4000)
    rest(page)
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
    until(
        page,
        "() => document.querySelector('#play-command').textContent.endsWith('--length 4000 --temperature 0.7 --seed 3')",
    )


def test_the_slider_carries_what_the_study_found(visit):
    page = visit()
    evidence = page.text_content("#play-evidence")
    assert "Closest to real text: 0.7 (95% interval 0.6 to 0.8)" in evidence and "From 1.6 on" in evidence
    slider, band, worse = (page.locator(x).bounding_box() for x in ("#play-scale", ".play-band", ".play-worse"))
    assert slider["x"] < band["x"] < band["x"] + band["width"] < worse["x"] < slider["x"] + slider["width"]


def test_what_is_new_is_marked(visit, tiny_text):
    page = visit()
    fill(page, "prompt", f"{tiny_text[:60]} kingqueen ")
    assert "kingqueen" in page.locator(".play-verse u").all_text_contents()


def test_what_is_copied_is_marked_without_prompt_and_speakers(visit, made, tmp_path):
    """A model of an output layer's bias alone, and a corpus that is what it writes."""
    content = copy.deepcopy(made.content)
    about = content["models"]["lstm"]
    values = np.zeros(len(base64.b64decode(about["weights"])) // 2, "<f2")
    for c, bias in (("e", 12), ("\n", 10), (":", 10)):
        values[content["vocab"].index(c) - len(content["vocab"])] = bias
    about |= {
        "weights": base64.b64encode(values.tobytes()).decode(),
        "training": "/" * 80,
    }  # all chunks are for training
    address = fragment(prompt="e" * 30, temperature=1, length=1000, written=1000, look="write")
    path = write_page(replace(made, content=content), tmp_path)
    text = visit(path, address).text_content(".play-verse")
    content["text"] = text + "e" * content["chunk_length"]
    page = visit(write_page(replace(made, content=content), tmp_path), address)
    assert page.text_content(".play-verse") == text
    pieces = re.split(r"^e+:$", text[30:], flags=re.MULTILINE)
    assert len(pieces) > 3
    found = page.evaluate(MARKED)
    assert found == [piece for piece in pieces if len(piece) >= 20]


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


def test_a_character_outside_the_vocabulary_is_named_and_nothing_is_written(visit):
    page = visit()
    page.fill("#play-prompt", "the é")
    until(page, "() => document.querySelector('#play-prompt-said').textContent")
    assert "“é” (U+00E9) at position 5" in page.text_content("#play-prompt-said")
    assert page.is_disabled("#play-play") and page.is_disabled("#play-step")
    fill(page, "prompt", "the")
    assert page.text_content("#play-prompt-said") == "" and page.is_enabled("#play-play")


def test_a_text_over_a_limit_is_told(visit):
    page = visit()
    page.fill("#play-prompt", "a" * 1001)
    until(page, "() => document.querySelector('#play-prompt-said').textContent.includes('1001 characters, of 1000')")
    assert page.is_disabled("#play-play")
    fill(page, "prompt", "a" * 1000)
    assert page.text_content("#play-prompt-said") == ""
    page.fill("#play-sentence", "a" * 2001)
    assert len(surprises(page, "rnn")) == 2000
    assert "only the first 2000 are read" in page.text_content("#play-sentence-said")


def test_a_number_that_makes_no_sense_changes_nothing_and_is_told(visit):
    page = visit()
    rest(page)
    command = page.text_content("#play-command")
    bad = {
        "second": ["11", "-1"],
        "seed": ["4294967296", "1.5"],
        "top-k": ["-1"],
        "top-p": ["0"],
        "length": ["5001", ""],
    }
    for name, values in bad.items():
        good = page.input_value(f"#play-{name}")
        for value in values:
            page.fill(f"#play-{name}", value)
            assert "needs a" in page.text_content("#play-summary")
            assert page.get_attribute(f"#play-{name}", "aria-invalid") == "true"
            assert page.text_content("#play-command") == command
        fill(page, name, good)
        assert page.get_attribute(f"#play-{name}", "aria-invalid") == "false"


def test_text_of_a_model_never_becomes_markup(visit):
    page = visit(fragment=fragment(text="<img src=x onerror=alert(1)>", look="read"))
    page.wait_for_selector("#play-rows [role=option]")
    assert page.locator("#play img").count() == 0
    assert page.input_value("#play-sentence") == "<img src=x onerror=alert(1)>"


# ---------------------------------------------------------------------------------------------------------------------
# Read


def surprises(page, model):
    """The surprise of each character of the text under a model, as the page says it."""
    page.wait_for_selector("#play-rows[aria-busy=false]")
    name = {"ngram": "counting"}.get(model, model.upper())
    options = page.locator("#play-rows [role=option]").all()
    found = [re.search(rf"{name} ([\d.]+)", option.get_attribute("aria-label")) for option in options]
    return [float(match[1]) if match else None for match in found]


def test_each_character_has_the_surprise_that_the_models_have_in_python(visit, made, runs, tiny):
    page = visit()
    text = "Clara:\nThe king and queen will speak."
    page.fill("#play-sentence", text)
    content = made.content
    for cell in ("rnn", "lstm"):
        weights, config, _ = charlm.runs.folder.load_weights(runs[0] / content["models"][cell]["run"])
        ours = play.surprise(embedded.float16_weights(weights), config, encode(text, tiny.vocab))
        assert surprises(page, cell)[1:] == pytest.approx(list(ours), abs=0.006)
    training, _ = core.split_chunks(core.count_chunks(len(tiny.ids), config.chunk_length), config)
    steps = np.arange(config.chunk_length + 1)
    counting = ngram.NGram(
        list(tiny.ids[training[:, None] * config.chunk_length + steps]), content["counting"]["order"], len(tiny.vocab)
    )
    ours = -counting.log_probabilities(encode(text, tiny.vocab))
    assert surprises(page, "ngram")[1:] == pytest.approx(list(ours), abs=0.006)


def test_what_was_expected_is_shown_to_a_mouse_and_to_keys(visit):
    page = visit()
    page.fill("#play-sentence", "the king and")
    page.wait_for_selector("#play-rows[aria-busy=false]")
    page.hover("#play-rows [role=option]:nth-child(6)")
    shown = page.text_content("#play-expected")
    assert "After “the k” comes “i”" in shown and shown.count("Expected:") == 3
    page.focus("#play-sentence")
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    assert "comes “d”" in page.text_content("#play-expected")
    page.keyboard.press("ArrowLeft")
    assert "comes “n”" in page.text_content("#play-expected")


def test_a_text_that_grows_is_read_as_a_whole(visit):
    page = visit()
    page.fill("#play-sentence", "the king")
    first = surprises(page, "rnn")
    page.type("#play-sentence", " and")
    assert surprises(page, "rnn")[:8] == first
    page.fill("#play-sentence", "the king and")
    again = surprises(page, "rnn")
    fresh = visit()
    fresh.fill("#play-sentence", "the king and")
    assert surprises(fresh, "rnn") == again


def test_a_character_that_no_model_knows_is_named_and_shown(visit):
    page = visit()
    page.fill("#play-sentence", "the é queen")
    until(page, "() => document.querySelector('#play-sentence-said').textContent")
    assert "“é” (U+00E9) at position 5" in page.text_content("#play-sentence-said")
    found = surprises(page, "lstm")
    assert [i for i, nats in enumerate(found) if nats is None] == [0, 4, 5]


def test_whether_a_text_was_trained_on_is_told(visit, made, tiny, tiny_text):
    page = visit()
    config = core.Config(**made.content["models"]["lstm"]["config"])
    parts = core.split_chunks(core.count_chunks(len(tiny.ids), config.chunk_length), config)
    trained, held_out = ([tiny_text[i * config.chunk_length :][: config.chunk_length] for i in part] for part in parts)
    held_out = [piece for piece in held_out if not any(piece in text for text in trained)]
    for text, told in (
        (trained[0], "Trained on it: RNN and LSTM"),
        (held_out[0], "Held out, at least in part, from RNN and LSTM"),
        ("zz", "does not have this"),
    ):
        page.fill("#play-sentence", text)
        page.wait_for_selector("#play-rows[aria-busy=false]")
        assert page.text_content("#play-trained").count(told) == 1


def test_the_first_example_is_the_held_out_piece_whose_losses_are_closest_to_the_means():
    losses = np.array([1.0, 2.0, 3.0])
    pieces = {"rnn": (np.array([7, 5, 3]), losses), "lstm": (np.array([3, 5, 9]), losses)}
    assert play.typical_piece(pieces) == 5
    assert play.typical_piece(pieces | {"ngram": (np.array([4]), losses[:1])}) is None


def test_the_means_stand_beside_those_of_held_out_text(visit, made):
    page = visit()
    page.fill("#play-sentence", "the king")
    found = surprises(page, "lstm")
    means = {row.split("\t")[0]: row.split("\t")[1:] for row in page.inner_text("#play-means tbody").splitlines()}
    assert means["LSTM"][0] == f"{np.mean(found[1:]):.2f}"
    usual = made.content["held_out"]["ngram"]
    assert means["counting"][1:] == [f"{usual['mean']:.2f}", f"{usual['low']:.2f} to {usual['high']:.2f}"]


# ---------------------------------------------------------------------------------------------------------------------
# Draw two runs, send it


def test_two_runs_are_drawn_and_the_tally_grows(visit, runs):
    page = visit()
    page.click("#play-two")
    page.focus("#play-two")
    page.keyboard.press("Enter")
    said = page.text_content("#play-two-said")
    rnn, lstm = re.search(r"RNN, seed (\d).*LSTM, seed (\d)", said).groups()
    losses = {(r["cell"], r["seed"]): r["val_loss_last"] for r in runs[1]}
    difference = losses["rnn", int(rnn)] - losses["lstm", int(lstm)]
    assert f"the {'LSTM' if difference > 0 else 'RNN'} wins by {abs(difference):.4f} nats" in said
    wins = re.search(r"After 2 draws: RNN (\d), LSTM (\d)", said).groups()
    assert sum(map(int, wins)) == 2
    assert "the LSTM is lower in 5 of 100 pairs" in page.text_content("#play")


def test_what_is_looked_at_lives_in_the_address_and_comes_back(visit):
    page = visit()
    assert "#" not in page.url
    page.check("#play-cells [value=rnn]")
    fill(page, "prompt", "the \nking")
    fill(page, "seed", "11")
    write_all(page)
    page.fill("#play-sentence", "sorrow & <heart>")
    until(page, "() => location.hash.includes('sorrow') && location.hash.includes('written=300')")
    text = page.text_content(".play-verse")
    other = visit(fragment=page.url[page.url.index("#") :])
    rest(other)
    assert other.text_content(".play-verse") == text
    assert other.input_value("#play-seed") == "11" and other.is_checked("#play-cells [value=rnn]")
    assert other.input_value("#play-sentence") == "sorrow & <heart>"
    assert other.evaluate("Math.abs(document.querySelector('#play-read').getBoundingClientRect().top) < 200")


def test_back_takes_back_what_was_set_and_forward_sets_it_again(visit):
    page = visit()
    first = page.text_content(".play-verse")
    shown = {"0": first}
    for seed in ("5", "6"):
        fill(page, "seed", seed)
        until(page, "seed => location.hash.includes(`seed=${seed}&`)", seed)
        shown[seed] = page.text_content(".play-verse")
    page.click("#play-play")  # to write again is no step
    page.click("#play-end")
    for go, seed in ((page.go_back, "5"), (page.go_back, "0"), (page.go_forward, "5")):
        go()
        until(page, "text => document.querySelector('.play-verse').textContent === text", shown[seed])
        assert page.input_value("#play-seed") == seed
    page.go_back()
    assert "#" not in page.url


BAD = {
    "cell": ["gru", "__proto__"],
    "prompt": ["", "a" * 1001],
    "temperature": ["1e-1", "NaN", "-0.5", "11"],
    "second": ["11"],
    "seed": ["99999999999999999999", "0x10", ""],
    "top-k": ["100000"],
    "top-p": ["0", "1.5"],
    "length": ["1000000"],
    "look": ["away"],
    "written": ["999999"],
    "text": ["a" * 2001],
}


def test_an_address_of_somebody_else_is_checked(visit):
    page = visit()
    rest(page)
    command = page.text_content("#play-command")
    for name, values in BAD.items():
        for value in values:
            asked = {"look": "write", name: value}
            page.evaluate("address => location.hash = address", fragment(**asked))
            until(page, "name => document.querySelector('#play-address').textContent.includes(`(${name})`)", name)
            rest(page)
            assert page.text_content("#play-command") == command
            page.evaluate("location.hash = '#play?'")
            until(page, "() => document.querySelector('#play-address').hidden")


def test_an_address_has_no_end_that_mail_drops_and_no_plus_for_a_space(visit):
    page = visit()
    page.fill("#play-sentence", "Speak no more.")
    until(page, "() => location.hash.includes('Speak')")
    assert "Speak%20no%20more." in page.url and "+" not in page.url
    assert page.url[-1].isalnum()


def ask_for(page, address):
    """Gives the page an address, and waits until it has followed it."""
    page.evaluate("location.hash = '#play?'")
    until(page, "() => document.querySelector('#play-address').hidden")
    page.evaluate("address => location.hash = address", address)
    until(page, "() => !document.querySelector('#play-address').hidden")


def test_an_address_that_was_cut_off_is_told(visit):
    page = visit()
    page.fill("#play-sentence", "Speak no more.")
    until(page, "() => location.hash.includes('Speak')")
    address = page.evaluate("location.hash")
    assert address.endswith("&text=Speak%20no%20more.&look=read")
    for end in ("d", "=read", "look=read", ".&look=read", "0more.&look=read", "Speak%20no%20more.&look=read"):
        ask_for(page, address.removesuffix(end))
    ask_for(page, f"{address}.")


UNREADABLE = {
    "a plus, which was a space or itself": ("prompt=the+king", "prompt"),
    "half an escape": ("text=the%2", "text"),
    "an escape of other than UTF-8": ("text=%E9", "text"),
    "a name of none of ours": ("sead=1", "not known"),
    "a name that every object has": ("constructor=1", "not known"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_in_an_address_is_told_and_the_default_stands(name, visit):
    page = visit()
    rest(page)
    before = page.input_value("#play-prompt"), page.input_value("#play-sentence")
    part, told = UNREADABLE[name]
    ask_for(page, f"#play?{part}&look=read")
    assert told in page.text_content("#play-address")
    assert (page.input_value("#play-prompt"), page.input_value("#play-sentence")) == before


def test_what_is_told_of_an_address_is_in_view(visit):
    page = visit(fragment="#play?sead=1&look=draw", viewport={"width": 900, "height": 300})
    assert page.is_visible("#play-address")
    assert page.evaluate("Math.abs(document.querySelector('#play-address').getBoundingClientRect().top) < 200")


def test_a_plus_comes_back_as_a_plus(visit):
    page = visit()
    page.fill("#play-sentence", "1+1 is")
    until(page, "() => location.hash.includes('1%2B1%20is')")
    assert visit(fragment=page.url[page.url.index("#") :]).input_value("#play-sentence") == "1+1 is"


def test_the_command_and_the_address_are_copied(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.click("#play-copy")
    until(page, "() => document.querySelector('#play-copied').textContent.includes('command is copied')")
    assert page.evaluate("navigator.clipboard.readText()") == page.text_content("#play-command")
    page.focus("#play-copy-address")
    page.keyboard.press("Enter")
    until(page, "() => document.querySelector('#play-copied').textContent.includes('address is copied')")
    assert page.evaluate("navigator.clipboard.readText()") == page.url


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
    "a worker is refused": "window.Worker = class { constructor() { throw new DOMException('not here', 'SecurityError'); } }",
    "it has no address": "URL.createObjectURL = () => { throw new Error('blocked'); }",
    "it cannot be loaded": "const W = Worker; window.Worker = class extends W { constructor() { super('blob:none'); } }",
    "it fails at its work": "const post = Worker.prototype.postMessage; "
    "Worker.prototype.postMessage = function () { post.call(this, { what: 'none' }); }",
    "it never answers": SOONER + HELD,
}


def assert_only_told(page):
    """One line says why nothing can be tried, and what was stored stands there."""
    assert page.is_hidden("#play") and page.is_visible("#play-instead")
    assert page.text_content("#play-failed").count("The models cannot be tried here: ") == 1


@pytest.mark.parametrize("name", WITHOUT)
def test_without_a_worker_a_line_says_so_and_what_was_stored_stands_there(name, visit):
    assert_only_told(visit(before=WITHOUT[name], ready="#play-failed"))


def test_a_worker_that_answers_late_is_taken_all_the_same(visit):
    page = visit(before=SOONER + HELD, ready="#play-failed")
    page.evaluate("release()")
    page.wait_for_selector("#play[data-ready]")
    assert page.is_hidden("#play-failed") and page.is_hidden("#play-instead")


def test_in_a_frame_that_has_no_address_a_line_says_so_and_the_rest_works(browser, file):
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_content("<iframe sandbox='allow-scripts' width=1000 height=800></iframe>")
    page.evaluate("html => document.querySelector('iframe').srcdoc = html", file.read_text("utf-8"))
    page.frame_locator("iframe").locator("#play[data-ready]").wait_for()
    (frame,) = page.main_frame.child_frames
    frame.click("#play-other")
    until(frame, "() => document.querySelector('#play-kept').textContent.includes('In this frame')")
    assert frame.is_disabled("#play-copy-address")
    frame.fill("#play-sentence", "the king")
    assert len(surprises(frame, "lstm")) == 8
    frame.click("#play-copy")
    until(frame, "() => document.querySelector('#play-copied').textContent")
    assert errors == []
    page.close()


def test_a_browser_without_properties_for_aria_has_the_same_attributes(visit):
    """As Firefox up to 118."""
    found = []
    for before in (
        "",
        "for (const name of Object.keys(Element.prototype)) if (/^aria|^role$/.test(name)) delete Element.prototype[name]",
    ):
        page = visit(before=before)
        page.fill("#play-top-k", "-1")
        found.append(page.inner_html("#play"))
    assert found[0] == found[1] and 'aria-invalid="true"' in found[0]


ALTERED = {
    "vocabulary": ('"vocab":"\\n .', '"vocab":"\\n .'[:-1] + "-"),
    "which model is better": ('"val_loss":', '"val_loss":1'),
    "configuration": ('"hidden_size":16', '"hidden_size":17'),
    "weights": ('"weights":"', '"weights":"A'),
    "training text": ('"training":"', '"training":"A'),
    "text": ("BRUTUS", "BRUTUT"),
    "no checksum": (" data-crc32=", " data-crc33="),
    "no element": ('id="play-data"', 'id="play-date"'),
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_page_that_was_altered_tries_nothing(name, visit, file, tmp_path):
    page = file.read_text("utf-8")
    start = page.index('<script type="application/json"')
    was, becomes = ALTERED[name]
    assert was in page[start:]
    path = tmp_path / "report.html"
    path.write_text(page[:start] + page[start:].replace(was, becomes, 1), "utf-8", newline="\n")
    assert_only_told(visit(path, ready="#play-failed"))
    if name == "no element":
        assert embedded.read_page(path) == []
    else:
        with pytest.raises(CharlmError, match="checksum"):
            embedded.read_page(path)


# ---------------------------------------------------------------------------------------------------------------------
# for everybody


def test_each_control_has_one_name_of_its_own(visit):
    page = visit()
    named = page.evaluate("""() => Array.from(document.querySelectorAll("#play :is(input, textarea, button, pre)"), (control) =>
        [...(control.labels ?? [])].map((label) => label.textContent.trim()).concat(control.getAttribute("aria-label") ?? [],
            control.nodeName === "BUTTON" ? control.textContent.trim() : [])
    )""")
    assert all(len(names) == 1 and names[0] for names in named)
    assert len({names[0] for names in named}) == len(named) > 15


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_while_it_is_used(visit, scheme, width):
    page = visit(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page.fill("#play-second", "0.2")
    fill(page, "third", "10")
    write_all(page)
    page.fill("#play-sentence", "the king é zqx and queen of my heart will speak no more with all this sorrow")
    page.wait_for_selector("#play-rows .play-unread")
    page.focus("#play-rows [tabindex='0']")
    page.click("#play-two")
    assert [(v["id"], v["nodes"][0]["html"]) for v in axe_violations(page, "#play")] == []
    use_tested_fonts(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_and_in_print_what_was_stored_stands_there(visit, browser, file):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.is_visible("#play-instead") and page.is_hidden("#play")
    assert page.is_visible("#smp-play") and page.is_visible("#fig-play-read")
    context.close()
    page = visit()
    assert page.is_hidden("#play-instead") and page.is_visible("#play")
    page.emulate_media(media="print")
    assert page.is_visible("#play-instead") and page.is_hidden("#play")


def test_the_speed(visit):
    """Only a gross failure fails: the numbers are printed."""
    begun = time.perf_counter()
    page = visit(REPORT)
    ready = time.perf_counter() - begun
    timed = """async () => {
        const wait = (test) => new Promise((resolve) => { const look = () => test() ? resolve() : setTimeout(look, 1); look(); });
        const at = (name) => document.getElementById(`play-${name}`), isRead = () => at("rows").getAttribute("aria-busy") === "false" && at("rows").textContent.length >= 500;
        const found = {};
        const time = async (name, act, test) => { const since = performance.now(); act(); await wait(test); found[name] = performance.now() - since; };
        const written = (n) => () => at("summary").textContent.startsWith(`${n} characters`);
        const length = at("length");
        length.value = 3000;
        length.dispatchEvent(new Event("input"));
        await time("2,700 characters", () => at("end").click(), written(3000));
        const text = "the king and queen of my heart ".repeat(17).slice(0, 500);
        await time("500 characters coloured", () => { at("sentence").value = text; at("sentence").dispatchEvent(new Event("input")); }, isRead);
        return found;
    }"""
    found = page.evaluate(timed)
    speed = 2_700_000 / found["2,700 characters"]
    coloured = found["500 characters coloured"]
    print(f"ready in {ready:.2f} s; {speed:.0f} characters a second; 500 characters coloured in {coloured:.0f} ms")
    assert ready < 20 and speed > 60 and coloured < 10_000


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


def test_the_loss_of_the_rounded_weights_stands_beside_that_of_the_originals(made, runs):
    for model in made.content["models"].values():
        record = next(r for r in runs[1] if r["run_id"] == model["run"])
        assert model["measured"]["float32"] == pytest.approx(record["val_loss_best"], abs=0.02)
        assert model["measured"]["float16"] == pytest.approx(model["measured"]["float32"], abs=0.01)
        assert f"{model['measured']['float16']:.5f} after it" in play.play_section(made.content)["markup"]


def test_a_text_of_your_own_stays_at_home(runs, tiny, tiny_text, tmp_path):
    folder, records = runs
    own = play.make_play(results_of(records), tiny, folder)
    path = write_page(own, tmp_path)
    assert tiny_text[:200] not in json.dumps(own.content, ensure_ascii=False)
    assert own.content["text"] is None and "counting" not in own.content
    assert "The corpus is not in this page" in path.read_text("utf-8")


def test_a_text_of_your_own_goes_into_the_page_where_that_is_asked_for(runs, tiny, tiny_text):
    folder, records = runs
    own = play.make_play(results_of(records), tiny, folder, own_text=True)
    assert own.content["text"] == tiny_text and "counting" in own.content


def test_without_the_text_two_models_read_and_nothing_is_looked_up(visit, runs, tiny, tmp_path):
    folder, records = runs
    page = visit(write_page(play.make_play(results_of(records), tiny, folder), tmp_path))
    assert page.text_content("#play-summary") == "300 characters written."
    page.fill("#play-sentence", "the king")
    until(page, "() => document.querySelectorAll('#play-rows [role=option]').length === 8")
    assert page.locator(".play-verse u, .play-verse mark, #play-key").count() == 0


def test_a_report_without_such_models_says_why(runs, tiny, tmp_path):
    records = runs[1]
    with pytest.raises(CharlmError, match="no RNN run finished; no LSTM run finished"):
        play.make_play(results_of([r | {"status": "diverged"} for r in records]), tiny, runs[0])
    with pytest.raises(CharlmError, match="holds no finished run"):
        play.make_play(results_of(records), tiny, tmp_path)
    assert "cannot be tried in this page: too &lt;large&gt;" in play.left_out("too <large>").replace(
        "&#60;", "&lt;"
    ).replace("&#62;", "&gt;")


@pytest.fixture
def bare(monkeypatch):
    """A report that is nothing but what can be tried."""

    def arrange(executed, results, subtitle, play):
        return arranged(a_cell("# A title\n\nSummary."), a_cell("", "play"), subtitle=subtitle, play=play)

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
    assert results["play"]["models"]["rnn"]["sha256"] == made.content["models"]["rnn"]["sha256"]
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
    jsonschema.validate(json.loads(json.dumps(made.facts)), schema)


def test_too_many_characters_leave_the_models_out(runs, tiny, monkeypatch):
    monkeypatch.setattr(play, "LARGEST_VOCABULARY", 10)
    with pytest.raises(CharlmError, match="a page carries models of 10 at most"):
        play.make_play(results_of(runs[1]), tiny, runs[0])


def test_too_large_a_page_leaves_the_models_out(file, monkeypatch):
    play.check_size(file)
    monkeypatch.setattr(play, "LARGEST_PAGE", 1000)
    with pytest.raises(CharlmError, match="more than 1,000 bytes"):
        play.check_size(file)
