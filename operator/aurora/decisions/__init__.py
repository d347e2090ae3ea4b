"""Decisions on a command line: listed, explained, approved, denied; models paused and resumed."""
