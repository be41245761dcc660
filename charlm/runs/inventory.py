"""What a folder of runs holds: which runs, how far each came, and what is damaged or strange in it."""

import errno
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from charlm.files import Damaged, Unreadable
from charlm.runs.files import (
    KEPT_NAMES,
    RUN_FILES,
    STATE,
    WEIGHT_FILES,
    delete_entry,
    is_folder,
    is_link,
    names_in,
    read_file,
    unpack,
)
from charlm.runs.folder import check_run, facts_of_history, read_state, run_record
from charlm.runs.identity import training_code_hash
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
        elif STATE in names:
            _, state = read_state(folder / STATE)
            history, made, identity = state["history"], state["made"], state["identity"]
            about |= {
                "status": "unfinished",
                **{key: facts_of_history(history)[key] for key in ("epochs", "best_epoch", "val_loss_best")},
                "seconds": round(sum(m["seconds"] for m in made), 3),
                "code": identity["code"],
                "machine": made[-1]["machine"],
            }
            r = identity["config"]
        else:
            about |= {"status": "unfinished", "epochs": 0}
        if "code" in about:
            about["code_is_current"] = about["code"] == training_code_hash(r["cell"])
        wrong = misplaced(folder, names) if deep else []
        if wrong:
            about["problem"] = "; ".join(wrong)
        return about
    except Damaged as e:
        return about | {"status": e.status, "problem": str(e)}


def misplaced(folder: Path, names: set[str]) -> list[str]:
    """What is wrong with a run folder of those names beside what its run is made of, a clause for each."""
    finished, begun = "run.json" in names, STATE in names
    foreign = strangers(folder) if names else []
    wrong = [f"{path.relative_to(folder)} is not of a run: move it away" for path in foreign]
    if finished:
        left = {name for name in names if name == STATE or name.startswith(".half-")}
        wrong += [f"{name} is left from training: to train again tidies it" for name in sorted(left)]
    elif not begun:
        left = names & {*WEIGHT_FILES, *(f"{name}.safetensors" for name in KEPT_NAMES)}
        wrong += [f"{name} is there without run.json: remove the run, or train it again" for name in sorted(left)]
    for path in (folder / f"{name}.safetensors" for name in KEPT_NAMES):
        if finished and path.name in names and not is_folder(path):
            try:
                _, about = unpack(read_file(path), path)
                if about["run_id"] != folder.name:
                    raise LookupError(folder.name)
            except Unreadable as e:
                wrong.append(str(e))
            except (Damaged, LookupError, TypeError):
                wrong.append(f"{path.name} is damaged or of another run: delete it, it is measured again")
    return wrong


def strangers(folder: Path) -> list[Path]:
    """What a run folder holds, or a folder in it in which a file was half written, that is not of the kinds that this
    module writes."""
    foreign = []
    for path in sorted(folder.iterdir()):
        if is_folder(path) and path.name.startswith(".half-"):
            foreign += [half for half in sorted(path.iterdir()) if is_folder(half) or half.name not in RUN_FILES]
        elif is_folder(path) or path.name not in RUN_FILES:
            foreign.append(path)
    return foreign


def remove_run(folder: Path) -> None:
    """Delete a run or what is left of one, or the link to one. Raises CharlmError, with nothing deleted, when somebody
    trains it or anything else is in the folder."""
    try:
        if is_link(folder):
            folder.unlink()
            return
        if is_folder(folder) and not names_in(folder):
            raise CharlmError(f"{folder} is empty: there is no run in it, and nothing was removed")
        if foreign := strangers(folder):
            raise CharlmError(f"{foreign[0]} is not of a run: move it away, then try again; nothing was removed")
        with FileLock(folder / "lock").acquire(timeout=0):
            # run.json first: from then on it is no finished run, wherever this is stopped.
            for name in sorted(names_in(folder) - {"lock"}, key=lambda name: name != "run.json"):
                delete_entry(folder / name)
            with suppress(PermissionError):  # Windows keeps what is open, and deletes it itself when the lock is let go
                (folder / "lock").unlink()
        # Whoever waited for the lock finds its file gone and makes a new one; then the folder is theirs, and stays.
        folder.rmdir()
    except Timeout:
        raise CharlmError(f"{folder.name} is being trained by another process; stop that first") from None
    except OSError as e:
        if e.errno != errno.ENOTEMPTY:
            raise CharlmError(f"cannot remove {folder}: {e.strerror}") from e
