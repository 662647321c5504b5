"""A hostile client: a fuzzer of every procedure, beside a victim that must not notice it."""
