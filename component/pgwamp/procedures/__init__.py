"""CALLEE: what of the database becomes procedures.

Each module turns one kind of thing into :class:`~pgwamp.session.Procedure` objects;
:mod:`pgwamp.exposure` puts them together.
"""
