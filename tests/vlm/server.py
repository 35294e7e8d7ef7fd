"""A server with the chat endpoint of the OpenAI API, on loopback, that misbehaves as it is told."""

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Misbehaviour = Callable[["Handler"], None]
"""Answers one request instead of the server."""

CONTEXT = 20_000


class ChatServer(ThreadingHTTPServer):
    """Answers with a text that depends on every word and pixel; a token is a character.

    Attributes:
        bodies: of all requests, in order.
        misbehaviours: what becomes of the next requests, one after the other; None answers well.
        most: requests that were under way at once.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[dict[str, Any]] = []
        self.misbehaviours: deque[Misbehaviour | None] = deque()
        self.delay_s = 0.0
        self.lock = threading.Lock()
        self.under_way = self.most = 0
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.whole(200, {"data": [{"id": "tiny", "max_model_len": CONTEXT}]})

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(self.body)
            self.server.under_way += 1
            self.server.most = max(self.server.most, self.server.under_way)
            act = self.server.misbehaviours.popleft() if self.server.misbehaviours else None
        try:
            (act or Handler.answer)(self)
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def answer(self) -> None:
        """As a server should."""
        self.begin()
        for event in self.events():
            self.send(event)
        self.send("[DONE]")

    def events(self) -> Iterator[dict[str, Any]]:
        text = self.text()
        cut = text[: self.body["max_tokens"]]
        for character in cut:
            time.sleep(self.server.delay_s)
            yield {"choices": [{"delta": {"content": character}, "finish_reason": None}]}
        yield {"choices": [{"delta": {}, "finish_reason": "stop" if cut == text else "length"}]}
        yield {"choices": [], "usage": {"prompt_tokens": self.prompt_tokens(), "completion_tokens": len(cut)}}

    def text(self) -> str:
        if "response_format" in self.body:
            return json.dumps({"follows": self.body["response_format"]["json_schema"]["name"]})
        digest = hashlib.sha256(json.dumps(self.body["messages"]).encode()).hexdigest()
        return "".join(chr(0x4E00 + int(digest[n : n + 3], 16)) for n in range(0, 60, 3)) * 10

    def prompt_tokens(self) -> int:
        parts = [part for message in self.body["messages"] for part in message["content"]]
        return sum(len(part["text"]) if part["type"] == "text" else 256 for part in parts)

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def send(self, event: dict[str, Any] | str) -> None:
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def whole(self, status: int, content: dict[str, Any], **headers: str) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)


def status(code: int, **headers: str) -> Misbehaviour:
    return lambda handler: handler.whole(code, {"error": {"message": f"injected {code}"}}, **headers)


def reset(handler: Handler) -> None:
    """Hang up before a word."""
    handler.close_connection = True
    handler.connection.close()


def break_off(handler: Handler) -> None:
    """Hang up in the middle of the text."""
    handler.begin()
    for _, event in zip(range(3), handler.events(), strict=False):
        handler.send(event)


def without_done(handler: Handler) -> None:
    handler.begin()
    for event in handler.events():
        if event["choices"]:
            handler.send(event)


def hang_at_the_end(handler: Handler) -> None:
    """Say everything, and neither ``[DONE]`` nor good-bye."""
    without_done(handler)
    time.sleep(3)


def hang(handler: Handler) -> None:
    handler.begin()
    handler.send(next(handler.events()))
    time.sleep(3)


def malformed(data: str) -> Misbehaviour:
    def act(handler: Handler) -> None:
        handler.begin()
        handler.send(data)

    return act
