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
