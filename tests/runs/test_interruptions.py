"""Runs that survive: killed at any moment, wanted twice at once, out of disk, trained on machines that die."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from filelock import FileLock
from hostile import flip, rewrite
from posix_only import full_disk, posix, press_ctrl_c, start_in_a_terminal
from run_folders import results, silent, write_sweep

import charlm.files
import charlm.runs.sweep
from charlm.corpus import ROOT
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
from charlm.runs.sweep import train_sweep
from charlm_core import Config

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
    train_sweep([config], corpus, folder, workers=1, say=lambda line: None)

kills = 0
while True:
    moment, seconds = rng.choice([(rng.randint(1, 6), None), (None, rng.uniform(0.01, 0.3))])
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
def test_a_run_killed_at_30_random_moments_ends_with_the_same_bits(tiny, tiny_config, tiny_file, tmp_path):
    config = replace(tiny_config, epochs=12, patience=12)
    train_sweep([config], tiny, tmp_path / "whole", say=silent)
    name = Run.of(config, tiny).name
    kills, trial = 0, 0
    while kills < 30:
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
    done = [0, 0]
    for stop, code in (
        (press_ctrl_c, 130),  # the workers get it too
        (lambda process: process.terminate(), 143),
    ):
        process = start("-m", "charlm.runs", "train", sweep, "--runs", tmp_path / "runs", "--workers", 2)
        for _ in range(6):
            read_until(process, "epoch")
        stop(process)
        rest = process.communicate(timeout=600)[0]
        assert process.returncode == code
        assert "Traceback" not in rest and "WARNING" not in rest and "leaked" not in rest
        now = [run_status(folder) for folder in folders]
        assert [about["status"] for about in now] == ["unfinished"] * 2
        assert sum(about["epochs"] for about in now) >= sum(done) + 6
        done = [about["epochs"] for about in now]


@posix
@pytest.mark.slow
def test_a_report_that_was_interrupted_trains_only_what_was_missing(start, tiny_file, tmp_path):
    report = ("-m", "charlm.report", "--corpus", tiny_file, "--seeds", 2, "--epochs", 3, "--out", tmp_path / "out")
    process = start(*report, CHARLM_RUNS=str(tmp_path / "runs"))
    read_until(process, ", done: ")
    press_ctrl_c(process)
    assert process.communicate(timeout=600)[0].endswith("charlm.report: interrupted; what is trained is kept\n")
    assert process.returncode == 130 and not (tmp_path / "out").exists()
    finished = len(list(tmp_path.glob("runs/*/run.json")))
    again = start(*report, CHARLM_RUNS=str(tmp_path / "runs"))
    assert f"{counted(4 - finished, 'run')} to train, {finished} found" in again.stdout.readline() and finished >= 1


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


def test_of_two_that_ask_for_one_run_one_trains_and_the_other_waits_and_loads(tiny, tiny_config, tmp_path):
    config = replace(tiny_config, epochs=6)
    trained_by, started = [], threading.Event()

    def ask(name):
        def say(line):
            if "epoch" in line:
                trained_by.append(name)
                started.set()

        asked[name] = train_sweep([config], tiny, tmp_path, say=say)

    asked = {}
    first = threading.Thread(target=ask, args=("first",))
    first.start()
    started.wait(60)
    said: list[str] = []
    asked["second"] = train_sweep([config], tiny, tmp_path, say=said.append)
    first.join()
    assert trained_by == ["first"] * 6
    assert said[1:] == [f"{Run.of(config, tiny).name}: another process trains it; waiting"]
    assert asked["first"] == asked["second"]


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
        train_sweep([bad.config, good.config], tiny, tmp_path, say=silent)
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
def test_a_cluster_that_loses_a_worker_ends_with_the_same_bits(dask, scheduler, tiny, tiny_config, tiny_file, tmp_path):
    configs = [replace(tiny_config, cell=cell, seed=seed, epochs=4) for cell in ("rnn", "lstm") for seed in (0, 1)]
    local = train_sweep(configs, tiny, tmp_path / "local", workers=1, say=silent)
    workers = [dask("worker", scheduler, *WORKER, folder=f"worker-{i}") for i in (1, 2)]
    sweep = write_sweep(
        tmp_path, tiny_file, {**vars(tiny_config), "epochs": 4, "cell": ["rnn", "lstm"], "seed": [0, 1]}
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "charlm.runs", "train", sweep, "--runs", tmp_path / "remote", "--scheduler", scheduler],
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    epochs = 0
    for line in process.stderr:
        epochs += "epoch" in line
        if epochs == 5 and workers[0].poll() is None:  # in the middle: about a third of the epochs are done
            workers[0].kill()
            workers[0].wait()
    assert process.wait() == 0
    assert workers[0].returncode and workers[1].poll() is None
    for record in local:
        assert results(tmp_path / "local" / record["run_id"]) == results(tmp_path / "remote" / record["run_id"])
    assert not list((tmp_path / "worker-2").glob("**/*.safetensors"))  # results went to the client, not to a disk there


def test_a_scheduler_elsewhere_without_tls_needs_an_explicit_word(tiny, tiny_config, tmp_path):
    for address in ("tcp://192.0.2.1:8786", "192.0.2.1:8786", "ws://example.org:1"):
        with pytest.raises(CharlmError, match=r"without TLS.*insecure"):
            train_sweep([tiny_config], tiny, tmp_path, scheduler=address, say=silent)


def test_a_scheduler_that_is_not_there_is_one_line(tiny, tiny_config, tmp_path):
    with pytest.raises(CharlmError, match="cannot be reached"):
        train_sweep([tiny_config], tiny, tmp_path, scheduler="tcp://127.0.0.1:9", say=silent)


def test_a_run_that_fails_twice_is_reported_and_the_others_are_done(tiny, tiny_config, tmp_path, monkeypatch):
    bad, good = replace(tiny_config, seed=1), tiny_config

    def broken(data, config, corpus):
        if config.seed == 1:
            raise RuntimeError("boom")
        return advance(data, config, corpus)

    advance = charlm.runs.sweep.train_one_epoch
    monkeypatch.setattr(charlm.runs.sweep, "train_one_epoch", broken)
    from distributed import Client as DaskClient

    def threads(workers):
        return DaskClient(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)

    monkeypatch.setattr(charlm.runs.sweep, "_local_cluster", threads)
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


def test_nobody_without_the_certificate_reaches_the_local_cluster():
    with charlm.runs.sweep._local_cluster(2) as client:
        about = client.scheduler_info()
        addresses = [about["address"], *about["workers"], *(w["nanny"] for w in about["workers"].values())]
        command = [sys.executable, "-c", STRANGER, *addresses]
        told = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=100)
        assert client.submit(sum, [1, 2]).result() == 3
    assert told.stdout.split() == ["refused"] * 10, told.stderr


def test_the_local_cluster_serves_nothing_over_http():
    pages = (
        "/",
        "/status",
        "/info/main/workers.html",
        "/json/counts.json",
        "/metrics",
        "/health",
        "/statics/css/base.css",
    )
    found = {}
    with charlm.runs.sweep._local_cluster(2) as client:
        about = client.scheduler_info()
        for port in [server["services"]["dashboard"] for server in (about, *about["workers"].values())]:
            for page in pages:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", page)
                found[port, page] = connection.getresponse().status
    assert len(found) == 3 * len(pages) and set(found.values()) == {404}


@pytest.fixture
def shaky(monkeypatch):
    """A cluster in this process that cannot reach its workers so many times, as when they have just died."""
    from distributed import Client as DaskClient

    def shaky(failures):
        tries: list[str] = []

        @contextmanager
        def cluster(workers):
            with DaskClient(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as client:
                scatter = client.scatter

                def fail(*arguments, **options):
                    tries.append(None)
                    if len(tries) <= failures:
                        raise OSError("the worker is gone")
                    return scatter(*arguments, **options)

                client.scatter = fail
                yield client

        monkeypatch.setattr(charlm.runs.sweep, "_local_cluster", cluster)
        monkeypatch.setattr(charlm.runs.sweep, "PAUSES", (0, 0, 0))

    return shaky


def test_workers_that_cannot_be_reached_for_a_while_are_waited_for(shaky, trained, tiny, tiny_config, tmp_path):
    shaky(failures=2)
    configs = [tiny_config, replace(tiny_config, seed=1, epochs=1)]
    train_sweep(configs, tiny, tmp_path, workers=2, say=silent)
    assert results(tmp_path / trained[0].name) == results(trained[0])


def test_workers_that_never_come_back_are_one_line(shaky, tiny, tiny_config, tmp_path):
    shaky(failures=3)
    configs = [tiny_config, replace(tiny_config, seed=1)]
    with pytest.raises(CharlmError, match=r"^no worker stays alive \(OSError: the worker is gone\)[^\n]*$"):
        train_sweep(configs, tiny, tmp_path, workers=2, say=silent)


def test_a_run_may_fail_once_in_every_epoch(trained, tiny, tiny_config, tmp_path, monkeypatch, shaky):
    shaky(failures=0)
    advance = charlm.runs.sweep.train_one_epoch
    monkeypatch.setattr(
        charlm.runs.sweep, "seen", set(), raising=False
    )  # there, because Dask copies what a task refers to

    def once(data, config, corpus):
        seen = vars(charlm.runs.sweep)["seen"]
        if data not in seen:
            seen.add(data)
            raise RuntimeError("boom")
        return advance(data, config, corpus)

    monkeypatch.setattr(charlm.runs.sweep, "train_one_epoch", once)
    train_sweep([tiny_config, replace(tiny_config, seed=1, epochs=1)], tiny, tmp_path, workers=2, say=silent)
    assert results(tmp_path / trained[0].name) == results(trained[0])


def test_local_workers_keep_the_memory_that_they_free():
    with charlm.runs.sweep._local_cluster(1) as client:
        found = {name: client.submit(os.environ.get, name).result() for name in KEEP_MEMORY}
    assert found == KEEP_MEMORY
