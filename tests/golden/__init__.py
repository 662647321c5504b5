"""Generated SQL that is committed, so that a review shows what a change does to it."""
