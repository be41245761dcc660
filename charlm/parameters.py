"""The parameters of a notebook, checked by its first cell of code after them."""

import ast

from IPython import get_ipython

from charlm.protocol import MOST_SEEDS
from charlm_core import CELLS, RANGES, CharlmError

OF_CONFIG = ("hidden_size", "layers", "batch_size", "chunk_length", "epochs", "patience", "seed")
WHOLE_NUMBERS = {  # the smallest and the largest
    **{name: RANGES[name] for name in OF_CONFIG},
    "seeds": (1, MOST_SEEDS),
    "length": (1, 100_000),
    "samples": (1, 10_000),
    "passage": (1, 10_000),
    "sampling_seed": (0, 2**32 - 1),
}
LIMITS = WHOLE_NUMBERS | {"learning_rate": RANGES["learning_rate"]}
TEXTS = ("corpus", "cell", "results")


def check_notebook(variables: dict) -> None:
    """Raise CharlmError, naming it, for a parameter of the wrong type or outside its limits, and for one that papermill was
    given and the notebook does not have: papermill alone would only warn, and go on with the default. variables: globals()
    of the notebook, in which parameters are told by their names."""
    given = {name: variables[name] for name in (*TEXTS, *LIMITS) if name in variables}
    for name in injected_names():
        if name not in given:
            raise CharlmError(f"no parameter {name!r:.80}: this notebook has {', '.join(given)}")
    for name, value in given.items():
        if name in LIMITS:
            low, high = LIMITS[name]
            kinds, needed = ((int,), "a whole number") if name in WHOLE_NUMBERS else ((int, float), "a number")
            if type(value) not in kinds or not low <= value <= high:
                raise CharlmError(f"{name} = {value!r:.80}: needs {needed} from {low} to {high}")
        elif type(value) is not str:
            raise CharlmError(f"{name} = {value!r:.80}: needs text; quote it (papermill: -r {name} TEXT)")
        elif name == "cell" and value not in CELLS:
            raise CharlmError(f"{name} = {value!r:.80}: choose one of {', '.join(CELLS)}")


def injected_names() -> list[str]:
    """The parameters that papermill put into a cell of its own, just before the one that is executed."""
    shell = get_ipython()
    before = shell.user_ns["In"][-2] if shell and len(shell.user_ns["In"]) > 1 else ""
    if not before.startswith("# Parameters\n"):
        return []
    targets = (target for node in ast.parse(before).body if isinstance(node, ast.Assign) for target in node.targets)
    return [target.id for target in targets if isinstance(target, ast.Name)]
