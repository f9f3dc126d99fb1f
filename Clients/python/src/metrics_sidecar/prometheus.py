"""prometheus_client's metrics, counted in the sidecar over all processes.

    import metrics_sidecar.prometheus
    metrics_sidecar.prometheus.install()      # before any metric is made

Counter, Gauge, Histogram, Summary, Info and Enum go on as they are, and so do reads in the process
(`generate_latest`, `_value.get()`). What the sidecar exposes is their sum over all workers, without a
file for each, and it survives workers and the sidecar's own kills.

It replaces prometheus_client's value class, as its own multiprocess mode does, and wraps what does
not go through it. Collectors of your own are not sent.
"""
from __future__ import annotations

import logging
import os
import threading
import weakref
from typing import Any, Iterable, Optional

import prometheus_client.metrics as metrics
import prometheus_client.registry
import prometheus_client.values

from . import _client, _lines
from ._client import SessionClient
from ._observations import Observations

log = logging.getLogger("metrics_sidecar")

__all__ = ["install"]

_lock = threading.Lock()  # of all values: an increment holds it for two instructions
_source: Optional["_Source"] = None


def install(
    path: str = "/run/metrics/events.sock", *, interval: float = 0.5, threads: Optional[bool] = None,
) -> SessionClient:
    """Has metrics that are made from now on count in the sidecar that listens on `path`.

    Once for a process; a second call returns the first one's client. `interval` is how long a count
    waits at most. Without threads (uWSGI without `--enable-threads`, which is found out) calls flush.
    """
    global _source
    if _source is not None:
        return _source.client
    early = _early()
    if early:
        log.warning("made before install(), so not counted in the sidecar: %s", ", ".join(early))
    for variable in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        if variable in os.environ:
            log.warning("%s has no effect on metrics that the sidecar counts: unset it", variable)
    if threads is None:
        threads = _has_threads()
    client = SessionClient(path, interval=interval, threads=threads)
    _source = _Source(client, threads)
    client.add_source(_source)
    prometheus_client.values.ValueClass = _value
    _wrap()
    _arm()
    return client


def _early() -> list[str]:
    found = {
        collector._name for collector in list(prometheus_client.registry.REGISTRY._collector_to_names)
        if isinstance(collector, metrics.MetricWrapperBase)}
    return sorted(found)


def _has_threads() -> bool:
    try:
        import uwsgi  # type: ignore[import-not-found]
    except ImportError:
        return True
    return bool(uwsgi.opt.get("enable-threads") or uwsgi.opt.get("threads"))


# MARK: Values


class _Value:
    """A number as prometheus_client knows it, and how much of it the sidecar has."""

    _multiprocess = False

    def __init__(self, family: str, tags: str) -> None:
        self._value = 0.0
        self._exemplar: Any = None
        self._family = family
        self._tags = tags
        self._is_new = True

    def inc(self, amount: float) -> None:
        with _lock:
            self._value += amount

    def set(self, value: float, timestamp: Optional[float] = None) -> None:
        with _lock:
            self._value = value

    def get(self) -> float:
        return self._value

    def set_exemplar(self, exemplar: Any) -> None:
        self._exemplar = exemplar

    def get_exemplar(self) -> Any:
        return self._exemplar

    # What the source asks, with `_lock`.

    def take(self) -> list[bytes]:
        return []

    def renew(self) -> None:
        """The sidecar may have lost its state."""

    def fork(self) -> None:
        """What is not handed over is the parent's."""

    def end(self) -> list[bytes]:
        """The last lines of a child that was removed."""
        return self.take()


class _Counter(_Value):
    def __init__(self, family: str, tags: str) -> None:
        super().__init__(family, tags)
        self._handed = 0.0
        self._traced: Any = None

    def set(self, value: float, timestamp: Optional[float] = None) -> None:
        """A reset, or a restored value: what the sidecar has never falls."""
        with _lock:
            if value < self._value:
                self._handed += value - self._value
            self._value = value

    def set_exemplar(self, exemplar: Any) -> None:
        self._exemplar = self._traced = exemplar

    def take(self) -> list[bytes]:
        lines = []
        if self._is_new:
            self._is_new = False
            lines.append(_lines.series(self._family, self._tags))
        delta = self._value - self._handed
        if not 0 < delta < float("inf"):
            return lines
        self._handed = self._value
        traced, self._traced = self._traced, None
        if traced is not None and 0 <= traced.value <= delta:
            lines.append(_lines.event(
                self._family, _lines.number(traced.value), "c", self._tags, _trace(traced)))
            delta -= traced.value
        if delta > 0:
            lines.append(_lines.event(self._family, _lines.number(delta), "c", self._tags))
        return lines

    def fork(self) -> None:
        self._handed = self._value
        self._traced = None


class _Observed(_Value):
    """The sum of a histogram or a summary: each addition is an observation."""

    def __init__(self, family: str, tags: str, bounds: Optional[tuple[float, ...]]) -> None:
        super().__init__(family, tags)
        self._waiting = Observations(bounds)
        self._values = self._waiting.values
        self._traced: list[Any] = []

    def inc(self, amount: float) -> None:
        with _lock:
            self._value += amount
            self._values.append(amount)
            if len(self._values) >= Observations.EACH:
                self._waiting.fold()

    def trace(self, exemplar: Any) -> None:
        with _lock:
            if len(self._traced) < 16:
                self._traced.append(exemplar)

    def take(self) -> list[bytes]:
        lines = []
        if self._is_new:
            self._is_new = False
            lines.append(_lines.series(self._family, self._tags))
        for exemplar in self._traced:
            # One that has been added up with others already has lost its trace.
            if exemplar.value in self._values:
                self._values.remove(exemplar.value)
                lines.append(_lines.event(
                    self._family, _lines.number(exemplar.value), "d", self._tags,
                    _trace(exemplar)))
        self._traced.clear()
        if self._waiting:
            lines += self._waiting.take(self._family, self._tags)
        return lines

    def fork(self) -> None:
        self._waiting.clear()
        self._traced.clear()


class _Bucket(_Value):
    """A bucket, or a summary's count: for reads in the process alone, since the sidecar counts the
    observations themselves."""

    def __init__(self, observed: Optional[_Observed]) -> None:
        super().__init__("", "")
        self._observed = observed

    def set_exemplar(self, exemplar: Any) -> None:
        self._exemplar = exemplar
        if self._observed is not None:
            self._observed.trace(exemplar)


class _Gauge(_Value):
    def __init__(self, family: str, tags: str, mode: str) -> None:
        self._plain_tags = tags
        self._mode = mode
        self._is_due = True
        self._time: Optional[float] = None
        super().__init__(family, self._with_pid(tags))

    def _with_pid(self, tags: str) -> str:
        if self._mode not in ("all", "liveall"):
            return tags
        return (tags + "," if tags else "") + f"pid:{os.getpid()}"

    def inc(self, amount: float) -> None:
        with _lock:
            self._value += amount
            self._is_due = True

    def set(self, value: float, timestamp: Optional[float] = None) -> None:
        with _lock:
            self._value = value
            self._time = timestamp
            self._is_due = True

    def take(self) -> list[bytes]:
        if not self._is_due:
            return []
        self._is_due = False
        time = f"|T{self._time!r}" if self._time else ""
        return [_lines.event(self._family, _lines.number(self._value), "g", self._tags, time)]

    def renew(self) -> None:
        self._is_due = self._is_due or not self._is_untouched

    _is_untouched = False

    def fork(self) -> None:
        """A child starts at 0, and has a part once it says something."""
        self._value, self._time, self._is_due = 0.0, None, False
        self._tags = self._with_pid(self._plain_tags)
        self.__class__ = _UntouchedGauge

    def end(self) -> list[bytes]:
        return [_lines.removal(self._family, self._tags)]


class _UntouchedGauge(_Gauge):
    """A parent's gauge in a child that has not used it."""

    _is_untouched = True

    def inc(self, amount: float) -> None:
        self.__class__ = _Gauge
        self.inc(amount)

    def set(self, value: float, timestamp: Optional[float] = None) -> None:
        self.__class__ = _Gauge
        self.set(value, timestamp)

    def end(self) -> list[bytes]:
        return []


def _trace(exemplar: Any) -> str:
    pairs = ",".join(f"{key}:{value}" for key, value in exemplar.labels.items())
    return "|x:" + pairs.translate({124: 95, 10: 95})


def _value(
    typ: str, metric_name: str, name: str, labelnames: Iterable[str], labelvalues: Iterable[str],
    help_text: str, multiprocess_mode: str = "", **_: Any,
) -> _Value:
    """What prometheus_client calls in place of its value class."""
    source = _source
    assert source is not None
    pairs = list(zip(labelnames, labelvalues))
    if typ == "histogram" and name.endswith("_bucket"):
        return _Bucket(source.observed(metric_name, _lines.tags(pairs[:-1])))
    tags = _lines.tags(pairs)
    if typ in ("histogram", "summary"):
        if name.endswith("_count"):
            return _Bucket(None)
        bounds = () if typ == "summary" else source.bounds.get(metric_name)
        return source.keep(_Observed(metric_name, tags, bounds))
    if typ == "gauge":
        return source.keep(_Gauge(name, tags, multiprocess_mode or "all"))
    return source.keep(_Counter(name, tags))


# MARK: The source


class _Source:
    """All values of the process, as the client takes them."""

    #: Lines of gauges that a sidecar gives up when they are silent are sent again after this.
    HEARTBEAT = 60.0

    def __init__(self, client: SessionClient, has_threads: bool) -> None:
        self.client = client
        self.has_threads = has_threads
        self.bounds: dict[str, tuple[float, ...]] = {}
        self._declared: dict[str, bytes] = {}
        self._new_declarations: list[bytes] = []
        self._values: list[_Value] = []
        self._next = 0
        self._observed: dict[tuple[str, str], "weakref.ref[_Observed]"] = {}
        self._ended: list[_Value] = []
        self._sampled: dict[int, "_Sampled"] = {}
        self._removals: list[bytes] = []
        self._beat_at = 0.0

    # What the metrics tell

    def keep(self, value: _Value) -> _Value:
        with _lock:
            self._values.append(value)
            if isinstance(value, _Observed):
                self._observed[value._family, value._tags] = weakref.ref(value)
        return value

    def observed(self, family: str, tags: str) -> Optional[_Observed]:
        found = self._observed.get((family, tags))
        return found() if found else None

    def declare(self, family: str, kind: str, documentation: str, merge: str = "") -> None:
        line = _lines.declaration(
            family, kind, documentation, self.bounds.get(family, ()) if kind == "histogram" else (),
            merge)
        with _lock:
            if self._declared.get(family) != line:
                self._declared[family] = line
                self._new_declarations.append(line)

    def sample(self, child: Any, family: str, mode: str) -> None:
        """Asks the child for its samples at each flush."""
        with _lock:
            self._sampled[id(child)] = _Sampled(child, family, mode)

    def end(self, children: Iterable[Any]) -> None:
        """Children that were removed: their gauges' parts end, what they counted stays."""
        gone = set()
        with _lock:
            for child in children:
                sampled = self._sampled.pop(id(child), None)
                if sampled is not None:
                    self._removals += sampled.end()
                for member in ("_value", "_sum", "_count"):
                    value = getattr(child, member, None)
                    if isinstance(value, _Value):
                        gone.add(id(value))
            if gone:
                self._ended += [value for value in self._values if id(value) in gone]
                self._values = [value for value in self._values if id(value) not in gone]

    # What the client asks

    def first(self) -> list[bytes]:
        with _lock:
            self._new_declarations = []
            for value in self._values:
                value.renew()
                value._is_new = True
            for sampled in self._sampled.values():
                sampled.sent = {}
            return list(self._declared.values())

    def take(self) -> list[bytes]:
        lines: list[bytes] = []
        with _lock:
            lines += self._new_declarations
            self._new_declarations = []
            lines += self._removals
            self._removals = []
            self._heartbeat()
            for value in self._ended:
                lines += value.end()
            self._ended = []
        size = sum(map(len, lines))
        # From where the last call has stopped, so that the first values do not starve the others.
        for _ in range(len(self._values)):
            if size > 50_000:
                return lines
            with _lock:
                if self._next >= len(self._values):
                    self._next = 0
                if not self._values:
                    break
                found = self._values[self._next].take()
                self._next += 1
            if found:
                lines += found
                size += sum(map(len, found))
        for sampled in list(self._sampled.values()):
            lines += sampled.take()
        return lines

    def _heartbeat(self) -> None:
        now = _client.time.monotonic()
        if now - self._beat_at < self.HEARTBEAT:
            return
        self._beat_at = now
        for value in self._values:
            if isinstance(value, _Gauge) and value._mode == "liveall":
                value.renew()
        for sampled in self._sampled.values():
            if sampled.mode == "liveall":
                sampled.sent = {}

    def forked(self) -> None:
        # Nobody else has the lock now: other threads are not in the child.
        global _lock
        _lock = threading.Lock()
        self._next = 0
        self._ended, self._removals = [], []
        for value in self._values:
            value.fork()
        for sampled in self._sampled.values():
            sampled.sent = {}
        _arm()


class _Sampled:
    """A child whose samples are asked for: an Info, an Enum, or a gauge with a function."""

    def __init__(self, child: Any, family: str, mode: str) -> None:
        self.child = weakref.ref(child)
        self.family = family
        self.mode = mode
        self.labels = list(zip(child._labelnames, child._labelvalues))
        self.sent: dict[str, float] = {}
        self._has_failed = False

    def take(self) -> list[bytes]:
        child = self.child()
        if child is None:
            return []
        try:
            samples = list(child._child_samples())
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                log.warning("the function of %s failed", self.family, exc_info=True)
            return []
        found = {}
        for sample in samples:
            pairs = self.labels + list(sample.labels.items())
            if self.mode in ("all", "liveall"):
                pairs.append(("pid", os.getpid()))
            found[_lines.tags(pairs)] = float(sample.value)
        lines = [_lines.removal(self.family, tags) for tags in self.sent if tags not in found]
        lines += [
            _lines.event(self.family, _lines.number(value), "g", tags)
            for tags, value in found.items() if self.sent.get(tags) != value]
        self.sent = found
        return lines

    def end(self) -> list[bytes]:
        return [_lines.removal(self.family, tags) for tags in self.sent]


# MARK: The first use in a process, and calls that flush


def _arm() -> None:
    """Has the next change of any value start the client: no change pays for the question."""
    source = _source
    if source is None:
        return
    for kind in (_Value, _Counter, _Observed, _Gauge, _UntouchedGauge):
        for method in ("inc", "set"):
            original = _originals.get((kind, method))
            if original is not None:
                setattr(kind, method, _starting(original, method))


def _starting(original: Any, method: str) -> Any:
    def change(self: _Value, *arguments: Any, **named: Any) -> None:
        assert _source is not None
        if _source.has_threads:
            _disarm()
            original(self, *arguments, **named)
            _source.client.start()
        else:
            original(self, *arguments, **named)
            _source.client.tick()
    change.__name__ = method
    return change


def _disarm() -> None:
    for (kind, method), original in _originals.items():
        setattr(kind, method, original)


_originals = {
    (kind, method): vars(kind)[method]
    for kind in (_Value, _Counter, _Observed, _Gauge, _UntouchedGauge)
    for method in ("inc", "set") if method in vars(kind)}


# MARK: What does not go through the value class


def _wrap() -> None:
    base = metrics.MetricWrapperBase
    _wrap_init(base)
    _wrap_histogram()
    _wrap_removals(base)
    _wrap_sampled()


def _wrap_init(base: Any) -> None:
    init = base.__init__

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:
        init(self, *arguments, **named)
        if not self._labelvalues:
            _declare(self)

    base.__init__ = __init__


def _declare(metric: Any) -> None:
    assert _source is not None
    name, documentation = metric._name, metric._documentation
    kind = metric._type
    if ":" in name:
        return log.warning("%s has a colon in its name, which a line cannot have: not counted in the"
                           " sidecar", name)
    if kind == "counter":
        _source.declare(name + "_total", "counter", documentation)
    elif kind == "gauge":
        _source.declare(name, "gauge", documentation, getattr(metric, "_multiprocess_mode", "all"))
    elif kind in ("histogram", "summary"):
        if kind == "histogram":
            _source.bounds[name] = tuple(metric._upper_bounds[:-1])
        _source.declare(name, kind, documentation)
    elif kind == "info":
        _source.declare(name + "_info", "gauge", documentation, "livemax")
    elif kind == "stateset":
        _source.declare(name, "gauge", documentation, "livemax")


def _wrap_histogram() -> None:
    init = metrics.Histogram._metric_init

    def _metric_init(self: Any) -> None:
        # The value class is not given the bounds.
        assert _source is not None
        _source.bounds[self._name] = tuple(self._upper_bounds[:-1])
        init(self)

    metrics.Histogram._metric_init = _metric_init  # type: ignore[method-assign]


def _wrap_removals(base: Any) -> None:
    def wrapped(original: Any) -> Any:
        def remove(self: Any, *arguments: Any, **named: Any) -> None:
            before = dict(getattr(self, "_metrics", {}))
            original(self, *arguments, **named)
            after = getattr(self, "_metrics", {})
            gone = [child for labels, child in before.items() if after.get(labels) is not child]
            if gone:
                assert _source is not None
                _source.end(gone)
        remove.__doc__ = original.__doc__
        return remove

    for name in ("remove", "remove_by_labels", "clear"):
        if hasattr(base, name):
            setattr(base, name, wrapped(getattr(base, name)))

    registry = prometheus_client.registry.CollectorRegistry
    unregister = registry.unregister

    def unregister_and_end(self: Any, collector: Any) -> None:
        unregister(self, collector)
        if isinstance(collector, base):
            assert _source is not None
            _source.end([collector, *getattr(collector, "_metrics", {}).values()])

    registry.unregister = unregister_and_end  # type: ignore[method-assign]


def _wrap_sampled() -> None:
    def sampled(kind: Any, suffix: str) -> None:
        init = kind._metric_init

        def _metric_init(self: Any) -> None:
            init(self)
            assert _source is not None
            _source.sample(self, self._name + suffix, "livemax")
            _source.client.start()

        kind._metric_init = _metric_init

    sampled(metrics.Info, "_info")
    sampled(metrics.Enum, "")
    set_function = metrics.Gauge.set_function

    def sample_function(self: Any, f: Any) -> None:
        set_function(self, f)
        assert _source is not None
        _source.end([self])
        _source.sample(self, self._name, self._multiprocess_mode)
        _source.client.start()

    sample_function.__doc__ = set_function.__doc__
    metrics.Gauge.set_function = sample_function  # type: ignore[method-assign]
