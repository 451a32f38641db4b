// Objects, strings, buffers outside of the JavaScript heap, zlib, a server with clients, worker threads. Ends when its
// standard input does. Each line of input is a step; each answer is what must be the same whatever malloc does.
'use strict'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads')
const crypto = require('crypto')
const http = require('http')
const zlib = require('zlib')

const hash = (data) => crypto.createHash('sha256').update(data).digest('hex')

function rows(seed, count) {
  let state = seed
  const roll = (n) => { state = (state * 1103515245 + 12345) % 2147483648; return (state >>> 8) % n }
  return Array.from({ length: count }, (_, id) => ({
    id,
    word: Array.from({ length: 1 + roll(12) }, () => String.fromCharCode(97 + roll(26))).join(''),
    list: Array.from({ length: roll(6) }, () => roll(100))
  }))
}

if (!isMainThread) {
  const kept = []
  for (let i = 0; i < 400; i++) kept[i % 40] = Buffer.alloc(1000 + (i * 7919) % 200000, i)
  parentPort.postMessage(hash(JSON.stringify(rows(workerData, 15000)) + hash(Buffer.concat(kept))))
} else {
  const steps = {
    async objects() {
      const text = JSON.stringify(rows(1, 60000).sort((a, b) => a.word < b.word ? -1 : a.word > b.word ? 1 : a.id - b.id))
      return hash(text.replace(/[aeiou](\w)/g, (_, c) => c.toUpperCase())) + JSON.parse(text).length
    },
    async buffers() {
      const kept = new Map()
      const digest = crypto.createHash('sha256')
      for (let i = 0; i < 4000; i++) {
        const buffer = Buffer.alloc(100 + (i * 7919) % 60000, i)
        if (i % 20 === 0) kept.set(i, buffer)
        digest.update(zlib.deflateSync(buffer, { level: 1 + i % 5 }))
      }
      return digest.digest('hex') + hash(zlib.gunzipSync(zlib.gzipSync(Buffer.concat([...kept.values()]))))
    },
    async server() {
      const server = http.createServer((request, response) => response.end(hash(request.url).repeat(1 + request.url.length % 50)))
      await new Promise((resolve) => server.listen('node.socket', resolve))
      const ask = (path) => new Promise((resolve, reject) => http.get({ socketPath: 'node.socket', path }, (response) => {
        const parts = []
        response.on('data', (part) => parts.push(part)).on('end', () => resolve(hash(Buffer.concat(parts))))
      }).on('error', reject))
      const answers = []
      for (let i = 0; i < 40; i++) answers.push(...await Promise.all(Array.from({ length: 20 }, (_, n) => ask('/' + 'x'.repeat(n) + i))))
      await new Promise((resolve) => server.close(resolve))
      return hash(answers.join())
    },
    async workers() {
      const ended = [1, 2, 3].map((n) => new Promise((resolve, reject) => {
        new Worker(__filename, { workerData: n }).on('message', resolve).on('error', reject)
      }))
      return (await Promise.all(ended)).join()
    },
    async rest() {
      global.gc()
      return 'collected'
    }
  }
  const lines = require('readline').createInterface({ input: process.stdin })
  lines.on('line', async (step) => console.log(await steps[step]()))
}
