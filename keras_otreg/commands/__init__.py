"""Commands, one file for each, whose docstring is the help.

`add` adds the options to a parser, and `run` does the work.
"""
