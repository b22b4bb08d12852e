#!/usr/bin/env node
// Wrong: a list of instances in one file; read, add oneself, write back, wait 150 ms; the smallest younger than 30 s wins.
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';

const LIST = path.join(process.env.ELECTION_DIR, 'instances.json');
const ID = process.env.INSTANCE_ID;
const WAIT_MS = 150;
const STALE_MS = 30_000;

function instances() {
  try {
    return JSON.parse(fs.readFileSync(LIST, 'utf8')).filter((one) => Date.now() - one.at < STALE_MS);
  } catch {
    return [];
  }
}

fs.writeFileSync(LIST, JSON.stringify([...instances(), { id: ID, at: Date.now() }]));
await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
const smallest = instances().map((one) => one.id).sort()[0] ?? ID;
const primary = smallest === ID;
console.log(primary ? 'primary' : 'secondary');
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [word, event] = line.split(' ');
  if (word === 'quit') break;
  if (word === 'event' && primary) fs.appendFileSync(process.env.REALTIME_LOG, `${event} ${ID}\n`);
}
console.log('left');
process.exit();
