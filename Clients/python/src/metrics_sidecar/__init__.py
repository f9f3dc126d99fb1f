"""Counts that survive: the client of metrics-sidecar's events socket.

    from metrics_sidecar import SessionClient

and for code that uses prometheus_client, `metrics_sidecar.prometheus.install()`.
"""
from ._client import SessionClient

__all__ = ["SessionClient"]
__version__ = "0.1.0"
