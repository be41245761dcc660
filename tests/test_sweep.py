"""Runs that survive: killed at any moment, wanted twice at once, out of disk, trained on machines that die."""

import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from filelock import FileLock
from hostile import WRECKS, flip, repack, rewrite
from posix_only import full_disk, posix, press_ctrl_c, start_in_a_terminal
from test_runs import FUZZ, results, silent

import charlm_runs as runs
from charlm_core import Config
from charlm_corpus import ROOT, CharlmError
from charlm_runs import Run

# ---------------------------------------------------------------------------------------------------------------------
# killed at any moment

# A process that imports once and forks a child for each trial, because importing takes a hundred times longer than
# training does. A child is killed either at a random one of the moments that matter (a file half written, written but
# not renamed, renamed) or after a random time, wherever it then is. The next child goes on from what is on the disk.
TRIALS = """
import json, os, random, signal, sys, threading
from pathlib import Path
import charlm_corpus, charlm_core as core, charlm_runs as runs

corpus = charlm_corpus.load(sys.argv[1])
config = core.Config(**json.loads(sys.argv[2]))
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
    runs.sweep([config], corpus, folder, workers=1, say=lambda line: None)

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
    runs.sweep([config], tiny, tmp_path / "whole", say=silent)
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
        data = runs.advance(data, run.config, tiny)
    runs.write(run.folder / runs.STATE, data)
    monkeypatch.setattr(runs, "advance", None)
    runs.sweep([tiny_config], tiny, tmp_path, say=silent)
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
        (lambda process: process.terminate(), -signal.SIGTERM),
    ):
        process = start("-m", "charlm_runs", "train", sweep, "--runs", tmp_path / "runs", "--workers", 2)
        for _ in range(6):
            read_until(process, "epoch")
        stop(process)
        rest = process.communicate(timeout=600)[0]
        assert process.returncode == code
        assert "Traceback" not in rest and "WARNING" not in rest
        now = [runs.status(folder) for folder in folders]
        assert [about["status"] for about in now] == ["unfinished"] * 2
        assert sum(about["epochs"] for about in now) >= sum(done) + 6
        done = [about["epochs"] for about in now]


@posix
@pytest.mark.slow
def test_a_report_that_was_interrupted_trains_only_what_was_missing(start, tiny_file, tmp_path):
    report = ("-m", "charlm_report", "--corpus", tiny_file, "--seeds", 2, "--epochs", 3, "--out", tmp_path / "out")
    process = start(*report, CHARLM_RUNS=str(tmp_path / "runs"))
    read_until(process, ", done, ")
    press_ctrl_c(process)
    assert process.communicate(timeout=600)[0].endswith("charlm_report: interrupted; what is trained is kept\n")
    assert process.returncode == 130 and not (tmp_path / "out").exists()
    finished = len(list(tmp_path.glob("runs/*/run.json")))
    again = start(*report, CHARLM_RUNS=str(tmp_path / "runs"))
    assert f"{4 - finished} runs to train, {finished} found" in again.stdout.readline() and finished >= 1


# ---------------------------------------------------------------------------------------------------------------------
# a disk that is full, a folder that cannot be written


@posix
def test_a_full_disk_ends_with_one_line_and_keeps_the_finished_epochs(trained, tiny, tiny_config, tmp_path):
    run = Run.of(tiny_config, tiny, tmp_path)
    run.save(runs.advance(run.load(), run.config, tiny))
    kept = (run.folder / runs.STATE).read_bytes()
    with full_disk(len(kept) // 2), pytest.raises(CharlmError, match=r"cannot write .*state\.safetensors"):
        runs.sweep([tiny_config], tiny, tmp_path, say=silent)
    assert (run.folder / runs.STATE).read_bytes() == kept
    runs.sweep([tiny_config], tiny, tmp_path, say=silent)
    assert results(run.folder) == results(trained[0])


def test_a_folder_that_cannot_be_written_ends_with_one_line(tiny, tiny_config, tmp_path):
    (tmp_path / "runs").write_text("a file stands where the folder should be")
    with pytest.raises(CharlmError, match="cannot write to"):
        runs.sweep([tiny_config], tiny, tmp_path / "runs", say=silent)


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

        asked[name] = runs.sweep([config], tiny, tmp_path, say=say)

    asked = {}
    first = threading.Thread(target=ask, args=("first",))
    first.start()
    started.wait(60)
    said = []
    asked["second"] = runs.sweep([config], tiny, tmp_path, say=said.append)
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
    said = []
    runs.sweep([tiny_config], tiny, tmp_path, say=said.append)
    assert results(run.folder) == results(trained[0]) and not any("waiting" in line for line in said)


def test_who_waits_for_a_run_that_is_then_removed_trains_it(trained, tiny, tiny_config, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    (folder / "run.json").unlink()
    waiting = threading.Event()
    with FileLock(folder / "lock"):
        asked = threading.Thread(
            target=runs.sweep,
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
    said = []
    with pytest.raises(CharlmError, match=r"^1 of 2 runs .*last\.safetensors is damaged.* remove[^\n]*$"):
        runs.sweep([tiny_config, other], tiny, tmp_path, say=said.append)
    assert (folder / "last.safetensors").read_bytes() == before
    assert Run.of(other, tiny, tmp_path).is_finished()
    assert said[0].startswith(f"{folder.name} is left out") and "1 runs to train, 0 found" in said[1]


def test_a_damaged_state_leaves_the_other_runs_to_be_trained(tiny, tiny_config, tmp_path):
    bad, good = (Run.of(replace(tiny_config, seed=seed), tiny, tmp_path) for seed in (0, 1))
    bad.save(runs.advance(bad.load(), bad.config, tiny))
    flip(bad.folder / runs.STATE)
    with pytest.raises(CharlmError, match=r"^1 of 2 runs .*state\.safetensors is damaged"):
        runs.sweep([bad.config, good.config], tiny, tmp_path, say=silent)
    assert good.is_finished() and not bad.is_finished()


def test_a_run_of_another_version_is_left_alone(trained, tiny, tiny_config, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    rewrite(folder, lambda about: about["config"].update(colour="red"))
    before = (folder / "run.json").read_bytes()
    with pytest.raises(CharlmError, match="of another version"):
        runs.sweep([tiny_config], tiny, tmp_path, say=silent)
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
    local = runs.sweep(configs, tiny, tmp_path / "local", workers=1, say=silent)
    workers = [dask("worker", scheduler, *WORKER, folder=f"worker-{i}") for i in (1, 2)]
    sweep = write_sweep(
        tmp_path, tiny_file, {**vars(tiny_config), "epochs": 4, "cell": ["rnn", "lstm"], "seed": [0, 1]}
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "charlm_runs", "train", sweep, "--runs", tmp_path / "remote", "--scheduler", scheduler],
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


def write_sweep(folder, corpus, values):
    path = folder / "sweep.toml"
    given = {"corpus": str(corpus)} | {k: v for k, v in values.items() if v is not None}  # TOML knows no None
    path.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in given.items()))
    return path


def test_a_scheduler_elsewhere_without_tls_needs_an_explicit_word(tiny, tiny_config, tmp_path):
    for address in ("tcp://192.0.2.1:8786", "192.0.2.1:8786", "ws://example.org:1"):
        with pytest.raises(CharlmError, match=r"without TLS.*insecure"):
            runs.sweep([tiny_config], tiny, tmp_path, scheduler=address, say=silent)


def test_a_scheduler_that_is_not_there_is_one_line(tiny, tiny_config, tmp_path):
    with pytest.raises(CharlmError, match="cannot be reached"):
        runs.sweep([tiny_config], tiny, tmp_path, scheduler="tcp://127.0.0.1:9", say=silent)


def test_a_run_that_fails_twice_is_reported_and_the_others_are_done(tiny, tiny_config, tmp_path, monkeypatch):
    bad, good = replace(tiny_config, seed=1), tiny_config

    def broken(data, config, corpus):
        if config.seed == 1:
            raise RuntimeError("boom")
        return advance(data, config, corpus)

    advance = runs.advance
    monkeypatch.setattr(runs, "advance", broken)
    from distributed import Client as DaskClient

    def threads(workers):
        return DaskClient(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)

    monkeypatch.setattr(runs, "_local_cluster", threads)
    with pytest.raises(CharlmError, match=r"1 of 2 runs.* failed twice .*boom"):
        runs.sweep([bad, good], tiny, tmp_path, workers=2, say=silent)
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
    with runs._local_cluster(2) as client:
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
    with runs._local_cluster(2) as client:
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
        tries = []

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

        monkeypatch.setattr(runs, "_local_cluster", cluster)
        monkeypatch.setattr(runs, "PAUSES", (0, 0, 0))

    return shaky


def test_workers_that_cannot_be_reached_for_a_while_are_waited_for(shaky, trained, tiny, tiny_config, tmp_path):
    shaky(failures=2)
    configs = [tiny_config, replace(tiny_config, seed=1, epochs=1)]
    runs.sweep(configs, tiny, tmp_path, workers=2, say=silent)
    assert results(tmp_path / trained[0].name) == results(trained[0])


def test_workers_that_never_come_back_are_one_line(shaky, tiny, tiny_config, tmp_path):
    shaky(failures=3)
    configs = [tiny_config, replace(tiny_config, seed=1)]
    with pytest.raises(CharlmError, match=r"^no worker stays alive \(OSError: the worker is gone\)[^\n]*$"):
        runs.sweep(configs, tiny, tmp_path, workers=2, say=silent)


def test_a_run_may_fail_once_in_every_epoch(trained, tiny, tiny_config, tmp_path, monkeypatch, shaky):
    shaky(failures=0)
    advance = runs.advance
    monkeypatch.setattr(runs, "seen", set(), raising=False)  # there, because Dask copies what a task refers to

    def once(data, config, corpus):
        seen = vars(runs)["seen"]
        if data not in seen:
            seen.add(data)
            raise RuntimeError("boom")
        return advance(data, config, corpus)

    monkeypatch.setattr(runs, "advance", once)
    runs.sweep([tiny_config, replace(tiny_config, seed=1, epochs=1)], tiny, tmp_path, workers=2, say=silent)
    assert results(tmp_path / trained[0].name) == results(trained[0])


def test_local_workers_keep_the_memory_that_they_free():
    with runs._local_cluster(1) as client:
        found = {name: client.submit(os.environ.get, name).result() for name in runs.KEEP_MEMORY}
    assert found == runs.KEEP_MEMORY


# ---------------------------------------------------------------------------------------------------------------------
# the command line


@pytest.fixture
def charlm_runs(capsys):
    def call(*arguments):
        code = runs.main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def some_runs(trained, tiny, tiny_config, tmp_path):
    """A folder with a finished, an unfinished and a damaged run."""
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    run = Run.of(replace(tiny_config, seed=1), tiny, tmp_path)
    run.save(runs.advance(run.load(), run.config, tiny))
    damaged = Run.of(replace(tiny_config, seed=2), tiny, tmp_path)
    damaged.save(runs.advance(damaged.load(), damaged.config, tiny))
    path = damaged.folder / runs.STATE
    path.write_bytes(path.read_bytes()[:-1])
    return tmp_path


def test_list_tells_finished_unfinished_and_damaged_runs_apart(charlm_runs, some_runs):
    code, out, _ = charlm_runs("list", "--runs", some_runs)
    assert code == 0
    assert {line.split()[1][5:].split("-")[2]: line.split()[0] for line in out.splitlines()} == {
        "seed0": "finished",
        "seed1": "unfinished",
        "seed2": "damaged",
    }
    code, out, _ = charlm_runs("list", "--runs", some_runs, "--json")
    about = {a["status"]: a for a in json.loads(out)}
    assert about["unfinished"]["epochs"] == 1 and about["finished"]["epochs"] == 3
    assert about["finished"]["machine"]["cpu"] and about["finished"]["seconds"] > 0
    assert about["finished"]["code_is_current"] is True
    assert "state.safetensors" in about["damaged"]["problem"]


def test_verify_finds_damage_in_any_file_and_says_so_in_its_exit_code(charlm_runs, trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    assert charlm_runs("verify", "--runs", tmp_path)[0] == 0
    path = tmp_path / trained[0].name / "last.safetensors"
    path.write_bytes(path.read_bytes() + b"x")
    code, out, _ = charlm_runs("verify", "--runs", tmp_path)
    assert code == 1 and "damaged" in out and "last.safetensors" in out


@pytest.mark.parametrize(
    "harm, named",
    [
        (lambda folder: runs.kept(folder, "texts", {}, lambda: {}) or flip(folder / "texts.safetensors"), "texts"),
        (lambda folder: shutil.copy(folder / "best.safetensors", folder / runs.STATE), "state.safetensors"),
        (lambda folder: (folder / "run.json").unlink(), "best.safetensors is there without run.json"),
        (lambda folder: (folder / "notes.txt").touch(), "notes.txt"),
        (lambda folder: (folder / "more").mkdir(), "more"),
        (lambda folder: (folder / ".half-1").mkdir(), ".half-1"),
        (lambda folder: flip(folder / "best.safetensors"), "best.safetensors"),
    ],
)
def test_verify_names_what_is_damaged_or_does_not_belong(charlm_runs, trained, tmp_path, harm, named):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    runs.kept(folder, "meaning", {}, lambda: {})
    assert charlm_runs("verify", "--runs", tmp_path)[0] == 0
    harm(folder)
    code, out, _ = charlm_runs("verify", "--runs", tmp_path)
    assert code == 1 and named in out and len(out.splitlines()) == 1


def test_verify_does_not_believe_a_measure_of_another_run(charlm_runs, trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    runs.kept(folder, "texts", {}, lambda: {})
    repack(folder / "texts.safetensors", lambda _, about: about.update(run_id="another"))
    code, out, _ = charlm_runs("verify", "--runs", tmp_path)
    assert code == 1 and "texts.safetensors" in out


def test_a_run_that_a_kill_left_before_its_results_is_nothing_to_complain_of(charlm_runs, tiny, tiny_config, tmp_path):
    run = Run.of(tiny_config, tiny, tmp_path)
    run.save(runs.advance(run.load(), run.config, tiny))
    runs.write(run.folder / "best.safetensors", b"")
    (run.folder / ".half-1").mkdir()
    assert charlm_runs("verify", "--runs", tmp_path)[0] == 0


@pytest.mark.parametrize("wreck", WRECKS)
def test_every_command_goes_on_past_a_wrecked_run(charlm_runs, some_runs, trained, wreck):
    WRECKS[wreck](some_runs / trained[1]["run_id"])
    names = sorted(p.name for p in some_runs.iterdir())
    for code, *command in ((0, "list"), (1, "verify"), (1, "show", *names)):
        found, out, err = charlm_runs(*command, "--runs", some_runs)
        assert (found, err) == (code, "") and all(name in out for name in names)


def test_a_name_that_would_break_the_line_is_printed_in_one(charlm_runs, tmp_path):
    try:
        (tmp_path / "a\nb").mkdir()
        (tmp_path / os.fsdecode(b"\xff")).mkdir()
    except OSError:
        pytest.skip("this system has no such names")
    code, out, _ = charlm_runs("list", "--runs", tmp_path)
    assert code == 0 and len(out.splitlines()) == 2 and out.isascii()


def test_show_gives_the_whole_record(charlm_runs, trained):
    code, out, _ = charlm_runs("show", trained[1]["run_id"], "--runs", trained[0].parent, "--json")
    assert code == 0 and json.loads(out) == [trained[1]]


# Names that must lead nowhere, on any system.
NAMES = [
    "",
    ".",
    "..",
    "../x",
    "runs/x",
    "./x",
    "/etc",
    "C:",
    "C:\\x",
    "..\\x",
    "x\0",
    "x" * 5000,
    "~",
    "*",
    "notes",
    "nul",
]


@pytest.fixture
def surrounded(some_runs, tmp_path_factory):
    """The folder of some runs in a folder with more in it, and a function that tells all that is there."""
    around = tmp_path_factory.mktemp("around")
    (around / "x").mkdir()
    (around / "x" / "work").write_text("of weeks")
    shutil.copytree(some_runs, around / "runs")
    (around / "runs" / "notes").write_text("not a run")
    return around / "runs", lambda: {p: p.is_file() and p.read_bytes() for p in around.rglob("*")}


@pytest.mark.parametrize("command", ["show", "verify", "remove"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_run_of_the_folder_is_refused(charlm_runs, surrounded, command, name):
    folder, everything = surrounded
    before = everything()
    code, out, err = charlm_runs(command, name, "--runs", folder)
    assert (code, out) == (2, "") and "no run" in err and len(err.splitlines()) == 1 and len(err) < 500
    assert everything() == before


def test_whatever_is_typed_after_remove_no_file_is_lost(charlm_runs, surrounded):
    folder, everything = surrounded
    runs_there = [p.name for p in folder.iterdir() if p.is_dir()]
    pieces = [*NAMES, *runs_there, "/", "\\", " ", "\n", "-", "lstm"]
    for i in range(FUZZ // 4 or 30):
        rng = random.Random(random.random() if FUZZ else i)
        names = ["".join(rng.choices(pieces, k=rng.choice([1, 1, 2, 3]))) for _ in range(rng.choice([1, 2]))]
        names = [name for name in names if name not in runs_there]
        before = everything()
        code, out, err = charlm_runs(
            rng.choice(["show", "verify", "remove"]), "--runs", folder, "--", *names, "nothing"
        )
        assert (code, out) == (2, "") and len(err.splitlines()) == 1
        assert everything() == before


def test_remove_deletes_a_run_and_nothing_else(charlm_runs, surrounded, trained):
    folder, everything = surrounded
    before = everything()
    code, out, _ = charlm_runs("remove", trained[1]["run_id"], "--runs", folder)
    assert code == 0 and "removed" in out
    gone = folder / trained[1]["run_id"]
    assert everything() == {p: b for p, b in before.items() if p != gone and gone not in p.parents}


def test_remove_deletes_what_is_left_of_a_run(charlm_runs, some_runs):
    for left in ("lock", "best.safetensors", "texts.safetensors", ".half-1/run.json"):
        (some_runs / "left" / left).parent.mkdir(parents=True)
        (some_runs / "left" / left).touch()
        assert charlm_runs("remove", "left", "--runs", some_runs)[0] == 0
        assert not (some_runs / "left").exists()


@pytest.mark.parametrize(
    "foreign", ["notes.txt", "more/notes.txt", "best.safetensors/x", ".half-1/notes.txt", ".git/x"]
)
def test_remove_refuses_a_folder_with_anything_foreign_in_it(charlm_runs, surrounded, trained, foreign):
    folder, everything = surrounded
    run = folder / trained[1]["run_id"]
    path = run / foreign
    if path.parent.is_file():
        path.parent.unlink()
    path.parent.mkdir(exist_ok=True)
    path.write_text("of weeks")
    before = everything()
    code, out, _ = charlm_runs("remove", run.name, "--runs", folder)
    assert code == 1 and foreign.partition("/")[0] in out and len(out.splitlines()) == 1
    assert everything() == before


def test_remove_unlinks_a_link_and_does_not_follow_it(charlm_runs, surrounded, trained):
    folder, everything = surrounded
    before = everything()
    (folder / "link").symlink_to(folder.parent / "x")
    (folder / "loop").symlink_to("loop")
    (folder / "of-a-run").symlink_to(trained[1]["run_id"])
    assert charlm_runs("remove", "link", "loop", "of-a-run", "--runs", folder)[0] == 0
    assert everything() == before


def test_remove_unlinks_a_link_inside_a_run_and_does_not_follow_it(charlm_runs, some_runs, trained, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "best.safetensors"
    path = some_runs / trained[1]["run_id"] / "best.safetensors"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)
    assert charlm_runs("remove", trained[1]["run_id"], "--runs", some_runs)[0] == 0
    assert elsewhere.is_file() and not path.parent.exists()


def test_remove_leaves_a_run_that_is_being_trained(charlm_runs, surrounded, trained):
    folder, everything = surrounded
    with FileLock(folder / trained[1]["run_id"] / "lock"):
        before = everything()
        code, out, _ = charlm_runs("remove", trained[1]["run_id"], "--runs", folder)
        assert code == 1 and "is being trained" in out
        assert everything() == before


def test_remove_lets_the_lock_go_before_it_deletes_its_file_where_the_system_wants_that(
    charlm_runs, some_runs, trained, monkeypatch
):
    opened, unlink = set(), os.unlink

    def unlink_closed(path, **options):  # as Windows does
        if os.path.basename(path) in opened:
            raise PermissionError(13, "it is open")
        unlink(path, **options)

    @contextmanager
    def hold(path):
        path.touch()
        opened.add(path.name)
        yield
        opened.remove(path.name)
        path.unlink()  # as filelock does there

    monkeypatch.setattr(os, "unlink", unlink_closed)
    monkeypatch.setattr(runs, "FileLock", lambda path: SimpleNamespace(acquire=lambda timeout: hold(path)))
    assert charlm_runs("remove", trained[1]["run_id"], "--runs", some_runs)[0] == 0
    assert not (some_runs / trained[1]["run_id"]).exists()


def test_who_begins_a_run_while_it_is_removed_keeps_folder_and_lock(trained, tiny, tiny_config, tmp_path, monkeypatch):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    run = Run.of(tiny_config, tiny, tmp_path)
    rmdir = type(folder).rmdir
    with ExitStack() as other:

        def begin(path):
            assert runs._claim(run, other)
            rmdir(path)

        monkeypatch.setattr(type(folder), "rmdir", begin)
        runs.remove(folder)
        assert [p.name for p in folder.iterdir()] == ["lock"]
        with ExitStack() as third:
            assert not runs._claim(run, third)


def test_train_spans_every_combination_that_the_file_lists(charlm_runs, tiny_file, tmp_path):
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(
        f'corpus = \'{tiny_file}\'\ncell = ["rnn", "gru"]\nseed = [0, 1]\nhidden_size = 8\nepochs = 1\nbatch_size = 8\n'
    )
    code, out, err = charlm_runs("train", sweep, "--runs", tmp_path / "runs", "--workers", 1, "--json")
    assert code == 0
    assert sorted(a["run_id"].rpartition("-")[0] for a in json.loads(out)) == [
        "gru-8-lr0.001-seed0",
        "gru-8-lr0.001-seed1",
        "rnn-8-lr0.001-seed0",
        "rnn-8-lr0.001-seed1",
    ]
    assert "4 runs to train, 0 found" in err
    code, _, err = charlm_runs("train", sweep, "--runs", tmp_path / "runs")
    assert code == 0 and err == ""


@pytest.mark.parametrize(
    "text, message",
    [
        ("hidden = 8", "unknown key 'hidden'"),
        ("seed = [0, -1]", "seed = -1"),
        ("cell = ", "is not TOML"),
        ('corpus = ["a", "b"]', "needs one name"),
        ('corpus = "/no/such/file"', "no file"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(charlm_runs, tmp_path, text, message):
    (tmp_path / "sweep.toml").write_text(text)
    code, out, err = charlm_runs("train", tmp_path / "sweep.toml", "--runs", tmp_path)
    assert (code, out) == (2, "") and message in err and len(err.splitlines()) == 1


def test_a_precision_that_the_processor_lacks_is_one_line_before_any_training(tiny_file, tmp_path):
    sweep = write_sweep(tmp_path, tiny_file, {"cell": "lstm", "hidden_size": 8, "epochs": 1, "precision": "bfloat16"})
    done = subprocess.run(
        [sys.executable, "-m", "charlm_runs", "train", sweep, "--runs", tmp_path / "runs"],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:  # with this, or on this processor, there is no bfloat16
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert "precision = 'bfloat16': this machine's cpu cannot train" in done.stderr
        assert not (tmp_path / "runs").exists()
    else:
        assert done.stdout.startswith("finished")


def test_train_says_when_a_run_diverged(charlm_runs, tiny_file, tmp_path):
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(f"corpus = '{tiny_file}'\ncell = \"rnn\"\nlearning_rate = 1e38\nhidden_size = 8\nbatch_size = 8\n")
    code, out, _ = charlm_runs("train", sweep, "--runs", tmp_path / "runs", "--workers", 1)
    assert code == 1 and out.startswith("diverged")
