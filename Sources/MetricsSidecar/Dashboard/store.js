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
    this.past = new Map()
  }

  // What the sidecar kept of this family's series from earlier scrapes.
  async remember(family) {
    if (this.past.has(family.name)) return
    this.past.set(family.name, null)
    try {
      const answer = await fetch('api/v1/history?name[]=' + encodeURIComponent(family.name))
      if (answer.ok) this.past.set(family.name, await answer.json())
    } catch {}
  }

  // Points of an item from before the page was opened.
  before(item) {
    const past = this.past.get((item.family || item).name), rate = this.counts(item), points = []
    if (!past) return points
    const rows = (item.found || item.rows || [item]).map((row) => past.series[row.key]).filter((row) => row)
    for (let i = rate ? 1 : 0; i < past.times.length; i++) {
      if (past.times[i] > this.times[0] - 1000) break
      let sum = NaN
      for (const values of rows) {
        const before = values[i - 1] ?? NaN, after = values[i] ?? NaN
        const value = !rate ? after : after < before ? after : after - before
        if (value === value) sum = sum === sum ? sum + value : value
      }
      if (sum === sum) points.push([past.times[i], rate ? sum / ((past.times[i] - past.times[i - 1]) / 1000) : sum])
    }
    return points
  }

  family(name) {
    let family = this.families.get(name)
    if (!family) {
      family = { name, type: 'untyped', help: '', rows: [], byLabels: new Map(), kind: 'family',
        totals: [], own: /^(metrics_sidecar_|process_)/.test(name) }
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
    for (const each of this.families.values()) this.sum(each)
    if (this.times.length > LOOKS) {
      this.times.shift()
      this.columns.shift()
      for (const each of this.families.values()) each.totals.shift()
    }
    // Series that come and go for days must not fill the browser's memory.
    if (this.numbers.size > live * 3 + 2000) { this.clear(); this.take(text, time) }
  }

  // One number for each look: what all series gained together, or what they are together.
  sum(family) {
    const last = this.columns.length - 1
    while (family.totals.length < last) family.totals.push(NaN)
    let sum = NaN
    for (const row of family.rows) {
      const value = this.counts(family) ? (last ? this.gain(row.number, last - 1, last) : NaN) : this.at(row.number)
      if (value === value) sum = sum === sum ? sum + value : value
    }
    family.totals.push(sum)
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
      // Labels as PromQL has them, and as the list shows them.
      row = { kind: 'series', family, labels, text, number, buckets: [],
        words: (text + ' ' + labels.map(([k, v]) => k + '=' + v).join(' ')).toLowerCase() }
      family.byLabels.set(text, row)
      family.rows.push(row)
      this.rowCount += 1
    }
    if (suffix === '_bucket' && edge) row.buckets.push({ le: Number(edge[1].replace('+Inf', 'Infinity')), number })
    else if (suffix === '_sum') row.sum = number
    else { row.number = number; row.key = key }
  }

  at(number, look = this.columns.length - 1) {
    const value = this.columns[look]?.[number]
    return value === undefined ? NaN : value
  }

  value(row) {
    if (row.kind === 'series') return this.at(row.number)
    return (row.found || row.rows).reduce((sum, each) => sum + (this.value(each) || 0), 0)
  }

  // What was added between two looks; a counter that fell began anew.
  gain(number, from, to) {
    const before = this.at(number, from), after = this.at(number, to)
    return after < before ? after : after - before
  }

  // The same of a bucket, over all series that have it.
  gains(bucket, from, to) {
    let sum = 0
    for (const number of bucket.numbers || [bucket.number]) {
      sum += (from < 0 ? this.at(number, to) : this.gain(number, from, to)) || 0
    }
    return sum
  }

  counts(row) {
    const type = (row.family || row).type
    return type === 'counter' || type === 'histogram'
  }

  // Points of the last `count` looks: rates of what counts, values of the rest.
  points(row, count = LOOKS) {
    const last = this.columns.length - 1
    const first = Math.max(0, last - count + 1)
    const rate = this.counts(row)
    const points = []
    const totals = row.found ? this.totals(row.found, rate) : row.totals
    for (let look = first + (rate && first === 0 ? 1 : 0); look <= last; look++) {
      const value = row.kind === 'family' ? totals[look]
        : rate ? this.gain(row.number, look - 1, look) : this.at(row.number, look)
      points.push([this.times[look], rate ? value / ((this.times[look] - this.times[look - 1]) / 1000) : value])
    }
    return points
  }

  // What some series of a family come to, look by look.
  totals(rows, rate) {
    return this.columns.map((_, look) => {
      let sum = NaN
      for (const { number } of rows) {
        const value = rate ? (look ? this.gain(number, look - 1, look) : NaN) : this.at(number, look)
        if (value === value) sum = sum === sum ? sum + value : value
      }
      return sum
    })
  }

  // A second's gain over the last ten seconds or so.
  rate(row) {
    if (!this.counts(row)) return NaN
    const last = this.columns.length - 1
    let first = last
    while (first > 0 && this.times[last] - this.times[first] < 9500) first -= 1
    if (first === last) return NaN
    const seconds = (this.times[last] - this.times[first]) / 1000
    if (row.kind === 'series') return (this.gain(row.number, first, last) || 0) / seconds
    let sum = 0
    if (row.found) for (const each of row.found) sum += this.gain(each.number, first, last) || 0
    else for (let look = first + 1; look <= last; look++) sum += row.totals[look] || 0
    return sum / seconds
  }

  // As histogram_quantile does: linear within a bucket; of what came between two looks.
  quantile(row, q, from, to) {
    const buckets = [...row.buckets].sort((a, b) => a.le - b.le)
    const counts = buckets.map((b) => this.gains(b, from, to))
    const total = counts.at(-1)
    if (!(total > 0)) return NaN
    const index = counts.findIndex((count) => count >= q * total)
    if (buckets[index].le === Infinity) return index ? buckets[index - 1].le : NaN
    const low = index ? buckets[index - 1].le : 0
    const before = index ? counts[index - 1] : 0
    return low + ((buckets[index].le - low) * (q * total - before)) / (counts[index] - before || 1)
  }
}
