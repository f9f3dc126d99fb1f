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
  pane.className = item || view.showsPush ? '' : 'empty'
  if (view.showsPush) return pushPane(pane)
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
  const isHistogram = family.type === 'histogram'
  const parts = [make('div', { class: 'head' }, make('h2', {}, family.name), close),
    make('p', { class: 'quiet' }, family.help || 'No help text.'), big, canvas]
  if (isHistogram) parts.push(make('h3', {}, 'Quantiles'), quantiles)
  if (one && one.labels.length) {
    const pairs = make('div', { class: 'pairs mono' })
    for (const [k, v] of one.labels) pairs.append(make('span', {}, k || '·'), make('span', {}, v))
    parts.push(make('h3', {}, 'Labels'), pairs)
  }
  if (!one) parts.push(make('h3', {}, 'Largest series'), top)
  parts.push(make('h3', {}, 'PromQL'))
  for (const query of queries(item)) {
    parts.push(make('div', { class: 'query' }, make('code', {}, query), copyButton(query)))
  }
  pane.dataset.type = family.type
  pane.replaceChildren(...parts)
  pane.scrollTop = 0
  pane.refresh = () => {
    const value = store.value(item), rate = store.rate(item)
    amount.data = shown(item, value)
    big.title = String(value)
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

// A number beside a line: of what counts, a rate.
const tick = (item, v) => store.counts(item) ? scaled(v) : shown(item, v).length < 9 ? shown(item, v) : scaled(v)

function timeAxis({ pen, width, height, quiet }, left) {
  pen.fillStyle = quiet
  pen.textAlign = 'left'
  pen.fillText(age((store.times.at(-1) - store.times[0]) / 1000) + ' ago', left, height - 2)
  pen.textAlign = 'right'
  pen.fillText('now', width, height - 2)
}

function plot(canvas, item) {
  const s = surface(canvas), { pen, width, height } = s
  const good = store.points(item).filter(([, v]) => isFinite(v))
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
  timeAxis(s, left)
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
  pane.replaceChildren(make('div', { class: 'head' }, make('h2', {}, 'Push groups'),
    make('button', { class: 'close', type: 'button', 'aria-label': 'Close', onclick: unselect }, '✕')),
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
