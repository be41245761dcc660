"""Does the RNN's gradient vanish, and does the LSTM's reach further? Notebook 5."""
