"""The oracle: whoever folds the events ends with exactly what the table holds.

The idea is Electric's: random transactions, everything killed now and then, and PostgreSQL itself
says what is right.
"""
