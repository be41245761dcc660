"""generate.py as its user meets it: a process with arguments, standard output, standard error and an exit code."""

import json
import os
import subprocess
import sys

import pytest

from charlm_corpus import ROOT


@pytest.fixture
def generate(trained):
    def run(*arguments, runs=trained[0].parent):
        return subprocess.run(
            [sys.executable, str(ROOT / "generate.py"), *arguments],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "CHARLM_RUNS": str(runs)},
            cwd=trained[0].parent,
        )

    return run


def test_without_arguments_it_prints_five_samples_of_at_least_100_characters(generate):
    done = generate()
    assert (done.returncode, done.stderr) == (0, "")
    samples = done.stdout.split("--- ")[1:]
    assert len(samples) == 5
    texts = [s.split("\n", 1)[1].removesuffix("\n\n").removesuffix("\n") for s in samples]
    assert all(len(text) >= 100 for text in texts)
    assert len({text[0] for text in texts}) == 5


def test_json_gives_each_text_with_what_made_it_and_the_seed_repeats_it(generate, trained):
    arguments = ("--json", "--prompt", "BRUTUS", "--prompt", "C", "--samples", "2", "--length", "20", "--seed", "7")
    first, again = generate(*arguments), generate(*arguments, "--run", trained[1]["run_id"])
    assert first.returncode == 0 and first.stdout == again.stdout
    texts = json.loads(first.stdout)
    assert [(t["prompt"], t["sample"], len(t["text"])) for t in texts] == [
        ("BRUTUS", 0, 26),
        ("BRUTUS", 1, 26),
        ("C", 0, 21),
        ("C", 1, 21),
    ]
    assert texts[0]["text"] != texts[1]["text"]
    assert {t["run"] for t in texts} == {trained[1]["run_id"]}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--prompt", "été"], "'é' (U+00E9)"),
        (["--temperature", "-1"], "temperature = -1.0"),
        (["--samples", "0"], "--samples 0"),
        (["--run", "no-such-run"], "no-such-run"),
    ],
)
def test_a_mistake_gives_one_line_and_exit_code_2(generate, arguments, message):
    done = generate(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr and len(done.stderr.splitlines()) == 1


def test_before_any_training_it_says_how_to_train(generate, tmp_path):
    done = generate(runs=tmp_path / "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert "make report" in done.stderr and len(done.stderr.splitlines()) == 1
