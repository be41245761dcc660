"""Where a report goes, and putting it there as one set."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from charlm.claims import LARGEST_RESULTS
from charlm.corpus import CORPORA, ROOT
from charlm.files import read_bytes, sound
from charlm.protocol import Study
from charlm_core import CharlmError, Corpus

BUILD = ROOT / "build"
DOCUMENTS = ("report.html", "report.pdf", "results.json")


def report_folders(study: Study, corpus: Corpus, out: Path | None) -> tuple[Path, Path]:
    """Where the report and its figures go: to build/ where nothing else is asked for, so that what is committed stays; report/
    and figures/ are for the unchanged study, and for nothing else."""
    if out is None:
        name = corpus.name
        if study.corpus not in CORPORA:
            name = f"{re.sub('[^A-Za-z0-9]+', '-', name)[:50]}-{corpus.sha256[:6]}"
        other = f"report-{name}-seeds-{study.seeds}-epochs-{study.epochs}"
        out = BUILD / ("report" if study == Study() else other)
    is_official = os.path.realpath(out) == str(ROOT / "report")
    figures = ROOT / "figures" if is_official else out / "figures"
    theirs = os.path.realpath(figures) == str(ROOT / "figures")
    if theirs and not (is_official and study == Study()):
        raise CharlmError("report/ and figures/ are for the unchanged study: choose another folder for this one")
    return out, figures


def check_writable(folder: Path) -> None:
    """Write where the folder is or will be made, and leave nothing there. Raises CharlmError where that fails."""
    there = folder
    while not os.path.lexists(there):
        there = there.parent
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".charlm-probe-") as probe:
            # Not the folder itself, but one of the same name.
            Path(probe, folder.relative_to(there)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CharlmError(
            f"cannot write to {folder}: {error.strerror}: make it writable, or give another OUT (--out)"
        ) from error


def place_report(stage: Path, results: dict, out: Path, figures: Path) -> None:
    """Put the staged report into its folders, in place of the one that is there, with its figures. On any failure, Ctrl-C
    included, what was there is as it was."""

    def drawings(ids: Iterable[str]) -> list[Path]:
        return [figures / f"{id}.{kind}" for id in ids for kind in ("svg", "png", "csv")]

    new = {out / name: stage / name for name in DOCUMENTS}
    new |= {path: stage / "figures" / path.name for path in drawings(results["figures"])}
    try:
        for folder in (out, figures):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".charlm-lock") as lock:  # of two reports for one folder, one waits for the other
            try:
                half = out / ".charlm-half"
                for old in half.glob("old-*"):  # of a process that was killed here, or could not put it back
                    name = old.name.removeprefix("old-")
                    path = (out if name in DOCUMENTS else figures) / name
                    if not path.exists():
                        os.replace(old, path)
                stale = drawings(_figures_of(out) - results["figures"].keys())
                _swap(new, stale, half)
            finally:
                with suppress(PermissionError):  # Windows deletes it itself when the lock is let go
                    os.unlink(lock.lock_file)
    except OSError as error:
        raise CharlmError(
            f"cannot write to {out}: {error.strerror or error}: what was there is as it was, and what is trained is kept"
        ) from error


def _figures_of(out: Path) -> set[str]:
    """Ids of the figures of the report that is there; none where there is none, or none of ours."""
    ids: set[str] = set()
    with suppress(CharlmError), sound(out / "results.json", ""):
        ids.update(json.loads(read_bytes(out / "results.json", LARGEST_RESULTS))["figures"])
    return {id for id in ids if re.fullmatch("[A-Za-z0-9_-]+", id)}


def _swap(new: dict[Path, Path], stale: list[Path], half: Path) -> None:
    """Put files (target: source) in place, and take the stale ones away, by way of a folder beside them."""
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    moves: list[tuple[Path, Path]] = []
    try:
        for target, source in new.items():  # what can run out of room comes first, while nothing has moved
            shutil.copyfile(source, half / f"new-{target.name}")
        moves += [(path, half / f"old-{path.name}") for path in (*new, *stale) if path.is_file()]
        moves += [(half / f"new-{path.name}", path) for path in new]
        for before, after in moves:
            os.replace(before, after)
    except BaseException:
        try:
            for before, after in reversed(moves):
                if not before.exists():
                    os.replace(after, before)
        except OSError as error:
            raise CharlmError(
                f"cannot put back what was in {half.parent}: {error.strerror}: what is missing there is in {half}: move it back"
            ) from error
        shutil.rmtree(half, ignore_errors=True)
        raise
    shutil.rmtree(half, ignore_errors=True)
