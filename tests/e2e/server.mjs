// Starts the real server on free ports of loopback, and ends it in order.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import net from 'node:net';
import dgram from 'node:dgram';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const binary = process.env.ONEPORT_BIN ??
  [`${root}target/release/oneport`, `${root}target/debug/oneport`].find(existsSync);

const freeTcp = () => new Promise((resolve, reject) => {
  const socket = net.createServer().on('error', reject).listen(0, '127.0.0.1', () => {
    const { port } = socket.address();
    socket.close(() => resolve(port));
  });
});

const freeUdp = () => new Promise((resolve, reject) => {
  const socket = dgram.createSocket('udp4').on('error', reject).bind(0, '127.0.0.1', () => {
    const { port } = socket.address();
    socket.close(() => resolve(port));
  });
});

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks again until `probe` gives something true, and gives that; fails after `seconds`. */
export async function until(what, probe, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    await sleep(50);
  }
  throw new Error(`${what}: not within ${seconds} s`, { cause: last });
}

startServer.binary = binary;

/** A server with `shards` shards; `stop()` ends it and checks that it ended as it should. */
export async function startServer({ shards = 1, address = '127.0.0.1', mediaAddress = address, args = [] } = {}) {
  const [http, media] = [await freeTcp(), await freeUdp()];
  const child = spawn(binary, [
    'serve', '--http', `${address}:${http}`, '--media', `${mediaAddress}:${media}`, '--shards', String(shards), ...args,
  ]);
  const log = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => log.push(String(data)));
  const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
  const origin = `http://${address}:${http}`;
  try {
    await until(`the server answers (${binary})`, async () => child.exitCode !== null || (await fetch(`${origin}/readyz`)).ok);
    assert.equal(child.exitCode, null, `the server ended: ${log.join('')}`);
  } catch (error) {
    // A process that is left behind would keep the test runner waiting for ever.
    child.kill('SIGKILL');
    throw error;
  }
  return {
    origin,
    media,
    log: () => log.join(''),
    health: async () => (await fetch(`${origin}/readyz`)).json(),
    kill: () => child.kill('SIGKILL'),
    async stop() {
      const begun = Date.now();
      child.kill('SIGTERM');
      const { code, signal } = await ended;
      assert.deepEqual({ code, signal }, { code: 0, signal: null }, log.join(''));
      // The one promise about time: three seconds, and as much again for a busy machine.
      assert.ok(Date.now() - begun < 6000, `stopping took ${Date.now() - begun} ms`);
    },
  };
}
