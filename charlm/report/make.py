"""Making the report, from training what is missing to putting it in place."""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psutil
from nbformat import NotebookNode

from charlm.corpus import CORPORA, find_file, load_corpus
from charlm.protocol import Study
from charlm.records import counted
from charlm.report import execute
from charlm.report.arrange import arrange
from charlm.report.collect import as_json, check_results, collect_results
from charlm.report.execute import Job
from charlm.report.html import write_html
from charlm.report.pdf import make_pdf
from charlm.report.place import check_writable, place_report, report_folders
from charlm.report.play import add_play, check_embeddable, left_out, make_play
from charlm.runs.sweep import train_sweep
from charlm.studies import check_names, make_study
from charlm_core import CharlmError, Corpus

COUNTED = 200  # bytes of memory for each character of a text, while two notebooks count it


def build_report(
    plan: Sequence[Job],
    study: dict,
    subtitle: str,
    stage: Path,
    say: Callable[[str], None],
    corpus: Corpus,
    own_text: bool,
) -> dict:
    """Execute the notebooks, as many at a time as there are cores, and write report.html, report.pdf, results.json and
    figures/ into the stage folder. Models trained on the corpus go into the page, to be tried; and the text, where it is a
    known one or own_text asks for it.

    Returns what results.json holds. The last job comes after all others, and finds in stage/results.json what they
    showed.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of a kernel: the notebooks side by side use the cores already
    executed: list[tuple[Job, NotebookNode]] = []
    one = partial(execute.execute_notebook, stage=stage)
    for together in (plan[:-1], plan[-1:]):
        notebooks = execute.execute_together(together, one, lambda job: say(f"{job.name} is executed"))
        executed += zip(together, notebooks, strict=True)
        results = collect_results(executed, study, stage / "figures")
        (stage / "results.json").write_text(as_json(results), "utf-8", newline="\n")
    document = write_page(executed, results, subtitle, stage, corpus, own_text)
    make_pdf(document, stage, say)
    return results


def write_page(
    executed: Sequence[tuple[Job, NotebookNode]],
    results: dict,
    subtitle: str,
    stage: Path,
    corpus: Corpus,
    own_text: bool = False,
) -> dict:
    """Write report.html, with models to be tried in it where that can be, and what stands in their place into results.json
    and figures/. Returns the arranged document."""
    try:
        play = make_play(results, corpus, own_text=own_text)
    except CharlmError as why:
        document = arrange(executed, results, subtitle, left_out(why))
        write_html(document, stage)
        return document
    add_play(play, results, stage / "figures")
    check_results(results)
    (stage / "results.json").write_text(as_json(results), "utf-8", newline="\n")
    document = arrange(executed, results, subtitle, [play.samples, play.reading])
    write_html(document, stage, play.content)
    return document


def make_report(
    study: Study,
    out: Path | None,
    say: Callable[[str], None] = print,
    studies: Sequence[str] = (),
    own_text: bool = False,
) -> Path:
    """Train what the study and the long studies of these names need, make the report and put it in place. Returns the
    report's folder."""
    studies = check_names(studies)
    corpus = load_corpus(study.corpus)
    check_memory(corpus)
    if own_text:
        check_embeddable(corpus)
    out, figures = report_folders(study, corpus, out)
    check_writable(out)
    check_writable(figures)
    facts = dataclasses.asdict(study) | {"corpus": corpus.name, "corpus_sha256": corpus.sha256}
    subtitle = (
        f"{corpus.name} · {len(corpus.ids):,} characters · "
        f"main runs: {study.seeds} of each cell, at most {counted(study.epochs, 'epoch')}"
    )
    text = study.corpus if study.corpus in CORPORA else find_file(study.corpus).absolute()
    with tempfile.TemporaryDirectory(prefix="charlm-report-", ignore_cleanup_errors=True) as folder:
        stage = Path(folder)
        plan = execute.jobs(study, text, stage / "results.json")
        runs = train_sweep(study.configurations(), corpus, say=say)
        say(f"{corpus.name}: all {len(runs)} runs are trained")
        for name in studies:
            make_study(name, corpus, say)
        results = build_report(plan, facts, subtitle, stage, say, corpus, own_text)
        place_report(stage, results, out, figures)
    return out


def check_memory(corpus: Corpus) -> None:
    """What is counted after hours of training has to be countable."""
    needed, free = COUNTED * len(corpus.ids), psutil.virtual_memory().available
    if needed > free:
        raise CharlmError(
            f"{corpus.name}: to count its {len(corpus.ids):,} characters takes some {needed / 1e9:.1f} GB of memory, and "
            f"{free / 1e9:.1f} are free: give a shorter text, of {free // COUNTED:,} characters at most"
        )
