"""The report: the notebooks, executed, as one HTML file and one PDF with the same content.

    train what is missing → papermill executes each notebook → what the cells showed is collected into results.json
    → nbconvert writes one Markdown document → pandoc makes it HTML, and typst markup that becomes the PDF

Everything is made in build/ and put in place as one set at the end. When a cell fails there is no report but one line
that names it, and the earlier report stays as it was.

What a notebook shows comes from charlm_show; its first heading is the title of its section, that of the summary the
title of the report. Of the cells' tags, `hide` leaves a cell out of the report, and `once` leaves it out where the
notebook is executed again. A link such as [Figure](#fig-loss) reads "Figure 3" in the report.
"""

import argparse
import base64
import dataclasses
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EISDIR
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jsonschema
import nbformat
import pandas as pd
import papermill
import psutil
import pypandoc
import typst
from filelock import FileLock
from matplotlib import ft2font, get_data_path
from matplotlib.font_manager import findSystemFonts
from nbclient.exceptions import DeadKernelError
from nbconvert.exporters import MarkdownExporter
from nbformat import NotebookNode
from traitlets.config import Config

import charlm_runs
import charlm_studies
from charlm_corpus import CORPORA, ROOT, CharlmError, Corpus, load, print_utf8, replacing
from charlm_show import Table, boxed, escape_markdown, fenced, inline, visible
from charlm_study import Study

BUILD = ROOT / "build"
NOTEBOOKS = ROOT / "notebooks"
TEMPLATES = ROOT / "report" / "templates"
SCHEMA = ROOT / "report" / "results.schema.json"
DOCUMENTS = ("report.html", "report.pdf", "results.json")

# CommonMark as JupyterLab reads it, and the fenced divs that charlm_show writes
READER = (
    "commonmark+pipe_tables+strikeout+tex_math_dollars+autolink_bare_uris+smart+footnotes"
    "+gfm_auto_identifiers+fenced_divs"
)


class ReportError(Exception):
    """A notebook that failed or shows what the report cannot take: one line that says which, where and why."""


# ---------------------------------------------------------------------------------------------------------------------
# which notebooks, with which parameters


@dataclass(frozen=True)
class Job:
    """One execution of a notebook. A parameter that is a Path is shown in the report by its name alone."""

    notebook: Path
    parameters: dict
    shows: frozenset[str]  # kinds of things that it must show

    @property
    def name(self) -> str:
        """The notebook as messages name it; with its cell type, because one notebook is executed for each."""
        cell = f" ({self.parameters['cell']})" if "cell" in self.parameters else ""
        return f"{self.notebook.parent.name}/{self.notebook.name}{cell}"


def jobs(study: Study, corpus: str | Path, results: Path) -> list[Job]:
    """The notebooks in the order in which they are executed. The last one, the summary, is shown first."""
    common = {"corpus": corpus, "seeds": study.seeds, "epochs": study.epochs}
    plan = [
        ("1_training", {"cell": "rnn", **common}, {"figure", "table", "results"}),
        ("1_training", {"cell": "lstm", **common}, {"figure", "table", "results"}),
        ("2_loss_comparison", common, {"figure", "table", "finding"}),
        ("3_temperature_study", common, {"figure", "table", "samples"}),
        ("4_what_the_loss_means", common, {"figure", "table", "finding"}),
        ("5_gradients", common, {"figure", "table", "finding"}),
        ("6_fair_comparison", {"corpus": corpus}, {"finding"}),
        ("0_summary", {"results": results}, {"finding", "table"}),
    ]
    return [Job(NOTEBOOKS / f"{name}.ipynb", parameters, frozenset(shows)) for name, parameters, shows in plan]


def check_parameters(job: Job) -> None:
    """papermill only warns of a parameter that the notebook does not have, and goes on with its default; and it finds out
    when it is too late that no notebook can hold a path that is not UTF-8."""
    known = papermill.inspect_notebook(str(job.notebook))
    for name, value in job.parameters.items():
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise CharlmError(f"{str(value)!r} is not UTF-8: rename the file or its folder") from None
        if name not in known:
            raise ReportError(
                f"{job.name}: no parameter {name!r}; its parameters cell has {', '.join(known) or 'none'}"
            )


# ---------------------------------------------------------------------------------------------------------------------
# execution


def execute(job: Job, stage: Path) -> NotebookNode:
    """The executed notebook. Its standard output goes to ours while it runs.

    Raises ReportError (CharlmError, when that is what the cell raised) and leaves the notebook as far as it came in
    build/, with a banner, unless every code cell ran to its end, in order and without an error, and the kernel lived.
    """
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what goes wrong is said here, once
    path = stage / f"executed-{hashlib.sha256(repr(job).encode()).hexdigest()[:8]}.ipynb"
    died = None
    try:
        papermill.execute_notebook(
            job.notebook,
            path,
            {k: str(v) if isinstance(v, Path) else v for k, v in job.parameters.items()},
            kernel_name="python3",
            cwd=job.notebook.parent,
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stdout,  # the terminal's standard error is for the one line that says what failed
            extra_arguments=["--log-level=50"],  # the kernel's own talk, not the notebook's
        )
    except Exception as error:  # a cell raised, or the kernel did not start, or died: the notebook tells which
        died = error
    if not path.exists():
        raise ReportError(f"{job.name}: did not start: {_last_line(str(died))}")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [c for c in notebook.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])]
    failure = find_failure(job, notebook, died)
    if failure:
        banner = f"**This notebook is partial: it stopped before its end.** {escape_markdown(str(failure))}"
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(banner, id="partial"))
        with replacing(BUILD / f"partial-{job.notebook.name}") as half:
            nbformat.write(notebook, half)
        raise failure
    return notebook


def find_failure(job: Job, notebook: NotebookNode, died: Exception | None) -> Exception | None:
    """What is wrong with a notebook as papermill saved it, or None. Its own word "completed" means nothing."""
    code = [(i, c) for i, c in enumerate(notebook.cells) if c.cell_type == "code" and c.source.strip()]
    for i, cell in code:
        for output in cell.outputs:
            if output.output_type == "error":
                where = f"{job.name}, {_cell_name(notebook, i)}"
                if output.ename == "CharlmError":
                    return CharlmError(f"{where}: {_last_line(output.evalue)}")
                if output.ename == "SystemExit":
                    return ReportError(f"{where}: SystemExit: {output.evalue}: the cell ended the notebook early")
                return ReportError(f"{where}: {output.ename}: {_last_line(output.evalue)}".rstrip(": "))
    started = [i for i, c in code if c.metadata.papermill.get("start_time")]
    if died:
        where = _cell_name(notebook, started[-1]) if started else "before its first cell"
        dead = isinstance(died, DeadKernelError)
        why = "the kernel died: killed, out of memory, or ended by the cell" if dead else _last_line(str(died))
        return ReportError(f"{job.name}, {where}: {why}")
    for n, (i, cell) in enumerate(code, 1):
        if cell.execution_count != n:
            return ReportError(f"{job.name}, {_cell_name(notebook, i)}: was not executed in its turn")
    missing = job.shows - {shown["kind"] for _, shown in shown_things(notebook)}
    if missing:
        return ReportError(f"{job.name}: shows no {' and no '.join(sorted(missing))}, which the report needs")
    return None


def _cell_name(notebook: NotebookNode, index: int) -> str:
    """The cell by its place in the notebook as its author knows it, and its first line."""
    written = [c for c in notebook.cells[: index + 1] if "injected-parameters" not in c.metadata.get("tags", [])]
    first = next(line.strip() for line in notebook.cells[index].source.splitlines() if line.strip())
    return f"cell {len(written)} ({textwrap.shorten(first, 80, placeholder='…')})"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return visible(lines[-1]) if lines else ""


# ---------------------------------------------------------------------------------------------------------------------
# what the cells showed


def shown_things(notebook: NotebookNode) -> list[tuple[NotebookNode, dict]]:
    """Pairs of an output and its charlm metadata, in the order of the notebook."""
    outputs = (o for c in notebook.cells if c.cell_type == "code" for o in c.outputs)
    return [(o, dict(o.metadata["charlm"])) for o in outputs if "charlm" in o.get("metadata", {})]


def collect(executed: Sequence[tuple[Job, NotebookNode]], study: dict, figures: Path) -> dict:
    """The content of results.json, and the figures' files. Raises ReportError when two notebooks show one id or key,
    or when the whole does not follow the schema.
    """
    results: dict = {"schema": 1, "study": study, "runs": []}
    results |= {"tables": {}, "figures": {}, "findings": {}, "samples": {}, "provenance": {}}
    origin: dict[str, str] = dict.fromkeys(results.keys() - {"runs"}, "charlm_report")

    def claim(what: str, name: str) -> None:
        if what in origin:
            raise ReportError(f"{what} comes from {origin[what]} and again from {name}: each is shown once")
        origin[what] = name

    for job, notebook in executed:
        for output, shown in shown_things(notebook):
            kind, id = shown.pop("kind"), shown.pop("id", "")
            if kind == "results":
                for run in shown["data"].get("runs", []):
                    claim(f"run {run.get('run_id')}", job.name)
                    results["runs"].append(run)
                for key, value in shown["data"].items():
                    if key != "runs":
                        claim(key, job.name)
                        results[key] = value
                continue
            claim(f"{kind} {id}", job.name)
            if kind == "finding":
                results["findings"][id] = shown
            elif kind == "table":
                results["tables"][id] = shown["rows"]
            elif kind == "samples":
                results["samples"][id] = shown["items"]
            else:
                results["figures"][id] = shown
                figures.mkdir(exist_ok=True)
                (figures / f"{id}.svg").write_text(output.data["image/svg+xml"], "utf-8", newline="\n")
                (figures / f"{id}.png").write_bytes(base64.b64decode(output.data["image/png"]))
    results["provenance"] = provenance(results["runs"])
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    error = jsonschema.exceptions.best_match(validator.iter_errors(json.loads(as_json(results))))
    if error:
        raise ReportError(f"results.json breaks {SCHEMA.name} at {error.json_path}: {_last_line(error.message)}")
    return results


def as_json(results: dict) -> str:
    return json.dumps(results, indent=1, allow_nan=False) + "\n"


def provenance(runs: list[dict]) -> dict:
    """What the numbers came from, without names of host, user or folders, and without the time of the rendering."""
    lock = ROOT / "requirements.lock"

    def each(key: str) -> list:
        return sorted({r[key] for r in runs if key in r})

    return {
        "machine": charlm_runs.machine(),
        "numpy": version("numpy"),
        "lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None,
        "training_code": each("code"),
        "precision": each("precision"),
        "device": each("device"),
        "threads": each("threads"),
        "training_cpu": sorted({r["machine"]["cpu"] for r in runs if "machine" in r}),
    }


# ---------------------------------------------------------------------------------------------------------------------
# one document


def document(executed: Sequence[tuple[Job, NotebookNode]], results: dict) -> str:
    """The Markdown of the report: the last notebook, then the others, then the provenance."""
    seen: set[Path] = set()
    parts = []
    for job, notebook in [executed[-1], *executed[:-1]]:
        hidden = {"hide", "once"} if job.notebook in seen else {"hide"}
        seen.add(job.notebook)
        parts.append(as_markdown(notebook, job.parameters, hidden))
    about = results["provenance"]
    machine = about["machine"]
    facts = {
        "Software": f"Python {machine['python']}, torch {machine['torch']}, NumPy {about['numpy']}",
        "Rendered on": machine["cpu"],
        "Trained on": ", ".join(about["training_cpu"]),
        "Training time": f"{sum(r['seconds'] for r in results['runs']) / 3600:.1f} hours, all runs added up",
        "Device, precision": ", ".join(map(str, about["device"] + about["precision"])),
        "Threads a run": ", ".join(map(str, about["threads"])),
        "Training code, sha256": ", ".join(f"{code[:16]}…" for code in about["training_code"]),
        "Lock file, sha256": f"{about['lock_sha256'][:16]}…" if about["lock_sha256"] else None,
    }
    frame = pd.DataFrame({"what": facts.keys(), "value": facts.values()})
    table = Table("provenance", frame, "What this report was made with. Every number in it is in `results.json`.")
    parts.append(f"# Provenance\n\n{table._repr_mimebundle_()[0]['text/markdown']}")
    parts.append(
        boxed(".pdf", "The code behind each result is in the HTML edition of this report, and in the notebooks.")
    )
    return "\n\n".join(parts)


def as_markdown(notebook: NotebookNode, parameters: dict, hidden: set[str]) -> str:
    """An executed notebook as Markdown, without the cells that have one of the hidden tags."""
    notebook = nbformat.from_dict(notebook)
    notebook.cells = [c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            shown = {k: v.name if isinstance(v, Path) else v for k, v in parameters.items()}
            cell.source += "\n\n# in this report\n" + "\n".join(f"{k} = {v!r}" for k, v in shown.items())
    settings = Config()
    settings.TagRemovePreprocessor.enabled = True
    settings.TagRemovePreprocessor.remove_cell_tags = hidden
    settings.ExtractOutputPreprocessor.enabled = False
    exporter = MarkdownExporter(config=settings, template_name="notebook", extra_template_basedirs=[str(TEMPLATES)])
    exporter.register_filter("folded", folded)
    exporter.register_filter("shown", shown_output)
    return exporter.from_notebook_node(notebook)[0] + boxed(".code .end", "")


def folded(cell: NotebookNode) -> str:
    """A code cell and what it wrote to standard output, for the filter to fold away after what the cell showed."""
    if not cell.source.strip():
        return ""
    # The kernel cuts a stream where it pleases: joined, it is the same every time.
    log = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
    log = visible(re.sub(r"[^\n]*\r(?!\n)", "", log.replace("\r\n", "\n"))).rstrip("\n")
    code = fenced(cell.source, "python") + (f"\n{fenced(log)}" if log else "")
    return boxed(".code .end" if any(map(shown_output, cell.outputs)) else ".code", code)


def shown_output(output: NotebookNode) -> str:
    """An output of a cell: its Markdown where it has some, else its plain text. Results and streams show nothing."""
    if output.output_type == "stream" or output.metadata.get("charlm", {}).get("kind") == "results":
        return ""
    if "text/markdown" in output.data:
        return output.data["text/markdown"]
    return fenced(visible(output.data.get("text/plain", "")))


# ---------------------------------------------------------------------------------------------------------------------
# HTML and PDF


def pandoc(markdown: str, to: str, template: str, subtitle: str, *options: str) -> str:
    """The document in another format. Raises ReportError with the first line of what pandoc or the filter says."""
    command = [pypandoc.get_pandoc_path(), "--from", READER, "--to", to, "--standalone", "--fail-if-warnings"]
    command += ["--template", TEMPLATES / template, "--lua-filter", TEMPLATES / "report.lua"]
    command += ["--metadata", f"subtitle={subtitle}", "--wrap", "none", "--eol", "lf", *options]
    done = subprocess.run(command, input=markdown.encode(), capture_output=True)
    if done.returncode:
        said = [
            line for line in done.stderr.decode(errors="replace").splitlines() if not line.startswith("Error running")
        ]
        raise ReportError(f"the report as {to}: {said[0] if said else 'pandoc failed'}")
    return done.stdout.decode()


def make_html(markdown: str, subtitle: str, folder: Path) -> None:
    page = pandoc(markdown, "html5", "report.html", subtitle, "--mathml", "--toc", "--toc-depth", "3")

    def embed(match: re.Match) -> str:
        svg = base64.b64encode((folder / match[1]).read_bytes()).decode()
        return f'<img src="data:image/svg+xml;base64,{svg}"'

    # No text can hold a tag: pandoc writes each < of it as an entity.
    page = re.sub(r'<img src="(figures/[a-z0-9-]+\.svg)"', embed, page)
    (folder / "report.html").write_text(page, "utf-8", newline="\n")


def make_pdf(markdown: str, subtitle: str, folder: Path, say: Callable[[str], None]) -> None:
    source = folder / "report.typ"
    source.write_text(pandoc(markdown, "typst", "report.typ", subtitle), "utf-8", newline="\n")
    fonts = folder / "fonts"
    fonts.mkdir(exist_ok=True)
    # Not matplotlib's folder itself: its last-resort font draws a box for every character there is.
    own = sorted(Path(get_data_path(), "fonts", "ttf").glob("DejaVuSans*.ttf"))
    for path in own:
        shutil.copy(path, fonts)
    # Fonts of the system only where they are needed, so that the same report has the same bytes on other machines.
    rare = _uncovered({c for c in source.read_text("utf-8") if not c.isspace()}, own)
    missing = _uncovered(rare, findSystemFonts()) if rare else set()
    if missing:
        names = ", ".join(f"U+{ord(c):04X}" for c in sorted(missing))
        say(f"report.pdf shows a box for {names}: no font on this machine has it (the HTML edition uses the reader's)")
    try:
        typst.compile(
            source, folder / "report.pdf", root=folder, font_paths=[fonts], ignore_system_fonts=not rare - missing
        )
    except typst.TypstError as error:
        raise ReportError(f"the report as PDF: {error.message}") from error


def _uncovered(characters: set[str], fonts: Sequence[str | Path]) -> set[str]:
    """The characters that none of the fonts has a glyph for."""
    left = set(map(ord, characters))
    for path in fonts:
        if not left:
            break
        try:
            left -= ft2font.FT2Font(path).get_charmap().keys()
        except RuntimeError:  # a bitmap font, or a file that is none
            continue
    return set(map(chr, left))


# ---------------------------------------------------------------------------------------------------------------------
# putting it in place


HALF = ".charlm-report-"  # begins the name of a folder that is there for a moment, beside what is put in place


def check_writable(folder: Path, files: Sequence[str] = ()) -> None:
    """Write where the folder is or will be made, and leave nothing there. Raises CharlmError where that fails, or where
    one of the files that are to be put into it is a folder."""
    for path in (folder / name for name in files):
        if os.path.isdir(path):
            raise CharlmError(
                f"{path} is a folder, and the report needs its name: move it, or give another OUT (--out)"
            )
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=HALF) as probe:
            # Not the folder itself, which another report may be about to use, but one of the same name.
            inside = Path(probe, folder.relative_to(there))
            inside.mkdir(parents=True, exist_ok=True)
            (inside / "probe").write_bytes(b"probe")
    except OSError as error:
        raise CharlmError(
            f"cannot write to {folder}: {error.strerror}: make it writable, or give another OUT (--out)"
        ) from error


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let one process at a time put a report into a folder and its figures beside it, whatever checkout it is of.

    The lock file is in that folder while it is held. Who waited for one that is gone by then takes the new one: filelock
    looks whether what it locked still has its name.
    """
    path = folder / ".charlm-report.lock"
    with FileLock(path):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows lets nobody remove a file that is open; there filelock does it afterwards
                path.unlink()


def place(files: dict[Path, Path], stale: Callable[[], Iterable[Path]] = tuple) -> None:
    """Put files (target: source) in place as one set, and take away the files that stale() names. Whoever else puts files
    into the folder of the first target waits, and asks stale() afterwards.

    On any failure, Ctrl-C included, all targets are as they were before. Where that cannot be, CharlmError says which
    folder has them.
    """
    for target in files:
        target.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(next(iter(files)).parent):
        gone = [path for path in stale() if path.is_file()]
        halves: dict[Path, Path] = {}  # beside the targets, so that what counts is no more than changes of names
        moved: list[Path] = []

        def half(word: str, target: Path) -> Path:
            return halves[target.parent] / f"{word}-{target.name}"

        try:
            for target in (*files, *gone):
                if target.is_dir():
                    raise IsADirectoryError(EISDIR, f"{target.name} is a folder")
                if target.parent not in halves:
                    halves[target.parent] = Path(tempfile.mkdtemp(dir=target.parent, prefix=HALF))
            for target, source in files.items():  # what can run out of room comes first, while nothing has moved
                shutil.copyfile(source, half("new", target))
            for target in (*files, *gone):
                moved.append(target)
                if target.exists():
                    os.replace(target, half("old", target))
                if target in files:
                    os.replace(half("new", target), target)
        except BaseException as error:
            stuck = []
            for target in moved:
                try:
                    if half("old", target).exists():
                        os.replace(half("old", target), target)
                    elif target in files and not half("new", target).exists():
                        target.unlink(missing_ok=True)  # it was not there before
                except OSError:
                    stuck.append(target)
            if stuck:
                kept = " and ".join(str(folder) for folder in halves.values())
                raise CharlmError(
                    f"cannot write to {stuck[0]}, nor put back what was there: its files are in {kept}"
                ) from error
            _remove(halves)
            raise
        _remove(halves)


def _remove(halves: dict[Path, Path]) -> None:
    for folder in halves.values():
        shutil.rmtree(folder, ignore_errors=True)


def place_report(stage: Path, results: dict, out: Path, figures: Path) -> None:
    """Put the staged report into its folders, in place of the one that is there, with its figures."""

    def drawings(ids: Iterable[str]) -> list[Path]:
        return [figures / f"{id}.{kind}" for id in ids for kind in ("svg", "png")]

    def stale() -> list[Path]:
        try:
            before = json.loads((out / "results.json").read_text("utf-8"))["figures"]
            return drawings(id for id in before if id not in results["figures"] and re.fullmatch("[a-z0-9-]+", id))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):  # none there, or none of ours
            return []

    files = {out / name: stage / name for name in DOCUMENTS}
    files |= {path: stage / "figures" / path.name for path in drawings(results["figures"])}
    try:
        place(files, stale)
    except OSError as error:
        raise CharlmError(
            f"cannot write to {out}: {error.strerror or error}: what was there is as it was, and what is trained is kept"
        ) from error


# ---------------------------------------------------------------------------------------------------------------------
# the command


def _side_by_side(
    jobs: Sequence[Job], execute: Callable[[Job], NotebookNode], done: Callable[[Job], None]
) -> list[NotebookNode]:
    """The executed notebooks, in the order of jobs. The last job, which takes longest, starts first; a job that fails is
    the last to start."""
    with ThreadPoolExecutor(charlm_runs.count_cores()) as pool:
        running = {pool.submit(execute, job): job for job in reversed(jobs)}
        try:
            for future in as_completed(running):
                future.result()
                done(running[future])
        except KeyboardInterrupt:  # it reaches this thread alone: without their kernels, the others end too
            for kernel in psutil.Process().children():
                kernel.kill()
            pool.shutdown(cancel_futures=True)
            for job in jobs:
                (BUILD / f"partial-{job.notebook.name}").unlink(missing_ok=True)
            raise
        except Exception:
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in reversed(running)]


def build(plan: Sequence[Job], study: dict, subtitle: str, stage: Path, say: Callable[[str], None] = print) -> dict:
    """Execute the notebooks, as many at a time as there are cores, and write report.html, report.pdf, results.json,
    figures/ and timings.json (seconds, which no report holds) into the stage folder.

    Returns what results.json holds. The last job comes after all others, and finds in stage/results.json what they
    showed.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of a kernel: the notebooks side by side use the cores already
    executed: list[tuple[Job, NotebookNode]] = []
    seconds: dict[str, float] = {}

    def timed(what: str, start: float) -> None:
        seconds[what] = round(time.perf_counter() - start, 2)

    def one(job: Job) -> NotebookNode:
        start = time.perf_counter()
        notebook = execute(job, stage)
        timed(job.name, start)
        return notebook

    for together in (plan[:-1], plan[-1:]):
        executed += zip(together, _side_by_side(together, one, lambda job: say(f"{job.name} is executed")), strict=True)
        results = collect(executed, study, stage / "figures")
        (stage / "results.json").write_text(as_json(results), "utf-8", newline="\n")
    markdown = document(executed, results)
    start = time.perf_counter()
    make_html(markdown, subtitle, stage)
    timed("report.html", start)
    start = time.perf_counter()
    make_pdf(markdown, subtitle, stage, say)
    timed("report.pdf", start)
    (stage / "timings.json").write_text(as_json(seconds), "utf-8", newline="\n")
    return results


def folders(study: Study, corpus: Corpus, out: Path | None) -> tuple[Path, Path]:
    """Where the report and its figures go: report/ and figures/ are for the unchanged study, and for nothing else."""
    official = ROOT / "report"
    if out is None:
        name = corpus.name
        if study.corpus not in CORPORA:
            name = f"{re.sub('[^A-Za-z0-9]+', '-', name)[:50]}-{corpus.sha256[:6]}"
        numbers = (f"{k.replace('_', '-')}-{v}" for k, v in vars(study).items() if k != "corpus")
        out = official if study == Study() else BUILD / "-".join(["report", name, *numbers])
    try:
        is_official = out.resolve() == official
        figures = ROOT / "figures" if is_official else out / "figures"
        theirs = is_official or figures.resolve() == ROOT / "figures"
    except (OSError, RuntimeError) as error:  # Python 3.11 and 3.12 raise the latter for links that lead to each other
        raise CharlmError(f"{out} leads nowhere: give a folder for the report") from error
    if theirs and not (is_official and study == Study()):
        raise CharlmError("report/ and figures/ are for the unchanged study: choose another folder for this one")
    if os.path.exists(out) and not os.path.isdir(out):
        raise CharlmError(f"{out} is a file: give a folder for the report")
    return out, figures


def make_report(
    study: Study, out: Path | None, say: Callable[[str], None] = print, studies: Sequence[str] = ()
) -> Path:
    """Train what the study and the long studies of these names need, make the report and put it in place. Returns the
    report's folder."""
    studies = charlm_studies.check_names(studies)
    corpus = load(study.corpus)
    out, figures = folders(study, corpus, out)
    check_writable(out, DOCUMENTS)
    check_writable(figures)
    facts = dataclasses.asdict(study) | {"corpus": corpus.name, "corpus_sha256": corpus.sha256}
    subtitle = (
        f"{corpus.name} · {len(corpus.ids):,} characters · "
        f"{study.seeds} {'seed' if study.seeds == 1 else 'seeds'} a model · at most {study.epochs} epochs"
    )
    given = study.corpus if study.corpus in CORPORA else Path(study.corpus).resolve()
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="stage-") as folder:
        stage = Path(folder)
        plan = jobs(study, given, stage / "results.json")
        for job in plan:
            check_parameters(job)  # before hours of training
        runs = train(study, corpus, say)
        for name in studies:
            charlm_studies.make(name, corpus, say)
        results = build(plan, facts, subtitle, stage, say)
        absent = {r["run_id"] for r in runs} - {r["run_id"] for r in results["runs"]}
        if absent:
            raise ReportError(f"no notebook shows the runs {', '.join(sorted(absent))}")
        place_report(stage, results, out, figures)
        os.replace(stage / "timings.json", BUILD / "timings.json")
    return out


def train(study: Study, corpus: Corpus, say: Callable[[str], None]) -> list[dict]:
    """Train what is missing: the runs that the notebooks are to find."""
    records = charlm_runs.sweep(study.configurations(), corpus, say=say)
    say(f"{corpus.name}: all {len(records)} runs are trained")
    return records


def parser() -> argparse.ArgumentParser:
    def count(text: str) -> int:
        if not text.isdecimal() or not int(text):
            raise argparse.ArgumentTypeError(f"{text!r}: give a whole number of at least 1")
        return int(text)

    full = Study()
    it = argparse.ArgumentParser(
        prog="python -m charlm_report",
        description="Train what is missing, execute the notebooks, and write report.html, report.pdf and results.json. "
        "Without options it makes the whole study, in report/. A study with other options goes to a folder of its own "
        "in build/.",
    )
    it.add_argument("--seeds", type=count, metavar="N", help=f"runs for each model, one a seed ({full.seeds})")
    it.add_argument("--epochs", type=count, metavar="N", help=f"epochs of training, at most ({full.epochs})")
    it.add_argument("--corpus", metavar="TEXT", help=f"a known corpus, or a UTF-8 text file ({full.corpus})")
    it.add_argument("--out", type=Path, metavar="FOLDER", help="folder for the report and its figures")
    it.add_argument(
        "--studies", type=str.split, default=[], metavar="NAMES", help="make long studies again: names, or all (hours)"
    )
    it.add_argument("--quick", action="store_true", help="a small study, to try it: about a minute")
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    print_utf8()
    given = parser().parse_args(arguments)
    base = Study.quick() if given.quick else Study()
    changed = {k: v for k in ("seeds", "epochs", "corpus") if (v := getattr(given, k)) is not None}
    try:
        out = make_report(dataclasses.replace(base, **changed), given.out, partial(print, flush=True), given.studies)
    except (CharlmError, ReportError) as error:
        print(f"charlm_report: {inline(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, CharlmError) else 1
    except OSError as error:
        print(f"charlm_report: {inline(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("charlm_report: interrupted; what is trained is kept", file=sys.stderr)
        return 130
    print(f"{inline(str(out / 'report.html'))} and report.pdf are there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
