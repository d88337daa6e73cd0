// Chromium with a fake camera and microphone, and what the pages tell of themselves.
import { chromium } from 'playwright-core';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './server.mjs';

const FLAGS = [
  '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
];

/** A browser with a profile of its own. */
export async function startBrowser({ flags = FLAGS, ...options } = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'oneport-e2e-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium', headless: true, args: flags, ...options,
  });
  return {
    context,
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
    /** Ends the browser as a crash would: no page hears of it. */
    async kill() {
      const cdp = await context.browser()?.newBrowserCDPSession() ?? await context.newCDPSession(await context.newPage());
      const { processInfo } = await cdp.send('SystemInfo.getProcessInfo');
      process.kill(processInfo.find(({ type }) => type === 'browser').id, 'SIGKILL');
      rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
    },
    async open(url) {
      const page = await context.newPage();
      page.errors = [];
      page.on('pageerror', (error) => page.errors.push(String(error)));
      page.on('console', (message) => {
        if (/Content Security Policy/.test(message.text())) page.errors.push(message.text());
      });
      await page.goto(url);
      return page;
    },
  };
}

export const FLAGS_WITHOUT_AUTOPLAY = FLAGS.filter((flag) => !flag.startsWith('--autoplay-policy'));

/** What getStats says of received media: frames decoded, size, audio energy, codec. */
export const received = (page) => page.evaluate(async () => {
  const all = [...(await window.oneport.pc.getStats()).values()];
  const codec = (id) => all.find((entry) => entry.id === id)?.mimeType;
  const result = {};
  for (const entry of all.filter((entry) => entry.type === 'inbound-rtp')) {
    result[entry.kind] = {
      frames: entry.framesDecoded ?? 0, width: entry.frameWidth, energy: entry.totalAudioEnergy ?? 0,
      packets: entry.packetsReceived, lost: entry.packetsLost, codec: codec(entry.codecId),
      playout: entry.estimatedPlayoutTimestamp,
    };
  }
  return result;
});

/** Waits until the page has decoded `frames` more video frames and heard sound; gives the figures. */
export async function watch(page, { frames = 15, audio = true } = {}) {
  const before = await received(page).catch(() => ({}));
  return until('decoded frames and sound', async () => {
    const now = await received(page);
    const more = (now.video?.frames ?? 0) - (before.video?.frames ?? 0);
    const louder = (now.audio?.energy ?? 0) > (before.audio?.energy ?? 0);
    return more >= frames && (louder || !audio) ? now : undefined;
  });
}

export const state = (page) => page.getByTestId('state').innerText();
