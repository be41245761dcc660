"""The plain way: how the experiment is usually written, as an honest yardstick for bench.py.

A DataLoader of per-item tensors, one-hot vectors made with NumPy, batch_first, nn.RNN or nn.LSTM, Adam, float32, two
threads; text one character at a time. Nothing of charlm is used.
"""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split

THREADS = 2


class Chunks(Dataset):
    """Item i: the one-hot inputs (time, vocabulary) and the target ids (time,) of chunk i."""

    def __init__(self, text, vocab, length=30):
        index = {c: i for i, c in enumerate(vocab)}
        ids = [index[c] for c in text]
        self.chunks = [ids[i : i + length + 1] for i in range(0, len(ids) - length, length)]
        self.size = len(vocab)

    def __len__(self):
        return len(self.chunks)

    def __getitem__(self, i):
        ids = np.array(self.chunks[i])
        one_hot = np.zeros((len(ids) - 1, self.size), np.float32)
        one_hot[np.arange(len(ids) - 1), ids[:-1]] = 1
        return torch.from_numpy(one_hot), torch.from_numpy(ids[1:])


class CharModel(nn.Module):
    def __init__(self, cell, size, hidden):
        super().__init__()
        self.rnn = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell](size, hidden, 2, batch_first=True)
        self.head = nn.Linear(hidden, size)

    def forward(self, x, state=None):
        y, state = self.rnn(x, state)
        return self.head(y), state


class Training:
    """A model in training. epoch() trains on four fifths of the chunks and validates on the rest."""

    def __init__(self, text, vocab, cell, hidden, learning_rate=0.001):
        torch.set_num_threads(THREADS)
        torch.manual_seed(0)
        self.model = CharModel(cell, len(vocab), hidden)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=learning_rate)
        validation, training = random_split(Chunks(text, vocab), [0.2, 0.8])
        self.training = DataLoader(training, batch_size=64, shuffle=True)
        self.validation = DataLoader(validation, batch_size=64)

    def loss(self, x, y):
        logits, _ = self.model(x)
        return nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))

    def step(self, x, y):
        loss = self.loss(x, y)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return loss.item()

    def epoch(self):
        training = np.mean([self.step(x, y) for x, y in self.training])
        with torch.no_grad():
            return training, np.mean([self.loss(x, y).item() for x, y in self.validation])


def generate(model, vocab, prompt, length, temperature):
    """The prompt with `length` characters more, drawn one at a time."""
    torch.set_num_threads(THREADS)
    text, state = prompt, None
    with torch.no_grad():
        for _ in range(length):
            x = torch.zeros(1, 1, len(vocab))
            x[0, 0, vocab.index(text[-1])] = 1
            logits, state = model(x, state)
            p = torch.softmax(logits[0, -1] / temperature, dim=0)
            text += vocab[torch.multinomial(p, 1).item()]
    return text
