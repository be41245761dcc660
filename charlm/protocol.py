"""The source study: the runs that a report of it is made of, and the numbers that it published."""

from dataclasses import dataclass

from charlm_core import CELLS, Config

MOST_SEEDS = 1000
# ---------------------------------------------------------------------------------------------------------------------
# the study: which runs a report is made of


@dataclass(frozen=True)
class Study:
    """The runs behind a report: seeds 0, 1, … of an RNN and an LSTM, and of every cell that a reader added to CELLS, under the
    source study's protocol. The defaults are the full study; anything else is a study of its own.
    """

    corpus: str = "shakespeare-268k"  # a name in data/corpora.toml, or a path
    seeds: int = 5
    epochs: int = Config.epochs

    @classmethod
    def quick(cls) -> "Study":
        """A minute's worth, to see what a report looks like."""
        return cls(seeds=1, epochs=2)

    @property
    def cells(self) -> list[str]:
        """All but the GRU, which the source study did not have, in the order of CELLS."""
        return [cell for cell in CELLS if cell != "gru"]

    def of_cell(self, cell: str) -> list[Config]:
        """Configurations of one cell, a list by seed."""
        return [Config(cell=cell, epochs=self.epochs, seed=seed) for seed in range(self.seeds)]

    def configurations(self) -> list[Config]:
        return [config for cell in self.cells for config in self.of_cell(cell)]


# ---------------------------------------------------------------------------------------------------------------------
# the published numbers: one run a model, every loss at the last epoch

PUBLISHED: dict[str, dict[str, float]] = {
    "rnn": {
        "epochs": 28,
        "train_loss_last": 1.3844,
        "val_loss_last": 1.6059,
        "crossing_epoch": 7,
    },
    "lstm": {
        "epochs": 30,
        "train_loss_last": 1.3188,
        "val_loss_last": 1.6002,
        "crossing_epoch": 10,
    },
}
CROSSING_LOSSES = {"rnn": (1.7861, 1.7950), "lstm": (1.8358, 1.8378)}  # training, validation


# A run did what the published ones did where its record says all of this, whatever its cell and seed.
PROTOCOL = {
    "corpus": "shakespeare-268k",
    "hidden_size": 256,
    "layers": 2,
    "learning_rate": 0.001,
    "batch_size": 64,
    "chunk_length": 30,
    "validation_share": 0.2,
    "split": "shuffled",
    "split_seed": None,
    "max_epochs": 50,
    "patience": 5,
}
