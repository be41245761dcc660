"""The parameters of notebooks: a wrong one is named before anything is done with it."""

import ast
from types import SimpleNamespace

import nbformat
import papermill
import pytest
from project_files import NOTEBOOKS, names_of

import charlm.parameters
from charlm.parameters import LIMITS, TEXTS, check_notebook
from charlm_core import CharlmError


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names_of)
def test_the_first_cell_of_code_after_its_parameters_checks_them_all(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert "parameters" in code[0].metadata.tags
    names = papermill.inspect_notebook(str(path))
    # An exception would come late, after what the cell does before.
    imports, _ = code[1].source.split("check_notebook(globals())")
    assert names.keys() <= {*TEXTS, *LIMITS}
    assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(imports).body)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"epochs": "1"}, "epochs = '1': needs a whole number from 1 to 1000000"),  # papermill -r epochs 1
        ({"epochs": True}, "epochs = True: needs a whole number"),
        ({"epochs": 2.0}, "epochs = 2.0: needs a whole number"),
        ({"seeds": 10**20}, "seeds = 1.*: needs a whole number from 1 to 1000"),
        ({"sampling_seed": -1}, "sampling_seed = -1: needs a whole number from 0 to 4294967295"),
        ({"corpus": 123}, r"corpus = 123: needs text; quote it \(papermill: -r corpus TEXT\)"),
        ({"learning_rate": "0.1"}, "learning_rate = '0.1': needs a number from 1e-38 to 1e\\+38"),
        ({"learning_rate": float("nan")}, "learning_rate = nan: needs a number"),
        ({"learning_rate": True}, "learning_rate = True: needs a number"),
        ({"cell": "transformer"}, "cell = 'transformer': choose one of rnn, lstm, gru"),
    ],
)
def test_a_parameter_of_a_wrong_type_or_beyond_its_limits_is_named(given, message):
    with pytest.raises(CharlmError, match=f"^{message}"):
        check_notebook(given)


@pytest.fixture
def after(monkeypatch):
    """Has check_notebook() find the source of these cells executed before."""

    def after(*sources):
        shell = SimpleNamespace(user_ns={"In": ["", *sources, "check_notebook()"]})
        monkeypatch.setattr(charlm.parameters, "get_ipython", lambda: shell)

    return after


def test_a_misspelt_parameter_is_named_with_those_that_there_are(after):
    after("corpus: str = ''", "# Parameters\nepoch = 3\n")
    with pytest.raises(CharlmError, match=r"^no parameter 'epoch': this notebook has corpus, epochs$"):
        check_notebook({"corpus": "x", "epochs": 3})
    after("corpus: str = ''", "# Parameters\nepochs = 3\ncorpus = 'x'\n")
    check_notebook({"corpus": "x", "epochs": 3})


def test_in_the_lab_any_cell_may_have_been_executed_before(after):
    after("epoch = 3")
    check_notebook({"epochs": 3, "of_no_parameter": 1})
    after()
    check_notebook({"epochs": 3, "of_no_parameter": 1})


def test_papermill_ends_at_the_cell_that_checks_with_the_misspelt_name(tmp_path):
    cells = [nbformat.v4.new_code_cell("epochs: int = 1", metadata={"tags": ["parameters"]})]
    cells.append(nbformat.v4.new_code_cell("from charlm.parameters import check_notebook\n\ncheck_notebook(globals())"))
    python = {"language_info": {"name": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=python), tmp_path / "in.ipynb")
    with pytest.raises(papermill.PapermillExecutionError, match="no parameter 'epoch'") as raised:
        papermill.execute_notebook(tmp_path / "in.ipynb", None, {"epoch": 3}, kernel_name="python3", progress_bar=False)
    assert raised.value.ename == "CharlmError"
    (line,) = raised.value.traceback  # and shows a reader one line, no traceback
    assert line.startswith("CharlmError: no parameter 'epoch'")
