"""The report on character-level language models of a small text, around the experiment in charlm_core.py.

From the bottom up: printable, command, options; device, files, corpus, sampling, ngram, text; protocol, parameters, records,
stats; show, tables, drawing; runs; a room for each question, which has a measures.py; claims, studies, ways, cards; report. A
module imports only what stands before it, and a room no other room; tests/test_layout.py holds the order.
"""
