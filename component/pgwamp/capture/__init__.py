"""Raw changes: what triggers write of the rows that a statement has changed."""
