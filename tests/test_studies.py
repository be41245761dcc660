"""Long studies: which runs they are made of, and how their records are kept."""

from dataclasses import asdict, replace
from itertools import product

import pytest
import torch
from hostile import flip
from run_folders import silent
from synthetic import make_record

import charlm.corpus
import charlm.runs.identity
import charlm_core as core
from charlm import studies
from charlm.corpus import load_corpus
from charlm.device import resolved_config
from charlm.files import Damaged, write_json
from charlm.protocol import Study
from charlm.records import with_value
from charlm.runs.sweep import train_sweep
from charlm.stats import SAME, best_settings, by_cell
from charlm.studies import CONFIGURATIONS, LEARNING_RATES, STUDIED_CELLS, STUDIES, Made
from charlm_core import CharlmError, Config


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_study_trains_each_of_its_runs_once(name):
    configs = CONFIGURATIONS[name](load_corpus(studies.corpus_of(name)))
    assert len(set(configs)) == len(configs)
    goes_on = studies.GOES_ON_FROM.get(name, "")
    assert configs or not (STUDIES / f"{goes_on}.json").exists()


@pytest.mark.parametrize("name, before", studies.GOES_ON_FROM.items())
def test_a_study_that_goes_on_from_another_has_no_runs_before_that_is_made(name, before, tiny):
    assert CONFIGURATIONS[name](tiny) == []
    assert studies.read_study(name, tiny) == Made(name, tiny.sha256)


def test_each_cell_goes_on_with_what_was_best_of_its_own_short_runs(monkeypatch, tiny):
    def short(cell, loss, **fields):
        return make_record(cell, 0) | fields | {"losses": {"windows-256": loss}}

    tried = [
        short("lstm", 1.45, forget=0.06, dropout=0.4),
        short("lstm", 1.44, forget=0.15, dropout=0.4),
        short("gru", 1.47, forget=0.06, dropout=0.3),
    ]
    monkeypatch.setattr(studies, "read_study", lambda name, corpus: Made(name, "", tried))
    configs = studies.last_tenth(tiny)
    assert sorted(c.cell for c in configs) == ["gru"] * 3 + ["lstm"] * 4  # no short run, no run
    lstm = next(c for c in configs if c.cell == "lstm")
    gru = next(c for c in configs if c.cell == "gru")
    assert (lstm.forget, lstm.dropout) == (0.15, 0.4)
    assert (gru.forget, gru.dropout) == (0.06, 0.3)
    assert all(c.shift and c.carry and c.cut == studies.CUT for c in configs)


def test_short_runs_read_nothing_of_the_last_tenth(tiny):
    assert {(c.cut, c.characters) for c in studies.short_runs(tiny)} == {(studies.TUNING_CUT, studies.CUT)}
    assert sum(c.cell == "lstm" for c in studies.short_runs(tiny)) <= 8


def test_what_is_measured_of_the_arms_keeps_their_order_and_counting_stands_beside_the_whole_cure(monkeypatch):
    monkeypatch.setattr(studies, "with_training_at_rest", lambda runs, corpus: runs)
    monkeypatch.setattr(studies, "with_counting", lambda runs, corpus: [r | {"counting": 1.5} for r in runs])
    kinds = [(0.5, "cosine"), (0.0, "constant"), (0.5, "cosine"), (0.0, "cosine")]
    runs = [make_record("lstm", seed, dropout=share, schedule=how) for seed, (share, how) in enumerate(kinds)]
    measured = studies.STUDY_MEASURES["arms"](runs, None)
    assert [(r["seed"], "counting" in r) for r in measured] == [(0, True), (1, False), (2, True), (3, False)]


def test_the_arms_are_nothing_dropout_alone_the_rest_and_all(monkeypatch, tiny):
    tried = [
        make_record(cell, seed, dropout=share, shift=share)
        for cell, share, seed in product(STUDIED_CELLS, (0.1, 0.5), range(10, 13))
    ]
    monkeypatch.setattr(studies, "read_study", lambda name, corpus: Made(name, "", tried))
    configs = studies.arms(tiny)
    assert len(configs) == 3 * 4 * 5
    by_arm = {(c.dropout, c.schedule, c.weight_decay > 0, c.clip > 0) for c in configs}
    assert by_arm == {
        (share, *rest) for share in (0, 0.1) for rest in (("constant", False, False), ("cosine", True, True))
    }
    assert not {c.seed for c in configs} & {r["seed"] for r in tried}


def test_a_study_of_the_whole_text_is_not_made_for_another(tiny):
    said: list[str] = []
    assert studies.make_study("last_tenth", tiny, said.append) == Made("last_tenth", tiny.sha256)
    assert said == [f"last_tenth: is about tiny-shakespeare alone, so there is nothing to make for {tiny.name}"]


def test_equal_parameters_means_within_one_percent_of_each_other(shakespeare):
    counts = {core.count_parameters(len(shakespeare.vocab), c) for c in studies.parameters(shakespeare)}
    assert len(counts) == 3 and max(counts) < 1.01 * min(counts)


def test_a_study_that_goes_on_from_one_that_was_not_made_says_which(tiny):
    with pytest.raises(CharlmError, match="STUDIES='learning_rates tuned'"):
        studies.make_study("tuned", tiny)


def test_names_of_studies():
    assert studies.check_names(["cells", "split", "cells"]) == ["cells", "split"]
    assert studies.check_names(["all"]) == list(CONFIGURATIONS)
    with pytest.raises(CharlmError, match=r"no study 'cell'.*precision, .*, cells"):
        studies.check_names(["cell"])


@pytest.fixture
def small(monkeypatch, tiny_config, tmp_path):
    """A study of two tiny runs, with runs and studies in a folder of the test's own."""
    monkeypatch.setitem(CONFIGURATIONS, "parameters", lambda corpus: [tiny_config, replace(tiny_config, seed=1)])
    sweep = train_sweep
    monkeypatch.setattr(
        studies, "train_sweep", lambda configs, corpus, say: sweep(configs, corpus, tmp_path, 1, say=say)
    )
    return tmp_path


def test_a_study_of_the_reports_corpus_is_kept_and_read_back(small, tiny, monkeypatch):
    studies.make_study("parameters", tiny, silent, small / "studies")  # of another corpus: it is not kept
    assert not (small / "studies").exists()
    monkeypatch.setitem(charlm.corpus.CORPORA[Study.corpus], "sha256", tiny.sha256)
    said: list[str] = []
    made = studies.make_study("parameters", tiny, said.append, small / "studies")
    assert said[-1] == "studies/parameters.json: 2 runs"
    assert studies.read_study("parameters", tiny, small / "studies") == made
    assert [r["seed"] for r in made.runs] == [0, 1]
    assert made.epoch_seconds.keys() == {"lstm-16"} and made.epoch_seconds["lstm-16"] > 0


@pytest.fixture
def kept(tiny, trained, tmp_path):
    """Writes a study of two runs, with a change in what it holds and a checksum that is right; and its path."""
    path = tmp_path / "cells.json"

    def write(change=lambda about: None):
        record = trained[1]
        about = asdict(Made("cells", tiny.sha256, [record, record | {"seed": 1}], {"lstm-16": 1.0}))
        change(about)
        write_json(path, about)

    write()
    return write, path


def test_a_study_that_was_not_made_for_a_corpus_has_no_runs(kept, tiny, tmp_path):
    assert len(studies.read_study("cells", tiny, tmp_path).runs) == 2
    assert studies.read_study("cells", replace(tiny, sha256="another"), tmp_path).runs == []
    assert "STUDIES=cells" in studies.made_with(Made("cells", "another")).filled


def of_first(**changes):
    return lambda about: about["runs"][0].update(changes)


CONTRADICTIONS = {
    "best loss": of_first(val_loss_best=1.0),
    "a loss": lambda about: about["runs"][0]["val_loss"].__setitem__(1, 1.0),
    "a loss too few": lambda about: about["runs"][0]["train_loss"].pop(),
    "a loss that is text": of_first(val_loss=["3"]),
    "epochs": of_first(epochs=4),
    "status": of_first(status="diverged"),
    "an unknown cell": of_first(cell="os.system"),
    "another corpus": of_first(corpus_sha256="0" * 64),
    "no machine": of_first(machine={}),
    "runs of another form": lambda about: about.update(runs={"a": 1}),
    "seconds that are text": lambda about: about.update(epoch_seconds={"lstm-16": "1"}),
    "another study": lambda about: about.update(study="tuned"),
}


@pytest.mark.parametrize("change", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_record_that_contradicts_itself_is_not_believed(kept, tiny, change):
    write, path = kept
    write(change)
    with pytest.raises(Damaged, match=r"cells\.json"):
        studies.read_study("cells", tiny, path.parent)


def test_a_damaged_study_is_one_line(kept, tiny):
    _, path = kept
    flip(path)
    with pytest.raises(Damaged, match=r"cells\.json is damaged.*repository"):
        studies.read_study("cells", tiny, path.parent)


def test_a_study_says_what_made_it_and_where_the_code_is_no_longer_todays():
    made = {"machine": {"cpu": "Some CPU"}, "seconds": 1800.0}
    today = make_record("rnn", 0) | made | {"code": charlm.runs.identity.training_code_hash("rnn")}
    text = studies.made_with(Made("cells", "", [today] * 4)).filled
    assert "4 runs, 2.0 core-hours under load on Some CPU, float32." in text
    assert "changed" not in text
    assert "has changed since" in studies.made_with(Made("cells", "", [today, today | {"code": "old"}])).filled


@pytest.mark.parametrize(
    "path",
    [path for name in CONFIGURATIONS if (path := STUDIES / f"{name}.json").exists()],
    ids=lambda path: path.stem,
)
def test_a_committed_study_holds_the_runs_it_says(path):
    corpus = load_corpus(studies.corpus_of(path.stem))
    records = studies.read_study(path.stem, corpus).runs
    configs = CONFIGURATIONS[path.stem](corpus)
    assert len(records) == len(configs)
    for record, config in zip(records, configs, strict=True):
        for name, value in vars(config).items():
            if name == "epochs":
                assert record["max_epochs"] == value
            elif name not in ("device", "precision"):  # which the machine decided
                assert record.get(name, getattr(Config, name)) == value, name  # those of before an option have none


@pytest.mark.parametrize("name", ["precision", "precision_larger"])
def test_bfloat16_trains_where_a_study_has_shown_it_equivalent_and_nowhere_else(name, shakespeare, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    monkeypatch.setattr(charlm.device, "why_untrainable", lambda *what: "")
    runs = studies.read_study(name, shakespeare).runs
    sides = with_value(runs, "precision", "bfloat16"), with_value(runs, "precision", "float32")
    checks = by_cell("precision", *sides, "val_loss_best", names=("bfloat16", "float32"), at_once=False)
    for cell, check in checks.items():
        of = next(c for c in CONFIGURATIONS[name](shakespeare) if c.cell == cell)
        taken = resolved_config(replace(of, device="cpu", precision="auto")).precision
        assert taken == ("bfloat16" if check.verdict == SAME else "float32"), cell


@pytest.mark.parametrize("cell", STUDIED_CELLS)
def test_the_committed_rates_reach_beyond_the_best_of_each_cell(cell, shakespeare):
    runs = studies.read_study("learning_rates", shakespeare).runs
    rates = sorted(LEARNING_RATES[cell])
    assert rates[0] < best_settings(runs, "learning_rate")[cell] < rates[-1]
