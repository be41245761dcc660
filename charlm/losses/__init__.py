"""How does one cell learn, RNN or LSTM, and does a larger model overfit? Notebooks 1 and 2."""
