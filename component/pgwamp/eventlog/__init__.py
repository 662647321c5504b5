"""The ordered log of events: rows of tables, in the order in which they have changed."""
