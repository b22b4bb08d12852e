#!/usr/bin/env node
// Wrong: the module is loaded once and its function called four times, so that four instances share one ID, and each of
// them finds that the smallest ID is its own.
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';

const INSTANCES = 4;
const ID = process.env.INSTANCE_ID;

async function plugin() {
  fs.writeFileSync(path.join(process.env.ELECTION_DIR, `${ID}.lock`), '');
  await new Promise((resolve) => setTimeout(resolve, 150));
  const smallest = fs.readdirSync(process.env.ELECTION_DIR).sort()[0];
  const primary = smallest === `${ID}.lock`;
  return (event) => {
    if (primary) fs.appendFileSync(process.env.REALTIME_LOG, `${event} ${ID}\n`);
  };
}

const plugins = await Promise.all(Array.from({ length: INSTANCES }, plugin));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [word, event] = line.split(' ');
  if (word === 'quit') break;
  if (word === 'event') plugins.forEach((receive) => receive(event));
}
process.exit();
