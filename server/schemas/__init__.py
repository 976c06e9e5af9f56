"""Requests and answers as docs/http-api.md has them: a file for each thing that is asked."""
