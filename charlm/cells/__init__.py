"""Three cells at equal size, equal parameters, their own learning rate: which is better, and how many seeds does it
take to tell? Notebook 6.
"""
