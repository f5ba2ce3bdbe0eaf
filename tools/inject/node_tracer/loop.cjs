'use strict'

// Finds what holds the event loop while a request is answered. A timer beats every 10 ms: where it comes 50 ms late,
// the loop was held, and V8's sampling profiler, which sees inside native calls as well, tells the line that held it.

const { performance } = require('node:perf_hooks')
const { guarded, inFlight, noteBlocked } = require('./record.cjs')
const { ownPath, showPlace } = require('./sites.cjs')

const BLOCKED_MS = 50
const BEAT_MS = 10
const SAMPLE_US = 5000
const SETTLE_MS = 2 * BEAT_MS
const KEPT_MS = 60000
// Taken now: a test of the target's may put its own timers in their place.
const { setInterval, setTimeout } = globalThis

const state = { session: null, since: 0, beat: 0, held: [], seen: [] }

/** A request begins: watch from the first one on. */
function begin () {
  if (state.session !== null) return
  const { Session } = require('node:inspector')
  state.session = new Session()
  state.session.connect()
  post('Profiler.enable')
  post('Profiler.setSamplingInterval', { interval: SAMPLE_US })
  sample()
  state.beat = performance.now()
  setInterval(beat, BEAT_MS).unref()
}

function post (method, given = {}) {
  let answer
  state.session.post(method, given, (error, result) => { answer = error ? null : result })
  return answer
}

function sample () {
  post('Profiler.start')
  state.since = performance.now()
}

/** Take what was sampled until now, and go on; what is long over is forgotten. */
function collect () {
  const profile = post('Profiler.stop')?.profile
  const now = performance.now()
  sample()
  state.seen = state.seen.filter(({ at }) => now - at < KEPT_MS)
  if (profile) state.seen.push(...readSamples(profile, now))
}

function beat () {
  const now = performance.now()
  if (now - state.beat >= BLOCKED_MS + BEAT_MS) state.held.push([state.beat, now])
  state.beat = now
  if (inFlight.size === 0 && state.held.length === 0 && now - state.since > KEPT_MS) {
    guarded(collect)
  }
}

/** A request has ended: once the timer had its turn, see whether it held the loop. */
function end (trace) {
  // Only a request that was alone can be named: with several in flight nobody knows whose step it was.
  if (!trace.alone || trace.ms < BLOCKED_MS) return
  setTimeout(() => guarded(tell, trace), SETTLE_MS).unref()
}

function tell (trace) {
  const until = trace.started + trace.ms
  const held = state.held.filter(([from, to]) => from < until && to > trace.started)
  state.held = state.held.filter(([, to]) => to > until)
  if (held.length === 0) return
  collect()
  for (const [beaten, to] of held) {
    const from = Math.max(beaten, trace.started)
    const within = state.seen.filter(({ at }) => at >= from && at <= to)
    for (const [site, share] of sharesOf(within)) noteBlocked(trace, site, (to - from) * share)
  }
}

/** Samples with their time on the clock of `performance.now` and the target's innermost line, if one was running. */
function readSamples (profile, now) {
  const nodes = new Map(profile.nodes.map((node) => [node.id, { node, parent: null, site: undefined }]))
  for (const { node } of nodes.values()) {
    for (const child of node.children ?? []) nodes.get(child).parent = node.id
  }
  const shift = now - profile.endTime / 1000
  let at = profile.startTime / 1000 + shift
  return profile.samples.map((id, index) => {
    at += profile.timeDeltas[index] / 1000
    return { at, site: siteOf(nodes, id) }
  })
}

function siteOf (nodes, id) {
  const entry = nodes.get(id)
  if (entry.site === undefined) {
    const { callFrame, positionTicks } = entry.node
    const file = ownPath(callFrame.url)
    if (file !== null) entry.site = showPlace({ file, line: busiestLine(callFrame, positionTicks), name: callFrame.functionName })
    else entry.site = entry.parent === null ? '' : siteOf(nodes, entry.parent)
  }
  return entry.site
}

function busiestLine (callFrame, ticks = []) {
  const most = ticks.reduce((best, tick) => (tick.ticks > best.ticks ? tick : best), { ticks: 0 })
  return most.line ?? callFrame.lineNumber + 1
}

/** The target's lines with their share of some samples; what nobody saw is taken to have been like the rest. */
function sharesOf (samples) {
  const counts = new Map()
  for (const { site } of samples) if (site) counts.set(site, (counts.get(site) ?? 0) + 1)
  return [...counts].map(([site, count]) => [site, count / samples.length])
}

module.exports = { begin, end }
