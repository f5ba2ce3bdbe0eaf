'use strict'

// Starts the tracer in a target's own Node when PERFCREW_TRACE names a folder: `node --require` loads this file first.
// PERFCREW_WATCH says what for: nothing for requests and statements, else one of the words below; others, such as
// `allocations`, are for Python alone.
//
// It runs inside the target. Every hook of its own is guarded: what fails is lost from the trace, never felt by the
// target. Packages of the target's are patched when the target loads them, and none is loaded that it does not load.

const WATCHES = {
  loop: () => require('./watch_loop.cjs'),
  pool: () => require('./watch_pool.cjs'),
  profile: () => require('./watch_profile.cjs')
}
const { PERFCREW_TRACE: folder, PERFCREW_WATCH: watch } = process.env
if (folder) {
  try {
    require('./record.cjs').start(folder, process.cwd())
    if (watch) WATCHES[watch]?.().install(folder)
    else followRequests()
  } catch (error) {
    process.stderr.write(`perfcrew: tracing is off: ${error}\n`)
  }
}

function followRequests () {
  require('./requests.cjs').install({ loop: true })
  require('./modules.cjs').install(require('./statements.cjs').HOOKS)
}
