"""The request language: validated arguments of a call -> one SQL statement.

A pure core. Parsing and compiling touch no connection; a statement is compiled by SQLAlchemy
Core once for each shape of request and cached, so that a call only checks and collects values.
"""
