"""The tools as a server of the Model Context Protocol at `/mcp`: one request, one response, no sessions."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import Any

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from detection_core import __version__
from detection_core.errors import UserError
from detection_core.ui.mcp.package import require_mcp
from detection_core.ui.mcp.tools import Given, Tools
from detection_core.ui.service import RequestError, Service
from detection_core.ui.shared.image_urls import ImageFetcher
from detection_core.ui.shared.limits import MCP_PATH, mcp_limit
from detection_core.ui.shared.session import program_of

logger = logging.getLogger(__name__)

_INSTRUCTIONS = "Object detection with torchvision's models: what is in an image, where, and how far models agree on it."
_DEFECT = "The server has failed at this call. Its log says why."
# Of names that a message repeats.
_LONGEST_NAME = 60


class McpServer:
    """An ASGI application for POST requests.

    Args:
        service: Serves the calls.
        fetcher: What fetches images from URLs; None refuses them.

    Raises:
        SettingsError: If the protocol's package is not installed.
    """

    def __init__(self, service: Service, fetcher: ImageFetcher | None = None) -> None:
        require_mcp()
        from mcp import types
        from mcp.server import Server

        self._types = types
        self._by_url = fetcher is not None
        self._tools = Tools(service, fetcher).by_name
        self._server = Server(
            "detection-explorer",
            title="Detection Explorer",
            version=__version__,
            instructions=_INSTRUCTIONS,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Responds to a request. If the client goes before, its images are canceled."""
        try:
            body = await Request(scope, receive).body()
        except ClientDisconnect:
            # Gone, or refused because the body is too large.
            return
        work = asyncio.ensure_future(self._respond(scope, body, send))
        # After the body, nothing comes but the client's end.
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_done = work.done()
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)
        if is_done:
            work.result()

    async def _respond(self, scope: Scope, body: bytes, send: Send) -> None:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if not messages:
                await asyncio.Event().wait()
            return messages.pop()

        # A manager can run once only; without sessions, it has nothing to remember.
        manager = StreamableHTTPSessionManager(self._server, json_response=True, stateless=True, max_request_body_size=mcp_limit())
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    async def _list(self, context: Any, parameters: Any) -> Any:
        hints = self._types.ToolAnnotations(read_only_hint=True, open_world_hint=False)
        tools = [
            self._types.Tool(name=each.name, description=each.description, input_schema=each.schema(self._by_url), annotations=hints)
            for each in self._tools.values()
        ]
        return self._types.ListToolsResult(tools=tools)

    async def _call(self, context: Any, parameters: Any) -> Any:
        try:
            given = await self._run(parameters.name, parameters.arguments or {}, program_of(context.request))
        except UserError as error:
            return self._error(str(error))
        # Otherwise the client would get the exception's own text.
        except Exception:
            logger.exception("A tool has failed.")
            return self._error(_DEFECT)
        content: list[Any] = [self._types.TextContent(text=json.dumps(given.data, ensure_ascii=False))]
        if given.jpeg is not None:
            content.append(self._types.ImageContent(data=base64.b64encode(given.jpeg).decode(), mime_type="image/jpeg"))
        return self._types.CallToolResult(content=content, structured_content=given.data)

    async def _run(self, name: str, arguments: dict[str, Any], visitor: str) -> Given:
        if name not in self._tools:
            raise RequestError(f"There is no tool “{name[:_LONGEST_NAME]}”. The tools are: {', '.join(self._tools)}.")
        tool = self._tools[name]
        try:
            checked = tool.arguments.model_validate(arguments)
        except ValidationError as error:
            faults = [f"“{str(each['loc'][0])[:_LONGEST_NAME]}”: {each['msg']}." for each in error.errors()]
            raise RequestError(f"{' '.join(faults)} The arguments are: {', '.join(tool.arguments.model_fields)}.") from error
        return await tool.run(checked, visitor)

    def _error(self, sentence: str) -> Any:
        return self._types.CallToolResult(content=[self._types.TextContent(text=sentence)], is_error=True)


class _OfThePage:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["app"].get_blocks().mcp_tools(scope, receive, send)


def mcp_route() -> Route:
    """The route of the tools, for `launch(app_kwargs={"routes": [...]})` of a page whose `mcp_tools` is the application."""
    return Route(MCP_PATH, _OfThePage(), methods=["POST"])
