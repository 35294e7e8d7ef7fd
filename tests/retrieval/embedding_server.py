"""An embedding server on this machine: its vectors hang on every byte that it is sent, and it fails on request."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

DIMENSION = 16


def vector_of(sent: object, dimension: int = DIMENSION) -> list[float]:
    seed = int.from_bytes(hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).digest()[:4])
    return (3 * np.random.default_rng(seed).normal(size=dimension)).tolist()


class EmbeddingServer:
    """Listens on a free port until :meth:`stop`."""

    def __init__(self) -> None:
        self.requests: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.faults: deque[object] = deque()
        self.dimension = DIMENSION
        self.delay = 0.0
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, request: dict) -> dict:
        """As the OpenAI API documents it, in reverse order, which it allows."""
        inputs = request["input"] if "input" in request else [request["messages"]]
        size = request.get("dimensions", self.dimension)
        data = [{"object": "embedding", "index": i, "embedding": vector_of(x, size)} for i, x in enumerate(inputs)]
        return {"object": "list", "data": data[::-1], "model": request["model"], "usage": {"total_tokens": 1}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    outer.requests.append(request)
                    outer.headers.append(dict(self.headers))
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                    fault = outer.faults.popleft() if outer.faults else None
                time.sleep(outer.delay)
                with outer._lock:
                    outer.at_once -= 1
                self._reply(fault, request)

            def _reply(self, fault: object, request: dict) -> None:
                match fault:
                    case "reset":  # the kernel sends RST instead of a clean end
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        self.close_connection = True
                    case "hang":
                        time.sleep(1)
                        self.close_connection = True
                    case (int() as status, dict() as headers):
                        self._send(status, b'{"error": {"message": "injected"}}', headers)
                    case int() as status:
                        self._send(status, b'{"error": {"message": "injected"}}', {})
                    case bytes() as body:
                        self._send(200, body, {})
                    case _:
                        self._send(200, json.dumps(outer.answer(request)).encode(), {})

            def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler
