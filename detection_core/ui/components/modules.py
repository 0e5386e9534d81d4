"""The browser's modules and what they fetch: every `.js` and `.json` file of the page, read once.

They are served under an address that changes with their contents.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_UI = Path(__file__).parent.parent
# Under Gradio's own prefix, which every proxy of a Gradio app passes on.
_PREFIX = "/gradio_api/explorer"
_IMPORT = re.compile(r'^(?:import|export) .*from "(\.[^"]+)";$', re.MULTILINE)
# In the browser: where the server is, on the page's own origin, because a server behind a proxy may not know by which one it is reached.
_ROOT = 'location.origin + new URL(window.gradio_config?.root || ".", document.baseURI).pathname.replace(/[/]$/, "")'
_MEDIA_TYPES = {".js": "text/javascript", ".json": "application/json"}
_FOREVER = "public, max-age=31536000, immutable"


class Modules:
    """The modules of one version of the page; they are all served from memory, so that they always fit each other.

    Args:
        folder: The folder whose `.js` and `.json` files they are.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(path for path in folder.rglob("*.js*") if path.suffix in _MEDIA_TYPES)
        self._sources = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        digest = hashlib.sha256()
        for name, source in self._sources.items():
            digest.update(f"{name}\0{len(source)}\0".encode() + source)
        self.version = digest.hexdigest()[:16]

    def address(self, name: str) -> str:
        """Where a module such as "detect/view.js" is served, below the server's root."""
        if name not in self._sources:
            raise FileNotFoundError(f"there is no module {name}")
        return f"{_PREFIX}/{self.version}/{name}"

    def with_imports(self, names: Iterable[str]) -> list[str]:
        """These modules and all that they import, directly or not, each once."""
        found: dict[str, None] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found[name] = None
            imported = _IMPORT.findall(self._sources[name].decode())
            waiting += [posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) for path in imported]
        return list(found)

    def route(self) -> Route:
        """The route that serves them, for `launch(app_kwargs={"routes": [...]})`."""
        return Route(f"{_PREFIX}/{{version}}/{{name:path}}", self._serve, methods=["GET"])

    async def _serve(self, request: Request) -> Response:
        source = self._sources.get(request.path_params["name"])
        if source is None or request.path_params["version"] != self.version:
            return Response("There is no such module in this version.", 404, {"Cache-Control": "no-store"}, "text/plain")
        media_type = _MEDIA_TYPES[Path(request.path_params["name"]).suffix]
        return Response(source, headers={"Cache-Control": _FOREVER}, media_type=media_type)


MODULES = Modules(_UI)


def address_in_browser(name: str) -> str:
    """A JavaScript expression for the whole address of a module such as "detect/view.js"."""
    return f"{_ROOT} + {json.dumps(MODULES.address(name))}"


def mounting_script(name: str, constants: Mapping[str, Any]) -> str:
    """The script with which Gradio starts a component: it fetches the component's module and mounts it.

    Until then the component is not seen, because its template alone does not answer to anything.

    Args:
        name: The module, such as "detect/view.js"; it exports `mount`.
        constants: What Python passes to the module once.
    """
    return f"""\
element.style.visibility = "hidden";
import({address_in_browser(name)}).then(
  (module) => module.mount({{ element, props, trigger, server, upload, watch, constants: {json.dumps(dict(constants))} }}),
  (error) => {{
    console.error(error);
    const message = document.createElement("p");
    message.setAttribute("role", "alert");
    message.textContent = "This part of the page could not be loaded. The server may have been updated: reload the page.";
    element.replaceChildren(message);
  }},
).finally(() => {{ element.style.visibility = ""; }});
"""


def preloading_head(*names: str) -> str:
    """A script for the page's head that has the browser fetch these modules and what they import before a component asks for them."""
    addresses = json.dumps([MODULES.address(name) for name in MODULES.with_imports(names)])
    return f"""\
<script>
for (const address of {addresses}) {{
  const href = {_ROOT} + address;
  document.head.append(Object.assign(document.createElement("link"), {{ rel: "modulepreload", href }}));
}}
</script>"""
