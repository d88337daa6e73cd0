// The load generator against this server: what it counts is what was sent, in every shape of media and keys.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import path from 'node:path';
import { startServer } from './server.mjs';

const generator = path.join(path.dirname(startServer.binary), 'oneport-load');

describe('oneport-load', () => {
  let server;
  before(async () => { server = await startServer({ shards: 2 }); });
  after(async () => { await server?.stop(); });

  const load = async (name, ...args) => {
    const urls = ['--whip', `${server.origin}/whip/${name}/s{n}`, '--whep', `${server.origin}/whep/${name}/s{n}`];
    const { stdout } = await promisify(execFile)(generator, [...urls, '--duration', '2', '--json', '-', ...args]);
    return JSON.parse(stdout);
  };

  for (const [name, ...args] of [
    ['vp8', '--codec', 'vp8'],
    ['h264-spread', '--codec', 'h264', '--spread', '--srtp', 'aes128-cm-sha1'],
    ['vp9', '--codec', 'vp9', '--srtp', 'aes256-gcm', '--feedback', 'none'],
    ['av1', '--codec', 'av1', '--audio', 'none'],
    ['sound', '--codec', 'none'],
  ]) {
    test(`${name}: every packet of two streams reaches every viewer`, async () => {
      const report = await load(name, '--publishers', '2', '--viewers', '10', '--video-kbps', '500', ...args);
      assert.equal(report.sessions_connected, 22);
      assert.deepEqual([report.packets_lost, report.packets_invalid, report.sessions_lost], [0, 0, 0]);
      assert.ok(report.packets_received > 500, String(report.packets_received));
      assert.ok(report.latency_us.count > 0);
    });
  }

  test('loss is recovered, viewers come and go, and expectations decide', async () => {
    const report = await load('lossy', '--viewers', '10', '--video-kbps', '500', '--loss', '3', '--churn', '5');
    assert.ok(report.retransmissions > 0 && report.nacks_sent > 0);
    assert.ok(report.loss_percent < 2, String(report.loss_percent));
    await assert.rejects(load('strict', '--viewers', '2', '--expect', 'sessions_connected>100'), (error) => error.code === 1);
  });
});
