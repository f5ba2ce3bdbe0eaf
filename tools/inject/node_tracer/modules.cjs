'use strict'

// Runs a hook right after the target has loaded a file of a package, however it was asked for: `require` by any name,
// or `import` of a CommonJS package.

const Module = require('node:module')
const path = require('node:path')
const { guarded } = require('./record.cjs')

/** Hook files by the end of their path below node_modules: `pg/lib/client.js` to a function of its exports. */
function install (hooks) {
  const load = Module._extensions['.js']
  Module._extensions['.js'] = function (module, filename) {
    load.apply(this, arguments)
    guarded(() => {
      const parts = filename.split(path.sep)
      const below = parts.slice(parts.lastIndexOf('node_modules') + 1).join('/')
      if (parts.length > 1 && Object.hasOwn(hooks, below)) hooks[below](module.exports)
    })
  }
  const loadAny = Module._load
  Module._load = function (request) {
    const loaded = loadAny.apply(this, arguments)
    if (request === 'node:sqlite') guarded(hooks['node:sqlite'], loaded)
    return loaded
  }
}

module.exports = { install }
