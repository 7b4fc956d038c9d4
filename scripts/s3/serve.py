"""An S3-compatible server on a free loopback port, for tests: moto, one request at a time.

Prints its address, and ends when its standard input does: with the process that started it.

moto looks whether an object exists and then writes it; one request at a time makes the conditional put atomic, as it is in
S3. A test can make it fail: POST /-/fail with a JSON object
    {"times": N, "method": "PUT", "path": "part of the path", "applied": false}
answers the next N requests that match with 503; with `applied`, only after it did what they asked.
"""

import io
import json
import logging
import os
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)


class Gate:
    """Lets one request through at a time, and fails those it was told to."""

    def __init__(self, app):
        self.app, self.lock, self.fail = app, threading.Lock(), {"times": 0}

    def __call__(self, environ, start):
        with self.lock:
            if environ["PATH_INFO"] == "/-/fail":
                self.fail = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
                start("200 OK", [("Content-Length", "0")])
                return [b""]
            fail = self.fail
            if fail["times"] and environ["REQUEST_METHOD"] == fail["method"] and fail["path"] in environ["PATH_INFO"]:
                fail["times"] -= 1
                # The body is read in any case: a client that still sends must not find the door shut.
                body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                if fail.get("applied"):
                    environ["wsgi.input"] = io.BytesIO(body)
                    b"".join(self.app(environ, lambda *_: None))
                start("503 Service Unavailable", [("Content-Length", "0")])
                return [b""]
            return [b"".join(self.app(environ, start))]


def main():
    app = Gate(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
    os._exit(0)


main()
