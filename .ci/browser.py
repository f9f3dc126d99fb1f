#!/usr/bin/env python3
"""Both pages in a real headless Chromium, and the pictures of them for the documentation.

    .ci/python .ci/browser.py --programs dist/linux-amd64 [--pictures docs/pictures]
"""
import argparse
import os
import shutil
import socket
import sys
import tempfile

import flask_swagger_ui
from playwright.sync_api import sync_playwright

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from verify import Pair, check, wait_for

SWAGGER = os.path.join(os.path.dirname(flask_swagger_ui.__file__), "dist")
HOSTILE = "<img src=x onerror=document.title=1>\"'</script><script>document.title=1</script>"


def open_page(browser, problems, url, width=1360, height=860, scheme="light"):
    page = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
    page.set_default_timeout(15000)
    page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: problems.append(str(e)))
    page.on("requestfailed", lambda r: problems.append(f"{r.url} failed: {r.failure}"))
    page.goto(url)
    return page


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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True)
    parser.add_argument("--pictures")
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    pictures = options.pictures or tempfile.mkdtemp(prefix="pictures-")
    os.makedirs(pictures, exist_ok=True)
    problems = []
    with Pair(options.programs) as pair, sync_playwright() as playwright:
        pair.start_sidecar("--max-series", "20000")
        pair.start_app("--swagger-ui", SWAGGER, "--root-path", "/api")
        browser = playwright.chromium.launch(
            executable_path=options.chromium, args=["--no-sandbox"])
        api, own = f"http://127.0.0.1:{pair.api}", f"http://127.0.0.1:{pair.metrics}/"

        sidecar = open_page(browser, problems, own)
        sidecar.wait_for_selector("#status.live")
        before = value_of(sidecar, "bye_request_total")
        check(before == "0", f"bye_request_total starts with {before}")
        for url in (f"{api}/docs", f"{api}/api/docs"):
            docs = open_page(browser, problems, url)
            execute(docs)
            docs.screenshot(path=os.path.join(pictures, "docs.png"))
        wait_for(lambda: value_of(sidecar, "bye_request_total") == "2",
                 "Swagger UI's two requests on the sidecar's page")
        print("  a request by Swagger UI's button, plain and below a path, shows on the page")

        send(pair, [f"hostile.name:1|c|#who:{HOSTILE}",
                    *(f"orders.placed:1|c|#region:r{i % 20},shop:s{i}" for i in range(9900))])
        sidecar.fill("#search", "onerror")
        sidecar.wait_for_selector(".row.series:visible >> text=<img src=x onerror=")
        sidecar.click(".row.series:visible")
        check(sidecar.title() == "metrics-sidecar", "a label's value ran")
        check(sidecar.locator("#list img, #list script, #detail img, #detail script").count() == 0,
              "a label's value became an element")
        print("  a hostile label value shows as text; search finds it")

        sidecar.fill("#search", "orders_placed shop=\"s77\"")
        sidecar.wait_for_selector("#found:has-text('1 families, 1 series')")
        sidecar.fill("#search", "orders_placed")
        sidecar.wait_for_selector("#found:has-text('9,900 series')")
        shown = sidecar.locator(".row").count()
        check(shown < 100, f"{shown} rows are in the document")
        spent = sidecar.evaluate(
            "() => { const start = performance.now(); for (let i = 0; i < 10; i++) {"
            " $('list').scrollTop = i * 30000; paint() } return (performance.now() - start) / 10 }")
        check(spent < 50, f"painting one view takes {spent:.1f} ms")
        print(f"  9,900 series: {shown} rows in the document, a view painted in {spent:.1f} ms")

        sidecar.fill("#search", "")
        sidecar.wait_for_timeout(4500)
        sidecar.click(".row.family:visible >> text=http_request_duration_seconds")
        sidecar.screenshot(path=os.path.join(pictures, "page.png"))
        for name, width, height, scheme in [("page-dark", 1360, 860, "dark"),
                                            ("page-phone", 390, 844, "light")]:
            page = open_page(browser, problems, own, width, height, scheme)
            page.wait_for_selector("#status.live")
            page.wait_for_timeout(4500)
            page.screenshot(path=os.path.join(pictures, name + ".png"))
        check(not problems, "the pages complained: " + "; ".join(problems))
        browser.close()
    print(f"  no errors on the consoles; pictures are in {pictures}")


if __name__ == "__main__":
    main()
