"""A proxy before EC2 that lets a rule decide about each call."""

import http.client
import http.server
import socket
import struct
import threading
import urllib.parse

ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{code}</Code>'
    "<Message>{message}</Message></Error></Errors><RequestID>of-the-proxy</RequestID></Response>"
)


class Call:
    """A call that has come, to be answered by the rule."""

    def __init__(self, handler, body):
        self.handler = handler
        self.body = body
        query = urllib.parse.urlsplit(handler.path).query or body.decode()
        self.parameters = dict(urllib.parse.parse_qsl(query))
        self.action = self.parameters.get("Action", "")

    def forward(self):
        """What EC2 answers: a status and a body."""
        upstream = http.client.HTTPConnection(self.handler.server.upstream, timeout=60)
        headers = {name: value for name, value in self.handler.headers.items() if name.lower() != "host"}
        try:
            upstream.request(self.handler.command, self.handler.path, self.body, headers)
            response = upstream.getresponse()
            return response.status, response.read()
        finally:
            upstream.close()

    def answer(self, status, body):
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", "text/xml;charset=UTF-8")
        self.handler.send_header("Content-Length", str(len(body)))
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def refuse(self, status, code, message):
        self.answer(status, ERROR.format(code=code, message=message).encode())

    def reset(self):
        """Cuts the connection without an answer."""
        self.handler.close_connection = True
        # Without lingering, closing sends a reset.
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_call(self):
        call = Call(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))
        try:
            if not self.server.rule.strike(call):
                call.answer(*call.forward())
        except OSError:
            # The caller has gone.
            self.close_connection = True

    do_GET = do_POST = handle_call

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            # The connection has been cut.
            pass

    def log_message(self, *_):
        pass


class Proxy(http.server.ThreadingHTTPServer):
    """Serves until the block ends; `rule` may be replaced meanwhile."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, upstream, rule, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.upstream = urllib.parse.urlsplit(upstream).netloc
        self.rule = rule
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        pass

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
