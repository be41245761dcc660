"""How fast charlm is against the plain way of baseline.py: an epoch of each cell, and one text. `make bench` prints it.

Both are measured in turns on the same cores, and the faster turn counts; only the ratios carry over to another machine.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from statistics import mean

import baseline

import charlm_core as core
from charlm.corpus import load_corpus
from charlm.device import resolved_config
from charlm.runs.identity import machine_facts
from charlm.runs.sweep import count_cores
from charlm.sampling import sample
from charlm.studies import epoch_seconds
from charlm_core import Config, Corpus, decode

TURNS = 2
CHARACTERS = 500  # of the text


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def our_epoch(config: Config, corpus: Corpus, pool: ProcessPoolExecutor, cores: int) -> float:
    """Seconds a run, trained as make report does: a one-thread process on every core, all at the same time."""
    return mean(pool.map(epoch_seconds, [config] * cores, [corpus] * cores)) / cores


def epoch_rows(hidden_size: int, corpus: Corpus) -> Iterator[tuple[str, float, float]]:
    """(what, our seconds, the plain way's) of an epoch of training and validation of each cell that the plain way has."""
    cores = count_cores()
    text = decode(corpus.ids, corpus.vocab)
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        for cell in ("rnn", "lstm", "gru"):
            config = Config(cell=cell, hidden_size=hidden_size, device="cpu")
            plain = baseline.Training(text, corpus.vocab, cell, config.hidden_size)
            turns = [(our_epoch(config, corpus, pool, cores), timed(plain.epoch)) for _ in range(TURNS)]
            ours, theirs = map(min, zip(*turns, strict=True))
            yield f"an epoch of the {cell.upper()}, seconds", ours, theirs


def text_row(hidden_size: int, corpus: Corpus) -> tuple[str, float, float]:
    """The same of one text of an LSTM."""
    config = Config(cell="lstm", hidden_size=hidden_size, device="cpu", precision="float32")
    weights = core.initial_weights(len(corpus.vocab), config)
    plain = baseline.CharModel("lstm", len(corpus.vocab), config.hidden_size)
    plain.load_state_dict(weights)

    def ours() -> None:
        sample(weights, config, corpus.vocab, ["A"], CHARACTERS, 0.5, numbers=[0])

    def loop() -> None:
        baseline.generate(plain, corpus.vocab, "A", CHARACTERS, 0.5)

    turns = [(timed(ours), timed(loop)) for _ in range(TURNS)]
    return f"a text of {CHARACTERS} characters, seconds", *map(min, zip(*turns, strict=True))


def main(hidden_size: int = Config.hidden_size, corpus_name: str = "shakespeare-268k") -> None:
    corpus = load_corpus(corpus_name)
    precision = resolved_config(Config(device="cpu")).precision
    print(f"{machine_facts()['cpu']}, {count_cores()} cores, {precision}\n")
    print("what | charlm | the plain way | ratio\n---|---|---|---")
    for what, ours, theirs in [*epoch_rows(hidden_size, corpus), text_row(hidden_size, corpus)]:
        print(f"{what} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
