// The pages in Chromium: publish in one tab, play in others.
import { test, before, after, describe } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startServer, sleep, until } from './server.mjs';
import { startBrowser, received, watch, state, FLAGS_WITHOUT_AUTOPLAY } from './browser.mjs';

const screenshots = process.env.ONEPORT_SCREENSHOTS;

async function screenshot(page, name) {
  if (!screenshots) return;
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: `${screenshots}/${name}.png` });
}

describe('two shards', () => {
  let server;
  let browser;
  before(async () => {
    server = await startServer({ shards: 2 });
    browser = await startBrowser({ viewport: { width: 1280, height: 800 } });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  const publish = async (stream, query = '') => {
    const page = await browser.open(`${server.origin}/publish/${stream}?resolution=640x360${query}`);
    await page.getByTestId('start').click();
    await until('live', async () => (await state(page)) === 'live');
    return page;
  };
  const play = (stream, query = '') => browser.open(`${server.origin}/play/${stream}${query}`);

  test('publish and play VP8 and Opus, and a late viewer gets its first frame', async (context) => {
    const publisher = await publish('live/one', '&codec=VP8');
    const viewer = await play('live/one');
    const figures = await watch(viewer);
    assert.equal(figures.video.codec, 'video/VP8');
    assert.equal(figures.audio.codec, 'audio/opus');
    assert.ok(figures.video.width > 0);
    await sleep(3000);
    const asked = () => publisher.evaluate(async () => {
      const stats = [...(await window.oneport.pc.getStats()).values()];
      return stats.find(({ type, kind }) => type === 'outbound-rtp' && kind === 'video').pliCount;
    });
    const before = await asked();
    const late = await play('live/one');
    await watch(late);
    assert.equal(await asked(), before, 'a late viewer begins with what is kept, and asks for nothing');
    const start = await until('its first frame', async () => /\d+ ms/.test(await late.getByTestId('figure-start').innerText())
      && late.getByTestId('figure-start').innerText());
    context.diagnostic(`from the offer to the first frame: ${start}`);
    for (const page of [viewer, late]) {
      await until('figures', async () => /\d+ fps/.test(await page.getByTestId('figure-fps').innerText()));
    }
    assert.match(await viewer.getByTestId('figure-resolution').innerText(), /\d+ × \d+/);
    await until('a bitrate', async () => /[1-9]\d* kbit|Mbit/.test(await publisher.getByTestId('figure-bitrate').innerText()));
    await until('a round trip', async () => /ms/.test(await publisher.getByTestId('figure-rtt').innerText()));
    await screenshot(publisher, 'publisher');
    await screenshot(viewer, 'player');
    for (const page of [publisher, viewer, late]) assert.deepEqual(page.errors, []);
    for (const page of [publisher, viewer, late]) await page.close();
  });

  for (const codec of ['H264', 'VP9', 'AV1', 'H265']) {
    test(`publish and play ${codec}`, async (context) => {
      const probe = await browser.open(`${server.origin}/publish/probe`);
      const offered = await probe.getByTestId('codec').locator('option').allInnerTexts();
      await probe.close();
      if (!offered.includes(codec)) return context.skip(`this browser does not encode ${codec}`);
      const publisher = await publish(`live/${codec}`, `&codec=${codec}`);
      const viewer = await play(`live/${codec}`);
      const figures = await watch(viewer);
      assert.equal(figures.video.codec, `video/${codec}`);
      await publisher.close();
      await viewer.close();
    });
  }

  test('several viewers on both shards see the same stream, and nothing crosses', async () => {
    const publisher = await publish('live/many', '&codec=VP8');
    const viewers = await Promise.all(Array.from({ length: 6 }, () => play('live/many')));
    for (const viewer of viewers) await watch(viewer, { frames: 5 });
    const { shards } = await server.health();
    assert.equal(shards.length, 2);
    assert.equal(shards.reduce((sum, shard) => sum + shard.crossed_datagrams, 0), 0);
    for (const page of [publisher, ...viewers]) await page.close();
  });

  test('a viewer that comes first waits, and stays when the publisher goes and comes back', async () => {
    const viewer = await play('live/later');
    await until('waiting', async () => (await state(viewer)) === 'waiting for the publisher');
    const publisher = await publish('live/later', '&codec=VP8');
    await watch(viewer);
    const connection = await viewer.evaluate(() => { window.first = window.oneport.pc; return true; });
    assert.ok(connection);
    await publisher.getByTestId('stop').click();
    await until('the viewer notices', async () => (await state(viewer)) === 'waiting for the publisher');
    await publisher.getByTestId('start').click();
    await watch(viewer);
    assert.ok(await viewer.evaluate(() => window.first === window.oneport.pc), 'the same connection');
    await until('playing', async () => (await state(viewer)) === 'playing');
    await publisher.close();
    await viewer.close();
  });

  test('ICE restarts keep the connection and its keys, for the viewer and for the publisher', async () => {
    const publisher = await publish('live/restart', '&codec=VP8');
    const viewer = await play('live/restart');
    await watch(viewer);
    for (const page of [viewer, publisher]) {
      const ufrag = () => page.evaluate(() => window.oneport.pc.currentRemoteDescription.sdp.match(/a=ice-ufrag:(.*)/)[1]);
      const [before, etag] = [await ufrag(), await page.evaluate(() => window.oneport.etag)];
      await page.evaluate(() => { window.first = window.oneport.pc; return window.oneport.restart(); });
      assert.notEqual(await ufrag(), before);
      assert.notEqual(await page.evaluate(() => window.oneport.etag), etag);
      await watch(viewer, { frames: 30 });
      assert.ok(await page.evaluate(() => window.first === window.oneport.pc && window.first.connectionState === 'connected'));
    }
    const session = await viewer.evaluate(() => String(window.oneport.url));
    const { steps } = await (await fetch(`${session}/why`)).json();
    assert.ok(steps.some(({ text }) => /restart/i.test(text)), JSON.stringify(steps));
    await publisher.close();
    await viewer.close();
  });

  test('a publisher that was killed is replaced, and its viewer goes on without a reload', async () => {
    const doomed = await startBrowser();
    const page = await doomed.open(`${server.origin}/publish/live/killed?resolution=640x360&codec=VP8`);
    await page.getByTestId('start').click();
    await until('live', async () => (await state(page)) === 'live');
    const viewer = await play('live/killed');
    await watch(viewer);
    await viewer.evaluate(() => { window.first = window.oneport.pc; });
    await doomed.kill();
    const next = await browser.open(`${server.origin}/publish/live/killed?resolution=640x360&codec=VP8`);
    await until('the name is free again', async () => {
      await next.getByTestId('start').click({ timeout: 1000 }).catch(() => {});
      return (await state(next)) === 'live';
    });
    await watch(viewer);
    assert.ok(await viewer.evaluate(() => window.first === window.oneport.pc), 'the same connection');
    await next.close();
    await viewer.close();
  });

  test('a publisher that comes back with another codec reaches its viewer all the same', async () => {
    const publisher = await publish('live/other', '&codec=VP8');
    const viewer = await play('live/other');
    await watch(viewer);
    await publisher.close();
    const again = await publish('live/other', '&codec=VP9');
    await until('the other codec', async () => (await received(viewer)).video.codec === 'video/VP9');
    await watch(viewer);
    await again.close();
    await viewer.close();
  });

  test('simulcast: a viewer gets the best layer', async () => {
    const publisher = await browser.open(`${server.origin}/publish/live/layers`);
    await publisher.evaluate(async (path) => {
      const { WhipSession } = await import('/assets/client.js');
      const media = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 }, audio: true });
      window.oneport = new WhipSession(path);
      const [video, audio] = [media.getVideoTracks()[0], media.getAudioTracks()[0]];
      window.oneport.pc.addTransceiver(audio, { direction: 'sendonly', streams: [media] });
      window.oneport.pc.addTransceiver(video, {
        direction: 'sendonly', streams: [media], sendEncodings: [
          { rid: 'l', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
          { rid: 'm', scaleResolutionDownBy: 2, maxBitrate: 400_000 },
          { rid: 'h', maxBitrate: 1_200_000 },
        ],
      });
      await window.oneport.connect();
    }, '/whip/live/layers');
    const answer = await publisher.evaluate(() => window.oneport.answer);
    assert.match(answer, /^a=simulcast:recv l;m;h\r$/m);
    const viewer = await play('live/layers');
    await watch(viewer);
    const layers = () => publisher.evaluate(async () => [...(await window.oneport.pc.getStats()).values()]
      .filter((entry) => entry.type === 'outbound-rtp' && entry.kind === 'video' && entry.active)
      .map(({ rid, frameWidth, framesSent }) => ({ rid, frameWidth, framesSent })));
    const widest = async () => Math.max(...(await layers()).filter(({ framesSent }) => framesSent > 0)
      .map(({ frameWidth }) => frameWidth ?? 0));
    await until('the widest layer that is sent', async () => (await received(viewer)).video.width === (await widest()), 40);
    await publisher.close();
    await viewer.close();
  });

  test('a second publisher of a name is told so', async () => {
    const first = await publish('live/taken', '&codec=VP8');
    const second = await browser.open(`${server.origin}/publish/live/taken`);
    await second.getByTestId('start').click();
    await until('the refusal', async () => /has a publisher already/.test(await second.getByTestId('error').innerText()));
    assert.ok(await second.getByTestId('start').isVisible());
    await first.close();
    await second.close();
  });

  test('a viewer without the codec is told which one', async () => {
    const publisher = await publish('live/codec', '&codec=VP8');
    const viewer = await play('live/codec', '?codec=VP9');
    await until('the refusal', async () => /VP8/.test(await viewer.getByTestId('error').innerText()));
    await publisher.close();
    await viewer.close();
  });

  test('stop ends the session on the server, and closing the tab too', async () => {
    const publisher = await publish('live/stop', '&codec=VP8');
    const url = await publisher.evaluate(() => String(window.oneport.url));
    assert.equal((await fetch(url)).status, 204);
    await publisher.getByTestId('stop').click();
    await until('the session is gone', async () => (await fetch(url)).status === 404);
    const again = await publish('live/stop', '&codec=VP8');
    const second = await again.evaluate(() => String(window.oneport.url));
    await again.close({ runBeforeUnload: false });
    await until('the session is gone', async () => (await fetch(second)).status === 404);
    await publisher.close();
  });

  test('mute and hide stop sound and picture', async () => {
    const publisher = await publish('live/mute', '&codec=VP8');
    const viewer = await play('live/mute');
    await watch(viewer);
    await publisher.getByTestId('mute').click();
    await sleep(1000);
    const before = (await received(viewer)).audio.energy;
    await sleep(1500);
    const silent = (await received(viewer)).audio.energy - before;
    await publisher.getByTestId('mute').click();
    await watch(viewer);
    assert.ok(silent < 0.001, `energy ${silent} while muted`);
    await viewer.getByTestId('mute').click();
    assert.ok(await viewer.getByTestId('video').evaluate((video) => video.muted));
    await publisher.close();
    await viewer.close();
  });

  /** A publisher's page whose devices come a second after they are asked for, as behind the browser's question to the user. */
  const openWithSlowDevices = async (stream) => {
    const page = await browser.open(`${server.origin}/publish/${stream}?resolution=640x360&codec=VP8`);
    await page.evaluate(() => {
      const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (constraints) => {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        return (window.captured = await ask(constraints));
      };
    });
    await page.getByTestId('start').click();
    return page;
  };

  test('stop while the browser asks for devices gives them back, and nothing is published', async () => {
    const page = await openWithSlowDevices('live/hasty');
    await page.getByTestId('stop').click();
    await until('the devices are given back', () => page.evaluate(
      () => window.captured?.getTracks().every((track) => track.readyState === 'ended')));
    assert.equal(await state(page), 'stopped');
    assert.equal(await page.evaluate(() => window.oneport), undefined, 'no session was made');
    await page.close();
  });

  test('mute while the browser asks for devices holds when they come', async () => {
    const page = await openWithSlowDevices('live/discreet');
    await page.getByTestId('mute').click();
    await until('live', async () => (await state(page)) === 'live');
    const enabled = () => page.evaluate(() => window.captured.getAudioTracks()[0].enabled);
    assert.equal(await enabled(), false);
    await page.getByTestId('mute').click();
    assert.equal(await enabled(), true);
    await page.close();
  });

  test('a shared screen is given back when the microphone is refused', async () => {
    const page = await browser.open(`${server.origin}/publish/live/screen?source=screen`);
    await page.evaluate(() => {
      const canvas = document.createElement('canvas');
      canvas.getContext('2d');
      window.shared = canvas.captureStream(5);
      navigator.mediaDevices.getDisplayMedia = async () => window.shared;
      navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('refused', 'NotAllowedError'); };
    });
    await page.getByTestId('start').click();
    await until('the reason', async () => /not allowed/.test(await page.getByTestId('error').innerText()));
    assert.equal(await page.evaluate(() => window.shared.getTracks()[0].readyState), 'ended');
    await page.close();
  });

  test('stop holds against a refusal that comes after it', async () => {
    const page = await browser.context.newPage();
    await page.route('**/whep/**', async (route) => {
      await sleep(1000);
      await route.fulfill({ status: 409, headers: { 'Retry-After': '1' }, contentType: 'application/problem+json', body: '{"detail":"nobody"}' });
    });
    const posted = page.waitForRequest('**/whep/**');
    const refused = page.waitForResponse('**/whep/**');
    await page.goto(`${server.origin}/play/live/nobody`);
    await posted;
    await page.getByTestId('stop').click();
    assert.equal((await refused).status(), 409);
    await sleep(500);
    assert.equal(await state(page), 'stopped');
    await page.close();
  });

  test('a page that waits says so once, not at every attempt', async () => {
    const page = await browser.context.newPage();
    await page.addInitScript(() => {
      window.said = [];
      addEventListener('DOMContentLoaded', () => {
        const element = document.getElementById('state');
        new MutationObserver(() => window.said.push(element.textContent)).observe(element, { childList: true, characterData: true, subtree: true });
      });
    });
    let attempts = 0;
    page.on('response', (response) => { attempts += response.status() === 409 ? 1 : 0; });
    // As a server answers whose policy is not to let viewers come first.
    await page.route('**/whep/**', (route) => route.fulfill({
      status: 409, headers: { 'Retry-After': '1' }, contentType: 'application/problem+json', body: '{"detail":"nobody"}',
    }));
    await page.goto(`${server.origin}/play/live/nobody`);
    await until('three attempts', () => attempts >= 3);
    assert.deepEqual(await page.evaluate(() => window.said), ['connecting', 'waiting for the publisher']);
    await page.close();
  });

  test('sound only is published and played', async () => {
    const publisher = await publish('live/sound', '&source=none');
    const viewer = await play('live/sound', '?video=0');
    await until('sound', async () => ((await received(viewer)).audio?.energy ?? 0) > 0.01);
    await publisher.close();
    await viewer.close();
  });

  test('lips and sound are on one clock', async () => {
    const publisher = await publish('live/sync', '&codec=VP8');
    const viewer = await play('live/sync');
    await watch(viewer);
    const { audio, video } = await until('both clocks', async () => {
      const figures = await received(viewer);
      return figures.audio?.playout && figures.video?.playout ? figures : undefined;
    });
    const skew = audio.playout - video.playout;
    assert.ok(Math.abs(skew) < 500, `${skew} ms apart`);
    await publisher.close();
    await viewer.close();
  });

  test('the first page leads to both, and fits a phone', async () => {
    const page = await browser.open(server.origin);
    await page.getByTestId('stream-name').fill('from the index');
    await screenshot(page, 'index');
    await page.getByTestId('publish').click();
    await page.waitForURL('**/publish/live/from%20the%20index');
    assert.equal(await page.getByTestId('stream-name').innerText(), 'live/from the index');
    for (const path of ['/', '/publish/live/x', '/play/live/x']) {
      await page.setViewportSize({ width: 390, height: 844 });
      await page.goto(server.origin + path);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${path} is ${overflow} pixels too wide`);
      await screenshot(page, `phone${path.replaceAll('/', '-')}`);
    }
    assert.deepEqual(page.errors, []);
    await page.close();
  });
});

test('a browser that refuses autoplay starts without sound, and one click brings it', async () => {
  const server = await startServer();
  const publishing = await startBrowser();
  const watching = await startBrowser({ flags: [...FLAGS_WITHOUT_AUTOPLAY, '--autoplay-policy=user-gesture-required'] });
  try {
    const publisher = await publishing.open(`${server.origin}/publish/live/quiet?autostart=1&codec=VP8`);
    await until('live', async () => (await state(publisher)) === 'live');
    const viewer = await watching.open(`${server.origin}/play/live/quiet`);
    const overlay = viewer.getByTestId('unmute-overlay');
    // Whatever asks the page something counts as a user's gesture in Chromium, after which it may play aloud: so the server is asked
    // how far the page is, and the page gets a moment for what follows.
    await until('the viewer is connected', () => /viewer of live\/quiet: connected/.test(server.log()));
    await sleep(1500);
    await until('the offer of sound', () => overlay.isVisible());
    await watch(viewer, { audio: false });
    await overlay.click();
    assert.equal(await viewer.getByTestId('video').evaluate((video) => video.muted), false);
    await until('the overlay goes', async () => !(await overlay.isVisible()));
    await watch(viewer);
  } finally {
    await watching.close();
    await publishing.close();
    await server.stop();
  }
});

test('an echo comes back, where the server is configured to', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'oneport-'));
  const config = path.join(folder, 'oneport.toml');
  writeFileSync(config, '[echo]\nenabled = true\n');
  const [server, plain] = [await startServer({ args: ['--config', config] }), await startServer()];
  const browser = await startBrowser();
  try {
    const page = await browser.open(`${server.origin}/echo`);
    await page.getByTestId('start').click();
    const figures = await watch(page);
    assert.ok(figures.video.width > 0);
    await screenshot(page, 'echo');
    await page.getByTestId('stop').click();
    await until('no session', async () => (await server.health()).shards.every(({ sessions }) => sessions === 0));
    const refused = await browser.open(`${plain.origin}/echo`);
    await refused.getByTestId('start').click();
    await until('a reason', async () => /switched off/.test(await refused.getByTestId('error').innerText()));
  } finally {
    await browser.close();
    await server.stop();
    await plain.stop();
    rmSync(folder, { recursive: true });
  }
});

test('a server that goes away is noticed in words', async () => {
  const server = await startServer();
  const browser = await startBrowser();
  try {
    const publisher = await browser.open(`${server.origin}/publish/live/gone?autostart=1&codec=VP8`);
    await until('live', async () => (await state(publisher)) === 'live');
    const viewer = await browser.open(`${server.origin}/play/live/gone`);
    await watch(viewer);
    // In order: every peer is told by close_notify, and need not wait for its consent to expire.
    await server.stop();
    for (const page of [publisher, viewer]) {
      await until('the page notices', async () => /failed|stopped|interrupted/.test(await state(page)), 30);
    }
  } finally {
    await browser.close();
  }
});
