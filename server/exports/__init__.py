"""A result list as a file: JSON, a table for spreadsheets, an edit decision list."""
