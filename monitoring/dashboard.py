"""The dashboard, chart/files/dashboard.json: Grafana's format repeats itself, this does not.

It reads what is scraped and no recorded series, so it works where the rules are not installed. What
the cluster's exporters say of pods is narrowed to those that have a sidecar.
"""

from panels import (
    CLUSTER, DURATION, OURS, PODS, POISONED, SERVICE, SOURCE, USERS, Dashboard, dashed, errors,
    of_both_kinds, quantile, rate, slow)


def service(board):
    board.row("Service: the sum of its pods")
    board.number("Requests", f"sum(server_requests_total{{{SERVICE}}})",
                 text="Requests to the API's own endpoints since the pods that run now started.")
    board.number("Requests a second", f"sum({rate('http_requests_total', SERVICE)})", unit="reqps",
                 text="All requests, the kubelet's probes among them.")
    board.number("Errors", errors(), unit="percentunit",
                 thresholds=[(0.001, "yellow"), (0.0144, "red")],
                 text="Share of requests that ended with a 5xx, without the kubelet's probes.")
    board.number("99 % answered within", quantile(0.99), unit="s", thresholds=[(0.25, "red")],
                 text="Without the kubelet's probes. Within a bucket the time is interpolated.")
    board.number("Application starts", f"sum(app_starts_total{{{SERVICE}}})",
                 text="How often the application has started, in all pods that run now.")
    board.number("Pods", f"count(metrics_sidecar_build_info{{{SERVICE}}})",
                 text="Pods whose sidecar is scraped.")
    board.lines("Calls by endpoint, total",
                [(f"sum by (endpoint) (http_requests_total{{{SERVICE}}})", "{{endpoint}}")],
                text="Counts of the pods that run now; they go on when a container is restarted.")
    board.lines("Calls by endpoint, a second",
                [(f"sum by (endpoint) ({rate('http_requests_total', SERVICE)})", "{{endpoint}}")],
                unit="reqps", text="Requests a second; the kubelet asks /health by itself.")
    board.lines("Calls by status, a second",
                [(f"sum by (status) ({rate('http_requests_total', SERVICE)})", "{{status}}")],
                unit="reqps", custom={"stacking": {"mode": "normal"}},
                text="Requests a second by the status they were answered with.")
    board.panel("heatmap", "Latency",
                [(f"sum by (le) ({rate(DURATION + '_bucket', USERS)}) or "
                  f"sum({rate(DURATION, USERS)})", "{{le}}")],
                text="Requests a second by the time they took.", format="heatmap",
                options={
                    "calculate": False,
                    "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
                    "yAxis": {"unit": "s"},
                    "cellGap": 1,
                    "tooltip": {"show": True, "yHistogram": True},
                })
    board.lines("Latency by endpoint",
                [(quantile(part, "endpoint"), f"{{{{endpoint}}}} p{name}")
                 for part, name in ((0.5, "50"), (0.99, "99"))], unit="s",
                text="Half of the requests, and all but one of a hundred, are answered within it.")
    board.lines("Error and latency budget",
                [(errors("5m"), "errors, 5 min"), (errors("1h"), "errors, 1 h"),
                 (slow("5m"), "slower than 0.25 s, 5 min"),
                 (slow("1h"), "slower than 0.25 s, 1 h")],
                unit="percentunit",
                text="Alerts fire when both windows are above 1.44 % errors or 14.4 % slow.")


def starts(board):
    steps = {"lineInterpolation": "stepAfter"}
    board.row("Starts and restarts, by pod")
    board.lines("How often the application started",
                [(f"app_starts_total{{{PODS}}}", "{{pod}}")],
                text="Kept by the sidecar, so a container that is restarted goes on counting.",
                custom=steps)
    board.lines("Starts within the last half hour",
                [(f"changes(app_starts_total{{{PODS}}}[30m])", "{{pod}}")],
                text="AppStartsRepeatedly fires above 3.", custom=steps)
    board.lines("Container restarts",
                [(f"max by (pod, container) ({of_both_kinds('status_restarts_total')}) {OURS}",
                  "{{pod}} {{container}}")], custom=steps,
                text="As kube-state-metrics counts them.")
    board.lines("Calls by pod",
                [(f"server_requests_total{{{PODS}}}", "{{pod}} all"),
                 (f"main_requests_total{{{PODS}}}", "{{pod}} /"),
                 (f"healthcheck_requests_total{{{PODS}}}", "{{pod}} /health"),
                 (f"bye_request_total{{{PODS}}}", "{{pod}} /bye")],
                text="The counts of each pod, by the App's own endpoints.")
    board.lines("Calls by pod, a second",
                [(rate("server_requests_total", PODS), "{{pod}}")], unit="reqps",
                text="Whether load is spread evenly.")
    board.lines("Replicas by autoscaler",
                [(f"kube_horizontalpodautoscaler_{metric}{{namespace=\"$namespace\"}}",
                  f"{{{{horizontalpodautoscaler}}}} {name}")
                 for metric, name in (("status_current_replicas", "now"),
                                      ("status_desired_replicas", "wanted"),
                                      ("spec_min_replicas", "least"),
                                      ("spec_max_replicas", "most"))],
                custom=steps, overrides=dashed("least", "most"),
                text="How many pods there are, and how many the autoscaler wants.")


def containers(board):
    board.row("Containers, by pod")
    real = f'{CLUSTER}, container!="", container!="POD"'
    for title, used, resource, unit in (
        ("CPU", rate("container_cpu_usage_seconds_total", real), "cpu", "short"),
        ("Memory", f"container_memory_working_set_bytes{{{real}}}", "memory", "bytes"),
    ):
        label = f', resource="{resource}"'
        lines = [(f"max by (pod, container) ({used}) {OURS}", "{{pod}} {{container}}")]
        lines += [(f"max by (container) ((max by (pod, container) "
                   f"({of_both_kinds('resource_' + what + 's', label)})) {OURS})",
                   f"{{{{container}}}} {what}") for what in ("request", "limit")]
        board.lines(f"{title} against request and limit", lines, unit=unit,
                    overrides=dashed("request", "limit"),
                    text=f"{title} that each container uses, what it asked for and may have.")
    periods = "container_cpu_cfs_{}periods_total"
    board.lines("CPU throttling",
                [(f"max by (pod, container) ({rate(periods.format('throttled_'), real)} / "
                  f"({rate(periods.format(''), real)} > 0)) {OURS}", "{{pod}} {{container}}")],
                unit="percentunit",
                text="Share of scheduling periods in which the limit stopped the container.")


def sidecar(board):
    def summed(metric, by=""):
        group = f" by ({by})" if by else ""
        return f"sum{group} ({rate(metric, PODS)})"

    board.row("Sidecar, by pod")
    board.lines("Targets that answer", [(f"up{{{PODS}}}", "{{pod}}")],
                custom={"lineInterpolation": "stepAfter"},
                text="1 while Prometheus can scrape the pod, else 0.")
    board.lines("Events a second",
                [(f"{summed('metrics_sidecar_events_total', 'socket, type')} > 0",
                  "{{socket}} {{type}}")], unit="ops",
                text="Events that were counted, by the socket that they came through.")
    board.lines("Events refused, a second",
                [(summed("metrics_sidecar_events_rejected_total", "reason"), "{{reason}}"),
                 (summed("metrics_sidecar_series_refused_total"), "no room for the series")],
                unit="ops", text="Events that were not counted, or not in a series of their own.")
    board.lines("Events lost, a second",
                [(summed("metrics_sidecar_udp_drops_total"), "dropped by the kernel"),
                 (summed("metrics_sidecar_connections_refused_total"), "clients at the limit"),
                 (summed("metrics_sidecar_datagrams_lost_total"), "datagrams given up"),
                 (f"sum({rate('metrics_sidecar_frames_total', PODS + POISONED)})",
                  "frames given up")],
                unit="ops", text="Any of these makes counts too low: MetricsEventsLost fires.")
    board.lines("Frames a second",
                [(summed("metrics_sidecar_frames_total", "result"), "{{result}}")], unit="ops",
                text="Batches of sessions and streams, by what became of them.")
    board.lines("Series against the limit",
                [(f"metrics_sidecar_series{{{PODS}}}", "{{pod}}"),
                 (f"max(metrics_sidecar_series_limit{{{PODS}}})", "the limit")],
                overrides=dashed("limit"),
                text="Beyond the limit, new series are refused and known ones keep updating.")
    board.lines("Time to write a scrape",
                [(f"metrics_sidecar_scrape_duration_seconds{{{PODS}}}", "{{pod}} written"),
                 (f"scrape_duration_seconds{{{PODS}}}", "{{pod}} as Prometheus saw it")],
                unit="s", text="How long the last scrape took, for the sidecar and for Prometheus.")
    board.lines("Clients and sessions",
                [(f"metrics_sidecar_connections{{{PODS}}}", "{{pod}} connections"),
                 (f"metrics_sidecar_sessions{{{PODS}}}", "{{pod}} sessions")],
                text="Connections that are open, and sessions that are remembered.")
    board.lines("Sidecar's memory",
                [(f"process_resident_memory_bytes{{{PODS}}}", "{{pod}} resident"),
                 (f"metrics_sidecar_client_memory_bytes{{{PODS}}}", "{{pod}} clients"),
                 (f"metrics_sidecar_state_bytes{{{PODS}}}", "{{pod}} state file")], unit="bytes",
                text="The process, what its clients hold, and what its state file has.")
    board.lines("Sidecar's CPU", [(rate("process_cpu_seconds_total", PODS), "{{pod}}")],
                unit="percentunit", text="Share of one core.")
    board.lines("Time since its start",
                [(f"time() - process_start_time_seconds{{{PODS}}}", "{{pod}}")], unit="s",
                text="Of the process that answers scrapes.")
    board.lines("Workers killed",
                [(f"metrics_sidecar_worker_restarts_total{{{PODS}}}", "{{pod}}")],
                custom={"lineInterpolation": "stepAfter"},
                text="With --supervise each is replaced; MetricsWorkerKilled fires at the second.")
    board.lines("Rules as loaded",
                [(f"metrics_sidecar_config_last_reload_successful{{{PODS}}}", "{{pod}}")],
                custom={"lineInterpolation": "stepAfter"},
                text="0 after a reload that found mistakes: the rules from before are in force.")
    board.lines("State files set aside as damaged",
                [(f"metrics_sidecar_state_resets_total{{{PODS}}}", "{{pod}} events"),
                 (f"metrics_sidecar_push_state_resets_total{{{PODS}}}", "{{pod}} pushes")],
                text="Counts, or pushed groups, began anew.")


def pushes(board):
    board.row("Pushes (--push)")
    board.lines("Pushes a second",
                [(f"sum by (result) ({rate('metrics_sidecar_pushes_total', PODS)})", "{{result}}")],
                unit="ops", text="By what became of them.")
    for what in ("groups", "series"):
        board.lines(f"Pushed {what} against the limit",
                    [(f"metrics_sidecar_push_{what}{{{PODS}}}", "{{pod}}"),
                     (f"max(metrics_sidecar_push_{what}_limit{{{PODS}}})", "the limit")],
                    overrides=dashed("limit"), text="Beyond the limit, pushes are refused.")
    # Their labels are the pushing jobs' own, as the monitors' honorLabels has it.
    jobs = 'namespace="$namespace", job=~"$pushing"'
    board.row("Jobs that push")
    board.lines("Time since the last push", [(f"time() - push_time_seconds{{{jobs}}}", "{{job}}")],
                unit="s", width=12,
                text="Of each group. A job that runs each hour stays below an hour.")
    board.lines("Time since a push that failed",
                [(f"time() - (push_failure_time_seconds{{{jobs}}} > 0) or "
                  f"0 * push_failure_time_seconds{{{jobs}}}", "{{job}}")],
                unit="s", width=12, text="0 where none has failed.")


def jobs(board):
    """What jobs report is on their pods' pages until the pods end, so it is looked for in the
    past. Jobs have releases of their own: these panels show the whole namespace."""
    of = '{namespace="$namespace"}'

    def last(metric, window="1d"):
        return f"max by (job_name) (max_over_time({metric}{of}[{window}]))"

    def summed(metric, by="job_name"):
        return f"sum by ({by}) (max_over_time({metric}{of}[1d]))"

    success = "job_last_success_timestamp_seconds"
    of_jobs = 'and on (namespace, pod) kube_pod_owner{owner_kind="Job"}'
    board.row("Jobs, of the namespace")
    board.lines("Time since the last success",
                [(f"time() - {last(success, '10d')}", "{{job_name}}"),
                 (f"{last('job_max_age_seconds', '10d')}", "{{job_name}} may be")],
                unit="s", overrides=dashed("may be"),
                text="JobLastSuccessTooOld fires above what a job allows for, or above two and a "
                     "half of its usual intervals.")
    board.lines("Last result", [(last("job_exit_code"), "{{job_name}}")],
                custom={"lineInterpolation": "stepAfter"},
                text="The greatest exit code of a day; JobFailed fires unless a run has succeeded "
                     "since.")
    board.lines("Runs of a day",
                [(summed("job_runs_total", "job_name, result"), "{{job_name}} {{result}}")],
                text="As the pods of a day have counted them.")
    board.lines("Time that runs take",
                [(f"{summed('job_duration_seconds_sum')} / {summed('job_duration_seconds_count')}",
                  "{{job_name}}")], unit="s", text="On average, over the runs of a day.")
    board.lines("Running for",
                [(f"max by (pod) (time() - kube_pod_start_time{of} {of_jobs} "
                  'and on (namespace, pod) kube_pod_status_phase{phase="Running"} == 1)',
                  "{{pod}}"),
                 (f"max by (pod) (job_max_duration_seconds{of})", "{{pod}} may take")],
                unit="s", overrides=dashed("may take"),
                text="Pods of Jobs that run now, as kube-state-metrics has them; JobRunsTooLong "
                     "compares with runs before.")
    board.lines("Runs of CronJobs",
                [(f"max by (owner_name) ((max by (namespace, job_name) "
                  f"(kube_job_status_completion_time{of}) - max by (namespace, job_name) "
                  f"(kube_job_status_start_time{of})) * on (namespace, job_name) group_left "
                  '(owner_name) kube_job_owner{owner_kind="CronJob"})', "{{owner_name}} took"),
                 (f'count by (namespace) (kube_job_failed{{namespace="$namespace", '
                  'condition="true"} == 1)', "failed Jobs")],
                unit="short", text="Seconds of the longest run that is kept, and how many Jobs "
                "are kept that failed.")


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
    pushes(board)
    jobs(board)
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
                variable("pushing",
                         'label_values(push_time_seconds{namespace="$namespace"}, job)',
                         label="Pushing job", multi=True, includeAll=True, allValue=".*",
                         current={"text": ["All"], "value": ["$__all"]}),
            ]
        },
        "annotations": {"list": []},
        "links": [],
        "panels": board.panels,
    }
