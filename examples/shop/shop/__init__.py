"""A small shop: the example application that ``make run`` serves."""
