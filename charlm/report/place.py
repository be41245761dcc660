"""Where a report is made, and putting it in place as one set."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from errno import EISDIR
from pathlib import Path
from uuid import uuid4

from filelock import FileLock

from charlm.claims import LARGEST_RESULTS
from charlm.corpus import CORPORA, ROOT
from charlm.files import read_bytes, sound
from charlm.protocol import Study
from charlm.report import execute
from charlm_core import CharlmError, Corpus

DOCUMENTS = ("report.html", "report.pdf", "results.json")
HALF_FOLDER = ".charlm-report-"  # begins the name of a folder that is there for a moment, beside what is put in place


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
        with tempfile.TemporaryDirectory(dir=there, prefix=".charlm-probe-") as probe:
            # Not the folder itself, which another report may be about to use, but one of the same name.
            inside = Path(probe, folder.relative_to(there))
            inside.mkdir(parents=True, exist_ok=True)
            (inside / "probe").write_bytes(b"probe")
    except OSError as error:
        raise CharlmError(
            f"cannot write to {folder}: {error.strerror}: make it writable, or give another OUT (--out)"
        ) from error


@contextmanager
def locked(path: Path, timeout: float = -1) -> Iterator[None]:
    """Hold a lock file, which is there only while it is held, and never longer than its process lives. Who waited for one
    that is gone by then takes the new one: filelock looks whether what it locked still has its name."""
    with FileLock(path, timeout):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows lets nobody remove a file that is open; there filelock does it afterwards
                path.unlink()


def alone_in(folder: Path) -> AbstractContextManager[None]:
    """Let one process at a time put a report into a folder and its figures beside it, whatever checkout it is of."""
    return locked(folder / ".charlm-report.lock")


@contextmanager
def staged() -> Iterator[Path]:
    """A folder to make a report in, gone at the end: in build/, or where nothing can be written there in the system's folder
    for temporary files. Such folders whose process was killed go first."""
    with suppress(OSError):
        execute.BUILD.mkdir(exist_ok=True)
    parent = execute.BUILD if os.access(execute.BUILD, os.W_OK) else Path(tempfile.gettempdir())
    for lock in parent.glob("charlm-stage-*.lock"):
        with suppress(OSError), locked(lock, timeout=0):
            _remove([lock.with_suffix("")])
    stage = parent / f"charlm-stage-{uuid4().hex}"
    with locked(stage.with_suffix(".lock")):
        stage.mkdir(0o700)
        if not os.path.isdir(os.path.expanduser("~")):
            os.environ["HOME"] = str(
                stage
            )  # without one, as in a container that does not know its user, no kernel starts
        try:
            yield stage
        finally:
            _remove([stage])


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def place_files(files: dict[Path, Path], stale: Callable[[], Iterable[Path]] = tuple) -> None:
    """Put files (target: source) in place as one set, and take away the files that stale() names. Whoever else puts files
    into the folder of the first target waits, and asks stale() afterwards.

    On any failure, Ctrl-C included, all targets are as they were before. Where that cannot be, CharlmError says which
    folder has them. What a killed process left half done goes when the new set is there.
    """
    for target in files:
        target.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(next(iter(files)).parent):
        gone = [path for path in stale() if path.is_file()]
        left = [path for folder in {target.parent for target in files} for path in folder.glob(f"{HALF_FOLDER}*")]
        halves: dict[Path, Path] = {}  # beside the targets, so that what counts is no more than changes of names
        stuck: list[Path] = []

        def half(word: str, target: Path) -> Path:
            return halves[target.parent] / f"{word}-{target.name}"

        def put_back(target: Path) -> None:
            try:
                if half("old", target).exists():
                    os.replace(half("old", target), target)
                elif target in files and not half("new", target).exists():
                    target.unlink(missing_ok=True)  # it was not there before
            except OSError:
                stuck.append(target)

        try:
            with ExitStack() as undo:
                for target in (*files, *gone):
                    if target.is_dir():
                        raise IsADirectoryError(EISDIR, f"{target.name} is a folder")
                    if target.parent not in halves:
                        halves[target.parent] = Path(tempfile.mkdtemp(dir=target.parent, prefix=HALF_FOLDER))
                for target, source in files.items():  # what can run out of room comes first, while nothing has moved
                    shutil.copyfile(source, half("new", target))
                for target in (*files, *gone):
                    undo.callback(put_back, target)
                    if target.exists():
                        os.replace(target, half("old", target))
                    if target in files:
                        os.replace(half("new", target), target)
                undo.pop_all()
        except BaseException as error:
            if stuck:
                kept = " and ".join(map(str, halves.values()))
                raise CharlmError(
                    f"cannot write to {stuck[0]}, nor put back what was there: its files are in {kept}"
                ) from error
            _remove(halves.values())
            raise
        _remove([*halves.values(), *left])


def place_report(stage: Path, results: dict, out: Path, figures: Path) -> None:
    """Put the staged report into its folders, in place of the one that is there, with its figures."""

    def drawings(ids: Iterable[str]) -> list[Path]:
        return [figures / f"{id}.{kind}" for id in ids for kind in ("svg", "png", "csv")]

    def stale() -> list[Path]:
        before: set[str] = (
            set()
        )  # of the report that is there, and of those that a killed process was about to put there
        for path in (out / "results.json", *out.glob(f"{HALF_FOLDER}*/*-results.json")):
            with suppress(CharlmError), sound(path, ""):  # none there, or none of ours
                before.update(json.loads(read_bytes(path, LARGEST_RESULTS))["figures"])
        return drawings(id for id in before - results["figures"].keys() if re.fullmatch("[A-Za-z0-9_-]+", id))

    files = {out / name: stage / name for name in DOCUMENTS}
    files |= {path: stage / "figures" / path.name for path in drawings(results["figures"])}
    try:
        place_files(files, stale)
    except OSError as error:
        raise CharlmError(
            f"cannot write to {out}: {error.strerror or error}: what was there is as it was, and what is trained is kept"
        ) from error


def report_folders(study: Study, corpus: Corpus, out: Path | None) -> tuple[Path, Path]:
    """Where the report and its figures go: to build/ where nothing else is asked for, so that what is committed stays; report/
    and figures/ are for the unchanged study, and for nothing else."""
    official = ROOT / "report"
    if out is None:
        name = corpus.name
        if study.corpus not in CORPORA:
            name = f"{re.sub('[^A-Za-z0-9]+', '-', name)[:50]}-{corpus.sha256[:6]}"
        numbers = (f"{k.replace('_', '-')}-{v}" for k, v in vars(study).items() if k != "corpus")
        out = execute.BUILD / ("report" if study == Study() else "-".join(["report", name, *numbers]))
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
