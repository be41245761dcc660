"""What does temperature change, and why does it help? Notebook 3."""
