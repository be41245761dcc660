"""Run folders as nobody wants to find them: what a disk, a careless hand or somebody unkind can make of one."""

import hashlib
import json
import random
import sys

import torch
from posix_only import make_pipe

from charlm.runs.files import STATE, WEIGHT_FILES, pack, unpack


def rewrite(folder, change):
    """Change what run.json says, with a checksum that is right."""
    path = folder / "run.json"
    about = json.loads(path.read_bytes())
    change(about)
    del about["sha256"]
    about["sha256"] = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(about))


def repack(path, change):
    """Change a packed file's tensors and what it says of itself, with a checksum that is right."""
    tensors, about = unpack(path.read_bytes(), path)
    change(tensors, about)
    path.write_bytes(pack(tensors, about))


def loop(path):
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def elsewhere(path):
    """A link to a file outside of the folder of runs."""
    path.unlink(missing_ok=True)
    path.symlink_to(path.parent.parent.parent / "outside")


def pipe(path):
    path.unlink(missing_ok=True)
    make_pipe(path)


def directory(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def huge(path):
    """A file of more bytes than a computer has memory, none of which takes room on the disk."""
    with open(path, "wb") as f:
        f.truncate(2**40)


def flip(path, at=0.5):
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 4
    path.write_bytes(data)


def weights_of_another_model(folder):
    """Whole files with checksums that are right."""
    for name in WEIGHT_FILES:
        repack(folder / name, lambda tensors, _: tensors.update({"head.weight": torch.zeros(3, 3)}))
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in WEIGHT_FILES}
    rewrite(folder, lambda about: about.update(checksums=sums))


def with_vocab(folder, character):
    rewrite(folder, lambda about: about.update(vocab=about["vocab"][:-1] + character))


# One of each kind.
WRECKS = {
    "directory": lambda folder: directory(folder / "run.json"),
    "loop": lambda folder: loop(folder / "run.json"),
    "huge": lambda folder: huge(folder / "run.json"),
    "deep": lambda folder: (folder / "run.json").write_text("[" * 100_000),
    "a list": lambda folder: (folder / "run.json").write_text("[]"),
    "no machine": lambda folder: rewrite(folder, lambda about: about.update(made=[])),
    "epochs out of order": lambda folder: rewrite(folder, lambda about: about["history"].reverse()),
    "an infinite loss": lambda folder: rewrite(folder, lambda about: about["history"][0].update(val_loss=10**400)),
    "half a character": lambda folder: with_vocab(folder, "\ud800"),
    "a hundred layers": lambda folder: rewrite(folder, lambda about: about["config"].update(layers=100)),
    "weights gone": lambda folder: (folder / "best.safetensors").unlink(),
    "weights of another model": weights_of_another_model,
}
if sys.platform != "win32":
    WRECKS["pipe"] = lambda folder: pipe(folder / "run.json")
    WRECKS["pipe for weights"] = lambda folder: pipe(folder / "best.safetensors")

VALUES: list = [None, True, -1, 1.5, 10**400, 1e308, "", "x" * 5000, "\n\x1b[2J", "\ud800", [[]], {}, {"a": 1}]


def ruin(folder, rng: random.Random) -> str:
    """Do something to a run folder, and say what."""
    path = rng.choice(sorted(p for p in folder.iterdir() if p.name != "lock"))
    kinds = ["cut", "flip", "noise", "swap", "gone", "wreck", "folder"]
    packed = path.suffix == ".safetensors"
    kinds += ["value"] * 4 if path.name in ("run.json", STATE) else []
    kinds += ["tensor"] * 2 if packed else []
    kind = rng.choice(kinds)
    data = path.read_bytes()
    if kind == "cut":
        path.write_bytes(data[: rng.randrange(len(data))])
    elif kind == "flip":
        flip(path, rng.random())
    elif kind == "noise":
        path.write_bytes(rng.randbytes(rng.choice([0, 1, 8, 9, 1000])))
    elif kind == "swap":
        path.write_bytes(rng.choice(sorted(folder.glob("*.*"))).read_bytes())
    elif kind == "gone":
        path.unlink()
    elif kind == "wreck":
        rng.choice([loop, elsewhere, directory, huge, *([pipe] if sys.platform != "win32" else [])])(path)
    elif kind == "folder":
        (folder / rng.choice(["notes.txt", ".half-x", "a\nb", "colour.safetensors"])).write_bytes(b"{}")
    elif kind == "value" and path.name == "run.json":
        rewrite(folder, lambda about: _put(about, rng))
    elif kind == "value":
        repack(path, lambda _, about: _put(about, rng))
    elif kind == "tensor":
        repack(path, lambda tensors, _: _spoil(tensors, rng))
    return f"{kind} {path.name}"


def _put(about, rng):
    """Put a value where another belongs, take a key away, or add one, anywhere in JSON."""
    here = about
    while True:
        keys = [*here] if isinstance(here, dict) else [*range(len(here))]
        key = rng.choice(keys)
        if isinstance(here[key], dict | list) and here[key] and rng.random() < 0.8:
            here = here[key]
            continue
        if key != "sha256":
            here[key] = rng.choice(VALUES)
            if isinstance(here, dict) and rng.random() < 0.3:
                here["colour"] = here.pop(key)
        return


def _spoil(tensors, rng):
    name = rng.choice([*tensors])
    shape = rng.choice([(), (0,), (1,), (3, 3), (2**20,), tensors[name].shape])
    tensors[rng.choice([name, "x", "weights/x", "moments/x/step"])] = torch.zeros(
        shape, dtype=rng.choice([torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64])
    )
