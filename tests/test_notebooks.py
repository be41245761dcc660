"""The real notebooks on a small text of the user's own: the whole way from `make report` to what a reader opens."""

import json
import os
import re
import subprocess
import sys
from statistics import mean, stdev

import pytest
from pypdf import PdfReader

from charlm.corpus import ROOT

VERDICTS = {"confirmed", "refuted", "too close to call", "no difference that matters", "not judged"}


@pytest.fixture(scope="module")
def made(tiny_file, tmp_path_factory):
    """What is said while the report of the tiny text is made, as a process, in folders of its own; and the report's folder."""
    folder = tmp_path_factory.mktemp("report")
    env = {**os.environ, "CHARLM_RUNS": str(folder / "runs")}
    options = ["--corpus", str(tiny_file), "--seeds=2", "--epochs=2", "--out", str(folder / "out")]
    command = [sys.executable, "-m", "charlm.report", *options]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, folder / "out"


@pytest.fixture(scope="module")
def results(made):
    return json.loads((made[1] / "results.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def html(made):
    return (made[1] / "report.html").read_text("utf-8")


def table(html, id):
    """The cells of a table of the page, row by row."""
    found = re.search(rf'id="tbl-{id}".*?</table>', html, re.S)[0]
    rows = re.findall(r"<tr.*?</tr>", found, re.S)
    return [[re.sub(r"<.*?>", "", c).strip() for c in re.findall(r"<t[dh].*?</t[dh]>", row, re.S)] for row in rows]


def test_before_training_it_says_what_it_is_going_to_do(made):
    assert re.search(r"4 runs to train, 0 found; at most \d+ (second|minute)s? left on this machine", made[0])


def test_results_hold_every_run_of_the_studys_own_table_and_no_other(results):
    kinds = sorted((r["cell"], r["hidden_size"], r["learning_rate"], r["seed"]) for r in results["runs"])
    assert kinds == sorted((cell, 256, 0.001, seed) for cell in ("rnn", "lstm") for seed in range(2))
    for run in results["runs"]:
        assert len(run["val_loss"]) == len(run["train_loss"]) == run["epochs"] == 2


def test_the_loss_table_is_computed_from_the_runs(results, html):
    header, *rows = table(html, "losses")
    assert header == ["cell", "epoch", "seeds", "training", "training, sd", "validation", "validation, sd"]
    assert len(rows) == 4
    for cell, epoch, seeds, *shown in rows:
        runs = [run for run in results["runs"] if run["cell"] == cell.lower()]
        assert int(seeds) == len(runs) == 2
        expected = []
        for part in ("train_loss", "val_loss"):
            values = [run[f"{part}_{epoch}"] for run in runs]
            expected += [f"{mean(values):.4f}", f"{stdev(values):.4f}"]
        assert shown == expected


def test_the_prose_does_not_take_the_readers_text_for_shakespeare(html):
    prose = re.sub(r"<details.*?</details>", "", html, flags=re.S)
    assert "shakespeare" not in prose.lower()
    assert "tiny.txt" in prose


def test_the_study_of_temperature_has_its_prompts_and_temperatures(results):
    prompts = results["samples"]["prompts"]
    assert len({item["text"][0] for item in prompts}) == 5
    assert all(len(item["text"]) > 80 and item["temperature"] == 0.5 for item in prompts)
    temperatures = [0.2, 0.5, 1.0, 2.0, 5.0, 10.0]
    drawn = [item["temperature"] for item in results["samples"]["temperatures"]]
    closest = results["findings"]["temperature-closest"]["values"]["best"]
    assert drawn == sorted({*temperatures, closest})
    measured = results["tables"]["temperature-measures"]
    assert [row["T"] for row in measured if row["text"] == "drawn"] == temperatures
    assert [row["text"] for row in measured][-2:] == ["real", "shuffled"]
    judged = results["text_claims"]
    assert judged and {row["verdict"] for row in judged} <= VERDICTS


def test_the_first_screen_says_what_is_found_of_the_readers_text(results):
    assert results["findings"]["summary"]["heading"] == (
        "Nothing was learnt from this text, as far as so few seeds tell"
    )
    assert "tiny" in results["findings"]["summary"]["text"] and "study" not in results["findings"]["summary"]["text"]
    ways = {row["way"] for row in results["figures"]["ways-to-compare"]["rows"]}
    assert ways == {"equal settings, last epoch", "equal settings, best epoch"}
    assert not any("loss" in claim["claim"] for claim in results["claims"])
    assert "that can be asked of this text" in results["findings"]["claims-judged"]["heading"]


def test_gradients_are_measured_for_every_cell_before_and_for_the_trained_ones_after_training(results):
    rows = results["figures"]["gradient-norms"]["rows"]
    expected = {("before training", c) for c in ("rnn", "lstm", "gru")}
    expected |= {(f"after training{more}", c) for more in ("", ", 100 characters") for c in ("rnn", "lstm")}
    assert {(r["measured"], r["cell"]) for r in rows} == expected


def test_the_pdf_prints_the_same_losses_and_samples(made, results, html):
    pages = [page.extract_text().rstrip() for page in PdfReader(made[1] / "report.pdf").pages]
    text = "".join(re.sub(r"\d+$", "", page) for page in pages).replace("\u2212", "-")  # without the pages' numbers
    for row in table(html, "losses")[1:]:
        assert row[3] in text and row[4] in text
    squeezed = re.sub(r"\s+", "", text)
    for item in results["samples"]["prompts"]:
        assert re.sub(r"\s+", "", item["text"])[:40] in squeezed
