'use strict'

// Lets perfcrew ask this process for something, by files, as perfcrew_tracer/control.py does: a question is
// ask-N.json in the trace's folder, its answer answer-N-PID.json, and alive-PID shows that somebody will answer.

const fs = require('node:fs')
const path = require('node:path')

const POLL_MS = 50
// Taken now: a test of the target's may put its own timers in their place.
const { setTimeout } = globalThis

/** Answer questions: `answers` has a function for each, which may give a promise. */
function serve (folder, answers) {
  let number = 1
  // Questions that were asked before this process began are none of its.
  while (fs.existsSync(path.join(folder, `ask-${number}.json`))) number += 1
  const poll = async () => {
    try {
      put(folder, `alive-${process.pid}`, '')
      const asked = read(path.join(folder, `ask-${number}.json`))
      if (asked !== null) {
        put(folder, `answer-${number}-${process.pid}.json`, JSON.stringify(await answer(answers, asked)))
        number += 1
      }
    } catch {
      // The folder is gone: the measurement is over.
      return
    }
    setTimeout(poll, POLL_MS).unref()
  }
  poll()
}

async function answer (answers, asked) {
  try {
    return await answers[asked.do](asked)
  } catch (error) {
    return { error: String(error) }
  }
}

function read (file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'))
  } catch {
    return null
  }
}

function put (folder, name, text) {
  const partial = path.join(folder, `${name}.${process.pid}.partial`)
  fs.writeFileSync(partial, text)
  fs.renameSync(partial, path.join(folder, name))
}

module.exports = { serve }
