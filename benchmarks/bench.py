"""How fast charlm is: against the plain way (baseline.py), against the roofline, and as things grow.

    make bench [QUICK=1]     writes build/bench.json and build/bench.md

What is compared is measured in turns (A B A B …) in one process tree, as medians; only ratios carry over to another
machine.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import baseline
import numpy as np
import torch

import charlm.corpus
import charlm_core as core
from charlm import sampling
from charlm.command import set_up_output
from charlm.corpus import ROOT, load_corpus
from charlm.device import resolved_config
from charlm.files import replacing
from charlm.protocol import Study
from charlm.runs.folder import RUNS, Run, best_record, stored_records
from charlm.runs.identity import machine_facts
from charlm.runs.sweep import KEEP_MEMORY, count_cores, train_sweep
from charlm_core import CharModel, Config, decode

CORPUS = "shakespeare-268k"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    turns: int
    cells: tuple[str, ...]
    batches: int  # of training, in the piece of an epoch that is timed
    hidden_sizes: tuple[int, ...]
    grown: tuple[int, ...]  # times that piece: how an epoch grows with the corpus
    characters: int  # that the loop writes
    megabytes: tuple[int, ...]  # of text to encode
    whole: bool = True  # rendering and start-up too


FULL = Size(3, ("rnn", "lstm", "gru"), 16, (256, 512), (1, 2, 4), 600, (1, 100, 1000))
QUICK = Size(1, ("rnn", "lstm"), 4, (256,), (1, 2), 150, (1, 20))
SMALLEST = Size(1, ("lstm",), 1, (32,), (), 10, (1,), whole=False)


def median_seconds(turns: int, *works: Callable[[], object]) -> list[float]:
    """Median seconds of each piece of work, done in turns; a first turn warms up and does not count."""
    seconds: list[list[float]] = [[] for _ in works]
    for turn in range(turns + 1):
        for work, taken in zip(works, seconds, strict=True):
            start = time.perf_counter()
            work()
            if turn:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


# ---------------------------------------------------------------------------------------------------------------------
# training: workers, processes that train a piece of an epoch when they are told to, so that all cores can be kept busy


def work(kind: str, cell: str, hidden: int, precision: str, device: str, batches: int) -> None:
    """A worker: for every line on standard input, train so many batches, validate on a quarter as many, and answer with
    the megabytes of memory that it has needed so far."""
    corpus = load_corpus(CORPUS)
    ids = np.resize(corpus.ids, batches * 64 * 30 * 5 // 4 + 1)
    if kind == "baseline":
        go = baseline.Training(decode(ids, corpus.vocab), corpus.vocab, cell, hidden).epoch
    else:
        config = resolved_config(Config(cell=cell, hidden_size=hidden, precision=precision, device=device))
        part = replace(corpus, ids=ids)
        state = core.initial_state(len(corpus.vocab), config)

        def go() -> None:
            core.train_epoch(state, part, config)

    print("ready", flush=True)
    for _ in sys.stdin:
        go()
        print(peak_memory() / 1e6, flush=True)


def peak_memory() -> int:
    """Bytes that this process has needed at most; 0 where only Linux would tell. (getrusage would start from the peak
    of the process that started this one.)"""
    status = Path("/proc/self/status")
    peak = re.search(r"VmHWM:\s*(\d+)", status.read_text("utf-8")) if status.exists() else None
    return 1024 * int(peak[1]) if peak else 0


@contextmanager
def workers(count: int, kind: str, *arguments: object):
    """A function that lets `count` workers train one piece each, all at the same time, and gives their megabytes."""
    command = [sys.executable, __file__, "--worker", kind, *map(str, arguments)]
    environment = os.environ | (KEEP_MEMORY if kind == "ours" else {})
    start = partial(subprocess.Popen, command, encoding="utf-8", bufsize=1, env=environment)
    processes = [start(stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)]
    inputs = [p.stdin for p in processes if p.stdin]
    outputs = [p.stdout for p in processes if p.stdout]

    def answers() -> list[str]:
        lines = [pipe.readline() for pipe in outputs]
        if not all(lines):
            raise RuntimeError(f"a worker died: {command}")
        return lines

    def go() -> float:
        for pipe in inputs:
            pipe.write("go\n")
        return statistics.mean(map(float, answers()))

    answers()
    try:
        yield go
    finally:
        for pipe, process in zip(inputs, processes, strict=True):
            pipe.close()
            process.wait()


def measure_training(cell: str, hidden: int, size: Size) -> dict:
    """Seconds of training and validation for one run's `size.batches` batches: ours as `make report` trains, one
    one-thread worker a core (so its time counts divided by their number), and the baseline's, on the same cores."""
    cores = count_cores()
    row: dict = {"cell": cell, "hidden_size": hidden}
    with workers(1, "baseline", cell, hidden, "float32", "cpu", size.batches) as plain:
        for precision in precisions():
            with workers(cores, "ours", cell, hidden, precision, "cpu", size.batches) as ours:
                a, b = median_seconds(size.turns, ours, plain)
            row |= {f"{precision}_s": a / cores, "baseline_s": b, f"{precision}_ratio": b / (a / cores)}
    if torch.cuda.is_available():
        with workers(1, "ours", cell, hidden, "float32", "cuda", size.batches) as ours:
            (row["gpu_s"],) = median_seconds(size.turns, ours)
    return row


def measure_growth(size: Size) -> list[dict]:
    """Seconds and memory of an LSTM's piece of an epoch against corpus size, hidden size and the number of seeds."""
    cores, rows = count_cores(), []
    auto, (hidden, *_) = precisions()[-1], size.hidden_sizes

    def measure(what: str, factor: int, hidden: int, batches: int, seeds: int = 1) -> None:
        with workers(min(seeds, cores), "ours", "lstm", hidden, auto, "cpu", batches) as go:
            (seconds,) = median_seconds(size.turns, go)
            seconds *= -(-seeds // cores)
            rows.append({"what": what, "times": factor, "seconds": seconds, "megabytes_a_worker": go()})

    for factor in size.grown:
        measure("corpus size", factor, hidden, factor * size.batches)
    for factor in size.grown:
        measure("hidden size", factor, factor * hidden // 2, size.batches)
    for factor in size.grown:
        measure("seeds", factor, hidden, size.batches, seeds=factor)
    return rows


def precisions() -> list[str]:
    """float32, and what `auto` means on this machine where that is another; the latter last."""
    return list(dict.fromkeys(["float32", resolved_config(Config(device="cpu")).precision]))


# ---------------------------------------------------------------------------------------------------------------------
# the roofline: the matrix products of a training step, each at the rate of its own shape


def products(cell: str, hidden: int, vocabulary: int, config: Config) -> list[tuple[int, int, int, int]]:
    """(how often, m, k, n) of every matrix product (m × k)(k × n) in one training step."""
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[cell]
    t, b, g = config.chunk_length, config.batch_size, gates * hidden
    found = []
    for layer in range(config.layers):
        inputs = hidden if layer else vocabulary
        found += [(1, t * b, inputs, g), (t, b, hidden, g)]  # forward: inputs at once, then step by step
        found += [(t, b, g, hidden), (1, inputs, t * b, g), (1, hidden, t * b, g)]  # backward: state, both weights
        if layer:
            found.append((1, t * b, g, inputs))  # and the inputs, where a layer is below
    v = vocabulary
    return [*found, (1, t * b, hidden, v), (1, t * b, v, hidden), (1, hidden, t * b, v)]


def measure_roofline(cell: str, hidden: int, precision: str, size: Size) -> dict:
    """The share of a one-thread training step that its matrix products alone would take, measured in turns."""
    vocabulary = len(load_corpus(CORPUS).vocab)
    config = Config(cell=cell, hidden_size=hidden, precision=precision, device="cpu")
    model = CharModel(vocabulary, config)
    adam = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    x = torch.randint(vocabulary, (config.chunk_length, config.batch_size))
    shapes = products(cell, hidden, vocabulary, config)
    dtype = getattr(torch, precision)
    operands = [(n, torch.randn(m, k).to(dtype), torch.randn(k, j).to(dtype)) for n, m, k, j in shapes]

    def step() -> None:
        loss, _ = core.batch_loss(model, x, x, config)
        adam.zero_grad()
        loss.backward()
        adam.step()

    def floor() -> None:
        for n, a, b in operands:
            for _ in range(n):
                a @ b

    with core.arithmetic(config):
        actual, ideal = median_seconds(3 * size.turns, step, floor)
    row = {"cell": cell, "hidden_size": hidden, "precision": precision}
    gflop = sum(2 * n * m * k * j for n, m, k, j in shapes) / 1e9
    return row | {"gflop": gflop, "step_ms": 1000 * actual, "products_ms": 1000 * ideal, "share": ideal / actual}


# ---------------------------------------------------------------------------------------------------------------------
# sampling


def measure_sampling(size: Size) -> list[dict]:
    """Characters a second of an LSTM for so many prompts at once, against the loop; floor: what reading the weights
    from memory once for every character of the batch would take at least, as a share of the time taken."""
    corpus = load_corpus(CORPUS)
    config = Config(cell="lstm", device="cpu", precision="float32")
    weights = core.initial_weights(len(corpus.vocab), config)
    plain = baseline.CharModel("lstm", len(corpus.vocab), config.hidden_size)
    plain.load_state_dict(weights)
    everything = torch.cat([w.flatten() for w in weights.values()])
    rows = []
    for prompts, length in ((1, 2 * size.characters), (30, size.characters), (1024, max(1, size.characters // 10))):

        def ours(prompts: int = prompts, length: int = length) -> None:
            sampling.sample(weights, config, corpus.vocab, ["A"] * prompts, length, 0.5, numbers=range(prompts))

        def loop() -> None:
            baseline.generate(plain, corpus.vocab, "A", size.characters, 0.5)

        a, b, c = median_seconds(size.turns, ours, loop, everything.sum)
        fast, slow = prompts * length / a, size.characters / b
        row = {"prompts": prompts, "characters_per_s": fast, "loop_characters_per_s": slow, "ratio": fast / slow}
        rows.append(row | {"floor_share": c * length / a})
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# loading a text, start-up, rendering


def measure_encoding(megabytes: int) -> dict:
    """Time and peak memory of loading a text of that size, in a process of its own."""
    load_corpus("tiny-shakespeare")
    text = (charlm.corpus.DATA / "tiny-shakespeare.txt").read_bytes()
    script = """if True:
        import sys, time, bench
        from charlm.corpus import load_corpus
        before, start = bench.peak_memory(), time.perf_counter()
        corpus = load_corpus(sys.argv[1])
        print(time.perf_counter() - start, bench.peak_memory() - before, len(corpus.ids))"""
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        path = Path(folder, "text.txt")
        with open(path, "wb") as f:
            for _ in range(max(1, round(megabytes * 1e6 / len(text)))):
                f.write(text)
        command = [sys.executable, "-c", script, str(path)]
        told = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=HERE).stdout
        size = path.stat().st_size / 1e6
    seconds, peak, characters = map(float, told.split())
    return {"megabytes": size, "mb_per_s": size / seconds, "bytes_per_char": peak / characters}


def measure_start(turns: int) -> dict:
    """Seconds that importing the core adds to importing torch, and generate.py against torch and weights alone."""

    def python(*arguments: object) -> Callable[[], object]:
        command = [sys.executable, *map(str, arguments)]
        return lambda: subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)

    a, b = median_seconds(3 * turns, python("-c", "import torch"), python("-c", "import torch, charlm_core"))
    figures = {"import_s": b - a}
    if any(RUNS.glob("*/run.json")):
        run = best_record(stored_records())["run_id"]
        path = str(RUNS / run / "best.safetensors")
        load = python("-c", f"import torch, safetensors.torch; safetensors.torch.load_file({path!r})")
        c, d = median_seconds(3 * turns, load, python("generate.py", "--run", run, "--prompt", "A", "--length", 1))
        figures |= {"generate_s": d, "generate_ratio": d / c}
    return figures


def measure_rendering() -> dict:
    """Seconds of a report from stored runs: of the full study where it is trained, else of a quick one."""
    corpus, study, options = load_corpus(CORPUS), Study(), []
    if not all(Run.of(c, corpus).is_finished() for c in study.configurations()):
        study, options = Study.quick(), ["--quick"]
    train_sweep(study.configurations(), corpus, say=lambda line: None)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as out:
        command = [sys.executable, "-m", "charlm.report", *options, "--out", out]
        start = time.perf_counter()
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        return {"render_s": time.perf_counter() - start, "rendered": "quick study" if options else "full study"}


# ---------------------------------------------------------------------------------------------------------------------
# the command


def runs_on_record() -> list[tuple[str, int, int, str]]:
    """(cell, hidden size, epochs, what `auto` makes of its precision here) of every run of the committed report."""
    runs = json.loads((ROOT / "report" / "results.json").read_text("utf-8"))["runs"]

    def auto(r: dict) -> str:
        return resolved_config(Config(cell=r["cell"], learning_rate=r["learning_rate"], device="cpu")).precision

    return [(r["cell"], r["hidden_size"], r["epochs"], auto(r)) for r in runs]


def measure(size: Size, say: Callable[[str], None] = print) -> dict:
    """Everything, as build/bench.json has it."""
    (ROOT / "build").mkdir(exist_ok=True)
    auto, hidden = precisions()[-1], size.hidden_sizes[0]
    kinds = [(cell, h) for h in size.hidden_sizes for cell in size.cells]
    say("training, ours and the plain way in turns")
    training = [measure_training(cell, h, size) for cell, h in kinds]
    say("the roofline")
    roofline = [measure_roofline(cell, h, precision, size) for cell, h in kinds for precision in precisions()]
    say("sampling")
    sampling = measure_sampling(size)
    say("growth")
    growth = measure_growth(size)
    encoding = [measure_encoding(megabytes) for megabytes in size.megabytes]
    figures = {"encode_mb_per_s": encoding[-1]["mb_per_s"], "encode_bytes_per_char": encoding[-1]["bytes_per_char"]}
    if size.whole:
        say("start-up, rendering")
        figures |= measure_start(size.turns) | measure_rendering()

    of = {(row["cell"], row["hidden_size"]): row for row in training}
    runs = [run for run in runs_on_record() if run[:2] in of or not size.whole]
    share = {(row["cell"], row["precision"]): row["share"] for row in roofline if row["hidden_size"] == hidden}

    def seconds(what: str, *hidden_sizes: int) -> float:
        """Of all epochs on record of these hidden sizes, what being auto, float32 or baseline; the smallest benchmark
        takes its own cell for each."""
        pieces = core.count_chunks(len(load_corpus(CORPUS).ids), Config.chunk_length) / (size.batches * 64 * 5 / 4)
        kept = [(of.get((cell, h), training[0]), n, a) for cell, h, n, a in runs if h in hidden_sizes]
        return pieces * sum(row[f"{a if what == 'auto' else what}_s"] * n for row, n, a in kept)

    main = Config.hidden_size
    plain = seconds("baseline", main)
    ratios = {"study": plain / seconds("auto", main), "study_float32": plain / seconds("float32", main)}
    if set(size.hidden_sizes) >= {run[1] for run in runs_on_record()}:
        every = size.hidden_sizes
        figures |= {"training_minutes": seconds("auto", *every) / 60}
        figures |= {"training_float32_minutes": seconds("float32", *every) / 60}
    ratios |= {f"{cell}_step": of[cell, hidden][f"{auto}_ratio"] for cell in size.cells}
    ratios |= {f"{cell}_roofline": share[cell, auto] for cell in size.cells}
    ratios |= {f"sampling_{row['prompts']}": row["ratio"] for row in sampling}
    tables = {"training": training, "roofline": roofline, "sampling": sampling, "growth": growth, "encoding": encoding}
    about = machine_facts() | {"precision": auto, "threads": baseline.THREADS}
    return {"about": about, "ratios": ratios, "figures": figures, **tables}


def as_markdown(measured: dict) -> str:
    """The measurements as Markdown tables."""
    lines = []
    for name, rows in measured.items():
        rows = [{name: k, "": v} for k, v in rows.items()] if isinstance(rows, dict) else rows
        for cells in [rows[0].keys(), ["---"] * len(rows[0]), *(row.values() for row in rows)] if rows else []:
            lines.append(" | ".join(f"{c:.3g}" if isinstance(c, float) else str(c) for c in cells))
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        kind, cell, hidden, precision, device, batches = sys.argv[2:]
        return work(kind, cell, int(hidden), precision, device, int(batches))
    set_up_output()
    parser = argparse.ArgumentParser(description="Measure charlm; writes build/bench.json and build/bench.md.")
    parser.add_argument("--quick", action="store_true", help="the smallest sizes: under two minutes")
    measured = measure(QUICK if parser.parse_args().quick else FULL)
    text = as_markdown(measured)
    for name, content in (("bench.json", json.dumps(measured, indent=1)), ("bench.md", text)):
        with replacing(ROOT / "build" / name) as half:
            half.write_text(content + "\n", "utf-8", newline="\n")
    print(text)


if __name__ == "__main__":
    main()
