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
