"""Form: what the JSON of a run and of a state must look like, and which tensors go with it."""

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path

import torch

from charlm.files import Damaged, short_reason, sound
from charlm.runs.files import AGAIN, WEIGHT_FILES, OtherVersion, pack, unpack
from charlm.runs.identity import training_code_hash
from charlm_core import CharlmError, CharModel, Config, State


def _object(**properties: dict) -> dict:
    return {"type": "object", "required": list(properties), "properties": properties}


TEXT_FORM = {"type": "string", "maxLength": 255}
COUNT_FORM = {"type": "integer", "minimum": 1, "maximum": 2**53}
AMOUNT_FORM = {"type": "number", "minimum": 0, "maximum": 1e300}
# Any names and any values: which of them make sense is said by Config, and another version's may have others.
CONFIG_FORM = {"type": "object"}
IDENTITY_FORM: dict[str, dict] = {
    "config": CONFIG_FORM,
    "corpus_sha256": TEXT_FORM,
    "torch": TEXT_FORM,
    "code": TEXT_FORM,
}
MACHINE_FORM = _object(cpu=TEXT_FORM)
PROGRESS_FORM: dict[str, dict] = {
    "history": {"type": "array", "items": _object(epoch=COUNT_FORM, train_loss=AMOUNT_FORM, val_loss=AMOUNT_FORM)},
    "diverged": {
        "anyOf": [{"type": "null"}, _object(epoch=COUNT_FORM, step={"anyOf": [{"type": "null"}, COUNT_FORM]})]
    },
    "made": {"type": "array", "items": _object(seconds=AMOUNT_FORM, machine=MACHINE_FORM)},
}
STATE_FORM = _object(identity=_object(**IDENTITY_FORM), **PROGRESS_FORM)
RUN_FORM = _object(
    run_id=TEXT_FORM,
    corpus=TEXT_FORM,
    vocab={"type": "string", "minLength": 2},
    checksums=_object(**dict.fromkeys(WEIGHT_FILES, TEXT_FORM)),
    **IDENTITY_FORM,
    **PROGRESS_FORM | {"made": PROGRESS_FORM["made"] | {"minItems": 1}},
)
LOSSES_FORM = {"type": "array", "items": AMOUNT_FORM}
RECORD_FORM = _object(
    run_id=TEXT_FORM,
    corpus=TEXT_FORM,
    corpus_sha256=TEXT_FORM,
    code=TEXT_FORM,
    machine=MACHINE_FORM,
    status={"enum": ["finished", "diverged"]},
    diverged=PROGRESS_FORM["diverged"],
    max_epochs=COUNT_FORM,
    parameters=COUNT_FORM,
    seconds=AMOUNT_FORM,
    train_loss=LOSSES_FORM,
    val_loss=LOSSES_FORM,
)
STUDY_FORM = _object(
    study=TEXT_FORM,
    corpus_sha256=TEXT_FORM,
    runs={"type": "array", "items": RECORD_FORM},
    epoch_seconds={"type": "object", "additionalProperties": AMOUNT_FORM},
)


# What a page says of the models in it: see embedded.py.
MODEL_FORM = _object(run=TEXT_FORM, config=CONFIG_FORM, val_loss=AMOUNT_FORM, weights={"type": "string"})
PAGE_FORM = _object(
    vocab={"type": "string", "minLength": 2},
    models={"type": "object", "maxProperties": 16, "additionalProperties": MODEL_FORM},
)
STORED_FORMS = {"run": RUN_FORM, "state": STATE_FORM, "study": STUDY_FORM, "page": PAGE_FORM}


@cache
def _validator(kind: str) -> Callable[[object], object]:
    import fastjsonschema  # in a hundredth of the time that jsonschema takes to import, which generate.py would wait for

    return fastjsonschema.compile(STORED_FORMS[kind])


def check_form(about: dict, kind: str) -> None:
    """Raise ValueError unless this is what a finished "run" or a "state" says of itself, what is kept of a "study", or what a
    "page" holds of models."""
    _validator(kind)(about)
    vocab = about.get("vocab", "")
    if vocab != "".join(sorted(set(vocab))) or vocab.encode("utf-8", "replace").decode() != vocab:
        raise ValueError("its vocabulary is not one of distinct characters in their order")
    epochs = [row["epoch"] for row in about.get("history", [])]
    if epochs != [*range(1, len(epochs) + 1)]:
        raise ValueError("the epochs of its history are not 1, 2, 3 …")


# Fields that Config had once, at the values that changed nothing: what was stored with them is read as before.
RETIRED = {"average": 0.0}


def checked_config(about: dict, path: Path) -> Config:
    """The configuration of a sound record; raises OtherVersion when it has fields or values that are not known here."""
    known = {f.name for f in fields(Config)}
    stored = {name: value for name, value in about["config"].items() if (name, value) not in RETIRED.items()}
    try:
        for name in stored:
            if name not in known:
                raise CharlmError(f"it has the unknown field {name!r}")
        return Config(**stored)
    except CharlmError as e:
        raise OtherVersion(
            f"the configuration in {path} is of another version, and left alone: {short_reason(e)}"
        ) from e


def check_weights(
    weights: dict[str, torch.Tensor], vocabulary_size: int, config: Config, code: str, path: Path
) -> None:
    """Raise Damaged unless these are the weights of a model of this configuration, or OtherVersion where the code that made
    them is not today's."""
    if kinds_of(weights) == kinds_of(skeleton(vocabulary_size, config)):
        return
    if code != training_code_hash(config.cell):
        raise OtherVersion(f"{path} holds the weights of a model that other code made; it is left alone")
    raise Damaged(f"{path} is damaged: its weights are not of its configuration; {AGAIN}")


def kinds_of(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (t.shape, t.dtype) for name, t in tensors.items()}


def skeleton(vocabulary_size: int, config: Config) -> dict[str, torch.Tensor]:
    """The weights of a model without their values."""
    with torch.device("meta"):
        return CharModel(vocabulary_size, config).state_dict()


# ---------------------------------------------------------------------------------------------------------------------
# states


def pack_state(state: State, made: list[dict], identity: dict) -> bytes:
    """A state as bytes, with the seconds and the machine of each of its epochs and the identity of its run."""
    best = {} if state.best_weights is state.weights else state.best_weights  # not twice while the last is the best
    groups = {"weights": state.weights, "best": best, "moments": state.moments}
    tensors: dict[str, torch.Tensor] = {}
    for group, by_name in groups.items():
        tensors |= {f"{group}/{name}": t for name, t in by_name.items()}
    return pack(tensors, {"history": state.history, "diverged": state.diverged, "made": made, "identity": identity})


def unpack_state(data: bytes, where: Path | str, identity: dict) -> tuple[State, list[dict]]:
    """The inverse of pack_state; raises Damaged when the state is damaged or of a run of another identity."""
    tensors, about = unpack(data, where)
    if about.get("identity") != identity:
        raise Damaged(f"{where} is of another run: its configuration, corpus, code or torch differ; {AGAIN}")
    with sound(where, AGAIN):
        check_form(about, "state")
        groups: dict[str, dict] = {"weights": {}, "best": {}, "moments": {}}
        for key, t in tensors.items():
            group, _, name = key.partition("/")
            groups[group][name] = t
    best = groups["best"] or groups["weights"]
    return State(groups["weights"], best, groups["moments"], about["history"], about["diverged"]), about["made"]


def check_state(state: State, vocabulary_size: int, config: Config, path: Path) -> None:
    """Raise Damaged unless the tensors of a state that was read are those of its configuration."""
    moments = {}
    for name, w in state.weights.items():
        moments[f"{name}/step"] = torch.zeros(())
        moments |= dict.fromkeys((f"{name}/exp_avg", f"{name}/exp_avg_sq"), w)
    for weights in (state.weights, state.best_weights):
        check_weights(weights, vocabulary_size, config, training_code_hash(config.cell), path)
    if not kinds_of(state.moments).items() <= kinds_of(moments).items():
        raise Damaged(f"{path} is damaged: its moments are not of its configuration; {AGAIN}")
