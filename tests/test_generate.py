"""generate.py as its user meets it: arguments, standard output, standard error and an exit code."""

import io
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hostile import WRECKS, flip, rewrite

import charlm.runs.folder
import generate as command
from charlm import sampling
from charlm.corpus import ROOT
from charlm.runs import embedded


@pytest.fixture
def generate(trained, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "PAGE", tmp_path / "no-page.html")

    def run(*arguments, runs=trained[0].parent):
        monkeypatch.setattr(charlm.runs.folder, "RUNS", runs)
        code = command.main(arguments)
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

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
    made = [(t["prompt"], t["sample"], len(t["text"])) for t in texts]
    assert made == [("BRUTUS", 0, 26), ("BRUTUS", 1, 26), ("C", 0, 21), ("C", 1, 21)]
    assert texts[0]["text"] != texts[1]["text"]
    assert {t["run"] for t in texts} == {trained[1]["run_id"]}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--prompt", "été"], "'é' (U+00E9)"),
        (["--temperature", "-1"], "--temperature: '-1': needs a number from 0"),
        (["--top-p", "0"], "top_p = 0.0: needs a number from"),
        (["--weights", "int8"], "--weights: invalid choice: 'int8'"),
        (["--length", "2000000000"], "--length: '2000000000': needs a whole number from 1 to 1000000"),
        (
            ["--samples", "100000", "--length", "1000"],
            "500500000 characters in all texts together, of 10000000 at most",
        ),
        (["--run", ""], "no run ''"),
        (["--run", ".."], "no run '..'"),
        (["--run", "x\0"], "no run 'x"),
        (["--run", "x" * 5000], "no run 'x"),
    ],
)
def test_a_mistake_gives_one_line_and_exit_code_2(generate, arguments, message):
    done = generate(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.fixture
def page(trained, tmp_path, monkeypatch):
    """A report's page that carries the run."""
    weights, config, vocab = charlm.runs.folder.load_weights(trained[0])
    about = {"run": trained[0].name, "config": vars(config), "val_loss": 1.5}
    about["weights"] = embedded.packed_weights(embedded.float16_weights(weights), config)
    path = tmp_path / "report.html"
    path.write_text(embedded.data_block({"vocab": vocab, "models": {"lstm": about}}), "utf-8", newline="\n")
    monkeypatch.setattr(embedded, "PAGE", path)
    return path


def test_temperatures_and_cuts_go_to_the_sampler(generate, trained):
    weights, config, vocab = charlm.runs.folder.load_weights(trained[0])
    given = ["--prompt", "C", "--temperature", "0.3", "--temperature", "2", "--top-k", "3", "--top-p", "0.9"]
    texts = json.loads(generate("--json", *given, "--samples", "2", "--length", "30").stdout)
    assert [(t["temperature"], t["sample"]) for t in texts] == [(0.3, 0), (0.3, 1), (2, 0), (2, 1)]
    assert {(t["top_k"], t["top_p"], t["weights"]) for t in texts} == {(3, 0.9, "float32")}
    alone = sampling.sample(weights, config, vocab, ["C"], 30, 2.0, 0, [1], 3, 0.9)
    assert texts[3]["text"] == alone[0]
    out = generate(*given, "--length", "5").stdout
    assert '--- "C", temperature 0.3, sample 0' in out and '--- "C", temperature 2, sample 0' in out


def test_rounded_weights_write_what_the_page_writes(generate, page, tmp_path):
    trained_here = generate("--json", "--weights", "float16", "--temperature", "1")
    of_page = generate("--json", "--temperature", "1", runs=tmp_path / "none")
    assert trained_here.stdout == of_page.stdout and '"weights": "float16"' in of_page.stdout


@pytest.mark.parametrize("named", [False, True])
def test_what_is_not_trained_here_comes_from_the_reports_page_and_a_line_says_so(
    generate, page, trained, tmp_path, named
):
    given = ["--run", trained[0].name] if named else []
    done = generate("--length", "5", *given, runs=tmp_path / "none")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 0 and done.stdout.count("--- ") == 5
    assert f"the weights of {trained[0].name} are those in {page}, rounded to float16" in line
    done = generate("--run", "another", runs=tmp_path / "none")
    assert (done.returncode, done.stdout) == (2, "") and "no run 'another'" in done.stderr


def test_a_long_text_is_printed_while_it_is_written(generate, monkeypatch):
    written: list[str] = []
    stdout = io.StringIO()

    def sample(*arguments):
        arguments[-1]("piece")  # what is to be called with each
        written.append(stdout.getvalue())
        return ["a piece"]

    monkeypatch.setattr(sampling, "sample", sample)
    monkeypatch.setattr(sys, "stdout", stdout)
    generate("--prompt", "C")
    assert written == ['--- "C", sample 0\npiece']


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
    best = other(trained, tmp_path, 3)
    rewrite(best, lambda about: about["history"][-1].update(val_loss=0.1))
    flip(best / "best.safetensors")
    done = generate("--json", "--length", "5", runs=tmp_path)
    assert done.returncode == 0 and {text["run"] for text in json.loads(done.stdout)} == {trained[0].name}
    damaged, other_version, altered = done.stderr.splitlines()
    assert "seed1" in damaged and "damaged" in damaged and "seed3" in altered and "damaged" in altered
    assert "seed2" in other_version and "another version" in other_version


@pytest.mark.parametrize("given", [".", "{run}", "../{name}", "{name}"])
def test_a_run_is_given_by_its_name_or_by_its_folder(generate, trained, monkeypatch, tmp_path, given):
    monkeypatch.chdir(trained[0])
    text = given.format(run=trained[0], name=trained[0].name)
    done = generate("--json", "--length", "5", "--run", text, runs=trained[0].parent if given == "{name}" else tmp_path)
    assert done.returncode == 0 and {text["run"] for text in json.loads(done.stdout)} == {trained[0].name}


def test_a_run_that_diverged_says_so_and_is_never_chosen(generate, trained, tmp_path):
    best = other(trained, tmp_path, 1)
    rewrite(best, lambda about: about["history"][-1].update(val_loss=0.1))
    rewrite(best, lambda about: about.update(diverged={"epoch": 4, "step": 2}, made=[*about["made"], about["made"][0]]))
    done = generate("--run", best.name, runs=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"the run {best.name} diverged in epoch 4" in done.stderr and len(done.stderr.splitlines()) == 1
    done = generate(runs=tmp_path)
    assert done.returncode == 2 and "all 1 trained runs diverged" in done.stderr
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    done = generate("--json", "--length", "5", runs=tmp_path)
    assert {text["run"] for text in json.loads(done.stdout)} == {trained[0].name}


def test_a_text_writes_no_escape_sequence_to_a_terminal_and_json_has_it_to_the_letter(generate, trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    rewrite(folder, lambda about: about.update(vocab="\x1b" + about["vocab"][1:]))  # in place of the newline
    done = generate("--temperature", "10", "--prompt", "\x1b", runs=tmp_path)
    assert done.returncode == 0 and "\x1b" not in done.stdout and done.stdout.count("⟨U+001B⟩") > 1
    done = generate("--temperature", "10", "--prompt", "\x1b", "--json", runs=tmp_path)
    assert "\x1b" in json.loads(done.stdout)[0]["text"]


def test_texts_do_not_wait_for_what_is_slow_to_import_and_help_not_even_for_torch(trained):
    script = """
import sys, generate
slow = {"torch", "numpy", "jsonschema", "distributed", "pandas"}
assert generate.main(["--help"]) == 0 and not slow & set(sys.modules)
assert generate.main([]) == 0 and slow & set(sys.modules) == {"torch", "numpy"}
assert "fastjsonschema" in sys.modules
"""
    env = {**os.environ, "CHARLM_RUNS": str(trained[0].parent)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", cwd=ROOT, env=env)
    assert (done.returncode, done.stderr) == (0, "")
