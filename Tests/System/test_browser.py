#!/usr/bin/env python3
"""Both pages in a real headless Chromium, and the pictures of them for the documentation.

    Tests/System/run browser [PICTURES=docs/pictures] [SECONDS=4] [CHROMIUM=PATH]

Times of the page are told, and decide nothing: a machine that runs other things as well is slow.
"""
import threading
import time
from unittest import TestCase, main

from playwright.sync_api import sync_playwright

from support import setting
from support.browser import CDN, SWAGGER, cdn_files, execute, launched, push, send, value_of
from support.checks import check, wait_for
from support.pair import Pair
from support.push_bodies import PROTOBUF, native

SECONDS = setting("SECONDS", 4)  # of load before the pictures
HOSTILE = "<img src=x onerror=document.title=1>\"'</script><script>document.title=1</script>"


def try_it_out(browser, pair):
    """A request made by Swagger UI's own button raises the number on the sidecar's page."""
    pair.start_app("--swagger-ui", SWAGGER, "--root-path", "/api")
    api, own = f"http://127.0.0.1:{pair.api}", f"http://127.0.0.1:{pair.metrics}/"
    sidecar = browser.live(own)
    before = value_of(sidecar, "bye_request_total")
    check(before == "0", f"bye_request_total starts with {before}")
    for url in (f"{api}/docs", f"{api}/api/docs"):
        docs = browser.open(url)
        execute(docs)
        address = docs.locator(".request-url pre").inner_text()
        check(address == f"{api}/api/bye", f"Swagger UI asks {address}")
        browser.picture(docs, "docs")
    wait_for(lambda: value_of(sidecar, "bye_request_total") == "2",
             "Swagger UI's two requests on the sidecar's page", 60)
    browser.quiet("the two pages")
    print("  a request by Swagger UI's button, plain and below a path, shows on the page")
    return sidecar


def hostile(browser, pair, page):
    """Label values and help texts cannot become markup or script."""
    help_text = HOSTILE.replace("\\", "\\\\").encode()
    body = b"# HELP evil %s\n# TYPE evil gauge\nevil{x=\"%s\"} 1\n" % (
        help_text, HOSTILE.replace('"', '\\"').encode())
    check(push(pair, "PUT", "/metrics/job/evil/n@base64/PGI-Cg", body) == 200, "the push")
    send(pair, [f"hostile.name:1|c|#who:{HOSTILE}", "hostile.name:1|c|#who:other"])
    for search, wanted in [("onerror who", "hostile_name_total"), ("onerror evil", "evil")]:
        page.fill("#search", search)
        page.wait_for_selector(f".row.family:visible >> text={wanted}")
        page.wait_for_selector(".row:visible >> text=<img src=x onerror=")
        page.locator(".row:visible >> text=<img src=x").first.click()
        page.wait_for_selector("#detail .pairs >> text=<img src=x onerror=")
    page.wait_for_selector("#detail p >> text=<img src=x onerror=")
    check(page.title() == "metrics-sidecar", "a text ran")
    found = page.locator(
        "#list img, #list script, #detail img, #detail script, #list b, #tiles img").count()
    check(found == 0, "a text became an element")
    browser.quiet("hostile texts")
    print("  hostile label values and help texts show as text; search finds them")


def many(browser, pair, page):
    """10,000 series: what is in the document, and how long the page's thread is held up."""
    count = 9990
    send(pair, [f"orders.placed:1|c|#region:r{i % 20},shop:s{i}" for i in range(count)])
    page.fill("#search", "orders_placed shop=\"s77\"")
    page.wait_for_selector("#found:has-text('1 family, 1 series')")
    page.fill("#search", "orders_placed")
    page.wait_for_selector(f"#found:has-text('{count:,} series')")
    page.wait_for_selector(".row.series:visible")
    shown = page.locator(".row").count()
    check(shown < 100, f"{shown} rows are in the document")
    longest = {}
    for sort in ("name", "rate"):
        page.fill("#search", "")
        page.select_option("#sort", sort)
        # A page that has been open for long: all looks that it keeps, then some real ones.
        longest[sort] = page.evaluate("""async () => {
          const text = await (await fetch('metrics')).text()
          const start = store.times.at(-1) - 300000
          store.clear()
          for (let i = 0; i < LOOKS; i++) store.take(text, start + i * 2000)
          await new Promise((done) => setTimeout(done, 500))
          let longest = 0
          const observer = new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration)
          })
          observer.observe({ type: 'longtask' })
          for (let i = 0; i < 5; i++) {
            while (looking) await new Promise((done) => setTimeout(done, 5))
            await look()
            for (let step = 0; step < 10; step++) {
              $('list').scrollTop = step * 30000
              await new Promise((done) => setTimeout(done, 16))
            }
          }
          observer.disconnect()
          return longest
        }""")
    page.select_option("#sort", "name")
    times = ", ".join(f"{time:.0f} ms by {sort}" if time else f"under 50 ms by {sort}"
                      for sort, time in longest.items())
    browser.quiet("10,000 series")
    print(f"  {count:,} series: {shown} rows in the document; the longest task was {times}")


def found(page, search):
    """What the list says of a search, and the first row's value and note."""
    page.fill("#search", search)
    page.wait_for_timeout(100)
    row = page.locator(".row.family:visible").first
    return (page.inner_text("#found"), row.locator(".value").inner_text(),
            row.locator(".note").inner_text())


def searches(browser, pair, page):
    """Search finds what is shown, and a family shows the total of what was found."""
    send(pair, ["sold:2|c|#region:eu-2,shop:a", "sold:5|c|#region:eu-1,shop:a",
                "sold:9|c|#region:us-1,shop:b", "fill:3|g|#tank:a", "fill:17|g|#tank:b",
                "batch.last_timestamp_seconds:1700000000|g"])
    page.fill("#search", "sold")
    page.wait_for_selector("#found:has-text('3 series')")
    for search, count, value in [
            ("region=eu-2", 1, "2"), ("sold region=eu", 2, "7"), ("sold -region=eu-1", 2, "11"),
            ('sold_total{shop="a"}', 2, "7"), ('sold{shop="a",region!="eu-1"}', 1, "2"),
            ('sold{region=~"eu-.*"}', 2, "7"), ("/sold.*region=(eu|us)-1/", 2, "14"),
            ('shop="b"', 1, "9")]:
        said, shown, note = found(page, search)
        check(said == f"1 family, {count} series", f"{search}: {said}")
        check(shown == value, f"{search}: its total is {shown}, not {value}")
        check(f"{count} of 3 series" in note, f"{search}: {note}")
    check(found(page, "fill")[1] == "3 … 17", "a gauge has no value in the list")
    said, shown, _ = found(page, "batch_last_timestamp_seconds")
    check(shown.endswith(" d ago"), f"a time is shown as {shown}")
    page.click(".row.family:visible")
    page.wait_for_selector("#detail .big >> text=2023-11-1")
    page.fill("#search", "/[/")
    page.wait_for_selector("#found:has-text('0 families, 0 series')")
    page.fill("#search", "")
    check(page.input_value("#scope") == "app" and page.locator(
        ".row:visible >> text=metrics_sidecar").count() == 0, "the sidecar's own families")
    page.wait_for_selector(".tile >> text=datagrams")
    browser.quiet("searches")
    print("  words, labels, selectors and expressions find series; families show their totals")


def panes(browser, pair, page):
    """Refused lines with what to do, rules with what they have made, jobs with how they went."""
    send(pair, ["orders:1|x", "orders:1|c|#kind=web", "job.runs:1|c|#job_name:mail,result:failure",
                "job.exit_code:3|g|#job_name:mail", "job.duration_seconds:12|d|#job_name:mail"])
    page.click(".tile >> text=Refused")
    page.wait_for_selector("#detail >> text=There is no such type")
    page.wait_for_selector("#detail code >> text=orders:1|x")
    page.wait_for_selector("#detail >> text=stands behind a colon")
    page.click(".tile >> text=Rules")
    page.wait_for_selector("#detail .bar:has-text('bye_request_total')")
    page.wait_for_selector("#detail .bar:has-text('main_requests_total') >> text=nothing so far")
    page.click(".tile >> text=Jobs")
    page.wait_for_selector("#detail >> text=failed with 3")
    page.wait_for_selector("#detail >> text=12 s on average")
    page.fill("#search", "http_requests_total")
    page.click(".row.family:visible")
    page.wait_for_selector("#detail >> text=Rule 6: http.request")
    page.fill("#search", "")
    page.click("#detail .close")
    browser.quiet("refused lines, rules and jobs")
    print("  refused lines, rules and jobs have panes of their own")


def past(browser, pair):
    """A plot begins before its page was opened, and says its value under the pointer."""
    for number in range(4):
        send(pair, [f"reservoir:{number}|g"])
        pair.get(pair.metrics, "/metrics")
        time.sleep(5.2)  # the least between two values that are kept
    page = browser.live(f"http://127.0.0.1:{pair.metrics}/")
    page.fill("#search", "reservoir")
    page.click(".row.family:visible")
    wait_for(lambda: page.evaluate("store.before(store.families.get('reservoir')).length") >= 3,
             "earlier values")
    box = page.locator("#detail canvas").bounding_box()

    def words():
        """What it says under the pointer, from left to right."""
        for x in range(30, int(box["width"]), 15):
            page.mouse.move(box["x"] + x, box["y"] + 60)
            page.wait_for_timeout(20)
            yield page.locator("#detail canvas").get_attribute("title") or ""

    # The first may come too soon after a scrape of another page to be kept.
    wait_for(lambda: len({"0", "1", "2", "3"} & {each.split(",")[0] for each in words()}) >= 3,
             "the values under the pointer")
    browser.quiet("a plot of earlier values")
    page.close()
    print("  a plot begins with values of earlier scrapes")


def offline(browser, pair):
    """/docs where the CDN cannot be reached: no exception, and the plain table."""
    docs = browser.open(f"http://127.0.0.1:{pair.api}/docs", cdn=lambda route: route.abort())
    docs.wait_for_selector("table >> text=Says goodbye")
    # Chromium itself tells of each file that it cannot load.
    ours = [text for text in browser.problems if "ERR_FAILED" not in text and CDN not in text]
    check(not ours, f"/docs without a CDN: {ours}")
    browser.problems.clear()
    print("  /docs without a network shows its table and throws nothing")


def keyboard(browser, page):
    """Everything that the mouse does, without it."""
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    check(page.evaluate("document.activeElement.id") == "search", "/ goes to the search")
    page.keyboard.press("Control+A")
    page.keyboard.type("http_requests_total")
    page.wait_for_selector("#found:has-text('1 family')")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#detail h2 >> text=http_requests_total")
    check(page.evaluate("document.activeElement.id") == "list", "an arrow goes to the list")
    page.keyboard.press("ArrowLeft")
    check(page.locator(".row.series:visible").count() == 0, "an arrow closes a family")
    page.keyboard.press("Enter")
    page.wait_for_selector(".row.series:visible")
    page.keyboard.press("j")
    page.wait_for_selector("#detail .query code >> text=http_requests_total{")
    page.evaluate("""() => Object.defineProperty(navigator, 'clipboard', { configurable: true,
        value: { writeText: async (text) => { window.copied = text } } })""")
    page.keyboard.press("c")
    page.wait_for_selector("#detail .query button >> text=Copied")
    copied = page.evaluate("copied")
    check(copied.startswith("sum (rate(http_requests_total{") and copied.endswith("}[5m]))"),
          f"copied: {copied}")
    page.keyboard.press("t")
    page.wait_for_selector("#theme >> text=Dark")
    check(page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)",
          "dark colours")
    page.keyboard.press("t")
    page.keyboard.press("t")
    page.keyboard.press("p")
    page.wait_for_selector("#status >> text=paused")
    page.keyboard.press("p")
    page.wait_for_selector("#status.live")
    page.keyboard.press("?")
    page.wait_for_selector("#about[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#about", state="hidden")
    page.fill("#search", "")
    browser.quiet("the keyboard")
    print("  search, lists, PromQL to the clipboard, dark and light, pause: by the keyboard")


def push_groups(browser, pair, page):
    """Groups with their age; Delete deletes the one that it stands beside."""
    check(push(pair, "PUT", "/metrics/job/backup/path@base64/L3Zhci9saWI/empty@base64/=",
               b"done 1\n") == 200, "a push")
    page.click(".tile >> text=Push groups")
    groups = page.locator("#detail .group")
    group = groups.filter(has_text="/var/lib")
    group.wait_for()
    check(" s ago" in group.inner_text(), f"a group's age: {group.inner_text()}")
    before = groups.count()
    page.once("dialog", lambda dialog: dialog.accept())
    group.locator("button").click()
    group.wait_for(state="detached")
    check(groups.count() == before - 1, "another group went too")
    page.click("#detail .close")
    # Without classic buckets the page has no quantiles to tell, and says so.
    check(push(pair, "PUT", "/metrics/job/native", native(), {"Content-Type": PROTOBUF}) == 200,
          "a native push")
    page.fill("#search", "pb_native")
    row = page.locator(".row.family:visible", has=page.get_by_text("pb_native", exact=True))
    row.wait_for()
    row.click()
    detail = page.locator("#detail")
    detail.get_by_text("Quantiles").wait_for()
    text = detail.inner_text()
    check("12" in text and "p95" in text
          and not any(word in text for word in ("NaN", "undefined", "-Inf")),
          f"a native histogram: {text}")
    check(push(pair, "DELETE", "/metrics/job/native") == 202, "the native group")
    page.click("#detail .close")
    page.fill("#search", "")
    browser.quiet("push groups")
    print("  a group of a path with slashes and an empty value is deleted by its button; a native "
          "histogram shows")


def looks(browser, pair, own, seconds):
    """The pictures, and what a small and a dark screen must have."""
    ended = threading.Event()

    def load():
        number = 0
        while not ended.wait(0.02):
            number += 1
            for path in ["/", "/health", "/bye"][:1 + number % 3] * (1 + number // 40 % 4):
                pair.get(pair.api, path)
            wait = 0.02 * (1 + number % 7) * (3 if number // 60 % 2 else 1)
            send(pair, [f"jobs.time:{1000 * wait}|ms|#queue:mail",
                        f"jobs.time:{111 * wait}|ms|#queue:export",
                        f"jobs.done:1|c|#queue:{('mail', 'export', 'thumbnails')[number % 3]}",
                        f"queue.depth:{40 + number % 17}|g|#queue:mail"])

    thread = threading.Thread(target=load)
    thread.start()
    try:
        page = browser.live(own)
        page.select_option("#interval", "1000")
        page.select_option("#scope", "app")
        page.wait_for_timeout(1000 * seconds)
        page.evaluate("choose(store.families.get('jobs_time_seconds'))")
        page.wait_for_selector("#detail .pairs.wide >> text=p95")
        page.wait_for_timeout(1200)
        browser.picture(page, "page")
        for name, width, height, scheme in [("page-dark", 1360, 860, "dark"),
                                            ("page-phone", 390, 844, "light")]:
            small = browser.live(own, width=width, height=height, scheme=scheme)
            small.select_option("#interval", "1000")
            small.wait_for_timeout(1000 * min(seconds, 8))
            if scheme == "dark":
                small.click(".row.family:visible >> text=http_requests_total")
                small.wait_for_selector("#detail canvas")
            browser.picture(small, name)
            over = small.evaluate("document.documentElement.scrollWidth - innerWidth")
            check(over <= 0, f"{name} is {over} pixels wider than its screen")
            ground = small.evaluate("getComputedStyle(document.body).backgroundColor")
            check((ground == "rgb(13, 17, 23)") == (scheme == "dark"),
                  f"{name} has the ground {ground}")
        small.click(".row.family:visible >> text=http_requests_total")
        small.wait_for_selector("#detail canvas")
        over = small.evaluate("document.querySelector('#detail').scrollWidth - innerWidth")
        check(over <= 0, f"the phone's details are {over} pixels too wide")
        browser.picture(small, "page-phone-detail")
    finally:
        ended.set()
        thread.join()
    browser.quiet("dark and small")
    print(f"  a phone has nothing to scroll sideways; pictures are in {browser.pictures}")


class Pages(TestCase):
    def test_use(self):
        """Swagger UI's page and the sidecar's, used by mouse and keyboard, with hostile names,
        pushed groups and many series."""
        with Pair() as pair, sync_playwright() as playwright:
            browser = launched(playwright)
            pair.start_sidecar("--max-series", "20000", "--push", "--push-admin")
            page = try_it_out(browser, pair)
            hostile(browser, pair, page)
            push_groups(browser, pair, page)
            searches(browser, pair, page)
            panes(browser, pair, page)
            past(browser, pair)
            keyboard(browser, page)
            many(browser, pair, page)
            page.close()
            cdn_files(browser, pair)
            offline(browser, pair)

    def test_looks(self):
        """Both pages on screens of each kind, light and dark."""
        with Pair() as pair, sync_playwright() as playwright:
            browser = launched(playwright)
            pair.start_sidecar()
            pair.start_app("--swagger-ui", SWAGGER)
            looks(browser, pair, f"http://127.0.0.1:{pair.metrics}/", SECONDS)


if __name__ == "__main__":
    main()
