"""Notebooks that fail, and what is said of them."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest
from posix_only import posix, press_ctrl_c, start_in_a_terminal
from small_notebooks import notebook

import charlm.report.make
from charlm.report import execute
from charlm.report.__main__ import main
from charlm.report.execute import Job, VisibleOutput
from charlm.report.place import DOCUMENTS


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """BUILD in a folder of the test, and an earlier report that no failure may touch."""
    monkeypatch.setattr(execute, "BUILD", tmp_path / "build")
    out = tmp_path / "out"
    out.mkdir()
    for name in DOCUMENTS:
        (out / name).write_text("earlier")
    return out


def run_with(monkeypatch, job, tiny_file, out):
    """The command's exit code when its plan is this one job."""
    monkeypatch.setattr(charlm.report.make, "train_missing", lambda *arguments: [])
    monkeypatch.setattr(execute, "jobs", lambda *arguments: [job])
    return main(["--corpus", str(tiny_file), "--out", str(out)])


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("# `why`\n\nraise ValueError('one\\ntwo')", 1, "cell 3 (# `why`): ValueError: two"),
        (
            "class CharlmError(Exception): pass\nraise CharlmError('give a file')",
            2,
            "cell 3 (class CharlmError(Exception): pass): give a file",
        ),
        ("import os; os._exit(0)", 1, "cell 3 (import os; os._exit(0)): the kernel died"),
        ("import sys; sys.exit(0)", 1, "cell 3 (import sys; sys.exit(0)): SystemExit: 0: the cell ended the notebook"),
    ],
)
def test_a_cell_that_fails_is_named_in_one_line(source, code, message, elsewhere, tiny_file, monkeypatch, capfd):
    path = notebook(elsewhere.parent / "failing.ipynb", "md:# T", "#parameters\nx: int = 1  # help", source)
    job = Job(path, {"x": 2}, frozenset())
    assert run_with(monkeypatch, job, tiny_file, elsewhere) == code
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"charlm.report: {path.parent.name}/failing.ipynb, cell 3")
    assert message in line
    assert {(elsewhere / name).read_text() for name in DOCUMENTS} == {"earlier"}
    kept = nbformat.read(execute.BUILD / "partial-failing.ipynb", as_version=4)
    assert "partial" in kept.cells[0].source and "cell 3" in kept.cells[0].source
    assert [p.name for p in execute.BUILD.iterdir()] == ["partial-failing.ipynb"]


def test_a_kernel_that_dies_between_cells_is_named_too(elsewhere, tiny_file, monkeypatch, capfd):
    late = """
import os, threading, time
def die():
    while len(In) < 3:  # the cell after this one has not begun
        time.sleep(0.01)
    os._exit(0)
threading.Thread(target=die).start()"""
    path = notebook(elsewhere.parent / "late.ipynb", late, "time.sleep(600)", "2")
    assert run_with(monkeypatch, Job(path, {}, frozenset()), tiny_file, elsewhere) == 1
    assert "cell 2 (time.sleep(600)): the kernel died" in capfd.readouterr().err


def test_a_mistyped_parameter_is_an_error_before_anything_runs(notebooks, elsewhere, tiny_file, monkeypatch, capfd):
    job = Job(notebooks / "training.ipynb", {"cel": "rnn"}, frozenset())
    assert run_with(monkeypatch, job, tiny_file, elsewhere) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "training.ipynb: no parameter 'cel'; its parameters cell has corpus, cell" in line


def test_a_run_that_no_notebook_shows_is_missed(notebooks, elsewhere, tiny_file, monkeypatch, capfd):
    path = notebook(elsewhere.parent / "few.ipynb", "md:# T")
    monkeypatch.setattr(charlm.report.make, "train_missing", lambda *arguments: [{"run_id": "rnn-7"}])
    monkeypatch.setattr(execute, "jobs", lambda *arguments: [Job(path, {}, frozenset())])
    assert main(["--corpus", str(tiny_file), "--out", str(elsewhere)]) == 1
    assert capfd.readouterr().err == "charlm.report: no notebook shows the runs rnn-7\n"
    assert {(elsewhere / name).read_text() for name in DOCUMENTS} == {"earlier"}


def saved(*cells):
    """A notebook as papermill saves it, whatever happened: every cell "completed"."""
    made = nbformat.v4.new_notebook()
    for source, count, started in cells:
        cell = nbformat.v4.new_code_cell(source, execution_count=count)
        cell.metadata["papermill"] = {"status": "completed", "exception": False, "start_time": started}
        made.cells.append(cell)
    return made


@pytest.mark.parametrize("counts", [(1, None), (2, 1), (1, 3)])
def test_cells_that_were_not_all_executed_in_turn_are_found(counts):
    made = saved(("a", counts[0], "now"), ("b", counts[1], "now"))
    found = execute.find_failure(Job(Path("x/y.ipynb"), {}, frozenset()), made, None)
    assert "x/y.ipynb, cell" in str(found) and "not executed in its turn" in str(found)


def test_a_notebook_that_does_not_show_what_it_should_is_found():
    job = Job(Path("x/y.ipynb"), {}, frozenset({"figure", "table"}))
    found = execute.find_failure(job, saved(("a", 1, "now"), ("", None, None)), None)
    assert str(found) == "x/y.ipynb: shows no figure and no table, which the report needs"


@posix
def test_ctrl_c_says_so_and_leaves_no_kernel(tmp_path, tiny_file):
    path = notebook(
        tmp_path / "long.ipynb", "import os, time\nprint('kernel', os.getpid(), flush=True)\ntime.sleep(600)"
    )
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from charlm.report import execute, make
        from charlm.report.__main__ import main
        execute.BUILD = Path({str(tmp_path / "build")!r})
        make.train_missing = lambda *arguments: []
        execute.jobs = lambda *arguments: [execute.Job(Path({str(path)!r}), {{}}, frozenset())]
        sys.exit(main(["--corpus", {str(tiny_file)!r}, "--out", {str(tmp_path / "out")!r}]))
    """)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start_in_a_terminal([sys.executable, "-c", script], **pipes)
    kernel = next(int(line.split()[1]) for line in process.stdout if line.startswith("kernel"))
    press_ctrl_c(process)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err == "charlm.report: interrupted; what is trained is kept\n"
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)
    assert list((tmp_path / "build").iterdir()) == []


def test_what_a_notebook_prints_writes_no_escape_sequence_to_a_terminal(capsys):
    VisibleOutput().write("passed over: a\x1b[2J\n50%\r100%\n")
    assert capsys.readouterr().out == "passed over: a⟨U+001B⟩[2J\n50%\r100%\n"


def test_what_a_lesson_prints_is_read_in_it_alone(tmp_path, capsys):
    path = notebook(tmp_path / "lesson.ipynb", "#lesson\nprint('one step')")
    executed = execute.execute_notebook(Job(path, {}, frozenset()), tmp_path)
    assert executed.cells[0].outputs[0].text == "one step\n"
    assert "one step" not in capsys.readouterr().out


def test_notebooks_executed_together_leave_the_process_in_its_folder(tmp_path, monkeypatch):
    here = Path.cwd()
    monkeypatch.chdir(here)  # which it is put back to, whatever is found
    jobs = [Job(tmp_path / f"{name}.ipynb", {}, frozenset()) for name in "ab"]

    def leave(job: Job) -> nbformat.NotebookNode:
        os.chdir(tmp_path)  # as papermill does, whose threads do not wait for each other
        return nbformat.v4.new_notebook()

    execute.execute_together(jobs, leave, lambda job: None)
    assert Path.cwd() == here
