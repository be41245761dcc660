"""Notebooks that fail, and what is said of them."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_core.utils import ensure_event_loop
from posix_only import posix, press_ctrl_c, start_in_a_terminal
from small_notebooks import notebook

import charlm.report.make
from charlm.report import execute
from charlm.report.__main__ import main
from charlm.report.execute import Job
from charlm.report.place import DOCUMENTS


@pytest.fixture
def elsewhere(tmp_path):
    """An earlier report that no failure may touch."""
    out = tmp_path / "out"
    out.mkdir()
    for name in DOCUMENTS:
        (out / name).write_text("earlier")
    return out


def run_with(monkeypatch, job, tiny_file, out):
    """The command's exit code when its plan is this one job, and nothing is trained."""
    monkeypatch.setattr(charlm.report.make, "train_sweep", lambda *arguments, **options: [])
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
    ],
)
def test_a_cell_that_fails_is_named_in_one_line(source, code, message, elsewhere, tiny_file, monkeypatch, capfd):
    path = notebook(elsewhere.parent / "failing.ipynb", "md:# T", "#parameters\nx: int = 1  # help", source)
    job = Job(path, {"x": 2})
    assert run_with(monkeypatch, job, tiny_file, elsewhere) == code
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"charlm.report: {path.parent.name}/failing.ipynb, cell 3")
    assert message in line
    assert {(elsewhere / name).read_text() for name in DOCUMENTS} == {"earlier"}


@posix
def test_ctrl_c_says_so_and_leaves_no_kernel(tmp_path, tiny_file):
    begin = "import os, time\nopen('half', 'w').write(str(os.getpid()))\nos.rename('half', 'kernel')\ntime.sleep(600)"
    path = notebook(tmp_path / "long.ipynb", begin)
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from charlm.report import execute, make
        from charlm.report.__main__ import main
        make.train_sweep = lambda *arguments, **options: []
        execute.jobs = lambda *arguments: [execute.Job(Path({str(path)!r}), {{}})]
        sys.exit(main(["--corpus", {str(tiny_file)!r}, "--out", {str(tmp_path / "out")!r}]))
    """)
    process = start_in_a_terminal([sys.executable, "-c", script], stderr=subprocess.PIPE)
    while not (tmp_path / "kernel").exists():
        assert process.poll() is None
        time.sleep(0.05)
    press_ctrl_c(process)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "charlm.report: interrupted; what is trained is kept\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "kernel").read_text()), 0)
    assert not (tmp_path / "out").exists()


def test_notebooks_executed_together_leave_the_process_in_its_folder(tmp_path, monkeypatch):
    here = Path.cwd()
    monkeypatch.chdir(here)  # which it is put back to, whatever is found
    jobs = [Job(tmp_path / f"{name}.ipynb", {}) for name in "ab"]

    def leave(job: Job) -> nbformat.NotebookNode:
        os.chdir(tmp_path)  # as papermill does, whose threads do not wait for each other
        return nbformat.v4.new_notebook()

    execute.execute_together(jobs, leave, lambda job: None)
    assert Path.cwd() == here


def test_a_notebook_leaves_no_event_loop_open(tmp_path, monkeypatch):
    loops = []

    def run(notebook, path, *arguments, **options):
        loops.append(ensure_event_loop())
        nbformat.write(nbformat.v4.new_notebook(), path)

    monkeypatch.setattr(execute.papermill, "execute_notebook", run)
    job = Job(tmp_path / "a.ipynb", {})
    execute.execute_together([job], lambda job: execute.execute_notebook(job, tmp_path), lambda job: None)
    assert [loop.is_closed() for loop in loops] == [True]
