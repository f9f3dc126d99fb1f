"""The official clients, for Python and for Go, push to the sidecar and to Pushgateway.

    Tests/System/run push_clients [PUSHGATEWAY=PATH]
"""
import base64
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from unittest import TestCase, main

from support.checks import check
from support.push_servers import PROGRAM, histogram_fields, pushgateway, samples, sidecar
from support.readers import PROTO, parse_protobuf

GO_PATH = "/usr/share/gocode"


class Clients(TestCase):
    def test_python_client(self):
        """The official Python client."""
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
        from prometheus_client import (
            REGISTRY, delete_from_gateway, push_to_gateway, pushadd_to_gateway)
        from prometheus_client.exposition import basic_auth_handler
        from prometheus_client.parser import text_string_to_metric_families
        ours, theirs = sidecar(), pushgateway()
        with ours, theirs:
            for program in (ours, theirs):
                gateway = f"127.0.0.1:{program.port}"
                registry = CollectorRegistry()
                Counter("jobs", "Jobs", ["kind"], registry=registry).labels('a"\n\\').inc(3)
                Gauge("temperature", "How warm", registry=registry).set(-1.5)
                Histogram("seconds", "Time", registry=registry).observe(0.3)
                Summary("size", "Size", registry=registry).observe(7)
                push_to_gateway(gateway, "batch", registry, {"path": "/a/b", "empty": ""})
                more = CollectorRegistry()
                Gauge("temperature", "How warm", registry=more).set(20)
                pushadd_to_gateway(gateway, "batch", more, {"path": "/a/b", "empty": ""})
                push_to_gateway(gateway, "gone", registry)
                delete_from_gateway(gateway, "gone")
                push_to_gateway(gateway, "whole", REGISTRY, {"instance": "i"})
            ignored = re.compile(r".*(_created|python_)")
            pages = []
            for program in (ours, theirs):
                page = program.request("GET", "/metrics")[1]
                list(text_string_to_metric_families(page.decode()))
                pages.append({k: v for k, v in samples(page).items() if not ignored.match(k)})
            check(pages[0] == pages[1], f"{set(pages[0].items()) ^ set(pages[1].items())}")
            check(any('"path": "/a/b"' in key for key in pages[0]), "the group is there")
            check(not any('"gone"' in key for key in pages[0]), "a deleted group is there")
            print(f"  push, pushadd, delete: {len(pages[0])} lines of exposition, the same in both")
        line = subprocess.run(
            [PROGRAM, "hash-password", "ci"], input=b"se:cret\n", capture_output=True,
            check=True).stdout
        with tempfile.NamedTemporaryFile() as file:
            file.write(line)
            file.flush()
            with sidecar("--push-auth", file.name, "--push-admin") as program:
                gateway = f"127.0.0.1:{program.port}"
                registry = CollectorRegistry()
                Gauge("temperature", "How warm", registry=registry).set(1)

                def handler(**arguments):
                    return basic_auth_handler(**arguments, username="ci", password="se:cret")

                push_to_gateway(gateway, "batch", registry, handler=handler)
                for method, path in [
                    ("PUT", "/metrics/job/batch"), ("DELETE", "/metrics/job/batch"),
                    ("PUT", "/api/v1/admin/wipe")]:
                    check(program.request(method, path)[0] == 401,
                          f"{method} {path} without a password")
                wrong = {"Authorization": "Basic " + base64.b64encode(b"ci:guess").decode()}
                answers = [program.request("PUT", "/metrics/job/batch", b"", wrong)[0]
                           for _ in range(20)]
                check(set(answers) == {401}, f"guesses: {answers}")
                push_to_gateway(gateway, "batch", registry, handler=handler)
                check(b'temperature{instance="",job="batch"} 1.0' in program.request(
                    "GET", "/metrics")[1], "the push")

                def reload(text, told):
                    with open(file.name, "wb") as passwords:
                        passwords.write(text)
                    start = os.path.getsize(os.path.join(program.folder, "log"))
                    program.process.send_signal(signal.SIGHUP)
                    end = time.monotonic() + 30
                    while time.monotonic() < end:
                        with open(os.path.join(program.folder, "log"), "rb") as log:
                            log.seek(start)
                            if told in log.read():
                                return
                        time.sleep(0.01)
                    raise AssertionError(f"no line in the log: {told}")

                reload(b"nonsense\n", b"the passwords stay as they were")
                push_to_gateway(gateway, "batch", registry, handler=handler)
                reload(b"# nobody\n", b"the passwords were read again")
                known = {"Authorization": "Basic " + base64.b64encode(b"ci:se:cret").decode()}
                answers = {program.request("PUT", "/metrics/job/batch", b"", known)[0]
                           for _ in range(3)}
                check(answers <= {401, 429}, f"a password that was taken out: {answers}")
                reload(line, b"the passwords were read again")
                end = time.monotonic() + 30
                while program.request("PUT", "/metrics/job/batch", b"", known)[0] != 200:
                    check(time.monotonic() < end, "a password that was put back")
                    time.sleep(0.2)
        print("  basic auth: known passwords pass, guesses are 401; SIGHUP reads the file again")

    def test_go_client(self):
        """Go's client_golang."""
        check(shutil.which("go"), "go is missing: Debian's golang-go")
        check(os.path.isdir(GO_PATH + "/src/github.com/prometheus/client_golang/prometheus/push"),
              "client_golang is missing: Debian's golang-github-prometheus-client-golang-dev")
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "push")
            # What Debian has built its own packages with: no module is downloaded.
            environment = {**os.environ, "GO111MODULE": "off", "GOPATH": GO_PATH, "GOFLAGS": "",
                           "GOCACHE": os.path.join(folder, "cache")}
            subprocess.run(["go", "build", "-o", program, "Tests/System/support/push_client.go"],
                           env=environment, check=True)
            ours, theirs = sidecar(), pushgateway()
            with ours, theirs:
                pages = []
                for server in (ours, theirs):
                    subprocess.run([program, f"http://127.0.0.1:{server.port}"], check=True)
                    page = samples(server.request("GET", "/metrics")[1])
                    # The client's own process and runtime have other values each time.
                    pages.append({k: v if "pushed_" in k or k.startswith("push") else "" for k,
                                  v in page.items()})
                check(pages[0] == pages[1], f"{set(pages[0].items()) ^ set(pages[1].items())}")
                check(any('"path": "/a/b"' in key and "pushed_seconds" in key for key in pages[0]),
                      "the group is there")
                check(not any('"gone"' in key for key in pages[0]), "a deleted group is there")
                native = []
                for server in (ours, theirs):
                    subprocess.run([program, f"http://127.0.0.1:{server.port}", "native"],
                                   check=True)
                    page = server.request("GET", "/metrics", headers={"Accept": PROTO})[1]
                    family = [f for f in parse_protobuf(page) if f.name == "pushed_native_seconds"]
                    check(len(family) == 1, "the native histogram is there")
                    native.append(histogram_fields(family[0].metric[0].histogram))
                check(native[0] == native[1] and native[0]["positive_delta"],
                      f"a native histogram: {native}")
        print(f"  Push, Add, Delete as protobuf and text, a native histogram: {len(pages[0])} "
              f"lines of exposition, the same in both")


if __name__ == "__main__":
    main()
