from __future__ import annotations

import json

from detection_core.engine import LocalEngine
from detection_core.ui.app import build_app


def test_the_pages_configuration_is_plain_data():
    engine = LocalEngine()
    # Gradio copies it for every visitor, and what cannot be copied leaves traces in the log.
    json.dumps(build_app(engine).config["components"])
    engine.close()
