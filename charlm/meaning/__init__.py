"""How good is such a loss, and what is behind the gap to training? Notebook 4."""
