"""A token endpoint that does as it is told: HTTP on loopback, one answer for each POST.

    with TokenEndpoint(DENIED, granted("second")) as endpoint:
        …POST to endpoint.url…
    assert endpoint.forms[0]["grant_type"] == "client_credentials"

Each answer is a status with JSON, or bytes that are none; the last one is given for ever. `forms` are what was posted.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

Answer = tuple[int, dict[str, Any] | bytes]


def granted(token: str, seconds: float = 3600) -> Answer:
    return 200, {"token_type": "Bearer", "expires_in": seconds, "access_token": token}


def denied(error: str, description: str, status: int = 400) -> Answer:
    return status, {"error": error, "error_description": description}


class TokenEndpoint:
    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.forms: list[dict[str, str]] = []
        self._turn = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, told = endpoint._asked(body)
                data = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if 300 <= status < 400:
                    self.send_header("Location", endpoint.url + "/elsewhere")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/contoso/token"

    def _asked(self, body: str) -> Answer:
        with self._turn:
            self.forms.append({key: values[0] for key, values in parse_qs(body, keep_blank_values=True).items()})
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
