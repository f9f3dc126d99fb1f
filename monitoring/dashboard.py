"""The dashboard, chart/files/dashboard.json: Grafana's format repeats itself, this does not.

Rows that show the whole service read recorded sums over its pods (chart/files/alerts.yaml); rows
that show pods read what the chosen pods say.
"""

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SERVICE = 'namespace="$namespace", job="$job"'
PODS = f'{SERVICE}, pod=~"$pod"'
# What the cluster's exporters say has their own job.
CLUSTER = 'namespace="$namespace", pod=~"$pod"'


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


def service(board):
    board.row("Service: the sum of its pods")
    board.number("Requests", f"job:server_requests_total:sum{{{SERVICE}}}",
                 text="Requests to the API's own endpoints since the pods that run now started.")
    board.number("Requests a second",
                 f"sum(job_endpoint:http_requests:rate5m{{{SERVICE}}})", unit="reqps")
    board.number("Errors", f"job:http_errors:ratio_rate5m{{{SERVICE}}}", unit="percentunit",
                 thresholds=[(0.001, "yellow"), (0.0144, "red")],
                 text="Share of the requests of the last 5 minutes that ended with a 5xx.")
    board.number("99 % answered within",
                 "histogram_quantile(0.99, sum by (le) "
                 f"(job_endpoint_le:http_request_duration_seconds_bucket:rate5m{{{SERVICE}}}))",
                 unit="s", thresholds=[(0.25, "red")])
    board.number("Application starts", f"job:app_starts_total:sum{{{SERVICE}}}",
                 text="How often the application has started, in all pods that run now.")
    board.number("Pods", f"job:metrics_sidecar_pods:count{{{SERVICE}}}")
    board.lines("Calls by endpoint, total",
                [(f"job_endpoint:http_requests_total:sum{{{SERVICE}}}", "{{endpoint}}")])
    board.lines("Calls by endpoint, a second",
                [(f"job_endpoint:http_requests:rate5m{{{SERVICE}}}", "{{endpoint}}")],
                unit="reqps")
    board.lines("Calls by status, a second",
                [(f"sum by (status) (job_endpoint_status:http_requests:rate5m{{{SERVICE}}})",
                  "{{status}}")], unit="reqps", custom={"stacking": {"mode": "normal"}})
    board.panel("heatmap", "Latency",
                [("sum by (le) (job_endpoint_le:http_request_duration_seconds_bucket:rate5m"
                  f"{{{SERVICE}}})", "{{le}}")],
                text="Requests a second by the time they took.", format="heatmap",
                options={
                    "calculate": False,
                    "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
                    "yAxis": {"unit": "s"},
                    "cellGap": 1,
                    "tooltip": {"show": True, "yHistogram": True},
                })
    board.lines("Latency by endpoint",
                [(f"histogram_quantile({part}, sum by (endpoint, le) "
                  "(job_endpoint_le:http_request_duration_seconds_bucket:rate5m"
                  f"{{{SERVICE}}}))", f"{{{{endpoint}}}} p{name}")
                 for part, name in ((0.5, "50"), (0.99, "99"))], unit="s")
    board.lines("Error and latency budget",
                [(f"job:http_errors:ratio_rate5m{{{SERVICE}}}", "errors, 5 min"),
                 (f"job:http_errors:ratio_rate1h{{{SERVICE}}}", "errors, 1 h"),
                 (f"job:http_slow:ratio_rate5m{{{SERVICE}}}", "slower than 0.25 s, 5 min"),
                 (f"job:http_slow:ratio_rate1h{{{SERVICE}}}", "slower than 0.25 s, 1 h")],
                unit="percentunit",
                text="Alerts fire when both windows are above 1.44 % errors or 14.4 % slow.")


def starts(board):
    board.row("Starts and restarts, by pod")
    board.lines("How often the application started",
                [(f"app_starts_total{{{PODS}}}", "{{pod}}")],
                text="Kept by the sidecar, so a container that is restarted goes on counting.",
                custom={"lineInterpolation": "stepAfter"})
    board.lines("Starts within the last hour",
                [(f"increase(app_starts_total{{{PODS}}}[1h])", "{{pod}}")])
    board.lines("Container restarts",
                [(f"pod_container:metrics_sidecar_restarts_total:max{{{CLUSTER}}}",
                  "{{pod}} {{container}}")], custom={"lineInterpolation": "stepAfter"})
    board.lines("Calls by pod",
                [(f"server_requests_total{{{PODS}}}", "{{pod}} all"),
                 (f"main_requests_total{{{PODS}}}", "{{pod}} /"),
                 (f"healthcheck_requests_total{{{PODS}}}", "{{pod}} /health"),
                 (f"bye_request_total{{{PODS}}}", "{{pod}} /bye")])
    board.lines("Calls by pod, a second",
                [(f"rate(server_requests_total{{{PODS}}}[5m])", "{{pod}}")], unit="reqps")
    board.lines("Replicas by autoscaler",
                [(f"kube_horizontalpodautoscaler_{metric}{{namespace=\"$namespace\"}}",
                  f"{{{{horizontalpodautoscaler}}}} {name}")
                 for metric, name in (("status_current_replicas", "now"),
                                      ("status_desired_replicas", "wanted"),
                                      ("spec_min_replicas", "least"),
                                      ("spec_max_replicas", "most"))],
                custom={"lineInterpolation": "stepAfter"}, overrides=dashed("least", "most"))


def containers(board):
    board.row("Containers, by pod")
    for title, used, request, limit, unit in (
        ("CPU", "cpu_cores:rate2m", "cpu_request_cores:max", "cpu_limit_cores:max", "cores"),
        ("Memory", "memory_working_set_bytes:max", "memory_request_bytes:max",
         "memory_limit_bytes:max", "bytes"),
    ):
        name = "pod_container:metrics_sidecar_"
        board.lines(f"{title} against request and limit",
                    [(f"{name}{used}{{{CLUSTER}}}", "{{pod}} {{container}}"),
                     (f"max by (container) ({name}{request}{{{CLUSTER}}})",
                      "{{container}} request"),
                     (f"max by (container) ({name}{limit}{{{CLUSTER}}})", "{{container}} limit")],
                    unit="short" if unit == "cores" else unit,
                    overrides=dashed("request", "limit"))
    board.lines("CPU throttling",
                [(f"pod_container:metrics_sidecar_cpu_throttled:ratio_rate5m{{{CLUSTER}}}",
                  "{{pod}} {{container}}")], unit="percentunit",
                text="Share of scheduling periods in which the limit stopped the container.")


def sidecar(board):
    board.row("Sidecar, by pod")
    board.lines("Events a second",
                [(f"sum by (socket, type) (rate(metrics_sidecar_events_total{{{PODS}}}[5m])) > 0",
                  "{{socket}} {{type}}")], unit="ops")
    board.lines("Events refused, a second",
                [(f"sum by (reason) (rate(metrics_sidecar_events_rejected_total{{{PODS}}}[5m]))",
                  "{{reason}}"),
                 (f"sum(rate(metrics_sidecar_series_refused_total{{{PODS}}}[5m]))",
                  "no room for the series"),
                 (f"sum(rate(metrics_sidecar_connections_refused_total{{{PODS}}}[5m]))",
                  "clients at the limit")], unit="ops")
    board.lines("Frames a second",
                [(f"sum by (result) (rate(metrics_sidecar_frames_total{{{PODS}}}[5m]))",
                  "{{result}}")], unit="ops")
    board.lines("Series against the limit",
                [(f"metrics_sidecar_series{{{PODS}}}", "{{pod}}"),
                 (f"max(metrics_sidecar_series_limit{{{PODS}}})", "the limit")],
                overrides=dashed("limit"))
    board.lines("Time to write a scrape",
                [(f"metrics_sidecar_scrape_duration_seconds{{{PODS}}}", "{{pod}} written"),
                 (f"scrape_duration_seconds{{{PODS}}}", "{{pod}} as Prometheus saw it")],
                unit="s")
    board.lines("Clients and sessions",
                [(f"metrics_sidecar_connections{{{PODS}}}", "{{pod}} connections"),
                 (f"metrics_sidecar_sessions{{{PODS}}}", "{{pod}} sessions")])
    board.lines("Sidecar's memory",
                [(f"process_resident_memory_bytes{{{PODS}}}", "{{pod}} resident"),
                 (f"metrics_sidecar_state_bytes{{{PODS}}}", "{{pod}} state file")], unit="bytes")
    board.lines("Sidecar's CPU",
                [(f"rate(process_cpu_seconds_total{{{PODS}}}[5m])", "{{pod}}")],
                unit="percentunit")
    board.lines("State files set aside as damaged",
                [(f"metrics_sidecar_state_resets_total{{{PODS}}}", "{{pod}}")])


def variable(name, query, **more):
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        **more,
    }


def dashboard():
    board = Dashboard()
    service(board)
    starts(board)
    containers(board)
    sidecar(board)
    return {
        "uid": "metrics-sidecar",
        "title": "App and metrics sidecar",
        "description": "Requests, starts, containers, autoscaler and the sidecar's own health.",
        "tags": ["metrics-sidecar"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus",
                 "label": "Data source"},
                variable("namespace", "label_values(metrics_sidecar_build_info, namespace)",
                         label="Namespace"),
                variable("job",
                         'label_values(metrics_sidecar_build_info{namespace="$namespace"}, job)',
                         label="Service"),
                variable("pod",
                         f"label_values(metrics_sidecar_build_info{{{SERVICE}}}, pod)",
                         label="Pod", multi=True, includeAll=True, allValue=".*",
                         current={"text": ["All"], "value": ["$__all"]}),
            ]
        },
        "annotations": {"list": []},
        "links": [],
        "panels": board.panels,
    }
