// npm `hot-shots`: plays its part of the plan, a chunk for each line on standard input.
'use strict';
const fs = require('fs');
const readline = require('readline');
const { StatsD } = require('hot-shots');

const [planFile, transport, address] = process.argv.slice(2);
const plan = JSON.parse(fs.readFileSync(planFile, 'utf8'));
const broken = (error) => { console.error(error); process.exit(1); };
const options = { datadog: false, errorHandler: broken, bufferFlushInterval: 3600000 };
if (transport === 'udp') {
  const colon = address.lastIndexOf(':');
  Object.assign(options, { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
} else {
  Object.assign(options, { protocol: 'uds', path: address });
}
// One client sends line by line, the other joins lines; both to the same place.
const single = new StatsD({ ...options, maxBufferSize: 0 });
const joining = new StatsD({ ...options, maxBufferSize: 1400 });

function play(client, { kind, name, value, more }, sent) {
  const { tags, ...rest } = more;
  switch (kind) {
    case 'count': return client.increment(name, value, 1, tags, sent);
    case 'gauge': return client.gauge(name, value, 1, tags, sent);
    case 'delta': return client.gaugeDelta(name, value, 1, tags, sent);
    case 'timing': return client.timing(name, value, 1, tags, sent);
    case 'histogram': return client.histogram(name, value, 1, tags, sent);
    case 'distribution': return client.distribution(name, value, 1, tags, sent);
    case 'set': return client.set(name, value, 1, tags, sent);
    case 'event': return client.event(name, value, rest, tags, sent);
    case 'check': return client.check(name, value, rest, tags, sent);
    default: throw new Error(`unknown kind ${kind}`);
  }
}
const settle = (start) => new Promise((done) => start((error) => (error ? broken(error) : done())));

async function main() {
  const chunks = plan.clients.hot_shots[Symbol.iterator]();
  console.log('ready');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line === '') continue;
    const { buffered, ops } = chunks.next().value;
    const client = buffered ? joining : single;
    for (const op of ops) await settle((sent) => play(client, op, sent));
    if (buffered) await settle((sent) => client.flush(sent));
    console.log('done');
  }
  process.exit(0); // a Unix socket of unix-dgram keeps the process alive
}
main().catch(broken);
