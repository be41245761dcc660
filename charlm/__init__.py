"""The report on character-level language models of a small text, around the experiment in charlm_core.py.

From the bottom up: printable, command, options; corpus, sampling, ngram, text; protocol, parameters, records, stats; show,
drawing; runs; a room for each question (losses, temperature, meaning, gradients, cells); claims, studies, summary; report. A
module imports only what stands before it, and a room no other room; tests/test_layout.py holds the order.
"""
