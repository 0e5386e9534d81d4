from __future__ import annotations

import copy

from detection_core.engine import LocalEngine
from detection_core.ui.app import build_app


def test_the_pages_configuration_can_be_copied():
    engine = LocalEngine()
    # Gradio does so for every visitor, and what cannot be copied leaves traces in the log.
    copy.deepcopy(build_app(engine).config)
    engine.close()
