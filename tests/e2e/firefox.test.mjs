// The pages in Firefox, and Firefox and Chromium with each other. Firefox sends nothing to 127.0.0.1, but camera and microphone it gives to
// localhost only: so the page is from localhost, and media goes over an interface of the test's own.
import { test, before, after, describe } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, until } from './server.mjs';
import { startBrowser, state, watch } from './browser.mjs';
import { startFirefox } from './firefox.mjs';
import { secondHost } from './host.mjs';

describe('Firefox', () => {
  let host;
  let server;
  let firefox;
  let chromium;
  before(async () => {
    host = secondHost();
    server = await startServer({ shards: 2, mediaAddress: '0.0.0.0' });
    firefox = await startFirefox();
    chromium = await startBrowser();
  });
  after(async () => {
    await chromium?.close();
    await firefox?.close();
    await server?.stop();
    host?.remove();
  });

  const page = (path) => firefox.open(server.origin.replace('127.0.0.1', 'localhost') + path);
  const says = (tab) => tab.evaluate(`document.getElementById('state').innerText`);

  /** Waits until the tab has decoded 15 more frames and heard sound. */
  async function watchFirefox(tab) {
    const figures = `oneport.pc.getStats().then((all) => [...all.values()].filter((entry) => entry.type === 'inbound-rtp'))`;
    const read = async () => {
      const streams = await tab.evaluate(figures);
      const of = (kind) => streams.find((entry) => entry.kind === kind);
      return { frames: of('video')?.framesDecoded ?? 0, energy: of('audio')?.totalAudioEnergy ?? 0 };
    };
    const first = await read();
    return until('frames and sound in Firefox', async () => {
      const now = await read();
      return now.frames >= first.frames + 15 && now.energy > first.energy;
    });
  }

  test('publishes, and plays itself; Chromium plays it too', async () => {
    const publisher = await page('/publish/live/fox?autostart=1&resolution=640x360');
    await until('live', async () => (await says(publisher)) === 'live');
    const viewer = await page('/play/live/fox');
    await watchFirefox(viewer);
    await until('playing', async () => (await says(viewer)) === 'playing');
    const other = await chromium.open(`${server.origin}/play/live/fox`);
    await watch(other);
    assert.deepEqual(other.errors, []);
  });

  for (const codec of ['VP8', 'VP9', 'H264']) {
    test(`plays what Chromium publishes as ${codec}`, async (context) => {
      const publisher = await chromium.open(`${server.origin}/publish/live/${codec}?autostart=1&codec=${codec}&resolution=640x360`);
      await until('live', async () => (await state(publisher)) === 'live');
      const viewer = await page(`/play/live/${codec}`);
      await until('connected', async () => /connected|playing|stopped/.test(await says(viewer)));
      if (codec === 'H264' && /H264/.test(await viewer.evaluate(`document.getElementById('error').innerText`))) {
        return context.skip('this Firefox has no H264: its plugin is downloaded, and cannot be here');
      }
      await watchFirefox(viewer);
      await publisher.close();
    });
  }
});
