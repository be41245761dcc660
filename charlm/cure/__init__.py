"""What cures the overfitting of a larger network: dropout, or more text? Notebook 7."""
