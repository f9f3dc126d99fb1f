"""Pushes and kills."""
import os

from checks import check
from pushes.servers import sidecar



def kills(options):
    """Killed right after the answer."""
    lost = 0
    with sidecar(options) as program:
        for number in range(options.kills):
            body = b"# TYPE last gauge\nlast %d\n" % number + b"".join(
                b"filler{n=\"%d\"} %d\n" % (n, number) for n in range(number % 200))
            status, _ = program.request("PUT", f"/metrics/job/j{number % 3}", body)
            program.kill()
            check(status == 200, f"push {number}: {status}")
            program.start()
            page = program.request("GET", "/metrics")[1]
            expected = b'last{instance="",job="j%d"} %d.0\n' % (number % 3, number)
            whole = page.count(b'job="j%d",n="' % (number % 3)) == number % 200
            lost += expected not in page or not whole
        check(lost == 0, f"{lost} of {options.kills} pushes were lost or torn")
        check(b"damaged" not in open(os.path.join(program.folder, "log"), "rb").read(), "a damaged file")
    print(f"  {options.kills} kills, no push lost, none torn")
