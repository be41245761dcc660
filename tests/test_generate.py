"""generate.py as its user meets it: a process with arguments, standard output, standard error and an exit code."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from hostile import WRECKS, flip, rewrite

from charlm.corpus import ROOT


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
        (["--run", ""], "no run ''"),
        (["--run", "."], "no run '.'"),
        (["--run", ".."], "no run '..'"),
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


def other(trained, runs, seed):
    """A copy of the run under the name of another."""
    folder = shutil.copytree(trained[0], runs / trained[0].name.replace("seed0", f"seed{seed}"))
    rewrite(folder, lambda about: about.update(run_id=folder.name))
    return folder


def test_runs_that_cannot_be_read_are_passed_over_and_named_in_a_line_each(generate, trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    WRECKS["deep"](other(trained, tmp_path, 1))
    rewrite(other(trained, tmp_path, 2), lambda about: about["config"].update(colour="red"))
    done = generate("--json", "--length", "5", runs=tmp_path)
    assert done.returncode == 0 and {text["run"] for text in json.loads(done.stdout)} == {trained[0].name}
    damaged, other_version = done.stderr.splitlines()
    assert "seed1" in damaged and "damaged" in damaged
    assert "seed2" in other_version and "another version" in other_version


def test_the_best_run_is_passed_over_when_its_weights_were_altered(generate, trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    best = other(trained, tmp_path, 1)
    rewrite(best, lambda about: about["history"][-1].update(val_loss=0.1))
    flip(best / "best.safetensors")
    done = generate("--json", "--length", "5", runs=tmp_path)
    assert done.returncode == 0 and {text["run"] for text in json.loads(done.stdout)} == {trained[0].name}
    assert best.name in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_damaged_run_that_was_asked_for_is_one_line(generate, trained, tmp_path):
    flip(shutil.copytree(trained[0], tmp_path / trained[0].name) / "best.safetensors")
    done = generate("--run", trained[0].name, runs=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "best.safetensors is damaged" in done.stderr and len(done.stderr.splitlines()) == 1


def test_help_does_not_wait_for_what_only_texts_need():
    script = (
        "import sys, generate\ntry: generate.main(['--help'])\nfinally: print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "'torch'" not in done.stderr and "jsonschema" not in done.stderr


def test_reading_runs_does_not_wait_for_what_is_slow_to_import(trained):
    script = (
        "import sys, charlm.runs; charlm.runs.stored(); assert 'fastjsonschema' in sys.modules;"
        " print({'jsonschema', 'distributed', 'pandas'} & set(sys.modules))"
    )
    env = {**os.environ, "CHARLM_RUNS": str(trained[0].parent)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, env=env)
    assert done.stdout.strip() == "set()", done.stderr
