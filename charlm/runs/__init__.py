"""Trained runs: where they live (folder.py, files.py), what names them (identity.py), how many are made (sweep.py), and the
command that looks after them, `python -m charlm.runs` (__main__.py).
"""
