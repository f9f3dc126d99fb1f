// Health at a glance, the keys, and the clock that looks at /metrics.
// A search shows part of a family; health is that of all of it.
const whole = (name) => { const f = store.families.get(name); return f && { ...f, found: null } }
const one = (name) => { const f = whole(name); return f ? store.value(f) : NaN }
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
      if (panes[box.family]) { view.selected = null; view.pane = box.family; return detail() }
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
  const events = whole('metrics_sidecar_events_total')
  const version = store.families.get('metrics_sidecar_build_info')?.rows[0]?.labels[0]?.[1]
  $('version').textContent = version || ''
  const since = store.families.get('process_start_time_seconds')
  // Who sends datagrams has no connection: all of them are one client here.
  const datagrams = events?.rows.some((row) => store.value(row) > 0 && row.labels.some(([k, v]) => k === 'socket' && /statsd|udp|spectator/.test(v)))
  const sessions = one('metrics_sidecar_sessions')
  tile('Clients', short(one('metrics_sidecar_connections') + (datagrams ? 1 : 0)), (datagrams ? 'datagrams · ' : '') + short(sessions) + (sessions === 1 ? ' session' : ' sessions') + ' remembered',
    { family: 'metrics_sidecar_connections' })
  if (events) {
    const rate = store.rate(events)
    tile('Events a second', rate === rate ? scaled(rate) : '–', store.value(events) ? short(store.value(events)) + ' since the start' : 'none yet: ? says how',
      { family: events.name, points: store.points(events, 60) })
  }
  const rejected = store.families.get('metrics_sidecar_events_rejected_total')
  const refusals = [
    ...(rejected ? rejected.rows.map((row) => [row.labels[0]?.[1] || '', store.value(row)]) : []),
    ['series limit', one('metrics_sidecar_series_refused_total')],
    ['connections', one('metrics_sidecar_connections_refused_total')],
  ].filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1])
  const refused = refusals.reduce((sum, [, count]) => sum + count, 0)
  const suspicious = one('metrics_sidecar_events_suspicious_total') || 0
  tile('Refused', short(refused), refusals.slice(0, 3).map(([why, n]) => why.replaceAll('_', ' ') + ' ' + short(n)).join(', ') || (suspicious ? short(suspicious) + ' look like a mistake' : 'nothing'),
    { family: 'refused', tone: refused || suspicious ? 'warn' : '' })
  const series = one('metrics_sidecar_series'), limit = one('metrics_sidecar_series_limit')
  tile('Series', short(series), 'of ' + short(limit), { family: 'metrics_sidecar_series', part: series / limit, tone: series >= limit ? 'bad' : '' })
  const resets = one('metrics_sidecar_state_resets_total')
  tile('State file', bytes(one('metrics_sidecar_state_bytes')), resets > 0 ? resets + ' set aside as damaged' : 'sound',
    { family: 'metrics_sidecar_state_bytes', tone: resets > 0 ? 'bad' : '' })
  tile('Memory', bytes(one('process_resident_memory_bytes')), 'up ' + (since ? age(Date.now() / 1000 - store.value(since)) : '–'),
    { family: 'process_resident_memory_bytes' })
  tile('Rules', rules ? short(rules.families.length) : '–', rulesTrouble || (rules && !rules.families.length ? 'none: own names' : 'which made what'), { family: 'rules', tone: rulesTrouble ? 'warn' : '' })
  const known = jobs()
  if (known.length) {
    const failed = known.filter((job) => job.code).length
    tile('Jobs', short(known.length), failed ? short(failed) + ' failed last' : 'all succeeded last', { family: 'jobs', tone: failed ? 'bad' : '' })
  }
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
    // The store forgets all when too much has come and gone; what was selected is another object then.
    const family = view.selected && (view.selected.family || view.selected)
    if (family && store.families.get(family.name) !== family) view.selected = null
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
  $('theme').textContent = '◐ ' + theme
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
loadRules().then(look)
