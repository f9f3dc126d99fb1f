"""What the dashboard's panels are made of: what they ask of Prometheus, and Grafana's format."""

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SERVICE = 'namespace="$namespace", job="$job"'
PODS = f'{SERVICE}, pod=~"$pod"'
POISONED = ', result="poisoned"'
# What the cluster's exporters say has their own job.
CLUSTER = 'namespace="$namespace", pod=~"$pod"'
OURS = f"and on (pod) metrics_sidecar_build_info{{{PODS}}}"
# The kubelet's probes are no user's requests; chart/files/alerts.yaml leaves out the same.
USERS = f'{SERVICE}, endpoint!~"/(health|healthz|livez|ready|readyz|ping)"'
QUICK = 'le=~"0|0[.]0.*|0[.]1.*|0[.]2|0[.]2[0-4].*|0[.]250*|.+e-.+"'
RATE = "$__rate_interval"
DURATION = "http_request_duration_seconds"


def rate(metric, labels, window=RATE):
    return f"rate({metric}{{{labels}}}[{window}])"


def quantile(part, by=""):
    """Of a histogram with buckets, or of a native one."""
    group = f" by ({by})" if by else ""
    buckets = f"sum by ({by + ', ' if by else ''}le) ({rate(DURATION + '_bucket', USERS)})"
    native = f"sum{group} ({rate(DURATION, USERS)})"
    return f"histogram_quantile({part}, {buckets}) or histogram_quantile({part}, {native})"


def errors(window=RATE):
    """The share of users' requests that end with a 5xx."""
    failed, all_of_them = (f"sum({rate('http_requests_total', labels, window)})" for labels in (
        f'{USERS}, status=~"5.."', USERS))
    return f"({failed} or 0 * {all_of_them}) / {all_of_them}"


def slow(window=RATE):
    """The share that takes longer than 0.25 s, as the alerts have it."""
    bucket, labels = DURATION + "_bucket", f"{USERS}, {QUICK}"
    quick = f"max(sum by (le) ({rate(bucket, labels, window)}))"
    least = f"min(sum by (le) ({rate(bucket, USERS, window)}))"
    count = f"sum({rate(DURATION + '_count', USERS, window)})"
    native = f"histogram_fraction(0, 0.25, sum({rate(DURATION, USERS, window)}))"
    return f"1 - ({quick} or {least}) / {count} or 1 - {native}"


def of_both_kinds(metric, labels=""):
    """What kube-state-metrics says of containers and of init containers, as native sidecars are."""
    return " or ".join(f"kube_pod_{kind}container_{metric}{{{CLUSTER}{labels}}}"
                       for kind in ("", "init_"))


class Dashboard:
    def __init__(self):
        self.panels, self.y, self.x, self.row_height = [], 0, 0, 0

    def row(self, title):
        self.line_break()
        self.add({"type": "row", "title": title, "collapsed": False, "panels": []}, 24, 1)

    def line_break(self):
        if self.x:
            self.x, self.y = 0, self.y + self.row_height

    def add(self, panel, width, height):
        if self.x + width > 24:
            self.line_break()
        panel["id"] = len(self.panels) + 1
        panel["gridPos"] = {"x": self.x, "y": self.y, "w": width, "h": height}
        self.x, self.row_height = self.x + width, height
        if self.x >= 24:
            self.line_break()
        self.panels.append(panel)

    def panel(self, kind, title, queries, *, text="", unit="short", width=8, height=8, **more):
        """One panel; `queries` are (expression, legend)."""
        custom = more.pop("custom", {})
        options = more.pop("options", {})
        thresholds = more.pop("thresholds", [])
        steps = [{"color": "green", "value": None}]
        steps += [{"color": color, "value": value} for value, color in thresholds]
        defaults = {"unit": unit, "custom": custom, "min": more.pop("minimum", 0)}
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        overrides = more.pop("overrides", [])
        self.add(
            {
                "type": kind,
                "title": title,
                "description": text,
                "datasource": SOURCE,
                "fieldConfig": {"defaults": defaults, "overrides": overrides},
                "options": options,
                "targets": [
                    {
                        "refId": chr(ord("A") + index),
                        "datasource": SOURCE,
                        "expr": expression,
                        "legendFormat": legend,
                        **more,
                    }
                    for index, (expression, legend) in enumerate(queries)
                ],
            },
            width,
            height,
        )

    def lines(self, title, queries, **more):
        custom = {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never"}
        custom |= more.pop("custom", {})
        options = {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
        self.panel("timeseries", title, queries, custom=custom, options=options, **more)

    def number(self, title, expression, **more):
        options = {
            "reduceOptions": {"calcs": ["lastNotNull"]},
            "colorMode": "value",
            "graphMode": "area",
        }
        more = {"width": 4, "height": 4} | more
        self.panel("stat", title, [(expression, "")], options=options, **more)


def dashed(*names):
    """Draws request and limit as lines beside what is used."""
    return [
        {
            "matcher": {"id": "byRegexp", "options": f"/ {name}$/"},
            "properties": [
                {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}},
                {"id": "custom.fillOpacity", "value": 0},
            ],
        }
        for name in names
    ]
