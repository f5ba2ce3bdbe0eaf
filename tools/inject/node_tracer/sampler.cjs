'use strict'

// What runs in this thread, sample by sample: V8's own profiler, which sees inside native calls as well. The inspector's
// session is inside the process, so that no port is opened.

const { fileURLToPath } = require('node:url')
const { performance } = require('node:perf_hooks')

const SAMPLE_US = 5000
// What V8 shows where no code of anybody's runs.
const NOBODY = new Set(['(root)', '(program)', '(idle)', '(garbage collector)'])

class Sampler {
  /** Sample from now on. */
  constructor () {
    const { Session } = require('node:inspector')
    this.session = new Session()
    this.session.connect()
    this.post('Profiler.enable')
    this.post('Profiler.setSamplingInterval', { interval: SAMPLE_US })
    this.start()
  }

  post (method, given = {}) {
    let answer = null
    this.session.post(method, given, (error, result) => { answer = error ? null : result })
    return answer
  }

  start () {
    this.post('Profiler.start')
    this.since = performance.now()
  }

  /**
   * Take what was sampled until now, and go on.
   *
   * Each sample has its time on the clock of `performance.now` and its frames, the innermost first, as
   * `{ file, line, name }`; none where no code of anybody's ran. The line is the busiest of a function that computes
   * itself; of one that only calls it is the line at which it begins, as V8 tells no other.
   */
  collect () {
    const profile = this.post('Profiler.stop')?.profile
    const now = performance.now()
    this.start()
    return profile ? readSamples(profile, now) : []
  }
}

function readSamples (profile, now) {
  const nodes = new Map(profile.nodes.map((node) => [node.id, { node, parent: null, frames: undefined }]))
  for (const { node } of nodes.values()) {
    for (const child of node.children ?? []) nodes.get(child).parent = node.id
  }
  const shift = now - profile.endTime / 1000
  let at = profile.startTime / 1000 + shift
  return profile.samples.map((id, index) => {
    at += profile.timeDeltas[index] / 1000
    return { at, frames: framesOf(nodes, id) }
  })
}

function framesOf (nodes, id) {
  const entry = nodes.get(id)
  if (entry.frames === undefined) {
    const { callFrame, positionTicks } = entry.node
    const outer = entry.parent === null ? [] : framesOf(nodes, entry.parent)
    entry.frames = NOBODY.has(callFrame.functionName) ? outer : [readFrame(callFrame, positionTicks), ...outer]
  }
  return entry.frames
}

function readFrame ({ functionName: name, url, lineNumber }, ticks = []) {
  const most = ticks.reduce((best, tick) => (tick.ticks > best.ticks ? tick : best), { ticks: 0 })
  return { file: url.startsWith('file:') ? fileURLToPath(url) : url, line: most.line ?? lineNumber + 1, name }
}

module.exports = { Sampler }
