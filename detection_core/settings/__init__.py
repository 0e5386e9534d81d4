"""All settings of the page and its server: each with its flag, its environment variable, its default and its check, in one table."""

from detection_core.settings.definitions import DEFINITIONS, Definition, Settings
from detection_core.settings.reading import add_setting_flags, export_flags, read_setting, read_settings

__all__ = ["DEFINITIONS", "Definition", "Settings", "add_setting_flags", "export_flags", "read_setting", "read_settings"]
