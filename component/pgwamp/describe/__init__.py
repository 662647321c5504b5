"""Descriptions of procedures and topics, and their forms.

:mod:`~pgwamp.describe.schemas` has the JSON Schema of values and rows,
:mod:`~pgwamp.describe.description` that of each verb, :mod:`~pgwamp.describe.privileges` leaves out
what a caller may not see, and Markdown and TypeScript are printed from the result.
"""
