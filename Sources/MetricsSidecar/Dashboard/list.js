// The list: only the rows in view are in the document, however many there are.
const $ = (id) => document.getElementById(id)
const store = new Store()
const view = { items: [], offsets: [0], open: new Map(), selected: null, pool: [], pane: '' }
const FEW = 12

// A family of one series is one row: its labels stand beside its help text.
const hasOne = (family) => family.rows.length === 1
const isOpen = (family, searching) => view.open.get(family.name) ?? (searching || family.rows.length <= FEW)
const rowHeight = (item) => item.kind === 'family' ? 54 : matchMedia('(max-width: 760px)').matches ? 40 : 32

function arrange() {
  const fits = search($('search').value)
  const type = $('type').value, scope = $('scope').value, sort = $('sort').value
  const found = []
  let seriesCount = 0
  for (const family of store.families.values()) {
    if (type && family.type !== type || scope && (scope === 'own') !== family.own) continue
    const rows = family.rows.filter((row) => !Number.isNaN(store.value(row)) && (!fits || fits(family, row)))
    if (!rows.length) continue
    family.found = fits && rows.length < family.rows.length ? rows : null
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
    if (!hasOne(family) && isOpen(family, Boolean(fits))) rows.forEach(put)
  }
  $('found').textContent = found.length + (found.length === 1 ? ' family, ' : ' families, ') + short(seriesCount) + ' series'
  $('none').hidden = found.length > 0 || !store.times.length
  $('space').style.height = view.offsets.at(-1) + 'px'
  paint()
}

// What a search means: a test of a family and one of its series; null for everything.
function search(text) {
  const tests = []
  for (const [word] of text.matchAll(/\/(?:[^\/\\]|\\.)+\/|(?:[^\s"{]|"[^"]*"?|\{(?:[^}"]|"(?:[^"\\]|\\.)*")*\}?)+/g)) {
    const not = word.length > 1 && word[0] === '-', plain = not ? word.slice(1) : word
    const test = wordTest(plain)
    tests.push(not ? (...item) => !test(...item) : test)
  }
  return tests.length ? (...item) => tests.every((test) => test(...item)) : null
}

function wordTest(word) {
  const lower = word.toLowerCase()
  if (/^\/.+\/$/.test(word)) {
    try {
      const pattern = new RegExp(word.slice(1, -1), 'i')
      return (family, row) => pattern.test(family.name + ' ' + family.help + ' ' + row.words)
    } catch { return () => false }
  }
  const brace = word.indexOf('{')
  if (brace < 0) return (family, row) => (family.name + ' ' + family.help).toLowerCase().includes(lower) || row.words.includes(lower)
  const name = lower.slice(0, brace)
  const wanted = [...word.slice(brace).matchAll(/([^\s,={}!~"]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)/g)].map(([, label, sign, value]) => {
    let pattern = null
    if (sign[1] === '~') { try { pattern = new RegExp('^(?:' + value + ')$') } catch { pattern = /$^/ } }
    return (row) => {
      const found = row.labels.find(([k]) => k === label)?.[1] || ''
      return (pattern ? pattern.test(found) : found === unescape(value)) !== (sign[0] === '!')
    }
  })
  return (family, row) => family.name.toLowerCase().includes(name.replace(/_(bucket|sum|count)$/, '')) && wanted.every((fits) => fits(row))
}

function makeRow() {
  const row = make('div', { role: 'option' })
  row.arrow = make('span', { class: 'arrow' })
  row.name = make('span', { class: 'mono' })
  row.badge = make('span', { class: 'type' })
  row.head = make('div', { class: 'title' }, row.arrow, row.name, row.badge)
  row.note = make('div', { class: 'note labels' })
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
    const labels = hasOne(item) ? item.rows[0].labels : []
    const words = hasOne(item) ? item.help : (item.found ? short(item.found.length) + ' of ' : '') + short(item.rows.length) + ' series' + (item.help && ' · ' + item.help)
    row.note.replaceChildren(...(labels.length ? labelNodes(labels) : []), (labels.length && words ? ' · ' : '') + words)
    if (row.first.firstChild !== row.head) row.first.replaceChildren(row.head, row.note)
    row.first.className = ''
  } else {
    row.first.replaceChildren(...labelNodes(item.labels))
    row.first.className = 'mono labels'
  }
  const value = store.value(item)
  row.amount.textContent = shown(item, value)
  row.amount.title = exact(item, value)
  const rate = store.rate(item)
  const one = isFamily && hasOne(item) ? item.rows[0] : item
  const middle = one.buckets?.length ? store.quantile(one, 0.95, -1, store.columns.length - 1) : NaN
  row.rate.textContent = middle === middle ? 'p95 ' + measured(family, Number(middle.toPrecision(3)))
    : rate === rate ? perSecond(item, rate) : ''
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
  view.pane = ''
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
