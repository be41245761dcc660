"""The number that everybody quotes: loss on the last tenth of tiny shakespeare. Notebook 8."""
