"""Runs whose gradients are known."""

from synthetic import make_record

from charlm.gradients.measures import FAR, NEAR


def decay(*ratios, cell="rnn", length=30):
    """Runs of a cell whose gradients fall by these factors a step, a seed each."""
    return [
        make_record(cell, seed) | {"gradient": [ratio**k for k in range(length)]} for seed, ratio in enumerate(ratios)
    ]


def fallen(cell, ratio, spread=1.02, length=30):
    """Three runs of a cell whose norm at FAR is about this part of that at NEAR, a little different from seed to seed."""
    steps = FAR - NEAR
    ratios = [(ratio * f) ** (1 / steps) for f in (1 / spread, 1, spread)]
    return decay(*ratios, cell=cell, length=length)
