"""What /-/ready says of a sidecar, and that its log says the same."""
from support.checks import check, wait_for


def answer(sidecar):
    response, body = sidecar.get("/-/ready")
    return response.status, body.decode()


def expect_ready(sidecar):
    wait_for(lambda: answer(sidecar) == (200, "ready\n"), f"ready; it says {answer(sidecar)}", 20)


def expect_trouble(sidecar, *words):
    """503 with one line that has these words, which the log has too."""
    status, body = answer(sidecar)
    check(status == 503 and body.startswith("not ready: ") and body.count("\n") == 1, status, body)
    check(all(word in body for word in words), body, "has not", words)
    check("Not ready: " + body[len("not ready: "):] in sidecar.output(), sidecar.output())
    print("  " + body.strip().replace(sidecar.folder, "…"))
