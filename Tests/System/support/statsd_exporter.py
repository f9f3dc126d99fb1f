"""statsd_exporter beside the sidecar: its samples for the same lines."""
import os
import re
import socket
import subprocess
import tempfile

from support.checks import check, free_port, wait_for


def samples(text):
    """Lines of a page as {(name, labels): value}, without those that a program says of itself."""
    found = {}
    for line in text.splitlines():
        match = re.match(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$', line)
        if not match or re.match(r"(go|process|promhttp|statsd|metrics_sidecar)_", line):
            continue
        labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(2) or "")
        # How a window's quantiles are estimated differs; le is written in two ways.
        if any(name == "quantile" for name, _ in labels):
            continue
        # An empty label is none.
        key = tuple(sorted((n, str(float(v)) if n == "le" else v) for n, v in labels if v))
        found[match.group(1), key] = float(match.group(3))
    return found


def their_samples(exporter, mapping, lines, last):
    """What `exporter` shows with a mapping file's text, once `last` of the lines is on its page."""
    with tempfile.TemporaryDirectory(prefix="exporter-") as folder:
        path = os.path.join(folder, "mapping.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(mapping)
        port, web = free_port(), free_port()
        with subprocess.Popen(
                [exporter, f"--statsd.mapping-config={path}",
                 f"--statsd.listen-tcp=127.0.0.1:{port}", "--statsd.listen-udp=",
                 f"--web.listen-address=127.0.0.1:{web}"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(lambda: page(web), "statsd_exporter")
                with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                    s.sendall(lines.encode())
                wait_for(lambda: last in page(web) or "error" in page(web)[:20], "its page")
                check("error" not in page(web)[:20], page(web)[:300])
                return samples(page(web))
            finally:
                process.terminate()


def page(web):
    """The body of its page; empty while there is none."""
    try:
        with socket.create_connection(("127.0.0.1", web), timeout=5) as s:
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            answer = b""
            while chunk := s.recv(65536):
                answer += chunk
        return answer.decode().split("\r\n\r\n", 1)[1]
    except (OSError, IndexError):
        return ""
