"""PostgreSQL types, and how their values travel as portable WAMP values.

Only None, bool, int, float, str, bytes, list and dict leave or enter. What JSON cannot carry
exactly (numeric, dates, uuid, ...) is a string: timestamps as RFC 3339 has them, all else in
PostgreSQL's own ISO text form. This package is pure: it knows types and Python values, neither SQL
nor connections.
"""

from pgwamp.values.budget import Budget
from pgwamp.values.incoming import bindable, bindable_list, binder, writer
from pgwamp.values.outgoing import (
    MOST_PARTS,
    array_from_json,
    array_of_json,
    bytes_from_hex,
    finite,
    float_from_text,
    loads,
    parse,
)
from pgwamp.values.records import record_reader
from pgwamp.values.scalars import fits_numeric
from pgwamp.values.texts import (
    TextReader,
    composite_reader,
    rearranged,
    record_texts,
    text_converter,
    text_reader,
)
from pgwamp.values.types import TEXT_TYPE, Binder, Converter, Form, Representation, Type

__all__ = [
    "MOST_PARTS",
    "TEXT_TYPE",
    "Binder",
    "Budget",
    "Converter",
    "Form",
    "Representation",
    "TextReader",
    "Type",
    "array_from_json",
    "array_of_json",
    "bindable",
    "bindable_list",
    "binder",
    "bytes_from_hex",
    "composite_reader",
    "finite",
    "fits_numeric",
    "float_from_text",
    "loads",
    "parse",
    "rearranged",
    "record_reader",
    "record_texts",
    "text_converter",
    "text_reader",
    "writer",
]
