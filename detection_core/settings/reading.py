"""Reads settings from flags and environment variables; a flag sets its variable for this process and its child processes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, MutableMapping
from typing import Any

from detection_core.errors import SettingsError
from detection_core.settings.definitions import DEFINITIONS, Definition, Settings

_BY_NAME = {each.name: each for each in DEFINITIONS}
_UNSET = object()


def read_setting(name: str, environ: Mapping[str, str] = os.environ, default: Any = _UNSET) -> Any:
    """Returns the value of one setting from the environment.

    Args:
        name: The attribute of `Settings`.
        environ: The environment variables.
        default: The value if the variable is not set; if not given, the setting's own default.

    Raises:
        SettingsError: If the variable has no usable value.
    """
    definition = _BY_NAME[name]
    variable, text = _in_environment(definition, environ)
    if text is None:
        return definition.default if default is _UNSET else default
    return _parse(definition, variable, text)


def read_settings(flags: Mapping[str, str] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Returns all settings.

    Args:
        flags: Texts of flags by the settings' names, as `add_setting_flags` leaves them; they go before the environment.
        environ: The environment variables.

    Raises:
        SettingsError: If one has no usable value.
    """
    flags = flags or {}
    values = {each.name: _parse(each, each.flag, flags[each.name]) for each in DEFINITIONS if each.name in flags}
    return Settings(**{each.name: read_setting(each.name, environ) for each in DEFINITIONS if each.name not in flags} | values)


def add_setting_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of all settings to a parser. Flags that are not given are not in its namespace; the others are texts."""
    for each in DEFINITIONS:
        text = f"{each.help}; default: {each.shown_default} [{each.variable}]".replace("%", "%%")
        if each.metavar:
            parser.add_argument(each.flag, dest=each.name, metavar=each.metavar, default=argparse.SUPPRESS, help=text)
        else:
            off = each.flag.replace("--", "--no-", 1)
            parser.add_argument(each.flag, dest=each.name, action="store_const", const="on", default=argparse.SUPPRESS, help=text)
            parser.add_argument(off, dest=each.name, action="store_const", const="off", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        if each.former:
            parser.add_argument(each.former[0], dest=each.name, metavar=each.metavar, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def export_flags(args: argparse.Namespace, environ: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """Sets the variables of the flags that were given, for code that reads the environment, and returns their texts by name."""
    flags = {name: text for name, text in vars(args).items() if name in _BY_NAME}
    environ.update({_BY_NAME[name].variable: text for name, text in flags.items()})
    return flags


def _in_environment(definition: Definition, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Returns the variable that is set and its text, or None."""
    for variable in (definition.variable, *(definition.former or ())[1:]):
        text = environ.get(variable)
        if text is not None and (text.strip() or definition.may_be_empty):
            return variable, text.strip()
    return definition.variable, None


def _parse(definition: Definition, source: str, text: str) -> Any:
    try:
        return definition.parse(text)
    except ValueError as error:
        given = "" if definition.secret else f", not “{text}”"
        raise SettingsError(f"{source} {error}{given}.") from None
