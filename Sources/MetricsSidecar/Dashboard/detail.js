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

// Builds the pane for another item, and otherwise only changes its numbers: what is marked or has the
// focus stays so.
function detail() {
  const pane = $('detail'), item = view.selected
  pane.className = item || view.pane ? '' : 'empty'
  if (view.pane) return panes[view.pane](pane)
  if (!item) {
    pane.shows = null
    pane.replaceChildren(make('h3', {}, 'Nothing selected'),
      make('p', { class: 'quiet' }, 'Select a family or a series for its plot, labels and PromQL.'))
    return
  }
  const key = item.kind + (item.family || item).name + (item.text ?? '') + (item.rows?.length ?? '')
  if (pane.shows !== key) {
    build(pane, item)
    pane.shows = key
  }
  pane.refresh()
}

function build(pane, item) {
  const family = item.family || item
  const one = item.kind === 'series' ? item : hasOne(item) ? item.rows[0] : null
  const close = make('button', { class: 'close', type: 'button', 'aria-label': 'Close', onclick: unselect }, '✕')
  const amount = document.createTextNode(''), gain = make('small')
  const big = make('p', { class: 'big' }, amount, ' ', gain)
  const canvas = make('canvas', { role: 'img', 'aria-label': 'The last minutes' })
  const quantiles = make('div', { class: 'pairs wide' }), top = make('div')
  store.remember(family).then(() => { if (pane.shows) pane.refresh() })
  const isHistogram = family.type === 'histogram'
  const rule = make('p', { class: 'quiet' })
  loadRules().then(() => { rule.textContent = ruleWords(family) })
  const parts = [make('div', { class: 'head' }, make('h2', {}, family.name), close),
    make('p', { class: 'quiet' }, family.help || 'No help text.'), big, canvas]
  if (isHistogram) parts.push(make('h3', {}, 'Quantiles'), quantiles)
  if (one && one.labels.length) {
    const pairs = make('div', { class: 'pairs mono' })
    for (const [k, v] of one.labels) pairs.append(make('span', {}, k || '·'), make('span', {}, v))
    parts.push(make('h3', {}, 'Labels'), pairs)
  }
  if (!one) parts.push(make('h3', {}, 'Largest series'), top)
  parts.push(make('h3', {}, 'Made by'), rule, make('h3', {}, 'PromQL'))
  for (const query of queries(item)) {
    parts.push(make('div', { class: 'query' }, make('code', {}, query), copyButton(query)))
  }
  pane.dataset.type = family.type
  pane.replaceChildren(...parts)
  pane.scrollTop = 0
  pane.refresh = () => {
    const value = store.value(item), rate = store.rate(item)
    amount.data = isTime(family, value) ? exact(item, value) : shown(item, value)
    big.title = exact(item, value)
    gain.textContent = rate === rate ? perSecond(item, rate) : family.type
    if (!one && !top.contains(document.activeElement)) top.replaceChildren(...largest(item))
    if (!isHistogram) return plot(canvas, item)
    const buckets = edges(one ? [one] : item.rows)
    quantiles.replaceChildren(...['', 'while this page is open', 'since the start'].map((text) => make('span', { class: 'quiet' }, text)), ...[0.5, 0.9, 0.95, 0.99].flatMap((q) => [make('span', {}, 'p' + q * 100),
      ...[0, -1].map((from) => make('span', {}, measured(family, Number(store.quantile({ buckets }, q, from, store.columns.length - 1).toPrecision(4)))))]))
    heat(canvas, family, buckets)
  }
}

// Buckets of all these rows together: for each bound, the numbers of the series that have it.
function edges(rows) {
  const found = new Map()
  for (const row of rows) {
    for (const { le, number } of row.buckets) {
      if (!found.has(le)) found.set(le, { le, numbers: [] })
      found.get(le).numbers.push(number)
    }
  }
  return [...found.values()]
}

function largest(family) {
  const rows = family.rows.map((row) => [row, store.value(row) || 0]).sort((a, b) => b[1] - a[1]).slice(0, 10)
  const most = rows[0]?.[1] || 1
  return rows.map(([row, value]) => {
    const bar = make('i')
    bar.style.width = Math.max(0, value / most * 100) + '%'
    return make('button', { class: 'bar', type: 'button', onclick: () => choose(row) }, bar,
      make('span', { class: 'mono labels' }, ...labelNodes(row.labels)), make('b', {}, shown(row, value)))
  })
}

function unselect() {
  view.selected = null
  view.pane = ''
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

// A number beside a line: of what counts, a rate.
const tick = (item, v) => store.counts(item) ? scaled(v) : shown(item, v).length < 9 ? shown(item, v) : scaled(v)

function timeAxis({ pen, width, height, quiet }, left, start = store.times[0]) {
  pen.fillStyle = quiet
  pen.textAlign = 'left'
  pen.fillText(age((store.times.at(-1) - start) / 1000) + ' ago', left, height - 2)
  pen.textAlign = 'right'
  pen.fillText('now', width, height - 2)
}

function plot(canvas, item) {
  const s = surface(canvas), { pen, width, height } = s
  const good = [...store.before(item), ...store.points(item)].filter(([, v]) => isFinite(v))
  if (good.length < 2) {
    pen.fillStyle = s.quiet
    return pen.fillText('The plot begins with the next look.', 0, 20)
  }
  let low = Math.min(0, ...good.map((p) => p[1])), high = Math.max(...good.map((p) => p[1]))
  if (high <= low) high = low + 1
  const left = 58, bottom = height - 18, start = good[0][0], span = good.at(-1)[0] - start || 1
  const x = (t) => left + (t - start) / span * (width - left)
  const y = (v) => bottom - (v - low) / (high - low) * (bottom - 8)
  pen.strokeStyle = s.line
  pen.fillStyle = s.quiet
  pen.textAlign = 'right'
  for (let i = 0; i <= 4; i++) {
    const v = low + (high - low) * i / 4
    pen.beginPath(); pen.moveTo(left, y(v)); pen.lineTo(width, y(v)); pen.stroke()
    pen.fillText(tick(item, v), left - 6, y(v) + 4)
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
  timeAxis(s, left, start)
  crosshair(canvas, s, left, (at) => {
    const near = good.reduce((best, point) => Math.abs(x(point[0]) - at) < Math.abs(x(best[0]) - at) ? point : best)
    return [x(near[0]), y(near[1]), (store.counts(item) ? perSecond(item, near[1]) : measured(item.family || item, near[1])) + ', ' + new Date(near[0]).toLocaleTimeString('sv')]
  })
}

// The value under the pointer, which `find` gives for a place: its x, its y, its words.
function crosshair(canvas, s, left, find) {
  canvas.onpointermove = (event) => { canvas.at = event.offsetX; canvas.parentNode.refresh?.() }
  canvas.onpointerleave = () => { canvas.at = undefined; canvas.parentNode.refresh?.() }
  if (!(canvas.at >= left)) return
  const { pen, width, height } = s
  const [x, y, words] = find(canvas.at)
  pen.strokeStyle = pen.fillStyle = s.quiet
  pen.lineWidth = 1
  pen.beginPath(); pen.moveTo(x, 0); pen.lineTo(x, height - 18); pen.stroke()
  pen.fillStyle = s.color
  pen.beginPath(); pen.arc(x, y, 3.5, 0, 7); pen.fill()
  pen.textAlign = x > (left + width) / 2 ? 'right' : 'left'
  pen.font = '600 12px system-ui'
  pen.fillStyle = getComputedStyle(canvas).color
  pen.fillText(words, x + (x > (left + width) / 2 ? -8 : 8), 14)
  canvas.title = words
}

// Time to the right, buckets upwards; the darker, the more came.
function heat(canvas, family, found) {
  const s = surface(canvas), { pen, width, height } = s
  const buckets = [...found].sort((a, b) => a.le - b.le)
  const looks = store.columns.length
  if (looks < 2) {
    pen.fillStyle = s.quiet
    return pen.fillText('The strip begins with the next look.', 0, 20)
  }
  const left = 58, bottom = height - 18, step = (width - left) / (looks - 1)
  const cells = []
  let most = 0
  for (let look = 1; look < looks; look++) {
    let before = 0
    buckets.forEach((bucket, i) => {
      const count = store.gains(bucket, look - 1, look)
      if (count > before) cells.push([look, i, count - before])
      most = Math.max(most, count - before || 0)
      before = count
    })
  }
  // Only the buckets where something came, and one more on both sides.
  const used = cells.map(([, i]) => i)
  const low = Math.max(0, Math.min(buckets.length - 1, ...used) - 1), high = Math.min(buckets.length - 1, Math.max(2, ...used) + 1)
  const tall = bottom / (high - low + 1)
  pen.fillStyle = s.color
  for (const [look, i, count] of cells) {
    pen.globalAlpha = 0.15 + 0.85 * Math.sqrt(count / most)
    pen.fillRect(left + (look - 1) * step, bottom - (i - low + 1) * tall, Math.max(1, step - 0.5), tall - 0.5)
  }
  pen.globalAlpha = 1
  pen.fillStyle = s.quiet
  pen.textAlign = 'right'
  const skip = Math.ceil((high - low + 1) / 7)
  for (let i = low; i <= high; i += skip) pen.fillText(measured(family, buckets[i].le), left - 6, bottom - (i - low + 1) * tall + 10)
  timeAxis(s, left)
}

const paneHead = (title) => make('div', { class: 'head' }, make('h2', {}, title),
  make('button', { class: 'close', type: 'button', 'aria-label': 'Close', onclick: unselect }, '✕'))

// Why lines did not count, and which look like a mistake.
async function refusedPane(pane) {
  pane.shows = null
  let found
  try { found = await (await fetch('api/v1/rejected', { cache: 'no-store' })).json() } catch { return }
  if (view.pane !== 'refused' || pane.contains(document.activeElement) && pane.querySelector('h3')) return
  const reasons = found.reasons.sort((a, b) => a.counted - b.counted || b.count - a.count)
  const rows = (reason) => found.lines.filter((line) => line.reason === reason.reason).slice(0, 8).map((line) =>
    make('div', { class: 'group' }, make('code', { class: 'mono' }, line.line + (line.cut ? '…' : '')),
      make('span', { class: 'quiet', title: line.time }, line.socket + (line.times > 1 ? ' ×' + short(line.times) : '') + ', ' + age((Date.now() - Date.parse(line.time)) / 1000) + ' ago')))
  pane.replaceChildren(paneHead('Refused'),
    make('p', { class: 'quiet' }, 'Lines and pushes that did not count, or count and look like a mistake. metrics-sidecar tail --rejected follows them.'),
    ...reasons.flatMap((reason) => [
      make('h3', { class: reason.counted ? '' : 'bad' }, reason.reason.replaceAll('_', ' ') + ' · ' + short(reason.count) + (reason.counted ? ', counted' : '')),
      make('p', {}, reason.meaning), ...rows(reason)]))
  if (!reasons.length) pane.append(make('p', {}, 'Nothing was refused since the start.'))
}

// Each job by its name: how it went last, when, and how long it takes.
function jobs() {
  const found = new Map()
  for (const family of store.families.values()) {
    if (!/^job_/.test(family.name)) continue
    for (const row of family.rows) {
      const name = row.labels.find(([k]) => k === 'job_name')?.[1], value = store.value(row)
      if (!name || value !== value) continue
      const job = found.get(name) || { name, runs: 0, failures: 0 }
      found.set(name, job)
      if (family.name === 'job_runs_total') {
        job.runs += value
        if (row.labels.some(([k, v]) => k === 'result' && v !== 'success')) job.failures += value
      } else if (family.name === 'job_last_success_timestamp_seconds') job.success = value
      else if (family.name === 'job_exit_code') job.code = value
      else if (family.name === 'job_duration_seconds' && row.sum !== undefined) job.seconds = store.at(row.sum) / value
    }
  }
  return [...found.values()]
}

function jobsPane(pane) {
  pane.shows = null
  pane.replaceChildren(paneHead('Jobs'), ...jobs().map((job) => make('div', { class: 'group' },
    make('div', { class: 'mono' }, job.name),
    make('span', { class: job.code ? 'bad' : 'quiet' }, (job.code === undefined ? '' : job.code ? 'failed with ' + job.code : 'succeeded') ),
    make('span', { class: 'quiet' }, [job.success ? 'last success ' + age(Date.now() / 1000 - job.success) + ' ago' : 'no success yet',
      short(job.runs) + ' runs' + (job.failures ? ', ' + short(job.failures) + ' failed' : ''),
      job.seconds === job.seconds && job.seconds !== undefined ? duration(Number(job.seconds.toPrecision(3))) + ' on average' : ''].filter((part) => part).join(' · ')))))
}

// The rules in force, as their file has them, and which families each has made.
let rules = null, rulesTrouble = ''
async function loadRules() {
  try {
    const answer = await fetch('api/v1/rules', { cache: 'no-store' })
    const found = await answer.json()
    rulesTrouble = answer.ok ? '' : found.detail
    if (answer.ok) rules = { unmatched: found.unmatched || 'expose', families: found.families || [] }
  } catch (error) { rulesTrouble = error.message }
}

// Captures in a family's name stand for anything.
const makes = (rule, name) => new RegExp('^' + rule.name.split(/\$(?:\d|\{\d+\})/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*') + '$').test(name)
const ruleEvents = (rule) => (rule.events || []).map((event) => (event.event || '*') + (event.when ? ' when ' + JSON.stringify(event.when) : '')).join(', ')

function ruleWords(family) {
  if (family.own) return 'The sidecar itself.'
  const at = rules ? rules.families.findIndex((rule) => rule.name && makes(rule, family.name)) : -1
  if (at < 0) return rulesTrouble || 'No rule: events of this name, or a push.'
  return 'Rule ' + (at + 1) + ': ' + ruleEvents(rules.families[at])
}

async function rulesPane(pane) {
  pane.shows = null
  await loadRules()
  if (view.pane !== 'rules' || pane.querySelector('.bar:focus')) return
  const families = [...store.families.values()].filter((family) => !family.own)
  const rows = (rules?.families || []).map((rule, at) => {
    const made = rule.name ? families.filter((family) => makes(rule, family.name)) : []
    const series = made.reduce((sum, family) => sum + family.rows.filter((row) => store.value(row) === store.value(row)).length, 0)
    const isUsed = made.some((family) => family.rows.some((row) => store.value(row)))
    const rate = made.reduce((sum, family) => sum + (store.rate(family) || 0), 0)
    return make('button', { class: 'bar', type: 'button', onclick: () => made[0] && choose(made[0]) },
      make('span', { class: 'mono' }, (at + 1) + '  ' + (rule.name || rule.drop || 'drops')),
      make('b', { class: isUsed ? '' : 'quiet' }, isUsed ? scaled(rate) + '/s · ' + short(series) + ' series' : rule.name ? 'nothing so far' : 'drops'),
      make('span', { class: 'quiet' }, ruleEvents(rule)))
  })
  pane.replaceChildren(paneHead('Rules'), make('p', { class: rulesTrouble ? 'bad' : 'quiet' }, rulesTrouble
    || (rows.length ? 'What they have made, in their order. Events that no rule takes are ' + (rules.unmatched === 'drop' ? 'dropped.' : 'shown under their own names.') : 'No rules: each event has its own name.')), ...rows)
}

const panes = { rules: rulesPane, push: pushPane, refused: refusedPane, jobs: jobsPane }

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
  const failed = store.families.get('push_failure_time_seconds')?.byLabels
  const mayDelete = document.firstChild.data?.includes('push-admin')
  pane.shows = null
  // A group that has the focus must not move away under it.
  if (pane.querySelector('.group :focus-visible')) return
  pane.replaceChildren(paneHead('Push groups'),
    ...rows.slice(0, 500).map((row) => {
      const pushed = store.value(row), failure = failed?.get(row.text) ? store.value(failed.get(row.text)) : 0
      const group = make('div', { class: 'group' }, make('div', { class: 'mono labels' }, ...labelNodes(row.labels.filter(([, v]) => v))),
        make('span', { class: failure > pushed ? 'bad' : 'quiet' }, failure > pushed ? 'failed ' + age(Date.now() / 1000 - failure) + ' ago'
          : age(Date.now() / 1000 - pushed) + ' ago'))
      if (mayDelete) group.append(make('button', { class: 'danger', type: 'button', onclick: async (event) => {
        if (!confirm('Delete the group ' + labelText(row.labels) + '?')) return
        event.target.blur()
        const answer = await fetch(groupPath(row.labels), { method: 'DELETE' })
        await answer.text()
        if (answer.ok) return look()
        $('status').textContent = 'not deleted: ' + answer.status
      } }, 'Delete'))
      return group
    }))
  if (!rows.length) pane.append(make('p', { class: 'quiet' }, 'No group has been pushed.'))
}
