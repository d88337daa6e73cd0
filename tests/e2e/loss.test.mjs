// Chromium publishes and plays over a network that loses, each way and on both legs.
import { test, before, after, describe } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, sleep, until } from './server.mjs';
import { startBrowser, watch, received, state } from './browser.mjs';
import { startRelay, sendOver } from './relay.mjs';

const SECONDS = 10;

/** What a viewer has had so far: frames, freezes, NACKs, and how far sound and picture are apart. */
const figures = (page) => page.evaluate(async () => {
  const all = [...(await window.oneport.pc.getStats()).values()].filter((entry) => entry.type === 'inbound-rtp');
  const video = all.find((entry) => entry.kind === 'video');
  const audio = all.find((entry) => entry.kind === 'audio');
  return {
    frames: video.framesDecoded, freezes: video.freezeCount, frozen: video.totalFreezesDuration, nacks: video.nackCount,
    plis: video.pliCount, recovered: video.retransmittedPacketsReceived, lost: video.packetsLost,
    skew: audio.estimatedPlayoutTimestamp - video.estimatedPlayoutTimestamp,
  };
});

describe('loss', () => {
  let server;
  let relay;
  let browser;
  let publisher;
  let viewer;
  before(async () => {
    server = await startServer({ shards: 2 });
    relay = await startRelay(server.media, 7);
    browser = await startBrowser();
    await sendOver(browser.context, relay, server.media);
    publisher = await browser.open(`${server.origin}/publish/live/loss?resolution=640x360&codec=VP8`);
    await publisher.getByTestId('start').click();
    await until('live', async () => (await state(publisher)) === 'live');
    viewer = await browser.open(`${server.origin}/play/live/loss`);
    await watch(viewer);
    await until('media over the relay', async () => (await received(viewer)).video.packets > 100);
    await sleep(3000);
  });
  after(async () => {
    await browser?.close();
    relay?.close();
    await server?.stop();
  });

  for (const percent of [0, 2, 5, 10]) {
    test(`${percent} % each way`, async (context) => {
      Object.assign(relay.conditions, { loss: percent / 100, delay: 10, jitter: 4 });
      await sleep(2000);
      const begin = await figures(viewer);
      await sleep(SECONDS * 1000);
      const end = await figures(viewer);
      const had = Object.fromEntries(Object.keys(end).map((key) => [key, end[key] - begin[key]]));
      had.skew = end.skew;
      context.diagnostic(`${percent} %: ${JSON.stringify(had)}`);
      // A busy machine encodes fewer frames: what counts is that the picture goes on.
      assert.ok(had.frames > SECONDS * 8, JSON.stringify(had));
      assert.ok(had.frozen < SECONDS * 0.3, JSON.stringify(had));
      assert.ok(Math.abs(end.skew) < 400, JSON.stringify(had));
      if (percent > 0) assert.ok(had.nacks > 0 && had.recovered > 0, JSON.stringify(had));
    });
  }

  test('a late viewer sees its first frame at 5 %', async (context) => {
    Object.assign(relay.conditions, { loss: 0.05, delay: 10, jitter: 4 });
    const begun = Date.now();
    const late = await browser.open(`${server.origin}/play/live/loss`);
    await until('a frame', async () => (await received(late).catch(() => ({}))).video?.frames > 0);
    context.diagnostic(`first frame ${Date.now() - begun} ms after the page was opened`);
    await watch(late);
    await late.close();
  });
});
