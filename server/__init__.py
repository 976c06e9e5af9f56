"""Answers over HTTP, and the commands that need several packages. docs/http-api.md is the contract."""
