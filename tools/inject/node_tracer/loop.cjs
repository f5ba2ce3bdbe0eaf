'use strict'

// Finds what holds the event loop while a request is answered. A timer beats every 10 ms: where it comes 50 ms late,
// the loop was held, and samples of what ran tell the lines that held it.

const { performance } = require('node:perf_hooks')
const { guarded, inFlight, noteBlocked, unseen } = require('./record.cjs')
const { Sampler } = require('./sampler.cjs')
const { ownPath, showPlace } = require('./sites.cjs')

const BLOCKED_MS = 50
const BEAT_MS = 10
const SETTLE_MS = 2 * BEAT_MS
const KEPT_MS = 60000
// Taken now: a test of the target's may put its own timers in their place.
const { setInterval, setTimeout } = globalThis

const state = { sampler: null, beat: 0, held: [], seen: [] }

/** A request begins: watch from the first one on. */
function begin () {
  if (state.sampler !== null) return
  state.sampler = new Sampler()
  state.beat = performance.now()
  setInterval(beat, BEAT_MS).unref()
}

function beat () {
  const now = performance.now()
  if (now - state.beat >= BLOCKED_MS + BEAT_MS) state.held.push([state.beat, now])
  state.beat = now
  if (inFlight.size === 0 && state.held.length === 0 && now - state.sampler.since > KEPT_MS) guarded(collect)
}

/** Take what was sampled; what is long over is forgotten. */
function collect () {
  const fresh = unseen(() => state.sampler.collect()).map(({ at, frames }) => ({ at, site: siteOf(frames) }))
  const now = performance.now()
  state.seen = [...state.seen.filter(({ at }) => now - at < KEPT_MS), ...fresh]
}

/** A request has ended: once the timer had its turn, see whether it held the loop. */
function end (trace) {
  // Only a request that was alone can be named: with several in flight nobody knows whose step it was.
  if (!trace.alone || trace.ms < BLOCKED_MS) return
  setTimeout(() => guarded(tell, trace), SETTLE_MS).unref()
}

function tell (trace) {
  const until = trace.over
  const held = state.held.filter(([from, to]) => from < until && to > trace.began)
  state.held = state.held.filter(([, to]) => to > until)
  if (held.length === 0) return
  collect()
  for (const [beaten, to] of held) {
    const from = Math.max(beaten, trace.began)
    const within = state.seen.filter(({ at }) => at >= from && at <= to)
    for (const [site, share] of sharesOf(within)) noteBlocked(trace, site, (to - from) * share)
  }
}

function siteOf (frames) {
  const own = frames.find(({ file }) => ownPath(file) !== null)
  return own ? showPlace({ ...own, file: ownPath(own.file) }) : ''
}

/** The target's lines with their share of some samples; what nobody saw is taken to have been like the rest. */
function sharesOf (samples) {
  const counts = new Map()
  for (const { site } of samples) if (site) counts.set(site, (counts.get(site) ?? 0) + 1)
  return [...counts].map(([site, count]) => [site, count / samples.length])
}

module.exports = { begin, end }
