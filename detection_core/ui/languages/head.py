"""The choice of the page's language, which a script in the page's head makes."""

from __future__ import annotations

import json
from pathlib import Path

from detection_core.ui.components.modules import address_in_browser

_ENGLISH = "en"
# A file `de.json` beside this one makes German a language of the page.
LANGUAGES = [_ENGLISH, *sorted(path.stem for path in Path(__file__).parent.glob("*.json"))]


def language_head() -> str:
    """A script for the page's head that chooses the language and translates the page into it.

    It is the first of `?lang=de` in the page's address and the browser's languages that the page has, else English.
    """
    return f"""\
<script>
{{
  const asked = new URLSearchParams(location.search).get("lang");
  const wanted = [asked, ...navigator.languages].map((name) => name?.split("-")[0].toLowerCase());
  const language = wanted.find((name) => {json.dumps(LANGUAGES)}.includes(name)) ?? "{_ENGLISH}";
  const page = document.documentElement;
  const declare = () => {{ if (page.lang !== language) page.lang = language; }};
  declare();
  // Gradio sets it to the browser's first language, in which its own few texts are.
  new MutationObserver(declare).observe(page, {{ attributeFilter: ["lang"] }});
  if (language !== "{_ENGLISH}") {{
    import({address_in_browser("languages/page.js")}).then(({{ show }}) => show(language)).catch(console.error);
  }}
}}
</script>
"""
