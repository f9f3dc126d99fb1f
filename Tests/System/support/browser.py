"""A browser that is driven, and how the page is filled."""
import contextlib
import http.client
import os
import shutil
import socket
import tempfile

import flask_swagger_ui

from support import setting
from support.checks import check, wait_for

CDN = "https://cdn.jsdelivr.net/"
CHROMIUM = setting("CHROMIUM", shutil.which("chromium") or "")
PICTURES = setting("PICTURES", "")
SWAGGER = os.path.join(os.path.dirname(flask_swagger_ui.__file__), "dist")


class Browser:
    """A Chromium whose pages may complain of nothing that was not expected."""

    def __init__(self, chromium):
        self.chromium, self.problems = chromium, []
        self.pictures = PICTURES or tempfile.mkdtemp(prefix="pictures-")
        os.makedirs(self.pictures, exist_ok=True)

    def open(self, url, width=1360, height=860, scheme="light", cdn=None):
        context = self.chromium.new_context(viewport={"width": width, "height": height},
                                            color_scheme=scheme)
        if cdn:
            context.route(CDN + "**", cdn)
        page = context.new_page()
        page.set_default_timeout(60000)
        page.on("console",
                lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: self.problems.append(str(e)))
        page.on("requestfailed", lambda r: self.problems.append(f"{r.url} failed: {r.failure}"))
        page.goto(url)
        return page

    def live(self, url, **how):
        page = self.open(url, **how)
        page.wait_for_selector("#status.live")
        return page

    def picture(self, page, name):
        page.screenshot(path=os.path.join(self.pictures, name + ".png"))

    def quiet(self, what):
        check(not self.problems, f"{what}: the console says " + "; ".join(self.problems))


def execute(page):
    page.click("text=Says goodbye")
    page.click("text=Try it out")
    page.click("button.execute")
    page.wait_for_selector("text=Bye Bye >> visible=true")
    page.wait_for_selector(".live-responses-table")


def value_of(page, name):
    page.fill("#search", name)
    row = page.locator(".row.family:visible", has=page.get_by_text(name, exact=True))
    return row.locator(".value").get_attribute("title")


def send(pair, lines):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(pair.path("statsd.sock"))
        for line in lines:
            s.send(line.encode())


def push(pair, method, path, body=b"", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", pair.metrics, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        return connection.getresponse().status


def cdn_files(browser, pair):
    """Without a folder the files are the CDN's, and only those that the hashes name run."""
    bent = False

    def answer(route):
        name = route.request.url.rsplit("/", 1)[1]
        with open(os.path.join(SWAGGER, name), "rb") as file:
            body = file.read()
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        route.fulfill(body=body + (b"\n" if bent else b""), headers={
            "Content-Type": kind, "Access-Control-Allow-Origin": "*"})

    pair.app.terminate()
    pair.app.wait()
    pair.start_app("--swagger-ui", "")
    url = f"http://127.0.0.1:{pair.api}/docs"
    execute(browser.open(url, cdn=answer))
    browser.quiet("/docs with the CDN's files")
    bent = True
    docs = browser.open(url, cdn=answer)
    wait_for(lambda: sum("integrity" in text for text in browser.problems) >= 2,
             "two complaints about files that were changed", 60)
    docs.wait_for_selector("table >> text=Says goodbye")
    check(docs.evaluate("typeof SwaggerUIBundle") == "undefined", "a changed file ran")
    browser.problems.clear()
    print("  the CDN's files run by their hashes; one byte more, and the plain table stays")


def launched(playwright):
    check(CHROMIUM, "no chromium on PATH: Debian's chromium")
    return Browser(playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]))
