// Clients written by others: aiortc, and FFmpeg's WHIP muxer. On a host of their own: aiortc never offers 127.0.0.1, and so a server is
// also tried the way it is used, over an interface.
import { test, before, after, describe } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer, until } from './server.mjs';
import { secondHost, SERVER } from './host.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const python = process.env.ONEPORT_PYTHON ?? join(here, '../../target/aiortc/bin/python');

let host;

function onHost(script, ...args) {
  const [program, ...rest] = host.command(python, join(here, script), ...args);
  const child = spawn(program, rest);
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => output.push(String(data)));
  const ended = new Promise((resolve) => child.on('exit', (code) => resolve({ code, output: output.join('') })));
  return { ended, output: () => output.join('') };
}

async function succeeds(run) {
  const { code, output } = await run.ended;
  assert.equal(code, 0, output);
  return output;
}

describe('clients written by others', () => {
  let server;
  before(async () => {
    host = secondHost();
    server = await startServer({ shards: 2, address: SERVER });
  });
  after(async () => {
    await server?.stop();
    host?.remove();
  });

  for (const codec of ['vp8', 'h264']) {
    test(`aiortc publishes ${codec}, and plays it`, async () => {
      const publisher = onHost('aiortc_client.py', 'publish', `${server.origin}/whip/live/aiortc-${codec}`, codec, 12);
      await until('publishing', () => /publishing/.test(publisher.output()));
      await succeeds(onHost('aiortc_client.py', 'play', `${server.origin}/whep/live/aiortc-${codec}`, 30));
      await succeeds(publisher);
    });
  }

  test('FFmpeg publishes H264 and Opus as the DTLS server, and aiortc plays it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'oneport-ffmpeg-'));
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', '/CN=test', '-keyout', key, '-out', certificate], { stdio: 'ignore' });
    try {
      const publisher = onHost('ffmpeg_publish.py', `${server.origin}/whip/live/ffmpeg`, certificate, key, 12);
      await until('the publisher is connected', () => /publisher of live\/ffmpeg: connected/.test(server.log()));
      await succeeds(onHost('aiortc_client.py', 'play', `${server.origin}/whep/live/ffmpeg`, 30));
      await succeeds(publisher);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
