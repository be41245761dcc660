"""Runs that survive: killed at any moment, wanted twice at once, out of disk, trained on machines that die."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace

import distributed
import pytest
from filelock import FileLock
from hostile import flip, rewrite
from posix_only import full_disk, posix, press_ctrl_c, start_in_a_terminal
from run_folders import results, silent, write_sweep

import charlm.files
import charlm.runs.sweep
from charlm.corpus import ROOT
from charlm.protocol import Study
from charlm.records import counted
from charlm.runs.files import STATE
from charlm.runs.folder import Run
from charlm.runs.inventory import run_status
from charlm.runs.sweep import KEEP_MEMORY, train_sweep
from charlm_core import CharlmError, Config

# ---------------------------------------------------------------------------------------------------------------------
# killed at any moment


# A process that imports once and forks a child for each trial, because importing takes a hundred times longer than
# training does. A child is killed either at a random one of the moments that matter (a file half written, written but
# not renamed, renamed) or after a random time, wherever it then is. The next child goes on from what is on the disk.
TRIALS = """
import json, os, random, signal, sys, threading
from pathlib import Path
import charlm_core as core
from charlm.corpus import load_corpus
from charlm.runs import sweep
from charlm_core import Config

sweep.time_epoch = lambda config, corpus: (1, 1.0)  # takes longer than the training here
corpus = load_corpus(sys.argv[1])
config = Config(**json.loads(sys.argv[2]))
folder, rng = Path(sys.argv[3]), random.Random(int(sys.argv[4]))
core.train_epoch(core.initial_state(len(corpus.vocab), config), corpus, config)  # what torch imports at first use

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
    sweep.train_sweep([config], corpus, folder, workers=1, say=lambda line: None)

kills = 0
while True:
    moment, seconds = rng.choice([(rng.randint(1, 6), None), (None, rng.uniform(0.01, 0.2))])
    child = os.fork()
    if child == 0:
        try:
            train(moment, seconds)
            os._exit(0)
        except BaseException as e:
            print(repr(e), file=sys.stderr, flush=True)
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        break
    kills += 1
print(json.dumps({"kills": kills, "exit": os.waitstatus_to_exitcode(status)}))
"""


@posix
@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_same_bits(tiny, tiny_config, tiny_file, tmp_path):
    config = replace(tiny_config, epochs=6, patience=6)
    train_sweep([config], tiny, tmp_path / "whole", say=silent)
    name = Run.of(config, tiny).name
    kills, trial = 0, 0
    while kills < 10:
        trial += 1
        folder = tmp_path / f"killed-{trial}"
        told = subprocess.run(
            [sys.executable, "-c", TRIALS, str(tiny_file), json.dumps(vars(config)), str(folder), str(trial)],
            capture_output=True,
            encoding="utf-8",
        )
        assert told.returncode == 0, told.stderr
        outcome = json.loads(told.stdout)
        assert outcome["exit"] == 0, told.stderr
        kills += outcome["kills"]
        assert results(folder / name) == results(tmp_path / "whole" / name)
        assert sorted(p.name for p in (folder / name).iterdir()) == sorted(
            ["best.safetensors", "last.safetensors", "lock", "run.json"]
        )


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


@pytest.fixture
def start():
    """Starts Python as a terminal would; killed in the end."""
    started = []

    def start(*arguments, **env):
        process = start_in_a_terminal(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def read_until(process, text):
    """Read lines up to one that holds the text."""
    while text not in (line := process.stdout.readline()):
        assert line, f"it ended without {text!r}"


@posix
@pytest.mark.slow
def test_ctrl_c_and_sigterm_keep_every_finished_epoch(start, tiny_config, tiny_file, tiny, tmp_path):
    values = {**vars(tiny_config), "epochs": 500, "patience": 500, "cell": ["rnn", "lstm"]}
    sweep = write_sweep(tmp_path, tiny_file, values)
    folders = [Run.of(Config(**{**values, "cell": c}), tiny, tmp_path / "runs").folder for c in values["cell"]]
    done = 0
    for stop, workers, code in (
        (press_ctrl_c, 2, 130),  # the workers get it too
        (lambda process: process.terminate(), 1, 143),
    ):
        process = start("-m", "charlm.runs", "train", sweep, "--runs", tmp_path / "runs", "--workers", workers)
        for _ in range(4):
            read_until(process, "epoch")
        stop(process)
        rest = process.communicate(timeout=600)[0]
        assert process.returncode == code
        assert "Traceback" not in rest and "WARNING" not in rest and "leaked" not in rest
        now = [run_status(folder) for folder in folders]
        assert [about["status"] for about in now] == ["unfinished"] * 2
        assert sum(about["epochs"] for about in now) >= done + 4
        done = sum(about["epochs"] for about in now)


@posix
@pytest.mark.slow
def test_a_report_that_was_interrupted_trains_only_what_was_missing(start, tiny, tiny_file, tmp_path):
    report = ("-m", "charlm.report", "--corpus", tiny_file, "--seeds", 2, "--epochs", 3, "--out", tmp_path / "out")
    process = start(*report, CHARLM_RUNS=str(tmp_path / "runs"))
    read_until(process, ", done: ")
    press_ctrl_c(process)
    assert process.communicate(timeout=600)[0].endswith("charlm.report: interrupted; what is trained is kept\n")
    assert process.returncode == 130 and not (tmp_path / "out").exists()
    finished = len(list(tmp_path.glob("runs/*/run.json")))

    def say(line):
        assert f"{counted(4 - finished, 'run')} to train, {finished} found" in line and finished >= 1
        raise InterruptedError

    with pytest.raises(InterruptedError):
        train_sweep(Study(seeds=2, epochs=3).configurations(), tiny, tmp_path / "runs", say=say)


# ---------------------------------------------------------------------------------------------------------------------
# a disk that is full, a folder that cannot be written


@posix
def test_a_full_disk_ends_with_one_line_and_keeps_the_finished_epochs(trained, tiny, tiny_config, tmp_path):
    run = Run.of(tiny_config, tiny, tmp_path)
    run.save(charlm.runs.sweep.train_one_epoch(run.load(), run.config, tiny))
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


@pytest.fixture
def in_the_middle(tiny, tmp_path):
    """A sweep of these configurations that stops in its first epoch and goes on when it may: gives an event to let it, and a
    function that waits for its end and returns its records and the seed that it was at in each epoch."""
    begun: list[tuple] = []

    def begin(configs):
        reached, go_on = threading.Event(), threading.Event()
        seeds: list[int] = []
        records: list[dict] = []

        def watch(config, state):
            seeds.append(config.seed)
            reached.set()
            go_on.wait(60)

        def ask():
            records.extend(train_sweep(configs, tiny, tmp_path, workers=1, say=silent, watch=watch))

        thread = threading.Thread(target=ask)
        thread.start()
        begun.append((go_on, thread))
        reached.wait(60)

        def end():
            thread.join()
            return records, seeds

        return go_on, end

    yield begin
    for go_on, thread in begun:
        go_on.set()
        thread.join()


def test_of_two_that_ask_for_one_run_one_trains_and_the_other_waits_and_loads(
    in_the_middle, tiny, tiny_config, tmp_path
):
    go_on, first = in_the_middle([tiny_config])
    told: list[str] = []

    def say(line):
        told.append(line)
        if "waiting" in line:
            go_on.set()

    mine: list[int] = []
    records = train_sweep([tiny_config], tiny, tmp_path, say=say, watch=lambda config, state: mine.append(config.seed))
    assert first() == (records, [0, 0, 0]) and mine == []
    assert [line for line in told if "waiting" in line] == [
        f"{Run.of(tiny_config, tiny).name}: another process trains it; waiting"
    ]


def test_two_that_ask_for_the_same_runs_share_them(in_the_middle, tiny, tiny_config, tmp_path):
    configs = [replace(tiny_config, seed=seed, epochs=2) for seed in range(4)]
    go_on, first = in_the_middle(configs)
    mine: list[int] = []
    records = train_sweep(
        configs,
        tiny,
        tmp_path,
        workers=1,
        say=lambda line: go_on.set() if "waiting" in line else None,
        watch=lambda config, state: mine.append(config.seed),
    )
    assert first() == (records, [0, 0]) and sorted(mine) == [1, 1, 2, 2, 3, 3]


def test_a_run_that_is_not_begun_is_free(in_the_middle, tiny, tiny_config, tmp_path):
    configs = [replace(tiny_config, seed=seed) for seed in range(2)]
    in_the_middle(configs)
    assert not Run.of(configs[1], tiny, tmp_path).folder.exists()


def test_a_run_that_another_process_finishes_before_training_begins_is_found(tiny, tiny_config, tmp_path, monkeypatch):
    expected, config = charlm.runs.sweep.expected_courses, replace(tiny_config, epochs=1)

    def meanwhile(*arguments):
        monkeypatch.undo()
        train_sweep([config], tiny, tmp_path, say=silent)
        return expected(*arguments)

    monkeypatch.setattr(charlm.runs.sweep, "expected_courses", meanwhile)
    said: list[str] = []
    (record,) = train_sweep([config], tiny, tmp_path, say=said.append)
    assert record["epochs"] == 1 and said[-1].endswith("trained by another process")


def test_a_lock_left_by_a_dead_process_does_not_block(trained, tiny, tiny_config, tmp_path):
    run = Run.of(tiny_config, tiny, tmp_path)
    script = (
        "import os, sys; from filelock import FileLock; from pathlib import Path; p = Path(sys.argv[1]); "
        "p.mkdir(parents=True); FileLock(p / 'lock').acquire(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(run.folder)])
    assert (run.folder / "lock").exists()
    said: list[str] = []
    train_sweep([tiny_config], tiny, tmp_path, say=said.append)
    assert results(run.folder) == results(trained[0]) and not any("waiting" in line for line in said)


def test_who_waits_for_a_run_that_is_then_removed_trains_it(trained, tiny, tiny_config, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    (folder / "run.json").unlink()
    waiting = threading.Event()
    with FileLock(folder / "lock"):
        asked = threading.Thread(
            target=train_sweep,
            args=([tiny_config], tiny, tmp_path),
            kwargs={"say": lambda line: waiting.set() if "waiting" in line else None},
        )
        asked.start()
        waiting.wait(60)
        shutil.rmtree(folder)
    asked.join()
    assert results(folder) == results(trained[0])


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
    bad, good = (Run.of(replace(tiny_config, seed=seed), tiny, tmp_path) for seed in (0, 1))
    bad.save(charlm.runs.sweep.train_one_epoch(bad.load(), bad.config, tiny))
    flip(bad.folder / STATE)
    with pytest.raises(CharlmError, match=r"^1 of 2 runs .*state\.safetensors is damaged"):
        train_sweep([bad.config, good.config], tiny, tmp_path, workers=1, say=silent)
    assert good.is_finished() and not bad.is_finished()


def test_a_run_of_another_version_is_left_alone(trained, tiny, tiny_config, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    rewrite(folder, lambda about: about["config"].update(colour="red"))
    before = (folder / "run.json").read_bytes()
    with pytest.raises(CharlmError, match="of another version"):
        train_sweep([tiny_config], tiny, tmp_path, say=silent)
    assert (folder / "run.json").read_bytes() == before


# ---------------------------------------------------------------------------------------------------------------------
# other machines


@pytest.fixture
def dask(tmp_path):
    """Starts Dask's own programs as processes, each in a folder of its own; all are killed in the end."""
    started = []

    def start(*arguments, folder):
        (tmp_path / folder).mkdir()
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=tmp_path / folder,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def scheduler(dask, tmp_path):
    """The address of a Dask scheduler on loopback."""
    file = tmp_path / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    dask("scheduler", *options, folder="scheduler")
    for _ in range(300):
        if file.exists() and file.read_text().strip().endswith("}"):
            return json.loads(file.read_text())["address"]
        time.sleep(0.1)
    pytest.fail("the scheduler did not start")


WORKER = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_ends_with_the_same_bits(dask, scheduler, tiny, tiny_config, tmp_path):
    configs = [replace(tiny_config, cell=cell, epochs=4) for cell in ("rnn", "gru", "lstm")]
    local = train_sweep(configs, tiny, tmp_path / "local", workers=1, say=silent)
    workers = [dask("worker", scheduler, *WORKER, folder=f"worker-{i}") for i in (1, 2)]
    said: list[str] = []

    def say(line):
        said.append(line)
        if len(said) == 5:  # in the middle
            workers[0].kill()
            workers[0].wait()

    remote = train_sweep(configs, tiny, tmp_path / "remote", scheduler=scheduler, say=say)
    assert workers[0].returncode and workers[1].poll() is None
    for record, other in zip(local, remote, strict=True):
        assert results(tmp_path / "local" / record["run_id"]) == results(tmp_path / "remote" / other["run_id"])
    assert not list((tmp_path / "worker-2").glob("**/*.safetensors"))  # results went to the client, not to a disk there


def test_a_scheduler_elsewhere_without_tls_needs_an_explicit_word(tiny, tiny_config, tmp_path):
    for address in ("tcp://192.0.2.1:8786", "192.0.2.1:8786", "ws://example.org:1"):
        with pytest.raises(CharlmError, match=r"without TLS.*insecure"):
            train_sweep([tiny_config], tiny, tmp_path, scheduler=address, say=silent)


def test_a_scheduler_that_is_not_there_is_one_line(tiny, tiny_config, tmp_path, monkeypatch):
    client = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: client(address, timeout=timeout / 20))
    with pytest.raises(CharlmError, match="cannot be reached"):
        train_sweep([tiny_config], tiny, tmp_path, scheduler="tcp://127.0.0.1:9", say=silent)


@pytest.fixture
def in_a_thread(monkeypatch):
    """The workers of the local cluster are a thread of this process."""

    def cluster(workers):
        return distributed.Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)

    monkeypatch.setattr(charlm.runs.sweep, "_local_cluster", cluster)


def test_a_run_that_fails_twice_is_reported_and_the_others_are_done(
    in_a_thread, tiny, tiny_config, tmp_path, monkeypatch
):
    bad, good = replace(tiny_config, seed=1), tiny_config

    def broken(data, config, corpus):
        if config.seed == 1:
            raise RuntimeError("boom")
        return advance(data, config, corpus)

    advance = charlm.runs.sweep.train_one_epoch
    monkeypatch.setattr(charlm.runs.sweep, "train_one_epoch", broken)
    with pytest.raises(CharlmError, match=r"1 of 2 runs.* failed twice .*boom"):
        train_sweep([bad, good], tiny, tmp_path, workers=2, say=silent)
    assert Run.of(good, tiny, tmp_path).is_finished() and not Run.of(bad, tiny, tmp_path).is_finished()


# Another process, which knows an address and asks the mildest question there is: without a certificate, then with one
# that it made itself. Where that is answered, code that it sends is run.
STRANGER = """
import asyncio, sys
from distributed.core import connect, send_recv
from distributed.security import Security

async def ask(address, security):
    try:
        comm = await connect(address, timeout=5, **security.get_connection_args("client"))
        await asyncio.wait_for(send_recv(comm, op="identity", close=True, reply=True), 5)
        return "answered"
    except (OSError, TimeoutError) as e:
        return "refused"

async def main():
    for address in sys.argv[1:]:
        host = address.partition("://")[2]
        for scheme, security in (("tcp", Security()), ("tls", Security.temporary())):
            print(await ask(f"{scheme}://{host}", security))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def local_cluster():
    with charlm.runs.sweep._local_cluster(2) as client:
        yield client


def test_nobody_without_the_certificate_reaches_the_local_cluster(local_cluster):
    about = local_cluster.scheduler_info()
    addresses = [about["address"], *about["workers"], *(w["nanny"] for w in about["workers"].values())]
    command = [sys.executable, "-c", STRANGER, *addresses]
    told = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=100)
    assert local_cluster.submit(sum, [1, 2]).result() == 3
    assert told.stdout.split() == ["refused"] * 10, told.stderr


def test_the_local_cluster_serves_nothing_over_http(local_cluster):
    pages = ("/", "/status", "/info/main/workers.html", "/json/counts.json", "/metrics", "/health")
    found = {}
    about = local_cluster.scheduler_info()
    for port in [server["services"]["dashboard"] for server in (about, *about["workers"].values())]:
        for page in pages:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", page)
            found[port, page] = connection.getresponse().status
    assert len(found) == 3 * len(pages) and set(found.values()) == {404}


def test_local_workers_keep_the_memory_that_they_free(local_cluster):
    assert {name: local_cluster.submit(os.environ.get, name).result() for name in KEEP_MEMORY} == KEEP_MEMORY


def test_a_run_may_fail_once_in_every_epoch(trained, tiny, tiny_config, tmp_path, monkeypatch, in_a_thread):
    advance = charlm.runs.sweep.train_one_epoch
    calls: Counter[int] = Counter()

    def every_second(data, config, corpus):
        calls[config.seed] += 1
        if calls[config.seed] % 2:
            raise RuntimeError("boom")
        return advance(data, config, corpus)

    monkeypatch.setattr(charlm.runs.sweep, "train_one_epoch", every_second)
    train_sweep([tiny_config, replace(tiny_config, seed=1, epochs=1)], tiny, tmp_path, workers=2, say=silent)
    assert results(tmp_path / trained[0].name) == results(trained[0])
    assert calls == {0: 6, 1: 2}
