// swift-format-ignore-file
// Written by .ci/page from the files beside it; change those, and run it again.

/// The page, and the hashes of its one script and its one style.
enum PageText {
  /// What stands before the flags in the root element's `data-flags`.
  static let before: StaticString = ##"""
<!doctype html>
<html lang="en" data-flags="
"""##

  static let after: StaticString = ##"""
">
<head>
<meta charset="utf-8">
<title>metrics-sidecar</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<style>
:root {
  --ground: #f4f6f9; --panel: #fff; --line: #e2e6ec; --text: #161b24; --quiet: #5d6878;
  --accent: #2f5fe0; --soft: #2f5fe014; --good: #16884a; --warn: #b26a00; --bad: #c8322b;
  --counter: #2f5fe0; --gauge: #0d8f76; --histogram: #8a3fd1; --summary: #b8620a;
  --mono: ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace;
  color-scheme: light;
}
:root.dark {
  --ground: #0d1117; --panel: #151b23; --line: #262e39; --text: #e6eaf0; --quiet: #8d98a8;
  --accent: #6b9bff; --soft: #6b9bff1c; --good: #3fbf76; --warn: #e0a03a; --bad: #ff6f66;
  --counter: #6b9bff; --gauge: #3fc9ab; --histogram: #bd8cff; --summary: #f0a14e;
  color-scheme: dark;
}
*, ::before, ::after { box-sizing: border-box }
html, body { height: 100% }
body {
  margin: 0; display: flex; flex-direction: column; background: var(--ground);
  color: var(--text); font: 14px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif;
  font-variant-numeric: tabular-nums;
}
[hidden] { display: none !important }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px }
.quiet { color: var(--quiet) }
.mono { font-family: var(--mono); font-size: 12.5px }
button, select, input, .button {
  font: inherit; color: inherit; background: var(--panel); border: 1px solid var(--line);
  border-radius: 7px; padding: 4px 10px; min-height: 32px;
}
button, select, .button { cursor: pointer }
button:hover, select:hover, .button:hover { border-color: var(--accent) }
.button { text-decoration: none; display: inline-flex; align-items: center }
a { color: var(--accent) }

header { display: flex; align-items: center; gap: 10px; padding: 12px 18px 0; flex-wrap: wrap }
.mark { width: 22px; height: 22px; fill: var(--accent) }
h1 { font-size: 17px; margin: 0; font-weight: 650; letter-spacing: -.01em }
h1 small { font-weight: 400; color: var(--quiet); font-size: 12.5px; margin-left: 2px }
.actions { display: flex; gap: 8px; margin-left: auto; align-items: center }
#status { font-size: 12.5px; color: var(--quiet); display: inline-flex; align-items: center }
#status::before {
  content: ""; width: 8px; height: 8px; border-radius: 50%; background: var(--warn);
  margin-right: 6px;
}
#status.live::before { background: var(--good) }
#status.lost { color: var(--bad) }
#status.lost::before { background: var(--bad) }

#tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 10px;
  padding: 12px 18px;
}
.tile {
  position: relative; text-align: left; padding: 9px 13px 10px; border-radius: 10px;
  overflow: hidden; min-height: 88px; background: var(--panel); display: flex;
  flex-direction: column;
}
.tile b { display: block; font-size: 23px; font-weight: 620; line-height: 1.25;
  letter-spacing: -.02em }
.tile span { display: block; color: var(--quiet); font-size: 12.5px; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis }
.tile svg { position: absolute; right: 0; bottom: 0; width: 46%; height: 34px; opacity: .45;
  pointer-events: none }
.tile.warn b { color: var(--warn) }
.tile.bad b { color: var(--bad) }
.meter { height: 4px; flex: none; width: 100%; border-radius: 2px; background: var(--line); margin-top: 5px }
.meter i { display: block; height: 100%; border-radius: 2px; background: var(--accent) }

main { flex: 1; min-height: 0; display: flex; gap: 12px; padding: 0 18px 16px }
#browse, #detail {
  background: var(--panel); border: 1px solid var(--line); border-radius: 12px; min-height: 0;
}
#browse { flex: 1; min-width: 0; display: flex; flex-direction: column; position: relative }
#toolbar { display: flex; gap: 8px; padding: 10px; align-items: center; flex-wrap: wrap;
  border-bottom: 1px solid var(--line) }
#search { flex: 1 1 220px; min-width: 0 }
#found { font-size: 12.5px; white-space: nowrap; padding: 0 4px }
#list { flex: 1; overflow: auto; position: relative; outline-offset: -3px; contain: strict;
  border-radius: 0 0 12px 12px }
#space { width: 1px }
#none { position: absolute; top: 90px; width: 100%; text-align: center }
.row {
  position: absolute; left: 0; right: 0; top: 0; display: grid; align-items: center;
  grid-template-columns: minmax(0, 1fr) 108px 104px 92px; gap: 10px; padding: 0 14px;
  cursor: pointer; border-bottom: 1px solid transparent;
}
.row:hover { background: var(--soft) }
.row.selected { background: var(--soft); box-shadow: inset 3px 0 var(--accent) }
.row.family { height: 54px; border-top: 1px solid var(--line) }
.row.series { height: 32px; padding-left: 34px }
.row > * { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.row .value, .row .rate { text-align: right }
.row .rate { color: var(--quiet); font-size: 12.5px }
.row svg { width: 92px; height: 24px }
.row .title { display: flex; align-items: center; gap: 8px }
.row .title .mono { font-size: 13px; font-weight: 600; overflow: hidden; text-overflow: ellipsis }
.row .note { color: var(--quiet); font-size: 12.5px; overflow: hidden; text-overflow: ellipsis }
.row .arrow { width: 10px; color: var(--quiet); flex: none; font-size: 10px }
.labels em, .detail-labels em { font-style: normal; color: var(--quiet) }
.type { font-size: 11px; padding: 0 7px; border-radius: 9px; line-height: 18px; flex: none;
  color: var(--tone); background: color-mix(in srgb, var(--tone) 13%, transparent) }
[data-type=counter] { --tone: var(--counter) }
[data-type=gauge] { --tone: var(--gauge) }
[data-type=histogram] { --tone: var(--histogram) }
[data-type=summary] { --tone: var(--summary) }
[data-type=untyped] { --tone: var(--quiet) }
.spark { fill: none; stroke: var(--tone, var(--accent)); stroke-width: 1.5;
  stroke-linejoin: round; vector-effect: non-scaling-stroke }
.fill { fill: var(--tone, var(--accent)); opacity: .13; stroke: none }

#detail { width: 424px; flex: none; overflow: auto; padding: 16px }
#detail h2 { font: 600 14.5px/1.4 var(--mono); margin: 0; overflow-wrap: anywhere }
#detail h3 { font-size: 12.5px; font-weight: 600; color: var(--quiet); margin: 18px 0 6px }
#detail .head { display: flex; gap: 10px; align-items: flex-start }
#detail .close { margin-left: auto; flex: none }
#detail p { margin: 6px 0 }
#detail .big { font-size: 27px; font-weight: 620; letter-spacing: -.02em; margin: 10px 0 0 }
#detail .big small { font-size: 13px; font-weight: 400; color: var(--quiet); letter-spacing: 0 }
#detail canvas { width: 100%; height: 170px; display: block; margin-top: 8px }
.pairs { display: grid; grid-template-columns: auto 1fr; gap: 3px 12px; font-size: 12.5px }
.pairs > :nth-child(odd) { color: var(--quiet) }
.pairs > * { overflow-wrap: anywhere; white-space: pre-wrap }
.query { display: flex; gap: 6px; margin-bottom: 6px }
.query code { flex: 1; min-width: 0; overflow-wrap: anywhere; font: 12px/1.5 var(--mono);
  background: var(--ground); border-radius: 7px; padding: 6px 9px }
.query button { flex: none; align-self: flex-start; font-size: 12.5px }
.bar { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 10px; padding: 3px 8px;
  font-size: 12.5px; border-radius: 5px; position: relative; margin-bottom: 3px; width: 100%;
  border: 0; min-height: 0; text-align: left; background: none }
.bar i { position: absolute; inset: 0 auto 0 0; border-radius: 5px; background: var(--tone);
  opacity: .15 }
.bar span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.group { display: flex; gap: 8px; align-items: center; padding: 7px 0;
  border-top: 1px solid var(--line); font-size: 12.5px }
.group div { flex: 1; min-width: 0; overflow-wrap: anywhere }
.danger { color: var(--bad) }
.keys { display: grid; gap: 4px; font-size: 13px }
kbd, dt { font: 12px var(--mono) }
dialog { border: 1px solid var(--line); border-radius: 12px; background: var(--panel);
  color: inherit; padding: 20px 26px; max-width: 28rem }
dialog::backdrop { background: #0006 }
dialog h2 { font-size: 15px; margin: 10px 0 6px }
dl { display: grid; grid-template-columns: auto 1fr; gap: 4px 18px; margin: 0 }
dd { margin: 0 }
dialog ul { padding-left: 18px; margin: 0 0 14px }

@media (max-width: 1000px) { #detail { width: 350px } }
@media (max-width: 760px) {
  html, body { height: auto }
  header { padding: 10px 12px 0 }
  .actions { margin-left: 0; width: 100% }
  .actions .button { margin-left: auto }
  #tiles { padding: 10px 12px; grid-template-columns: 1fr 1fr; gap: 8px }
  .tile b { font-size: 19px }
  main { padding: 0 12px 12px }
  #browse { height: calc(100dvh - 24px); position: sticky; top: 0 }
  #search, #found { flex-basis: 100% }
  .actions label { white-space: nowrap }
  #toolbar select { flex: 1; min-width: 0 }
  .row { grid-template-columns: minmax(0, 1fr) auto; padding: 0 12px }
  .row .rate, .row svg { display: none }
  .row.series { padding-left: 28px; height: 40px }
  #detail { position: fixed; inset: 0; width: auto; border-radius: 0; z-index: 2 }
  #detail.empty { display: none }
}
@media (prefers-reduced-motion: no-preference) {
  button, .row, .button { transition: background .12s, border-color .12s }
}
</style>
</head>
<body>
<header>
  <svg class="mark" viewBox="0 0 24 24" aria-hidden="true"><path d="M3 18h3v-6H3zm5 0h3V6H8zm5 0h3v-9h-3zm5 0h3V3h-3z"/></svg>
  <h1>metrics-sidecar <small id="version"></small></h1>
  <span id="status" role="status">connecting</span>
  <div class="actions">
    <label class="quiet">every
      <select id="interval" aria-label="Seconds between two looks">
        <option value="1000">1 s</option><option value="2000" selected>2 s</option>
        <option value="5000">5 s</option><option value="15000">15 s</option>
      </select>
    </label>
    <button id="pause" type="button" aria-pressed="false" title="Pause (p)">Pause</button>
    <button id="theme" type="button" title="Dark, light or as the system (t)">Auto</button>
    <button id="help" type="button" title="Keys and links (?)" aria-label="Keys and links">?</button>
    <a href="metrics" class="button">/metrics</a>
  </div>
</header>
<section id="tiles" aria-label="Health"></section>
<main>
  <section id="browse" aria-label="Metrics">
    <div id="toolbar">
      <input id="search" type="search" autocomplete="off" spellcheck="false"
        placeholder="Search names, help, labels   ( / )" aria-label="Search">
      <select id="type" aria-label="Type">
        <option value="">all types</option><option>counter</option><option>gauge</option>
        <option>histogram</option><option>summary</option><option>untyped</option>
      </select>
      <select id="scope" aria-label="Whose metrics">
        <option value="">everything</option><option value="app">application</option>
        <option value="own">sidecar</option>
      </select>
      <select id="sort" aria-label="Sort by">
        <option value="name">by name</option><option value="rate">by rate</option>
        <option value="value">by value</option><option value="series">by series</option>
      </select>
      <span id="found" class="quiet" role="status"></span>
    </div>
    <div id="list" tabindex="0" role="listbox" aria-label="Families and series">
      <div id="space"></div>
    </div>
    <p id="none" class="quiet" hidden>Nothing matches.</p>
  </section>
  <aside id="detail" aria-label="Details"></aside>
</main>
<dialog id="about">
  <h2>Keys</h2>
  <dl>
    <dt>/</dt><dd>search</dd><dt>↑ ↓ j k</dt><dd>move</dd>
    <dt>Enter, → ←</dt><dd>open, close a family</dd><dt>c</dt><dd>copy PromQL</dd>
    <dt>p</dt><dd>pause</dd><dt>t</dt><dd>dark, light, as the system</dd><dt>Esc</dt><dd>back</dd>
  </dl>
  <h2>Links</h2>
  <ul>
    <li><a href="metrics">/metrics</a> for Prometheus</li>
    <li><a href="-/ready">/-/ready</a>, <a href="-/healthy">/-/healthy</a> for probes</li>
    <li><a href="https://prometheus.io/docs/prometheus/latest/querying/basics/"
      rel="noreferrer">PromQL</a>, <a href="https://prometheus.io/docs/concepts/metric_types/"
      rel="noreferrer">metric types</a> in Prometheus’s documentation</li>
  </ul>
  <form method="dialog"><button>Close</button></form>
</dialog>
<noscript><p>This page needs JavaScript; <a href="metrics">/metrics</a> does not.</p></noscript>
<script>
'use strict'
// What /metrics says, look by look: each raw series has a number, each look is one column of values.
const LOOKS = 150

function unescape(text) {
  return text.includes('\\') ? text.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c)) : text
}

function readLabels(text) {
  const labels = []
  const pattern = /([^\s,={}"]+)\s*=\s*"((?:[^"\\]|\\.)*)"/g
  for (let match; (match = pattern.exec(text)); ) labels.push([match[1], unescape(match[2])])
  return labels
}

const labelText = (labels) => labels.map(([k, v]) => k + '="' + v + '"').join(', ')

class Store {
  constructor() { this.clear() }

  clear() {
    this.families = new Map()
    this.numbers = new Map()
    this.times = []
    this.columns = []
    this.rowCount = 0
  }

  family(name) {
    let family = this.families.get(name)
    if (!family) {
      family = { name, type: 'untyped', help: '', rows: [], byLabels: new Map(), kind: 'family',
        own: /^(metrics_sidecar_|process_)/.test(name) }
      this.families.set(name, family)
    }
    return family
  }

  // Takes one answer of /metrics (text format 0.0.4).
  take(text, time) {
    const values = new Array(this.numbers.size).fill(NaN)
    let family = null
    let live = 0
    for (let start = 0, end; start < text.length; start = end + 1) {
      end = text.indexOf('\n', start)
      if (end < 0) end = text.length
      if (end === start) continue
      if (text.charCodeAt(start) === 35) {
        const words = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(text.slice(start, end))
        if (!words) continue
        family = this.family(words[2])
        if (words[1] === 'TYPE') family.type = words[3]
        else family.help = unescape(words[3])
        continue
      }
      const line = text.slice(start, end)
      const brace = line.lastIndexOf('}')
      const split = brace < 0 ? line.indexOf(' ') : brace + 1
      const key = line.slice(0, split)
      let number = this.numbers.get(key)
      if (number === undefined) {
        number = this.numbers.size
        this.numbers.set(key, number)
        this.add(key, number, family)
      }
      const word = line.slice(split).trim().split(' ')[0]
      values[number] = word === '+Inf' ? Infinity : word === '-Inf' ? -Infinity : Number(word)
      live += 1
    }
    this.times.push(time)
    this.columns.push(Float64Array.from(values))
    if (this.times.length > LOOKS) { this.times.shift(); this.columns.shift() }
    // Series that come and go for days must not fill the browser's memory.
    if (this.numbers.size > live * 3 + 2000) { this.clear(); this.take(text, time) }
  }

  add(key, number, family) {
    const brace = key.indexOf('{')
    const name = brace < 0 ? key : key.slice(0, brace)
    let labels = brace < 0 ? [] : readLabels(key.slice(brace))
    const suffix = family && name.startsWith(family.name) ? name.slice(family.name.length) : null
    if (suffix === null || (suffix && !/^_(bucket|sum|count)$/.test(suffix))) {
      family = this.family(name)
    }
    const isHistogram = family.type === 'histogram'
    let edge = null
    if (isHistogram) {
      edge = labels.find(([k]) => k === 'le')
      labels = labels.filter(([k]) => k !== 'le')
    } else if (suffix && family.type === 'summary') {
      labels = [...labels, ['', suffix.slice(1)]]
    }
    const text = labelText(labels)
    let row = family.byLabels.get(text)
    if (!row) {
      row = { kind: 'series', family, labels, text, number, buckets: [],
        words: (family.name + ' ' + text).toLowerCase() }
      family.byLabels.set(text, row)
      family.rows.push(row)
      this.rowCount += 1
    }
    if (suffix === '_bucket' && edge) row.buckets.push({ le: Number(edge[1].replace('+Inf', 'Infinity')), number })
    else if (suffix === '_sum') row.sum = number
    else row.number = number
  }

  at(number, look = this.columns.length - 1) {
    const value = this.columns[look]?.[number]
    return value === undefined ? NaN : value
  }

  value(row) {
    if (row.kind === 'series') return this.at(row.number)
    return row.rows.reduce((sum, each) => sum + (this.value(each) || 0), 0)
  }

  // What was added between two looks; a counter that fell began anew.
  gain(number, from, to) {
    const before = this.at(number, from), after = this.at(number, to)
    return after < before ? after : after - before
  }

  counts(row) {
    const type = (row.family || row).type
    return type === 'counter' || type === 'histogram'
  }

  // Points of the last `count` looks: rates of what counts, values of the rest.
  points(row, count = LOOKS) {
    const last = this.columns.length - 1
    const first = Math.max(0, last - count + 1)
    const rows = row.kind === 'series' ? [row] : row.rows
    const rate = this.counts(row)
    const points = []
    for (let look = first + (rate && first === 0 ? 1 : 0); look <= last; look++) {
      let sum = NaN
      for (const each of rows) {
        const value = rate
          ? this.gain(each.number, look - 1, look) / ((this.times[look] - this.times[look - 1]) / 1000)
          : this.at(each.number, look)
        if (value === value) sum = sum === sum ? sum + value : value
      }
      points.push([this.times[look], sum])
    }
    return points
  }

  // A second's gain over the last ten seconds or so.
  rate(row) {
    if (!this.counts(row)) return NaN
    const last = this.columns.length - 1
    let first = last
    while (first > 0 && this.times[last] - this.times[first] < 9500) first -= 1
    if (first === last) return NaN
    const seconds = (this.times[last] - this.times[first]) / 1000
    const rows = row.kind === 'series' ? [row] : row.rows
    return rows.reduce((sum, each) => sum + (this.gain(each.number, first, last) || 0), 0) / seconds
  }

  // As histogram_quantile does: linear within a bucket; of what came between two looks.
  quantile(row, q, from, to) {
    const buckets = [...row.buckets].sort((a, b) => a.le - b.le)
    const counts = buckets.map((b) => (from < 0 ? this.at(b.number, to) : this.gain(b.number, from, to)))
    const total = counts.at(-1)
    if (!(total > 0)) return NaN
    const index = counts.findIndex((count) => count >= q * total)
    if (buckets[index].le === Infinity) return index ? buckets[index - 1].le : NaN
    const low = index ? buckets[index - 1].le : 0
    const before = index ? counts[index - 1] : 0
    return low + ((buckets[index].le - low) * (q * total - before)) / (counts[index] - before || 1)
  }
}

// Numbers as people read them, elements without markup in strings, PromQL.
function short(value) {
  if (value !== value) return '–'
  if (!isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  const size = Math.abs(value)
  if (Number.isInteger(value) && size < 1e15) return value.toLocaleString('en')
  if (size >= 1e6 || (size < 1e-4 && size > 0)) return value.toExponential(3)
  return value.toLocaleString('en', { maximumSignificantDigits: size >= 100 ? 5 : 4 })
}

function scaled(value) {
  for (const [size, letter] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']]) {
    if (Math.abs(value) >= size) return (value / (letter === 'k' ? 1e3 : size)).toFixed(1) + letter
  }
  return Math.abs(value) >= 100 ? short(Math.round(value)) : short(Number(value.toPrecision(3)))
}

function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  while (Math.abs(value) >= 1024 && unit < 4) { value /= 1024; unit += 1 }
  return (unit ? value.toFixed(1) : value) + ' ' + units[unit]
}

function age(seconds) {
  if (seconds < 90) return Math.max(0, Math.round(seconds)) + ' s'
  if (seconds < 5400) return Math.round(seconds / 60) + ' min'
  return seconds < 172800 ? Math.round(seconds / 3600) + ' h' : Math.round(seconds / 86400) + ' d'
}

function shown(name, value) {
  if (/_bytes$/.test(name) && isFinite(value)) return bytes(value)
  if (/_time(stamp)?_seconds$/.test(name) && value > 1e8) return age(Date.now() / 1000 - value) + ' ago'
  return short(value)
}

// Text only ever becomes a text node.
function make(tag, attributes = {}, ...children) {
  const element = tag === 'svg' || tag === 'path'
    ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

function sparkline(svg, points, width, height) {
  const values = points.filter(([, v]) => isFinite(v))
  const [line, fill] = svg.children
  if (values.length < 2) { line.setAttribute('d', ''); fill.setAttribute('d', ''); return }
  let low = 0, high = -Infinity
  for (const [, v] of values) { low = Math.min(low, v); high = Math.max(high, v) }
  if (high <= low) high = low + 1
  const start = values[0][0], span = values.at(-1)[0] - start || 1
  const path = values.map(([t, v], i) => (i ? 'L' : 'M') + ((t - start) / span * width).toFixed(1)
    + ' ' + (height - 2 - (v - low) / (high - low) * (height - 4)).toFixed(1)).join('')
  line.setAttribute('d', path)
  fill.setAttribute('d', path + 'L' + width + ' ' + height + 'L0 ' + height + 'Z')
}

const spark = (width, height) => make('svg', { viewBox: '0 0 ' + width + ' ' + height,
  preserveAspectRatio: 'none', 'aria-hidden': 'true' },
  make('path', { class: 'spark' }), make('path', { class: 'fill' }))

const quote = (value) => '"' + value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n') + '"'

function selector(row, suffix = '') {
  const family = row.family || row
  const labels = (row.labels || []).filter(([k]) => k)
  return family.name + suffix
    + (labels.length ? '{' + labels.map(([k, v]) => k + '=' + quote(v)).join(',') + '}' : '')
}

function queries(row) {
  const family = row.family || row
  const names = [...new Set(family.rows.flatMap((each) => each.labels.map(([k]) => k)))].filter((k) => k)
  const by = row.kind === 'family' && names.length ? ' by (' + names.join(', ') + ')' : ''
  switch (family.type) {
    case 'counter':
      return ['sum' + by + ' (rate(' + selector(row) + '[5m]))', 'increase(' + selector(row) + '[1h])']
    case 'histogram':
      return ['histogram_quantile(0.95, sum by (' + ['le', ...(by ? names : [])].join(', ')
          + ') (rate(' + selector(row, '_bucket') + '[5m])))',
        'sum (rate(' + selector(row, '_sum') + '[5m])) / sum (rate(' + selector(row, '_count') + '[5m]))']
    default: return [selector(row), 'avg_over_time(' + selector(row) + '[15m])']
  }
}

// The list: only the rows in view are in the document, however many there are.
const $ = (id) => document.getElementById(id)
const store = new Store()
const view = { items: [], offsets: [0], open: new Map(), selected: null, pool: [], showsPush: false }
const FEW = 12

const hasOne = (family) => family.rows.length === 1 && family.rows[0].labels.length === 0
const isOpen = (family, searching) => view.open.get(family.name) ?? (searching || family.rows.length <= FEW)
const rowHeight = (item) => item.kind === 'family' ? 54 : matchMedia('(max-width: 760px)').matches ? 40 : 32

function arrange() {
  const words = $('search').value.toLowerCase().split(/\s+/).filter((word) => word)
  const type = $('type').value, scope = $('scope').value, sort = $('sort').value
  const fits = (text) => words.every((word) =>
    word.length > 1 && word[0] === '-' ? !text.includes(word.slice(1)) : text.includes(word))
  const found = []
  let seriesCount = 0
  for (const family of store.families.values()) {
    if (type && family.type !== type || scope && (scope === 'own') !== family.own) continue
    const own = (family.name + ' ' + family.help + ' ').toLowerCase()
    const rows = family.rows.filter((row) => !Number.isNaN(store.value(row))
      && (!words.length || fits(own + row.text.toLowerCase())))
    if (!rows.length) continue
    seriesCount += rows.length
    found.push([family, rows])
  }
  const measure = (row) => (sort === 'rate' ? store.rate(row) : store.value(row)) || 0
  if (sort === 'series') found.sort((a, b) => b[1].length - a[1].length)
  else if (sort === 'name') found.sort((a, b) => a[0].own - b[0].own || (a[0].name < b[0].name ? -1 : 1))
  else {
    for (const entry of found) {
      const keys = new Map(entry[1].map((row) => [row, measure(row)]))
      entry[1].sort((a, b) => keys.get(b) - keys.get(a))
      entry[2] = measure(entry[0])
    }
    found.sort((a, b) => b[2] - a[2])
  }
  view.items = []
  view.offsets = [0]
  const put = (item) => {
    view.items.push(item)
    view.offsets.push(view.offsets.at(-1) + rowHeight(item))
  }
  for (const [family, rows] of found) {
    put(family)
    if (!hasOne(family) && isOpen(family, words.length > 0)) rows.forEach(put)
  }
  $('found').textContent = found.length + ' families, ' + short(seriesCount) + ' series'
  $('none').hidden = found.length > 0 || !store.times.length
  $('space').style.height = view.offsets.at(-1) + 'px'
  paint()
}

function makeRow() {
  const row = make('div', { role: 'option' })
  row.arrow = make('span', { class: 'arrow' })
  row.name = make('span', { class: 'mono' })
  row.badge = make('span', { class: 'type' })
  row.head = make('div', { class: 'title' }, row.arrow, row.name, row.badge)
  row.note = make('div', { class: 'note' })
  row.first = make('div', {}, row.head, row.note)
  row.amount = make('div', { class: 'value' })
  row.rate = make('div', { class: 'rate' })
  row.graph = spark(92, 24)
  row.append(row.first, row.amount, row.rate, row.graph)
  row.addEventListener('click', () => choose(row.item, true))
  $('list').append(row)
  return row
}

function paint() {
  const list = $('list')
  let index = 0, high = view.items.length
  while (index < high) {
    const middle = (index + high) >> 1
    if (view.offsets[middle + 1] <= list.scrollTop) index = middle + 1
    else high = middle
  }
  const bottom = list.scrollTop + list.clientHeight
  let used = 0
  for (; index < view.items.length && view.offsets[index] < bottom; index++, used++) {
    const row = (view.pool[used] ??= makeRow())
    fill(row, view.items[index], index)
  }
  for (; used < view.pool.length; used++) view.pool[used].hidden = true
}

function fill(row, item, index) {
  const family = item.family || item
  const isFamily = item.kind === 'family'
  row.item = item
  row.hidden = false
  row.id = 'row-' + index
  row.className = 'row ' + item.kind + (item === view.selected ? ' selected' : '')
  row.setAttribute('aria-selected', item === view.selected)
  row.dataset.type = ['counter', 'gauge', 'histogram', 'summary'].includes(family.type) ? family.type : 'untyped'
  row.style.transform = 'translateY(' + view.offsets[index] + 'px)'
  row.head.hidden = row.note.hidden = !isFamily
  if (isFamily) {
    const next = view.items[index + 1]
    row.arrow.textContent = hasOne(item) ? '' : next && next.family === item ? '▾' : '▸'
    row.name.textContent = item.name
    row.badge.textContent = item.type
    row.note.textContent = [hasOne(item) ? '' : short(item.rows.length) + ' series', item.help]
      .filter((text) => text).join(' · ')
    if (row.first.firstChild !== row.head) row.first.replaceChildren(row.head, row.note)
    row.first.className = ''
  } else {
    row.first.replaceChildren(...labelNodes(item.labels))
    row.first.className = 'mono labels'
  }
  const value = store.value(item)
  row.amount.textContent = isFamily && family.type === 'gauge' && !hasOne(family) ? ''
    : shown(family.name, value)
  row.amount.title = String(value)
  const rate = store.rate(item)
  const middle = family.type === 'histogram' && item.buckets ? store.quantile(item, 0.95, -1, store.columns.length - 1) : NaN
  row.rate.textContent = middle === middle ? 'p95 ' + short(Number(middle.toPrecision(3)))
    : rate === rate ? scaled(rate) + '/s' : ''
  sparkline(row.graph, store.points(item, 60), 92, 24)
}

function labelNodes(labels) {
  if (!labels.length) return [make('em', {}, 'no labels')]
  return labels.flatMap(([k, v], i) => [make('em', {}, (i ? '  ' : '') + k + (k ? '=' : '')), v])
}

function choose(item, toggles) {
  if (toggles && item.kind === 'family' && !hasOne(item) && view.selected === item) {
    const open = view.items[view.items.indexOf(item) + 1]?.family === item
    view.open.set(item.name, !open)
  }
  view.selected = item
  view.showsPush = false
  arrange()
  detail()
}

function move(step) {
  const at = view.items.indexOf(view.selected)
  const index = Math.min(view.items.length - 1, Math.max(0, at + step))
  const item = view.items[index]
  if (!item) return
  const list = $('list')
  if (view.offsets[index] < list.scrollTop) list.scrollTop = view.offsets[index]
  const over = view.offsets[index + 1] - list.scrollTop - list.clientHeight
  if (over > 0) list.scrollTop += over
  choose(item)
  list.setAttribute('aria-activedescendant', 'row-' + index)
}

// The pane at the side: one family or series, its plot, its PromQL; or the groups that were pushed.
function copyButton(text) {
  const button = make('button', { type: 'button' }, 'Copy')
  button.addEventListener('click', async () => {
    try { await navigator.clipboard.writeText(text) } catch {
      // Without HTTPS there is no clipboard interface: the older way.
      const area = make('textarea', {}, text)
      document.body.append(area)
      area.select()
      document.execCommand('copy')
      area.remove()
    }
    button.textContent = 'Copied'
    setTimeout(() => { button.textContent = 'Copy' }, 1200)
  })
  return button
}

function detail() {
  const pane = $('detail'), item = view.selected
  pane.className = item || view.showsPush ? '' : 'empty'
  if (view.showsPush) return pushPane(pane)
  if (!item) {
    pane.replaceChildren(make('h3', {}, 'Nothing selected'),
      make('p', { class: 'quiet' }, 'Select a family or a series for its plot, labels and PromQL.'))
    return
  }
  const family = item.family || item
  const close = make('button', { class: 'close', type: 'button', 'aria-label': 'Close', onclick: unselect }, '✕')
  const value = store.value(item), rate = store.rate(item)
  const one = item.kind === 'series' ? item : hasOne(item) || item.rows.length === 1 ? item.rows[0] : null
  const canvas = make('canvas', { role: 'img', 'aria-label': 'The last minutes' })
  const parts = [
    make('div', { class: 'head' }, make('h2', {}, family.name), close),
    make('p', { class: 'quiet' }, family.help || 'No help text.'),
    make('p', { class: 'big', title: String(value) }, shown(family.name, value), ' ',
      make('small', {}, rate === rate ? scaled(rate) + ' a second' : family.type)),
    canvas,
  ]
  if (one && one.buckets.length) {
    const last = store.columns.length - 1
    parts.push(make('h3', {}, 'Quantiles since the start, and while this page is open'))
    const pairs = make('div', { class: 'pairs' })
    for (const q of [0.5, 0.9, 0.95, 0.99]) {
      pairs.append(make('span', {}, 'p' + q * 100), make('span', {}, short(Number(store.quantile(one, q, -1, last).toPrecision(4)))
        + '   ' + short(Number(store.quantile(one, q, 0, last).toPrecision(4)))))
    }
    parts.push(pairs)
  }
  if (one && one.labels.length) {
    const pairs = make('div', { class: 'pairs mono' })
    for (const [k, v] of one.labels) pairs.append(make('span', {}, k || '·'), make('span', {}, v))
    parts.push(make('h3', {}, 'Labels'), pairs)
  }
  if (!one) parts.push(make('h3', {}, 'Largest series'), ...largest(item))
  parts.push(make('h3', {}, 'PromQL'))
  for (const query of queries(item)) {
    parts.push(make('div', { class: 'query' }, make('code', {}, query), copyButton(query)))
  }
  const scroll = pane.scrollTop
  pane.dataset.type = family.type
  pane.replaceChildren(...parts)
  pane.scrollTop = scroll
  one && one.buckets.length ? heat(canvas, one) : plot(canvas, store.points(item))
}

function largest(family) {
  const rows = family.rows.map((row) => [row, store.value(row) || 0]).sort((a, b) => b[1] - a[1]).slice(0, 10)
  const most = rows[0]?.[1] || 1
  return rows.map(([row, value]) => {
    const bar = make('i')
    bar.style.width = Math.max(0, value / most * 100) + '%'
    return make('button', { class: 'bar', type: 'button', onclick: () => choose(row) }, bar,
      make('span', { class: 'mono labels' }, ...labelNodes(row.labels)), make('b', {}, shown(family.name, value)))
  })
}

function unselect() {
  view.selected = null
  view.showsPush = false
  detail()
  paint()
}

function surface(canvas) {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight
  canvas.width = width * scale
  canvas.height = height * scale
  const pen = canvas.getContext('2d')
  pen.scale(scale, scale)
  pen.font = '11px system-ui'
  const style = getComputedStyle(canvas)
  return { pen, width, height, color: style.getPropertyValue('--tone') || style.getPropertyValue('--accent'),
    quiet: style.getPropertyValue('--quiet'), line: style.getPropertyValue('--line') }
}

function timeAxis({ pen, width, height, quiet }, left) {
  pen.fillStyle = quiet
  pen.textAlign = 'left'
  pen.fillText(age((store.times.at(-1) - store.times[0]) / 1000) + ' ago', left, height - 2)
  pen.textAlign = 'right'
  pen.fillText('now', width, height - 2)
}

function plot(canvas, points) {
  const s = surface(canvas), { pen, width, height } = s
  const good = points.filter(([, v]) => isFinite(v))
  if (good.length < 2) {
    pen.fillStyle = s.quiet
    return pen.fillText('The plot begins with the next look.', 0, 20)
  }
  let low = Math.min(0, ...good.map((p) => p[1])), high = Math.max(...good.map((p) => p[1]))
  if (high <= low) high = low + 1
  const left = 46, bottom = height - 18, start = good[0][0], span = good.at(-1)[0] - start || 1
  const x = (t) => left + (t - start) / span * (width - left)
  const y = (v) => bottom - (v - low) / (high - low) * (bottom - 8)
  pen.strokeStyle = s.line
  pen.fillStyle = s.quiet
  pen.textAlign = 'right'
  for (let i = 0; i <= 4; i++) {
    const v = low + (high - low) * i / 4
    pen.beginPath(); pen.moveTo(left, y(v)); pen.lineTo(width, y(v)); pen.stroke()
    pen.fillText(scaled(v), left - 6, y(v) + 4)
  }
  pen.beginPath()
  good.forEach(([t, v], i) => (i ? pen.lineTo(x(t), y(v)) : pen.moveTo(x(t), y(v))))
  pen.strokeStyle = pen.fillStyle = s.color
  pen.lineWidth = 2
  pen.lineJoin = 'round'
  pen.stroke()
  pen.lineTo(width, bottom); pen.lineTo(left, bottom); pen.closePath()
  pen.globalAlpha = 0.12
  pen.fill()
  pen.globalAlpha = 1
  timeAxis(s, left)
}

// Time to the right, buckets upwards; the darker, the more came.
function heat(canvas, row) {
  const s = surface(canvas), { pen, width, height } = s
  const buckets = [...row.buckets].sort((a, b) => a.le - b.le)
  const looks = store.columns.length
  if (looks < 2) return
  const left = 46, bottom = height - 18, step = (width - left) / (looks - 1), tall = bottom / buckets.length
  const cells = []
  let most = 0
  for (let look = 1; look < looks; look++) {
    let before = 0
    buckets.forEach((bucket, i) => {
      const count = store.gain(bucket.number, look - 1, look)
      if (count > before) cells.push([look, i, count - before])
      most = Math.max(most, count - before || 0)
      before = count
    })
  }
  pen.fillStyle = s.color
  for (const [look, i, count] of cells) {
    pen.globalAlpha = 0.15 + 0.85 * Math.sqrt(count / most)
    pen.fillRect(left + (look - 1) * step, bottom - (i + 1) * tall, Math.max(1, step - 0.5), tall - 0.5)
  }
  pen.globalAlpha = 1
  pen.fillStyle = s.quiet
  pen.textAlign = 'right'
  const skip = Math.ceil(buckets.length / 7)
  buckets.forEach((b, i) => { if (i % skip === 0) pen.fillText(short(b.le), left - 6, bottom - i * tall - 2) })
  timeAxis(s, left)
}

function groupPath(labels) {
  const safe = (text) => {
    if (text && !text.includes('/')) return '/' + encodeURIComponent(text)
    const binary = String.fromCharCode(...new TextEncoder().encode(text))
    return '@base64/' + (btoa(binary).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '') || '=')
  }
  const job = labels.find(([k]) => k === 'job')
  return 'metrics/job' + safe(job ? job[1] : '')
    + labels.filter(([k, v]) => k !== 'job' && (k !== 'instance' || v)).map(([k, v]) => '/' + encodeURIComponent(k) + safe(v)).join('')
}

function pushPane(pane) {
  const rows = (store.families.get('push_time_seconds')?.rows || []).filter((row) => store.value(row) === store.value(row))
  const mayDelete = document.documentElement.dataset.flags.includes('push-admin')
  pane.replaceChildren(make('div', { class: 'head' }, make('h2', {}, 'Push groups'),
    make('button', { class: 'close', type: 'button', 'aria-label': 'Close', onclick: unselect }, '✕')),
    ...rows.slice(0, 500).map((row) => {
      const group = make('div', { class: 'group' }, make('div', { class: 'mono labels' }, ...labelNodes(row.labels.filter(([, v]) => v))),
        make('span', { class: 'quiet' }, age(Date.now() / 1000 - store.value(row)) + ' ago'))
      if (mayDelete) group.append(make('button', { class: 'danger', type: 'button', onclick: async () => {
        if (!confirm('Delete the group ' + labelText(row.labels) + '?')) return
        await fetch(groupPath(row.labels), { method: 'DELETE' })
        look()
      } }, 'Delete'))
      return group
    }))
  if (!rows.length) pane.append(make('p', { class: 'quiet' }, 'No group has been pushed.'))
}

// Health at a glance, the keys, and the clock that looks at /metrics.
const one = (name) => { const f = store.families.get(name); return f ? store.value(f) : NaN }
const tiles = new Map()

function tile(title, value, note, { family = '', points = null, part = NaN, tone = '' } = {}) {
  let box = tiles.get(title)
  if (!box) {
    box = make('button', { class: 'tile', type: 'button' })
    box.amount = make('b')
    box.note = make('span')
    box.meter = make('div', { class: 'meter' }, make('i'))
    box.graph = spark(100, 44)
    box.append(make('span', {}, title), box.amount, box.note, box.meter, box.graph)
    box.addEventListener('click', () => {
      if (box.family === 'push') { view.selected = null; view.showsPush = true; return detail() }
      const found = store.families.get(box.family)
      if (found) choose(found)
    })
    tiles.set(title, box)
    $('tiles').append(box)
  }
  box.family = family
  box.className = 'tile ' + tone
  box.amount.textContent = value
  box.note.textContent = box.note.title = note
  box.meter.hidden = !(part === part)
  box.meter.firstChild.style.width = Math.min(100, part * 100) + '%'
  box.graph.toggleAttribute('hidden', !points)
  if (points) sparkline(box.graph, points, 100, 44)
}

function health() {
  const events = store.families.get('metrics_sidecar_events_total')
  const version = store.families.get('metrics_sidecar_build_info')?.rows[0]?.labels[0]?.[1]
  $('version').textContent = version || ''
  const since = store.families.get('process_start_time_seconds')
  tile('Clients', short(one('metrics_sidecar_connections')), short(one('metrics_sidecar_sessions')) + ' sessions remembered',
    { family: 'metrics_sidecar_connections' })
  if (events) {
    const rate = store.rate(events)
    tile('Events a second', rate === rate ? scaled(rate) : '–', short(store.value(events)) + ' since the start',
      { family: events.name, points: store.points(events, 60) })
  }
  const rejected = store.families.get('metrics_sidecar_events_rejected_total')
  const refusals = [
    ...(rejected ? rejected.rows.map((row) => [row.labels[0]?.[1] || '', store.value(row)]) : []),
    ['series limit', one('metrics_sidecar_series_refused_total')],
    ['connections', one('metrics_sidecar_connections_refused_total')],
  ].filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1])
  const refused = refusals.reduce((sum, [, count]) => sum + count, 0)
  tile('Refused', short(refused), refusals.slice(0, 3).map(([why, n]) => why.replaceAll('_', ' ') + ' ' + short(n)).join(', ') || 'nothing',
    { family: 'metrics_sidecar_events_rejected_total', tone: refused ? 'warn' : '' })
  const series = one('metrics_sidecar_series'), limit = one('metrics_sidecar_series_limit')
  tile('Series', short(series), 'of ' + short(limit), { family: 'metrics_sidecar_series', part: series / limit, tone: series >= limit ? 'bad' : '' })
  const resets = one('metrics_sidecar_state_resets_total')
  tile('State file', bytes(one('metrics_sidecar_state_bytes')), resets > 0 ? resets + ' set aside as damaged' : 'sound',
    { family: 'metrics_sidecar_state_bytes', tone: resets > 0 ? 'bad' : '' })
  tile('Memory', bytes(one('process_resident_memory_bytes')), 'up ' + (since ? age(Date.now() / 1000 - store.value(since)) : '–'),
    { family: 'process_resident_memory_bytes' })
  const groups = one('metrics_sidecar_push_groups')
  if (groups === groups) {
    tile('Push groups', short(groups), 'of ' + short(one('metrics_sidecar_push_groups_limit')), { family: 'push' })
  }
}

let paused = false, timer = 0, looking = false

async function look() {
  clearTimeout(timer)
  if (looking || document.hidden) return
  looking = true
  try {
    const answer = await fetch('metrics', { headers: { Accept: 'text/plain;version=0.0.4' }, cache: 'no-store', signal: AbortSignal.timeout(10000) })
    if (!answer.ok) throw new Error('answered ' + answer.status)
    store.take(await answer.text(), Date.now())
    $('status').className = paused ? '' : 'live'
    $('status').textContent = paused ? 'paused' : 'live'
    health()
    arrange()
    detail()
  } catch (error) {
    $('status').className = 'lost'
    $('status').textContent = 'no answer: ' + error.message
  }
  looking = false
  if (!paused) timer = setTimeout(look, Number($('interval').value))
}

function pause() {
  paused = !paused
  $('pause').setAttribute('aria-pressed', paused)
  $('pause').textContent = paused ? 'Go on' : 'Pause'
  if (paused) { clearTimeout(timer); $('status').className = ''; $('status').textContent = 'paused' } else look()
}

const systemDark = matchMedia('(prefers-color-scheme: dark)')
let theme = 'Auto'
function applyTheme() {
  $('theme').textContent = theme
  document.documentElement.classList.toggle('dark', theme === 'Dark' || (theme === 'Auto' && systemDark.matches))
  detail()
}
function nextTheme() {
  theme = { Auto: 'Dark', Dark: 'Light', Light: 'Auto' }[theme]
  try { localStorage.setItem('theme', theme) } catch {}
  applyTheme()
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $('about').open) return
  const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)
  if (event.key === 'Escape') {
    if (event.target === $('search') && $('search').value) { $('search').value = ''; arrange() } else unselect()
    return $('list').focus()
  }
  if (event.target === $('search') && (event.key === 'ArrowDown' || event.key === 'Enter')) {
    event.preventDefault()
    $('list').focus()
    return move(1)
  }
  if (inField) return
  const onList = event.target === $('list')
  const page = Math.max(1, Math.floor($('list').clientHeight / 40))
  const item = view.selected
  const actions = {
    '/': () => $('search').focus(), p: pause, t: nextTheme, '?': () => $('about').showModal(),
    j: () => move(1), k: () => move(-1),
    c: () => document.querySelector('#detail .query button')?.click(),
    ...(onList && { ArrowDown: () => move(1), ArrowUp: () => move(-1), PageDown: () => move(page),
      PageUp: () => move(-page), Home: () => move(-1e9), End: () => move(1e9),
      Enter: () => item && choose(item, true),
      ArrowRight: () => { if (item?.kind === 'family') { view.open.set(item.name, true); arrange() } },
      ArrowLeft: () => { if (item) { view.open.set((item.family || item).name, false); choose(item.family || item) } } }),
  }
  if (!actions[event.key]) return
  event.preventDefault()
  actions[event.key]()
}

for (const id of ['search', 'type', 'scope', 'sort']) {
  $(id).addEventListener('input', () => { $('list').scrollTop = 0; arrange() })
}
let frame = 0
$('list').addEventListener('scroll', () => { frame ||= requestAnimationFrame(() => { frame = 0; paint() }) })
addEventListener('resize', () => { arrange(); detail() })
addEventListener('keydown', key)
document.addEventListener('visibilitychange', () => { if (!document.hidden && !paused) look() })
$('pause').addEventListener('click', pause)
$('theme').addEventListener('click', nextTheme)
$('help').addEventListener('click', () => $('about').showModal())
$('interval').addEventListener('change', () => { if (!paused) look() })
systemDark.addEventListener('change', applyTheme)
try { theme = localStorage.getItem('theme') || 'Auto' } catch {}
applyTheme()
look()
</script>
</body>
</html>

"""##

  static let scriptHash: StaticString = "'sha256-SowxzRU1SQshQGDdI8kuroeAYlyM7bccLzKrJXJjyFg='"
  static let styleHash: StaticString = "'sha256-evaoD3JUadgReeDPPratAidPm93aMVNs601UR7RRCwg='"
}
