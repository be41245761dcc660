"""What a folder of runs holds: which runs, how far each came, and what is damaged or strange in it."""

import errno
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from charlm.files import Damaged, is_half, sound
from charlm.runs.files import RUN_FILES, STATE, names_in, read_file, unpack
from charlm.runs.folder import check_run, facts_of_history, read_state, run_record
from charlm.runs.identity import RUN_NAME, training_code_hash
from charlm_core import CharlmError


def run_status(folder: Path, deep: bool = False) -> dict:
    """What a run folder holds: {"run_id", "status", "epochs", ...} with status finished, diverged, unfinished, damaged,
    unreadable or of another version, and "problem", which says what is wrong. `deep` reads every byte of every file."""
    about: dict[str, Any] = {"run_id": folder.name}
    try:
        names = names_in(folder)
        if "run.json" in names:
            if deep:
                check_run(folder)
            r = run_record(folder)
            keys = ("status", "corpus", "epochs", "best_epoch", "val_loss_best", "seconds", "code", "machine")
            about |= {k: r[k] for k in keys}
            about["code_is_current"] = r["code"] == training_code_hash(r["cell"])
        elif STATE in names:
            facts = facts_of_history(read_state(folder / STATE)["history"])
            about["status"] = "unfinished"
            about |= {key: facts[key] for key in ("epochs", "best_epoch", "val_loss_best")}
        else:
            about |= {"status": "unfinished", "epochs": 0}
        if deep:
            for name in measured_files(names):
                check_measured(folder / name)
    except Damaged as e:
        about = {"status": e.status} | about | {"problem": str(e)}
    return about


def measured_files(names: set[str]) -> list[str]:
    """Of the names in a run folder those that what is measured of the run may have."""
    return sorted(name for name in names - RUN_FILES if name.endswith(".safetensors") and not is_half(name))


def check_measured(path: Path) -> None:
    """Raise Damaged unless this is what kept_measurement() wrote of the run, whole."""
    remedy = "move it away; what was measured is measured again"
    _, about = unpack(read_file(path, remedy), path, remedy)
    with sound(path, remedy):
        if about["run_id"] != path.parent.name:
            raise ValueError("it is of another run")
        if "code" not in about:  # such as a copy of weights
            raise ValueError("it is no measurement")


def remove_run(folder: Path) -> None:
    """Delete a run or what is left of one, or the link to one. Raises CharlmError, with nothing deleted, when somebody
    trains it or anything else is in the folder."""
    try:
        if folder.is_symlink():
            folder.unlink()
            return
        names = names_in(folder)
        if not names:
            raise CharlmError(f"{folder} is empty: there is no run in it, and nothing was removed")
        if not re.fullmatch(RUN_NAME, folder.name):
            raise CharlmError(
                f"{folder} is not named as a run is: nothing was removed; delete it yourself if it is yours"
            )
        measured = measured_files(names)
        for name in sorted(names):
            path = folder / name
            ours = name in RUN_FILES or name in measured or is_half(name)
            if not ours or (path.is_dir() and not path.is_symlink()):
                raise CharlmError(f"{path} is not of a run: move it away, then try again; nothing was removed")
        for name in measured:
            check_measured(folder / name)
        with FileLock(folder / "lock").acquire(timeout=0):
            # run.json first: from then on it is no finished run, wherever this is stopped.
            for name in sorted(names_in(folder) - {"lock"}, key=lambda name: name != "run.json"):
                (folder / name).unlink()
            with suppress(PermissionError):  # Windows keeps what is open, and deletes it itself when the lock is let go
                (folder / "lock").unlink()
        # Whoever waited for the lock finds its file gone and makes a new one; then the folder is theirs, and stays.
        folder.rmdir()
    except Timeout:
        raise CharlmError(f"{folder.name} is being trained by another process; stop that first") from None
    except OSError as e:
        if e.errno != errno.ENOTEMPTY:
            raise CharlmError(f"cannot remove {folder}: {e.strerror}") from e
