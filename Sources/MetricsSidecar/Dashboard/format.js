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

// Seconds in the unit that reads best.
function duration(value) {
  const size = Math.abs(value)
  if (!isFinite(value) || size === 0) return short(value) + ' s'
  for (const [least, letter] of [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's'], [1e-3, 'ms'], [1e-6, 'µs'], [1e-9, 'ns']]) {
    if (size >= least * 0.9995) return short(Number((value / least).toPrecision(3))) + ' ' + letter
  }
  return short(value) + ' s'
}

const SIGNS = { celsius: '°C', percent: '%', volts: 'V', amperes: 'A', watts: 'W', joules: 'J', meters: 'm', grams: 'g', hertz: 'Hz' }

// Whether a value is a moment, in Unix seconds.
const isTime = (family, value) => /_time(stamp)?_seconds$/.test(family.name) && value > 1e8

// A value in full: a moment with its date.
function exact(item, value) {
  return isTime(item.family || item, value) ? new Date(value * 1000).toLocaleString('sv') + ', ' + measured(item.family || item, value) : String(value)
}

// A number of a family's unit, which its name ends with: of a value, a bound or a quantile.
function measured(family, value) {
  const unit = /_([a-z]+?)(_total)?$/.exec(family.name)?.[1]
  if (!isFinite(value)) return short(value)
  if (unit === 'bytes') return bytes(value)
  if (unit === 'ratio') return short(Number((value * 100).toPrecision(4))) + ' %'
  if (unit === 'seconds') {
    return isTime(family, value) ? age(Date.now() / 1000 - value) + ' ago' : duration(value)
  }
  return short(value) + (SIGNS[unit] ? ' ' + SIGNS[unit] : '')
}

// What a family or series shows as its value: histograms and counts of summaries are numbers of
// observations.
function shown(item, value) {
  const family = item.family || item
  if (item.kind === 'family' && family.type === 'gauge' && !hasOne(family)) {
    // A sum of levels means nothing by itself: the least and the greatest do.
    let low = Infinity, high = -Infinity
    for (const row of family.found || family.rows) { const v = store.value(row); if (v < low) low = v; if (v > high) high = v }
    if (isTime(family, high)) return measured(family, high)
    return low > high ? '–' : low === high ? measured(family, low) : measured(family, low) + ' … ' + measured(family, high)
  }
  const counts = family.type === 'histogram' || family.type === 'summary'
    && (item.kind === 'family' || item.labels.some(([k, v]) => !k && v === 'count'))
  return counts ? short(value) : measured(family, value)
}

function perSecond(item, rate) {
  const family = item.family || item
  if (family.type === 'counter' && /_bytes_total$/.test(family.name)) return bytes(Number(rate.toPrecision(3))) + '/s'
  if (family.type === 'counter' && /_seconds_total$/.test(family.name)) return short(Number((rate * 100).toPrecision(3))) + ' %'
  return scaled(rate) + '/s'
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

// Names beyond letters, digits and _ stand in quotes, as Prometheus 3 has them.
const label = (name) => /^[a-zA-Z_]\w*$/.test(name) ? name : quote(name)

function selector(row, suffix = '') {
  const name = (row.family || row).name + suffix
  const isPlain = /^[a-zA-Z_:][\w:]*$/.test(name)
  const parts = [...(isPlain ? [] : [quote(name)]),
    ...(row.labels || []).filter(([k]) => k).map(([k, v]) => label(k) + '=' + quote(v))]
  return (isPlain ? name : '') + (parts.length ? '{' + parts.join(',') + '}' : '')
}

function queries(row) {
  const family = row.family || row
  const names = [...new Set(family.rows.flatMap((each) => each.labels.map(([k]) => k)))].filter((k) => k).map(label)
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
