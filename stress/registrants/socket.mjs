#!/usr/bin/env node
// Right, on Linux: of those who listen on one abstract socket the kernel lets one, for as long as its process lives.
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import readline from 'node:readline';

const ID = process.env.INSTANCE_ID;
const LOG = process.env.REALTIME_LOG;
const RETRY_MS = 20;
const name = '\0' + crypto.createHash('sha256').update(fs.realpathSync(process.env.ELECTION_DIR)).digest('hex');

function take() {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(name, () => resolve(true));
  });
}

let primary = await take();
console.log(primary ? 'primary' : 'secondary');
async function retry() {
  if (!primary && (await take())) {
    primary = true;
    console.log('primary');
  }
  if (!primary) setTimeout(retry, RETRY_MS);
}
setTimeout(retry, RETRY_MS);

function isLogged(event) {
  return fs.existsSync(LOG) && fs.readFileSync(LOG, 'utf8').split('\n').some((line) => line.split(' ')[0] === event);
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [word, event] = line.split(' ');
  if (word === 'quit') break;
  // A primary before this one may have written it.
  if (word === 'event' && primary && !isLogged(event)) fs.appendFileSync(LOG, `${event} ${ID}\n`);
}
console.log('left');
process.exit();
