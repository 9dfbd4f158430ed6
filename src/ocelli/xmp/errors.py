"""What can be wrong with one picture or its metadata; the others go on."""

from __future__ import annotations


class XmpError(Exception):
    """Nothing was written for a picture; the message says why."""


class ChangedMeanwhile(XmpError):
    """A file was changed by another program after it had been read."""


def reason(error: OSError) -> str:
    """Return what the system says of an error."""
    return error.strerror or str(error)
