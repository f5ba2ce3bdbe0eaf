'use strict'

// Measures how late the event loop is while it serves, and which stacks held it: the lines that perfcrew_tracer/lag.py
// writes. A timer is due every 10 ms. Times that were due while the loop was held are counted as well, each with what
// was left of the wait, so that the figures are those of somebody who comes at any moment. A timer of Node's comes up
// to 1 ms late of itself.

const fs = require('node:fs')
const { performance } = require('node:perf_hooks')
const { isMainThread } = require('node:worker_threads')
const { guarded, writeLine } = require('./record.cjs')
const { Sampler } = require('./sampler.cjs')

const BEAT_MS = 10
const LATE_MS = 20
const FLUSH_MS = 250
const COLLECT_MS = 2000
const DEEPEST = 80
const { setTimeout } = globalThis

/** Watch the main thread's loop; threads of workers have loops of their own, on which nobody waits. */
function install () {
  if (isMainThread) new Watch().wait()
}

class Watch {
  constructor () {
    this.sampler = new Sampler()
    this.due = this.flushed = performance.now()
    this.lags = []
    this.held = []
    this.before = clocks()
  }

  wait () {
    this.due += BEAT_MS
    setTimeout(() => { guarded(() => this.beat()); this.wait() }, Math.max(this.due - performance.now(), 0)).unref()
  }

  beat () {
    const now = clocks()
    if (now.at - this.due > LATE_MS) this.held.push({ from: this.due, before: this.before, now })
    while (this.due <= now.at) {
      this.lags.push([wall(this.due), round(now.at - this.due)])
      this.due += BEAT_MS
    }
    this.due -= BEAT_MS
    this.before = now
    if (now.at - this.flushed > FLUSH_MS) this.flush(now.at)
  }

  /** Write lags, and stretches once nothing new comes or they get old: to collect samples holds the loop itself. */
  flush (now) {
    writeLine({ kind: 'lag', beats: this.lags })
    this.lags = []
    this.flushed = now
    const last = this.held.at(-1)
    if (!last || (now - last.now.at < FLUSH_MS && now - this.held[0].from < COLLECT_MS)) return
    const samples = this.sampler.collect()
    for (const stretch of this.held) writeLine(describe(stretch, samples))
    this.held = []
    // What collecting and writing took is not the target's.
    this.due = performance.now()
    this.before = clocks()
  }
}

/** A stretch as it is written: its stacks, each with its time, work in the loop's thread, and work in the process. */
function describe ({ from, before, now }, samples) {
  const within = samples.filter(({ at }) => at >= from && at <= now.at)
  const counts = new Map()
  for (const { frames } of within) {
    const stack = collapse(frames)
    if (stack) counts.set(stack, (counts.get(stack) ?? 0) + 1)
  }
  const ms = now.at - from
  const span = now.at - before.at
  const looks = [...counts].map(([stack, count]) => {
    const share = count / within.length
    const [own, all] = [now.own - before.own, now.all - before.all].map((spent) => spent * (ms / span) * share)
    return [stack, round(ms * share), round(own), round(Math.max(own, all))]
  })
  return { kind: 'held', at: wall(from), ms: round(ms), looks }
}

/** Milliseconds: now, of work in the loop's thread, of CPU time in the process. */
function clocks () {
  const { user, system } = process.cpuUsage()
  const all = (user + system) / 1000
  return { at: performance.now(), own: work() ?? all, all }
}

/** Time on a core or in the queue for one: a busy machine must not make what computes look as if it waited. */
function work () {
  try {
    // Nanoseconds on a core and in its queue: see proc-schedstat in the kernel's documentation.
    const [running, queued] = fs.readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')
    return (Number(running) + Number(queued)) / 1e6
  } catch {
    return null
  }
}

/** A stack in the form of profilers: `function (file:line);…`, outermost first. */
function collapse (frames) {
  const shown = frames.slice(0, DEEPEST).map(({ file, line, name }) => {
    return `${(name || '(anonymous)').replaceAll(';', ',')} (${file || 'native'}:${line})`
  })
  return shown.reverse().join(';')
}

function wall (moment) {
  return performance.timeOrigin / 1000 + moment / 1000
}

function round (milliseconds) {
  return Math.round(milliseconds * 1000) / 1000
}

module.exports = { install }
