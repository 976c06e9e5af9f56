"""Verbs that need several packages; each has `main(argv) -> exit code`."""
