#!/usr/bin/env python3
"""Runs the examples of docs/ against a sidecar and compares answers; checks links and file names.

    Tests/System/run docs

A comment `<!-- check KIND … -->` stands above the example, a table or an indented block:

    lines [--spectator]     each row: lines to a fresh sidecar, and the samples that they become
                            (last column)
    rejected [--spectator]  each row: the reason that counts these lines
    bytes: SAMPLE           what the client sends and is answered on events.sock, in hexadecimal
                            digits
    frames                  `> line / line` is sent as a frame, `< line` is answered, `< closed`
    page "LINES" name=FAMILY accept=… flags=…
                            the page of that family, as text or digits
    escaping "LINES"        each row: the scheme, and how the sample is written
    http                    each row: a request's bytes and the status that answers it
    push [FLAG …]           `> line` of a request, then of its body (`x digits` for bytes),
                            `< status text`, and `= line` that the page then has
    refused [FLAG …]        each row, in order to one sidecar: a request, its body, status and text
                            of the answer
"""
import http.client
import os
import re
import shlex
import socket
import subprocess
import tempfile
from unittest import TestCase, main

from support import PROGRAMS
from support.checks import check
from support.sidecar import Sidecar, Wire, frame

MARK = re.compile(r"^<!-- check (.*?) -->\n+((?:(?:\||    ).*\n|\n(?=    ))+)", re.M)


def spans(cell):
    return [code.replace("\\|", "|") for code in re.findall(r"`([^`]+)`", cell)]


def rows(block):
    for row in block.strip().splitlines()[2:]:
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def digits(line):
    """The hexadecimal digits at a line's start; a comment follows after two blanks."""
    return bytes.fromhex(
        "".join(re.findall(r"^\s*((?:[0-9a-f]{2}(?: {1,2}(?=[0-9a-f]{2}(?: |$))| |$))+)",
                                            line)))


def send(sidecar, lines, is_spectator=False):
    with sidecar.unix("spectator.sock" if is_spectator else "statsd.sock") as client:
        for line in lines:
            client.send(line.encode())


def lines(block, words):
    for cells in rows(block):
        with Sidecar() as sidecar:
            send(sidecar, spans(cells[0]), "--spectator" in words)
            wanted = dict(sample.rsplit(" ", 1) for sample in spans(cells[-1]))
            check(wanted, f"no sample in {cells}")
            sidecar.expect({name: float(value) for name, value in wanted.items()})


def rejected(block, words):
    with Sidecar() as sidecar:
        for reason, examples in rows(block):
            for reason in spans(reason):
                name = f'metrics_sidecar_events_rejected_total{{reason="{reason}"}}'
                bad = [line for line in spans(examples) if ":" in line or "|" in line
                       or line == "jobs"]
                if any(line.startswith("--") for line in spans(examples)):
                    flag = [line for line in spans(examples) if line.startswith("--")][0]
                    size = {"--max-line-length": 9000, "--max-datagram-size": 65600}[flag]
                    bad = ["a" * size + ":1|c"]
                check(name in sidecar.values(), f"nothing counts {reason}")
                for line in bad if reason not in ("others",) else []:
                    before = sidecar.values()[name]
                    send(sidecar, [line], "--spectator" in words)
                    sidecar.expect({name: before + 1})


def exchange(block, words):
    with Sidecar() as sidecar:
        wire = Wire(sidecar)
        answers = b""
        for line in block.strip("\n").splitlines():
            who, _, rest = line.strip().partition(" ")
            data = digits(rest)
            check(data, f"no digits in {line!r}")
            if who == "client":
                wire.send(data)
            else:
                answers = b""
                while len(answers) < len(data):
                    piece = wire.socket.recv(len(data) - len(answers))
                    check(piece, "the connection ends")
                    answers += piece
                check(answers == data, f"{line!r}: it answers {answers.hex(' ')}")
        wire.socket.close()
        name, value = words[1].rsplit(" ", 1)
        sidecar.expect({name: float(value)})


def frames(block, words):
    with Sidecar() as sidecar:
        for connection in re.split(r"\n\s*\n", block.strip("\n")):
            wire = Wire(sidecar)
            for line in connection.splitlines():
                mark, _, text = line.strip().partition(" ")
                if mark == ">":
                    wire.send(frame(*text.split(" / ")))
                    continue
                found = wire.answers(1)
                # One acknowledgement may stand for several frames, or come for each.
                while found != [text] and found[0].startswith("_ack|") and text.startswith(
                    "_ack|") \
                        and int(found[0][5:]) < int(text[5:]):
                    found = wire.answers(1)
                while found != [text] and text == "closed" and found[0].startswith("_ack|"):
                    found = wire.answers(1)
                check(found == [text], f"{line!r}: it answers {found}")
            wire.socket.close()


def scrape(sidecar, name, accept):
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.metrics, timeout=10)
    connection.request("GET", f"/metrics?name[]={name}",
                       headers={"Accept": accept} if accept else {})
    body = connection.getresponse().read()
    connection.close()
    return body


def page(block, words):
    options = dict(word.split("=", 1) for word in words[2:])
    with Sidecar(*options.get("flags", "").split()) as sidecar:
        send(sidecar, words[1].split("\\n"))
        found = scrape(sidecar, options["name"], options.get("accept", ""))
        text = "".join(line[4:] + "\n" for line in block.strip("\n").splitlines())
        if "protobuf" in options.get("accept", ""):
            wanted = b"".join(digits(line) for line in text.splitlines())
        else:
            wanted = text.encode()
            times = re.compile(rb"(_created\S* )[0-9.]+")
            found, wanted = times.sub(rb"\1T", found), times.sub(rb"\1T", wanted)
        check(found == wanted, f"{words}: the page is\n{found!r}\nnot\n{wanted!r}")


def escaping(block, words):
    with Sidecar("--utf8-names") as sidecar:
        send(sidecar, [words[1]])
        for schemes, sample in rows(block):
            for scheme in spans(schemes) + ([""] if "none" in schemes else []):
                accept = "text/plain;version=1.0.0" + (f";escaping={scheme}" if scheme else "")
                found = scrape(sidecar, words[1].split(":")[0] + "_total", accept).decode()
                check(f"\n{spans(sample)[0]} 1.0\n" in found, f"{scheme}: {found}")


def requests(block, words):
    with Sidecar() as sidecar:
        for request, status in rows(block):
            data = spans(request)[0].replace("\\r", "\r").replace("\\n", "\n").encode()
            with socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=10) as client:
                client.sendall(data)
                found = client.recv(64).decode()
            check(found[9:12] == status, f"{request}: it answers {found[:40]!r}")


def push(sidecar, head, body):
    """A request as its first line and its fields, and what answers it as `status text`."""
    method, path = head[0].split(" ")[:2]
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.metrics, timeout=10)
    connection.request(method, path, body, dict(line.split(": ", 1) for line in head[1:]))
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return f"{response.status} {text}".strip()


def pushes(block, words):
    with Sidecar("--push", *words[1:]) as sidecar:
        head, body, has_head = [], b"", False
        for line in block.strip("\n").splitlines():
            mark, _, text = line[4:].partition(" ")
            if mark == "x":
                body += digits(text)
            elif mark == "<":
                found = push(sidecar, head, body)
                check(found == text, f"{head}: it answers {found!r}, not {text!r}")
                head, body, has_head = [], b"", False
            elif mark == "=":
                check(text in sidecar.page().splitlines(), f"no line {text!r} in the page")
            elif has_head:
                body += text.encode() + b"\n"
            else:
                has_head = not text
                head += [text] if text else []


REFUSED = "pushed metrics are invalid or inconsistent with existing metrics:"


def refused(block, words):
    with Sidecar("--push", *words[1:]) as sidecar:
        for request, body, answer in rows(block):
            data = (spans(body) or [""])[0].replace("\\n", "\n").replace("\\r", "\r").encode()
            if "bytes" in body:
                data = digits(data.decode())
            found = push(sidecar, spans(request), data)
            wanted = " ".join([answer.split(" ")[0], *spans(answer)]).replace("…", REFUSED)
            # Of a problem document the status tells all.
            check(found == wanted or found.startswith(wanted + " {") and " " not in wanted,
                  f"{request} {body}: it answers {found!r}, not {wanted!r}")


# Flags of other programs that the documents speak of.
OTHERS = {"--enable-feature", "--check-config", "--cors", "--statsd-host", "--statsd-prefix"}
KINDS = {"lines": lines, "rejected": rejected, "bytes:": exchange, "frames": frames, "page": page,
         "escaping": escaping, "http": requests, "push": pushes, "refused": refused}


def anchors(text):
    """As GitHub makes them of headings, and those that are written out."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    found = set(re.findall(r'<a id="([^"]+)"></a>', text))
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        plain = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


class Docs(TestCase):
    def test_links(self):
        """Every link within the repository leads somewhere, and every file that is named is
        there."""
        listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
        files = set(listed.stdout.split("\n")) - {""}
        folders = {os.path.dirname(file) for file in files}
        while True:
            more = {os.path.dirname(folder) for folder in folders} | folders
            if more == folders:
                break
            folders = more
        tops = {file.split("/")[0] for file in files if "/" in file}
        made = ("dist/", "coverage/", ".run/", ".build", ".venv")
        count = 0
        for name in sorted(file for file in files if file.endswith(".md")
                           and not file.startswith("Tests/Corpus")):
            with open(name) as f:
                text = f.read()
            plain = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
            for target in re.findall(r"\]\(([^)\s]+)\)", plain):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                path = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
                check(path in files or path in folders, f"{name}: the link {target} leads nowhere")
                if anchor and path.endswith(".md"):
                    with open(path) as f:
                        check(anchor in anchors(f.read()),
                              f"{name}: {path} has no heading #{anchor}")
                count += 1
            for file in re.findall(r"`([\w.-]+(?:/[\w.-]+)+/?)`", plain):
                top = file.split("/")[0]
                file = file.rstrip("/")
                if top in tops and not file.startswith(made):
                    check(file in files | folders, f"{name}: there is no {file}")
                    count += 1
                elif file.endswith(".swift"):
                    # As docs/architecture.md names sources: from their target on, or within the
                    # sidecar's.
                    check({f"Sources/{file}", f"Sources/MetricsSidecar/{file}"} & files,
                          f"{name}: there is no {file} in Sources")
                    count += 1
        print(f"  {count} links and file names lead somewhere")

    def test_settings(self):
        """Every flag that a document writes as `--flag` is one that a program has; the guide speaks
        of other programs too much."""
        known = set()
        for command in ("metrics-sidecar", "metrics-sidecar check-rules", "simple-server",
                        "simple-server stress"):
            program, *words = command.split()
            shown = subprocess.run([os.path.join(PROGRAMS, program), *words, "--help"],
                                   capture_output=True,
                                   text=True)
            known |= set(re.findall(r"--[a-z0-9][a-z0-9-]+", shown.stdout))
        for folder in (".", "docs"):
            for name in sorted(os.listdir(folder)):
                if name.endswith(".md") and name != "guide.md":
                    with open(os.path.join(folder, name)) as f:
                        for flag in re.findall(r"`(--[a-z0-9][a-z0-9-]+)[ =`]", f.read()):
                            check(flag in known or flag in OTHERS,
                                  f"{folder}/{name}: no program has {flag}")
        print("  every flag in README and docs/ is one that --help has")

    def test_rules(self):
        """Every rules file that a document shows is a good one."""
        count = 0
        for name in sorted(os.listdir("docs")):
            if not name.endswith(".md"):
                continue
            with open(os.path.join("docs", name)) as f:
                for block in re.findall(r"^```json\n(.*?)^```", f.read(), re.M | re.S):
                    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                        file.write(block)
                        file.flush()
                        told = subprocess.run([os.path.join(PROGRAMS, "metrics-sidecar"),
                                               "check-rules",
                                               file.name], capture_output=True, text=True)
                    check(told.returncode == 0, f"docs/{name}: {told.stderr}{block}")
                    count += 1
        print(f"  {count} rules files in docs/ are good")

    def test_tested(self):
        """Every test of rules that a document shows passes with the rules above it, and none that
        has another number does."""
        count = 0
        for name in sorted(os.listdir("docs")):
            if not name.endswith(".md"):
                continue
            with open(os.path.join("docs", name)) as f:
                blocks = re.findall(r"^```(json|test)\n(.*?)^```", f.read(), re.M | re.S)
            for (_, rules), (kind, test) in zip(blocks, blocks[1:]):
                if kind != "test":
                    continue
                for text in test, re.sub(r" 3\.0$", " 4.0", test, count=1, flags=re.M):
                    with tempfile.TemporaryDirectory() as folder:
                        files = [f"{folder}/rules.json", f"{folder}/rules.test"]
                        for file, content in zip(files, (rules, text)):
                            with open(file, "w") as f:
                                f.write(content)
                        told = subprocess.run([os.path.join(PROGRAMS, "metrics-sidecar"),
                                               "check-rules", files[0], "--test", files[1]],
                                              capture_output=True, text=True)
                    check(told.returncode == (text != test), f"docs/{name}: {told}{text}")
                count += 1
        check(count, "no document shows a test of rules")
        print(f"  {count} tests of rules in docs/ pass")

    def test_examples(self):
        """Each example of docs/ that says how it is to be checked is as it says."""
        counts = {}
        for name in sorted(os.listdir("docs")):
            if not name.endswith(".md"):
                continue
            with open(os.path.join("docs", name)) as f:
                text = f.read()
            marks = MARK.findall(text)
            check(len(marks) == text.count("<!-- check "),
                  f"docs/{name}: a mark without its example")
            for mark, block in marks:
                words = [mark.split()[0],
                         mark.split(" ", 1)[1]] if mark.startswith("bytes:") else shlex.split(mark)
                check(words[0] in KINDS, f"docs/{name}: no such check: {mark}")
                try:
                    KINDS[words[0]](block, words)
                except AssertionError as failure:
                    raise AssertionError(f"docs/{name}: <!-- check {mark} -->: {failure}") from None
                counts[words[0]] = counts.get(words[0], 0) + 1
        for kind in KINDS:
            check(counts.get(kind), f"no example is checked as {kind}")
        print("  examples that are as docs/ has them:",
              ", ".join(f"{n} {k.rstrip(':')}" for k, n in counts.items()))


if __name__ == "__main__":
    main()
