"""The base class of all errors whose message is written for people."""

from __future__ import annotations


class UserError(Exception):
    """Something cannot be done; the message says in whole sentences what is wrong and what to do about it.

    The command line, the page and the endpoints show this message as it is. Any other exception is a defect, whose message belongs
    into the log.
    """


class SettingsError(UserError, ValueError):
    """A setting, mostly one of the environment, has no usable value."""
