"""Runs that survive: killed at any moment, wanted twice at once, out of disk, trained on machines that die."""

import asyncio
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import distributed
import psutil
import pytest
from distributed.core import connect, send_recv
from distributed.security import Security
from hostile import flip
from posix_only import full_disk, posix, press_ctrl_c, start_in_a_terminal
from run_folders import begun_run, results, silent, write_sweep

import charlm.files
import charlm.runs.sweep
import charlm_core as core
from charlm.corpus import ROOT
from charlm.runs.files import STATE
from charlm.runs.folder import Run
from charlm.runs.inventory import run_status
from charlm.runs.sweep import KEEP_MEMORY, train_sweep
from charlm_core import CharlmError, Config

# ---------------------------------------------------------------------------------------------------------------------
# killed at any moment


# A process that imports once and forks a child for each trial, because importing takes a hundred times longer than
# training does. A child is killed at one of the moments that matter, or after a time. The next child goes on from what is on
# the disk.
TRIALS = """
import json, os, signal, sys, threading
from pathlib import Path
import charlm_core as core
from charlm.corpus import load_corpus
from charlm.runs import sweep
from charlm_core import Config

sweep.time_epoch = lambda config, corpus: 1.0  # takes longer than the training here
corpus = load_corpus(sys.argv[1])
config = Config(**json.loads(sys.argv[2]))
sweep.count_cores()  # what is imported at first use
core.train_epoch(core.initial_state(len(corpus.vocab), config), corpus, config)

def train(moment, seconds):
    passed = 0
    def reach(half=None):
        nonlocal passed
        passed += 1
        if passed == moment:
            if half is not None:
                os.ftruncate(half, os.fstat(half).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
    fsync, rename = os.fsync, os.replace
    os.fsync = lambda f: (reach(f), fsync(f))
    os.replace = lambda a, b: (reach(), rename(a, b), reach())
    if seconds:
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
    sweep.train_sweep([config], corpus, Path(sys.argv[3]), workers=1, say=lambda line: None)

# The first state, half written, whole, under its name; later ones; the results; and wherever it is after some time.
for moment, seconds in [(1, 0), (2, 0), (3, 0), (4, 0), (0, 0.1), (5, 0), (2, 0), (5, 0), (8, 0), (0, 0.2), (0, 0)]:
    child = os.fork()
    if child == 0:
        train(moment, seconds)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status == 0 or os.WIFSIGNALED(status)
assert status == 0
"""


@posix
@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_same_bits(trained, tiny_config, tiny_file, tmp_path):
    told = subprocess.run(
        [sys.executable, "-c", TRIALS, str(tiny_file), json.dumps(vars(tiny_config)), str(tmp_path)],
        capture_output=True,
        encoding="utf-8",
    )
    assert told.returncode == 0, told.stderr
    folder = tmp_path / trained[0].name
    assert results(folder) == results(trained[0])
    assert {p.name for p in folder.iterdir()} == {"best.safetensors", "last.safetensors", "lock", "run.json"}


def test_a_run_killed_between_its_last_epoch_and_its_results_is_finished_without_another_epoch(
    trained, tiny, tiny_config, tmp_path, monkeypatch
):
    run = Run.of(tiny_config, tiny, tmp_path)
    data = run.load()
    for _ in range(3):
        data = charlm.runs.sweep.train_one_epoch(data, run.config, tiny)
    charlm.files.write_whole(run.folder / STATE, data)
    monkeypatch.setattr(charlm.runs.sweep, "train_one_epoch", None)
    train_sweep([tiny_config], tiny, tmp_path, say=silent)
    assert results(run.folder) == results(trained[0])


@posix
@pytest.mark.slow
def test_ctrl_c_ends_the_workers_without_a_word_of_theirs_and_keeps_every_finished_epoch(
    tiny_config, tiny_file, tiny, tmp_path
):
    values = {**vars(tiny_config), "epochs": 500, "patience": 500, "cell": ["rnn", "lstm"]}
    command = [sys.executable, "-m", "charlm.runs", "train", write_sweep(tmp_path, tiny_file, values), "--workers", 2]
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "CHARLM_RUNS": str(tmp_path / "runs")}
    with start_in_a_terminal(command, cwd=ROOT, env=env, stdout=-1, stderr=subprocess.STDOUT) as process:
        told = ""
        while told.count("\n[") < 4:
            line = process.stdout.readline()
            assert line, told
            told += line
        press_ctrl_c(process)  # the workers get it too
        rest = process.communicate(timeout=600)[0]
    assert process.returncode == 130
    assert rest.splitlines()[-1].startswith("charlm.runs: interrupted; every finished epoch is kept")
    assert "Traceback" not in rest and "WARNING" not in rest and "leaked" not in rest
    now = [run_status(Run.of(Config(**{**values, "cell": c}), tiny, tmp_path / "runs").folder) for c in values["cell"]]
    assert [about["status"] for about in now] == ["unfinished"] * 2
    assert sum(about["epochs"] for about in now) >= 4


# ---------------------------------------------------------------------------------------------------------------------
# a disk that is full, a folder that cannot be written


@posix
def test_a_full_disk_ends_with_one_line_and_keeps_the_finished_epochs(trained, tiny, tiny_config, tmp_path):
    run = begun_run(tiny_config, tiny, tmp_path)
    kept = (run.folder / STATE).read_bytes()
    with full_disk(len(kept) // 2), pytest.raises(CharlmError, match=r"cannot write .*state\.safetensors"):
        train_sweep([tiny_config], tiny, tmp_path, say=silent)
    assert (run.folder / STATE).read_bytes() == kept
    train_sweep([tiny_config], tiny, tmp_path, say=silent)
    assert results(run.folder) == results(trained[0])


def test_a_folder_that_cannot_be_written_ends_with_one_line(tiny, tiny_config, tmp_path):
    (tmp_path / "runs").write_text("a file stands where the folder should be")
    with pytest.raises(CharlmError, match="cannot write to"):
        train_sweep([tiny_config], tiny, tmp_path / "runs", say=silent)


# ---------------------------------------------------------------------------------------------------------------------
# two processes that want the same run


@pytest.mark.parametrize("seeds, second_trains", [(1, []), (3, [1, 1, 2, 2])])
def test_two_that_ask_for_the_same_runs_share_them_and_the_second_waits_for_what_it_lacks(
    tiny, tiny_config, tmp_path, seeds, second_trains
):
    configs = [replace(tiny_config, seed=seed, epochs=2) for seed in range(seeds)]
    reached, go_on = threading.Event(), threading.Event()
    theirs: list[int] = []
    mine: list[int] = []
    told: list[str] = []

    def watch(config, state):
        theirs.append(config.seed)
        reached.set()
        go_on.wait(60)

    def say(line):
        if "waiting" in line:
            told.append(line)
            go_on.set()

    options = {"corpus": tiny, "runs": tmp_path, "workers": 1}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(train_sweep, configs, say=silent, watch=watch, **options)
        assert reached.wait(60)
        second = train_sweep(configs, say=say, watch=lambda config, state: mine.append(config.seed), **options)
    assert first.result() == second
    assert (theirs, mine) == ([0, 0], second_trains)
    assert told == [f"{Run.of(configs[0], tiny).name}: another process trains it; waiting"]


# ---------------------------------------------------------------------------------------------------------------------
# a run that is damaged


def test_a_damaged_run_is_neither_believed_nor_trained_over_and_the_others_are_trained(
    trained, tiny, tiny_config, tmp_path
):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    flip(folder / "last.safetensors")
    before = (folder / "last.safetensors").read_bytes()
    other = replace(tiny_config, seed=1, epochs=1)
    said: list[str] = []
    with pytest.raises(CharlmError, match=r"^1 of 2 runs .*last\.safetensors is damaged.* remove[^\n]*$"):
        train_sweep([tiny_config, other], tiny, tmp_path, say=said.append)
    assert (folder / "last.safetensors").read_bytes() == before
    assert Run.of(other, tiny, tmp_path).is_finished()
    assert said[0].startswith(f"{folder.name} is left out") and "1 run to train, 0 found" in said[1]


def test_a_damaged_state_leaves_the_other_runs_to_be_trained(tiny, tiny_config, tmp_path):
    bad, good = begun_run(tiny_config, tiny, tmp_path), Run.of(replace(tiny_config, seed=1), tiny, tmp_path)
    flip(bad.folder / STATE)
    with pytest.raises(CharlmError, match=r"^1 of 2 runs .*state\.safetensors is damaged"):
        train_sweep([bad.config, good.config], tiny, tmp_path, workers=1, say=silent)
    assert good.is_finished() and not bad.is_finished()


# ---------------------------------------------------------------------------------------------------------------------
# workers that fail, and other machines


def test_a_scheduler_elsewhere_without_tls_needs_an_explicit_word(tiny, tiny_config, tmp_path):
    for address in ("tcp://192.0.2.1:8786", "192.0.2.1:8786"):
        with pytest.raises(CharlmError, match=r"without TLS.*insecure"):
            train_sweep([tiny_config], tiny, tmp_path, scheduler=address, say=silent)


def test_a_scheduler_that_is_not_there_is_one_line(tiny, tiny_config, tmp_path, monkeypatch):
    client = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: client(address, timeout=timeout / 20))
    with pytest.raises(CharlmError, match="cannot be reached"):
        train_sweep([tiny_config], tiny, tmp_path, scheduler="tcp://127.0.0.1:9", say=silent)


@pytest.fixture(scope="module")
def scheduler():
    """The address of a scheduler whose one worker is a thread of this process."""
    options = {"processes": False, "dashboard_address": None}
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, **options) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def failing(monkeypatch):
    """Has the epochs of a run of this seed fail in some of its calls, which are counted from 1."""
    calls: Counter[int] = Counter()
    train_epoch = core.train_epoch
    monkeypatch.setattr(charlm.runs.sweep, "time_epoch", lambda config, corpus: 1.0)

    def fail(seed, fails):
        def broken(state, corpus, config):
            calls[config.seed] += 1
            if config.seed == seed and fails(calls[seed]):
                raise RuntimeError("boom")
            return train_epoch(state, corpus, config)

        monkeypatch.setattr(core, "train_epoch", broken)
        return calls

    return fail


def test_a_run_may_fail_once_in_every_epoch(trained, scheduler, tiny, tiny_config, tmp_path, failing):
    calls = failing(0, lambda call: call % 2)
    train_sweep([tiny_config], tiny, tmp_path, scheduler=scheduler, insecure=True, say=silent)
    assert results(tmp_path / trained[0].name) == results(trained[0]) and calls == {0: 6}


def test_a_run_that_fails_twice_is_reported_and_the_others_are_done(scheduler, tiny, tiny_config, tmp_path, failing):
    failing(1, lambda call: True)
    configs = [replace(tiny_config, seed=seed, epochs=1) for seed in (0, 1)]
    with pytest.raises(CharlmError, match=r"1 of 2 runs.* failed twice .*boom"):
        train_sweep(configs, tiny, tmp_path, scheduler=scheduler, insecure=True, say=silent)
    assert [Run.of(config, tiny, tmp_path).is_finished() for config in configs] == [True, False]


@pytest.fixture(scope="module")
def local_cluster():
    with charlm.runs.sweep._local_cluster(2) as client:
        yield client


async def ask(address: str, security: Security) -> str:
    """The mildest question that there is. Where it is answered, code that is sent is run."""
    try:
        comm = await connect(address, timeout=5, **security.get_connection_args("client"))
        await asyncio.wait_for(send_recv(comm, op="identity", close=True, reply=True), 5)
        return "answered"
    except (OSError, TimeoutError):
        return "refused"


def test_nobody_without_the_certificate_reaches_the_local_cluster(local_cluster):
    """Neither without a certificate nor with one that is not its own."""
    about = local_cluster.scheduler_info()
    hosts = [about["address"], *about["workers"], *(w["nanny"] for w in about["workers"].values())]
    ways = [(h.replace("tls", scheme), s) for h in hosts for scheme, s in STRANGERS.items()]

    async def ask_all():
        return await asyncio.gather(*(ask(*way) for way in ways))

    assert asyncio.run(ask_all()) == ["refused"] * 10
    assert local_cluster.submit(sum, [1, 2]).result() == 3


STRANGERS = {"tcp": Security(), "tls": Security.temporary()}


def test_the_local_cluster_serves_nothing_over_http(local_cluster):
    about = local_cluster.scheduler_info()
    for port in [server["services"]["dashboard"] for server in (about, *about["workers"].values())]:
        for page in ("/", "/status", "/json/counts.json", "/health"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", page)
            assert connection.getresponse().status == 404


def test_local_workers_keep_the_memory_that_they_free(local_cluster):
    assert {name: local_cluster.submit(os.environ.get, name).result() for name in KEEP_MEMORY} == KEEP_MEMORY


def test_two_workers_one_of_which_dies_give_the_same_bits_as_one(
    trained, local_cluster, tiny, tiny_config, tmp_path, monkeypatch
):
    pids = [*local_cluster.run(os.getpid).values()]
    monkeypatch.setattr(charlm.runs.sweep, "_local_cluster", lambda workers: nullcontext(local_cluster))
    configs = [replace(tiny_config, cell="rnn", epochs=2), tiny_config]
    (one,) = train_sweep(configs[:1], tiny, tmp_path / "one", 1, say=silent)
    said: list[str] = []

    def say(line):
        said.append(line)
        if len(said) == 3:  # in the middle
            psutil.Process(pids[0]).kill()

    train_sweep(configs, tiny, tmp_path / "two", 2, say=say)
    assert len(set(pids)) == 2
    assert results(tmp_path / "two" / one["run_id"]) == results(tmp_path / "one" / one["run_id"])
    assert results(tmp_path / "two" / trained[0].name) == results(trained[0])
