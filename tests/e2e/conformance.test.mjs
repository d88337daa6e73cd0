// The conformance suite against this server: open to everybody, and with tokens and ICE servers.
import { test, describe } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startServer } from './server.mjs';

const suite = path.join(path.dirname(startServer.binary), 'oneport-conformance');

/** Runs the suite on a stream; gives its report, whatever the exit code. */
async function run(server, stream, ...args) {
  const urls = ['--whip', `${server.origin}/whip/live/${stream}`, '--whep', `${server.origin}/whep/live/${stream}`];
  const { stdout } = await promisify(execFile)(suite, [...urls, '--json', ...args], { maxBuffer: 1 << 24 })
    .catch((error) => { if (error.code === 1) return error; throw error; });
  return JSON.parse(stdout);
}

const failures = ({ checks }) => checks.filter(({ result }) => result === 'fail');
const left = ({ checks }) => checks.filter(({ result }) => result === 'not-applicable').map(({ id }) => id);

describe('the conformance suite', { concurrency: true }, () => {
  test('a server that is open to everybody', async () => {
    const server = await startServer({ shards: 2 });
    try {
      // What waits for consent to expire waits on a stream of its own.
      const [report, slow] = await Promise.all([
        run(server, 'most'), run(server, 'slow', '--slow', '--only', 'consent-expiry'),
      ]);
      assert.deepEqual([...failures(report), ...failures(slow)], []);
      assert.ok(report.totals.passed > 190, JSON.stringify(report.totals));
      assert.equal(slow.totals.passed, 2, JSON.stringify(slow.totals));
    } finally {
      await server.stop();
    }
  });

  test('a server with tokens and ICE servers', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'oneport-'));
    const config = path.join(folder, 'oneport.toml');
    await writeFile(config, `[auth]
publish_tokens = ["let-me-in"]
play_tokens = ["let-me-in"]
[ice]
servers = ["stun:stun.example.com:3478", "turn:turn.example.com:3478?transport=udp"]
turn_secret = "shared with the TURN server"
`);
    const server = await startServer({ shards: 1, args: ['--config', config] });
    try {
      const report = await run(server, 'tokens', '--token', 'let-me-in');
      assert.deepEqual(failures(report), []);
      const skipped = left(report);
      assert.ok(!skipped.some((id) => id.includes('auth') || id.includes('ice-servers')), skipped.join(' '));
    } finally {
      await server.stop();
      await rm(folder, { recursive: true });
    }
  });
});
