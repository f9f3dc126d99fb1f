#!/usr/bin/env python3
"""Takes what Alertmanager would send to Slack, and shows it: no account needed.

`fake_slack.py [HOST:]PORT`. Each message is printed as one line of JSON; GET / lists the last 100.
"""

import collections
import http.server
import json
import sys

messages = collections.deque(maxlen=100)


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= 1 << 20:
            return self.answer(413, b"too long")
        try:
            message = json.loads(self.rfile.read(length))
        except ValueError:
            return self.answer(400, b"invalid_payload")
        messages.append(message)
        print(json.dumps(message), flush=True)
        self.answer(200, b"ok")

    def do_GET(self):
        self.answer(200, json.dumps(list(messages), indent=2).encode() + b"\n")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    host, _, port = (sys.argv[1] if len(sys.argv) > 1 else "8080").rpartition(":")
    http.server.ThreadingHTTPServer((host or "0.0.0.0", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
