"""What notebook 1 says of the losses of given runs."""

from synthetic import make_record, make_runs

from charlm.losses.words import course, run_table


def test_the_course_says_where_runs_were_best_and_what_came_after():
    finding = course(make_runs(["rnn"], 4))
    assert "RNN is best at epoch 23 to 26 and stops at 28 to 31" in finding._repr_mimebundle_()[0]["text/markdown"]
    assert "while training loss goes on falling" in finding.filled
    assert "first lies above training loss at epoch" in finding.filled


def test_the_course_of_short_runs_claims_neither_rise_nor_crossing():
    said = course(make_runs(["gru"], 1, max_epochs=2)).filled
    assert "limit of epochs ended the training" in said and "never above training loss" in said
    assert "No run of the RNN finished" in course([make_record("rnn", 0, epochs=0, diverged=True)]).heading


def test_run_table_has_a_row_a_run_and_its_name():
    records = make_runs(["lstm"], 3)
    table = run_table(records[::-1])
    assert table.id == "runs-lstm"
    assert list(table.frame["run"]) == [r["run_id"].rpartition("-")[2] for r in records]
    assert list(table.frame["validation, best"]) == [r["val_loss_best"] for r in records]
    assert table.caption.startswith("3 runs: LSTM, hidden size / learning rate 256 / 0.001.")


def test_run_table_of_several_configurations_shows_what_differs():
    table = run_table(make_runs(seeds=1) + make_runs(seeds=1, hidden_size=512, learning_rate=0.002))
    assert table.id == "runs"
    assert list(table.frame.columns[:2]) == ["cell", "hidden size / learning rate"]
    assert list(table.frame["hidden size / learning rate"]) == ["256 / 0.001", "512 / 0.002"] * 2
