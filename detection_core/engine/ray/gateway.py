"""The process between the page and the cluster: it belongs to the cluster, and ends with it, so that the page does not.

A process that is connected to Ray ends at once when Ray's head or its own node is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException

from detection_core.engine.base import EngineError, JobState, Stage
from detection_core.engine.ray.messages import Answer, Call, Cancel, ClusterState, FromDetector, Lost, Submit, Update
from detection_core.engine.ray.settings import APPLICATION, DEPLOYMENT, DetectorSettings, worker_environment
from detection_core.engine.ray.user_weights import read_weights
from detection_core.errors import UserError

logger = logging.getLogger(__name__)

_STATUS_SECONDS = 1.0
# Without an answer of the cluster's controller for so long, it counts as lost.
_PATIENCE_SECONDS = 30.0
# So often is an image sent again whose detector has died: more, and the image itself may be what kills them.
_ATTEMPTS = 5
_PAUSE_SECONDS = 0.5
# So many of users' model files stay in the object store; detectors that have copied them need them there no more.
_USER_MODELS = 4


def run_gateway(connection: Connection, address: str, detectors: DetectorSettings) -> None:
    """Connects to the cluster and serves the page's messages, until the page closes the connection or the cluster is lost.

    Args:
        connection: The connection to the page.
        address: An address for `ray.init`, or "" to start a cluster on this machine, which ends with this process.
        detectors: The detectors to start, unless the cluster runs them already.
    """
    try:
        _connect(address, detectors)
        asyncio.run(_Gateway(connection).serve())
    except Exception as error:
        logger.warning("the cluster is lost", exc_info=error)
        with suppress(OSError):  # The page may be gone as well.
            connection.send(Lost(str(error).partition("\n")[0]))
    if not address:
        ray.shutdown()
    # Ray's threads would wait for a cluster that may be gone.
    os._exit(0)


def _connect(address: str, detectors: DetectorSettings) -> None:
    """Joins or starts a cluster, and starts the application unless the cluster runs it already."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    runtime: dict[str, Any] = {"env_vars": worker_environment()}
    if address:
        ray.init(address=address, runtime_env=runtime, **quiet)
    else:
        # A cluster that RAY_ADDRESS names is not meant.
        ray.init(address="local", include_dashboard=False, runtime_env=runtime, **quiet)
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    serve.start(proxy_location="Disabled")
    if APPLICATION not in serve.status().applications:
        # Imported only where the application is started: the class is Ray Serve's.
        from detection_core.engine.ray.replica import Detector

        options = detectors.deployment()
        target = serve.deployment(**options)(Detector).bind(detectors.device)
        # Without waiting for all of them: one detector is enough to begin with.
        run = serve.RunTarget(target, name=APPLICATION, route_prefix=None)
        serve.run_many([run], wait_for_ingress_deployment_creation=True, wait_for_applications_running=False)


class _Gateway:
    """Carries calls to the detectors and their answers back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._handle = serve.get_app_handle(APPLICATION)
        self._weights: dict[tuple[str, str], Any] = {}

    async def serve(self) -> None:
        """Serves the page's messages, until it closes the connection.

        Raises:
            Exception: Of any kind if the cluster is lost.
        """
        messages: asyncio.Queue[Submit | Cancel | None] = asyncio.Queue()
        threading.Thread(target=self._receive, args=(messages, asyncio.get_running_loop()), daemon=True).start()
        watching = asyncio.create_task(self._watch())
        serving = asyncio.create_task(self._dispatch(messages))
        done, _ = await asyncio.wait({watching, serving}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def _receive(self, messages: asyncio.Queue[Submit | Cancel | None], loop: asyncio.AbstractEventLoop) -> None:
        message: Submit | Cancel | None = None
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                message = None
            loop.call_soon_threadsafe(messages.put_nowait, message)
            if message is None:
                return

    async def _dispatch(self, messages: asyncio.Queue[Submit | Cancel | None]) -> None:
        while (message := await messages.get()) is not None:
            if isinstance(message, Submit):
                task = asyncio.create_task(self._call(message))
                self._calls[message.number] = task
                task.add_done_callback(partial(self._forget, message.number))
            elif message.number in self._calls:
                self._calls[message.number].cancel()

    def _forget(self, number: int, _: asyncio.Task[None]) -> None:
        self._calls.pop(number, None)

    async def _watch(self) -> None:
        """Reports to the page how many detectors run, and what one of them has as soon as there is one."""
        asked = False
        while True:
            status = await asyncio.wait_for(asyncio.to_thread(serve.status), _PATIENCE_SECONDS)
            if APPLICATION not in status.applications:
                raise RuntimeError("the detectors were removed from the cluster")
            deployments = status.applications[APPLICATION].deployments
            running = deployments[DEPLOYMENT].replica_states.get("RUNNING", 0) if DEPLOYMENT in deployments else 0
            report = None
            if running and not asked:
                try:
                    report = await asyncio.wait_for(self._handle.report.remote(), _PATIENCE_SECONDS)
                    asked = True
                except (RayError, RayServeException, TimeoutError) as error:
                    logger.info("no detector reports yet: %s", error)
            self._send(ClusterState(running, report))
            await asyncio.sleep(_STATUS_SECONDS)

    async def _call(self, submit: Submit) -> None:
        try:
            outcome = await self._answer(submit)
        except UserError as error:
            outcome = error
        except Exception as error:
            logger.exception("calling a detector failed", exc_info=error)
            outcome = EngineError(f"Detection with {submit.call.spec.title} failed unexpectedly; the server's log has the details.")
        self._send(Update(submit.number, outcome))

    async def _answer(self, submit: Submit) -> Answer | Exception:
        """Asks detectors until one of them answers; the image is put into the object store once."""
        pixels = ray.put(submit.pixels)
        weights = self._weights_of(submit.call)
        for attempt in range(_ATTEMPTS):
            try:
                return await self._ask(submit.number, submit.call, pixels, weights)
            except RayTaskError:
                raise
            except (RayError, RayServeException) as error:
                logger.warning("detector died or is gone, attempt %d of %d: %s", attempt + 1, _ATTEMPTS, str(error).partition("\n")[0])
                self._send(Update(submit.number, JobState(Stage.QUEUE)))
                await asyncio.sleep(_PAUSE_SECONDS * 2**attempt)
        return EngineError("The detectors that had this image have failed again and again. Try a smaller image or another model.")

    async def _ask(self, number: int, call: Call, pixels: Any, weights: Any) -> Answer | Exception:
        handle = self._handle.options(method_name="detect", stream=True, multiplexed_model_id=call.model_id)
        stream = handle.remote(pixels, call, weights)
        try:
            message: FromDetector
            async for message in stream:
                if not isinstance(message, JobState):
                    return message
                self._send(Update(number, message))
        except asyncio.CancelledError:
            stream.cancel()
            raise
        raise RuntimeError("a detector has ended without an answer")

    def _weights_of(self, call: Call) -> Any:
        """Returns a user's model file in the object store, from where each machine takes it once; None for other models."""
        identity = call.spec.weights_identity
        if call.spec.file is not None and identity not in self._weights:
            self._weights[identity] = ray.put(read_weights(call.spec))
            while len(self._weights) > _USER_MODELS:
                self._weights.pop(next(iter(self._weights)))
        return self._weights.get(identity)

    def _send(self, message: Update | ClusterState) -> None:
        with self._sending:
            self._connection.send(message)
