"""Models and curves whose gradients are known."""

import numpy as np


def decay(*ratios, length=30):
    """Curves of one cell that fall by these factors a step, a seed each."""
    return {seed: np.array([r**k for k in range(length)]) for seed, r in enumerate(ratios)}
