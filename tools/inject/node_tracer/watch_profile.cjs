'use strict'

// CPU profiles, heap sampling and heap snapshots of this process when perfcrew asks for them. The inspector's session
// is inside the process: no port is opened, so that any number of servers can be profiled side by side.

const path = require('node:path')
const { isMainThread } = require('node:worker_threads')
const { serve } = require('./control.cjs')

const SAMPLE_US = 1000
const HEAP_BYTES = 32768
// What is left of each request may be a small object that holds on to much outside the heap.
const LIVE_BYTES = 2048

let session = null

function post (method, given = {}) {
  if (session === null) {
    session = new (require('node:inspector').Session)()
    session.connect()
  }
  return new Promise((resolve, reject) => {
    session.post(method, given, (error, result) => error ? reject(new Error(error.message)) : resolve(result))
  })
}

const answers = {
  async cpu_start () {
    await post('Profiler.enable')
    await post('Profiler.setSamplingInterval', { interval: SAMPLE_US })
    await post('Profiler.start')
    return {}
  },
  async cpu_stop () {
    return await post('Profiler.stop')
  },
  async heap_start () {
    await post('HeapProfiler.enable')
    // Collected objects stay in the sums: what was allocated, not only what is left of it.
    await post('HeapProfiler.startSampling', {
      samplingInterval: HEAP_BYTES, includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true
    })
    return {}
  },
  async heap_stop () {
    return await post('HeapProfiler.stopSampling')
  },
  async live_start () {
    await post('HeapProfiler.enable')
    await post('HeapProfiler.startSampling', { samplingInterval: LIVE_BYTES })
    return {}
  },
  async live_stop () {
    await post('HeapProfiler.collectGarbage')
    return await post('HeapProfiler.stopSampling')
  },
  async snapshot ({ folder, name }) {
    const file = path.join(folder, `${name}-${process.pid}.heapsnapshot`)
    require('node:v8').writeHeapSnapshot(file)
    return { file: path.basename(file), used: process.memoryUsage().heapUsed }
  }
}

/** Wait for questions; threads of workers have inspectors of their own and are left alone. */
function install (folder) {
  const here = { ...answers, snapshot: (asked) => answers.snapshot({ ...asked, folder }) }
  if (isMainThread) serve(folder, here)
}

module.exports = { install }
