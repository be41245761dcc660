"""Which notebooks are executed, with which parameters, and what went wrong where one failed."""

import hashlib
import logging
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
import psutil
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from charlm.corpus import ROOT
from charlm.printable import visible
from charlm.protocol import Study
from charlm.runs.sweep import count_cores
from charlm_core import CharlmError, Config

NOTEBOOKS = ROOT / "notebooks"


class ReportError(Exception):
    """A notebook that failed or shows what the report cannot take: one line that says which, where and why."""


# ---------------------------------------------------------------------------------------------------------------------
# which notebooks, with which parameters


@dataclass(frozen=True)
class Job:
    """One execution of a notebook. A parameter that is a Path is shown in the report by its name alone."""

    notebook: Path
    parameters: dict

    @property
    def name(self) -> str:
        """The notebook as messages name it; with its cell type, because one notebook is executed for each."""
        cell = f" ({self.parameters['cell']})" if "cell" in self.parameters else ""
        return f"{self.notebook.parent.name}/{self.notebook.name}{cell}"


# Of the study, for the notebook that takes them all; its own defaults are quicker.
HYPER_PARAMETERS = ("hidden_size", "layers", "learning_rate", "batch_size", "chunk_length", "patience")


def jobs(study: Study, corpus: str | Path, results: Path) -> list[Job]:
    """The notebooks in the order in which the report shows them; but the last one, the summary, is shown first."""
    common = {"corpus": corpus, "seeds": study.seeds, "epochs": study.epochs}
    training = common | {name: getattr(Config, name) for name in HYPER_PARAMETERS}
    plan: list[tuple[str, dict]] = [
        *[("1_training", {"cell": cell, **training}) for cell in study.cells],
        ("2_loss_comparison", common),
        ("3_temperature_study", common),
        ("9_how_it_works", {"corpus": corpus}),
        ("4_what_the_loss_means", common),
        ("6_fair_comparison", {"corpus": corpus}),
        ("5_gradients", common),
        ("7_the_cure", {"corpus": corpus}),
    ]
    if corpus == Study.corpus:
        plan.append(("8_benchmark", {}))
    plan.append(("0_summary", {"results": results}))
    return [Job(NOTEBOOKS / f"{name}.ipynb", parameters) for name, parameters in plan]


# ---------------------------------------------------------------------------------------------------------------------
# execution


def execute_notebook(job: Job, stage: Path) -> NotebookNode:
    """The executed notebook. Raises ReportError (CharlmError, when that is what a cell raised) unless every cell ran to its end
    without an error, and the kernel lived."""
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what goes wrong is said here, once
    path = stage / f"executed-{hashlib.sha256(repr(job).encode()).hexdigest()[:8]}.ipynb"
    parameters = {name: str(value) if isinstance(value, Path) else value for name, value in job.parameters.items()}
    died = None
    try:
        papermill.execute_notebook(
            job.notebook,
            path,
            parameters,
            kernel_name="python3",
            cwd=job.notebook.parent,
            progress_bar=False,
            extra_arguments=["--log-level=50"],  # the kernel's own talk, not the notebook's
        )
    except Exception as error:  # a cell raised, or the kernel did not start, or died: the notebook tells which
        died = error
    finally:
        ensure_event_loop().close()  # that of this thread, which the client of the kernel leaves open
    if not path.exists():
        raise ReportError(f"{job.name}: did not start: {last_line(str(died))}")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [c for c in notebook.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])]
    failure = find_failure(job, notebook, died)
    if failure:
        raise failure
    return notebook


def find_failure(job: Job, notebook: NotebookNode, died: Exception | None) -> Exception | None:
    """What is wrong with a notebook as papermill saved it, or None."""
    where = f"{job.name}, before its first cell"
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip() or not cell.metadata.papermill["start_time"]:
            continue
        where = f"{job.name}, {_cell_name(notebook, i)}"
        for output in cell.outputs:
            if output.output_type == "error" and output.ename == "CharlmError":
                return CharlmError(f"{where}: {last_line(output.evalue)}")
            if output.output_type == "error":
                return ReportError(f"{where}: {output.ename}: {last_line(output.evalue)}".rstrip(": "))
    if isinstance(died, DeadKernelError):
        return ReportError(f"{where}: the kernel died: killed, out of memory, or ended by the cell")
    if died:
        return ReportError(f"{where}: {last_line(str(died))}")
    return None


def _cell_name(notebook: NotebookNode, index: int) -> str:
    """The cell by its place in the notebook as its author knows it, and its first line."""
    written = [c for c in notebook.cells[: index + 1] if "injected-parameters" not in c.metadata.get("tags", [])]
    first = next(line.strip() for line in notebook.cells[index].source.splitlines() if line.strip())
    return f"cell {len(written)} ({textwrap.shorten(first, 80, placeholder='…')})"


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return visible(lines[-1]) if lines else ""


# ---------------------------------------------------------------------------------------------------------------------
# many at once


def execute_together(
    jobs: Sequence[Job], execute: Callable[[Job], NotebookNode], done: Callable[[Job], None]
) -> list[NotebookNode]:
    """The executed notebooks, in the order of jobs. The last job, which takes longest, starts first; a job that fails is
    the last to start."""
    # papermill changes the folder of the whole process, and of several at once the last one may leave it in another.
    with chdir("."), ThreadPoolExecutor(count_cores()) as pool:
        running = {pool.submit(execute, job): job for job in reversed(jobs)}
        try:
            for future in as_completed(running):
                future.result()
                done(running[future])
        except BaseException as error:
            # Ctrl-C reaches this thread alone: without their kernels, the others end too.
            if isinstance(error, KeyboardInterrupt):
                for kernel in psutil.Process().children():
                    kernel.kill()
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in reversed(running)]
