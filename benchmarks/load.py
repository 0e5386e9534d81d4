"""Sends mixed requests of many simulated visitors to a server on this machine, and reports lost, crossed and slow responses, and growth.

Each visitor's image has a size that no other visitor's has, and its detections are determined before the run; a response with another size
or other detections is crossed. Every image sent is new to the server, so that no result comes from its memory. With `--break-off`, every
third request is broken off in the middle: half of an upload is sent, or the connection is closed before the response. The visitor then
sends it again, except where the connection was to the results of a job, which are gone with it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import machine_facts, markdown_table
from benchmarks.load_visitor import CrossedError, LostError, Tally, Visitor

ROOT = Path(__file__).resolve().parent.parent
SUSPICIOUS = re.compile(r"Traceback|ERROR|CRITICAL|Exception")
WARM_UP = 0.2


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, int, Path]]:
    """A server in a process of its own: its address, its process, and its log."""
    log = folder / "log"
    uploads = folder / "uploads"
    environment = os.environ | {"GRADIO_TEMP_DIR": str(uploads), "TMPDIR": str(folder), "DETECTION_EXPLORER_KEEP_UPLOADS_SECONDS": "60"}
    with log.open("w") as output:
        command = [sys.executable, "app.py", "--port", "0"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            while not (ready := re.search(r"The page is ready: (http\S+)", log.read_text())):
                if process.poll() is not None:
                    raise SystemExit(f"The server has ended:\n{log.read_text()}")
                time.sleep(0.2)
            yield f"{ready[1]}/", process.pid, log
        finally:
            process.terminate()
            process.wait()


def resources(process: int, folder: Path) -> list[str]:
    """Memory, files and threads of a process (Linux only), and the size of its folder."""
    status = dict(re.findall(r"^(\w+):\s+(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE))
    size = sum(path.stat().st_size for path in (folder / "uploads").rglob("*") if path.is_file())
    return [
        f"{int(status['VmRSS']) / 1024:.0f}",
        str(len(list(Path(f"/proc/{process}/fd").iterdir()))),
        status["Threads"],
        f"{size / 2**20:.1f}",
    ]


async def run(args: argparse.Namespace, url: str, sample: Callable[[str], None]) -> Tally:
    """Has the visitors come, act and leave."""
    tally = Tally()
    visitors = [Visitor(number, url, args.break_off) for number in range(args.visitors)]
    for visitor in visitors:
        await visitor.prepare()
    sample("visitors' images known")
    end = time.monotonic() + args.seconds
    visits = [asyncio.create_task(visitor.visit(end, tally)) for visitor in visitors]
    for share in (WARM_UP, 0.6, 1.0):
        await asyncio.sleep(max(0, end - args.seconds * (1 - share) - time.monotonic()))
        sample(f"{args.seconds * share:.0f} s")
    await asyncio.gather(*visits)
    tally.broken_off = sum(visitor.broken_off for visitor in visitors)
    await asyncio.sleep(args.rest)
    sample("all have gone")
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--visitors", type=int, default=50, help="simultaneous visitors (default 50)")
    parser.add_argument("--seconds", type=float, default=300, help="how long they act (default 300)")
    parser.add_argument("--rest", type=float, default=20, help="seconds until the last sample of memory (default 20)")
    parser.add_argument("--break-off", action="store_true", help="break off every third request in the middle")
    parser.add_argument("--url", help="a running server; without it, one is started")
    args = parser.parse_args()
    print(f"{machine_facts(0)}\n")
    rows: list[list[str]] = []
    suspicious: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        if args.url:
            tally = asyncio.run(run(args, args.url.rstrip("/") + "/", lambda _: None))
        else:
            folder = Path(name)
            with server(folder) as (url, process, log):
                rows.append(["server ready", *resources(process, folder)])
                tally = asyncio.run(run(args, url, lambda when: rows.append([when, *resources(process, folder)])))
                suspicious = [line for line in log.read_text().splitlines() if SUSPICIOUS.search(line)]
    print(f"{args.visitors} visitors for {args.seconds:.0f} seconds; {tally.broken_off} requests broken off.\n")
    print(tally.table(), "\n")
    if rows:
        print(markdown_table(["server", "memory, MB", "open files", "threads", "uploads, MB"], rows), "\n")
        print(f"{len(suspicious)} errors in the server's log.", *suspicious[:10], sep="\n")
    for reason, count in tally.reasons.most_common(20):
        print(f"{count} × {reason}")
    if suspicious or tally.count(LostError) or tally.count(CrossedError):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
