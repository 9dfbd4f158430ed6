"""The terms of the subject and their rules: no I/O, no framework, no driver."""
