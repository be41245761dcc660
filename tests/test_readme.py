"""Tidy notebooks, and a README that is true."""

import json
import re
import shlex

import nbformat
import papermill
import pytest
from project_files import NOTEBOOKS, README, ROOT, names_of

import charlm.runs.__main__
import charlm.runs.folder
import generate


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names_of)
def test_notebooks_are_stored_tidy(path):
    """Without outputs, counts and an editor's metadata, in the bytes that nbformat writes: make tidy does it."""
    text = path.read_text("utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
        assert cell.cell_type != "code" or (cell.outputs == [] and cell.execution_count is None)
    assert text == nbformat.writes(notebook) + "\n"


def runnable_commands() -> list[list[str]]:
    """The words of the commands in the README's ```bash blocks that follow a line <!-- runnable -->."""
    blocks = re.findall(r"^<!-- runnable -->\n+```bash\n(.*?)^```$", README, re.M | re.S)
    assert len(blocks) == README.count("<!-- runnable -->")
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("words", runnable_commands(), ids=" ".join)
def test_the_readmes_commands_run_in_a_fresh_clone(words, tmp_path, monkeypatch, capsys):
    """Where nothing is trained. What a notebook does with its parameters others test."""
    for module in (charlm.runs.folder, charlm.runs.__main__):
        monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    match words:
        case ["mkdir", "-p", "build"]:
            pass
        case ["papermill", notebook, *rest]:
            given = dict(zip(rest[2::3], rest[3::3], strict=True))
            assert given.keys() <= papermill.inspect_notebook(str(ROOT / notebook)).keys()
        case ["python", "generate.py", *options]:
            assert generate.main(options) == 0
            assert len(capsys.readouterr().out) > 200
        case ["python", "-m", "charlm.runs", *options]:
            assert charlm.runs.__main__.main(options) == 0
        case _:
            pytest.fail(f"nobody runs {words}")


def block(name: str) -> str:
    """What stands in the README between <!-- name --> and <!-- /name -->."""
    return re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.S)[1]


@pytest.fixture(scope="module")
def committed() -> dict:
    return json.loads((ROOT / "report" / "results.json").read_text("utf-8"))


def test_the_readmes_answer_is_that_of_the_committed_report(committed):
    summary = committed["findings"]["summary"]
    assert block("results") == f"**{summary['heading']}.** {summary['text']}\n"


def test_the_readmes_sample_is_the_lstms_of_the_committed_report(committed):
    (text,) = [item["text"] for item in committed["samples"]["side-by-side"] if item["label"] == "LSTM"]
    assert block("sample") == f"```text\n{text.rstrip()}\n```\n"


def test_the_readme_quotes_what_the_committed_report_found_beyond_the_study(committed):
    cards = [finding for finding in committed["findings"].values() if "section" in finding["values"]]
    beyond = [card["text"] for card in cards if card["values"]["section"] in ("cure-effect", "benchmark")]
    assert block("benchmark") == "".join(f"- {text}\n" for text in beyond)


def test_the_committed_report_is_of_five_seeds_a_cell_close_to_the_published_losses(committed):
    for cell, published in (("rnn", 1.6059), ("lstm", 1.6002)):
        losses = [r["val_loss_last"] for r in committed["runs"] if r["cell"] == cell]
        assert len(losses) == 5
        assert abs(sum(losses) / 5 - published) < 0.03
