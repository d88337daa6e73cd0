// Data channels in Chromium: what a publisher says reaches viewers on both shards, whole and in order.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, until } from './server.mjs';
import { startBrowser } from './browser.mjs';

/** In the page: a session at `url`, with a channel of its own; messages by label in `window.heard`. */
const connect = async ({ url, publishes, label }) => {
  const pc = new RTCPeerConnection();
  window.heard = {};
  window.pc = pc;
  const hear = (channel) => {
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({ data }) => {
      (window.heard[channel.label] ??= []).push(typeof data === 'string' ? data : data.byteLength);
    };
  };
  pc.ondatachannel = ({ channel }) => hear(channel);
  window.channel = pc.createDataChannel(label);
  hear(window.channel);
  if (publishes) {
    const media = await navigator.mediaDevices.getUserMedia({ audio: true });
    pc.addTransceiver(media.getTracks()[0], { direction: 'sendonly', streams: [media] });
  } else {
    pc.addTransceiver('audio', { direction: 'recvonly' });
  }
  await pc.setLocalDescription();
  const response = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp });
  if (response.status !== 201) throw new Error(await response.text());
  await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
};

describe('data channels', () => {
  let server;
  let browser;
  before(async () => {
    server = await startServer({ shards: 2 });
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test('text and 64 KiB of bytes, in order, to viewers that come before and after', async () => {
    const open = async (path, publishes, label) => {
      const page = await browser.open(server.origin);
      await page.evaluate(connect, { url: `${server.origin}${path}`, publishes, label });
      await until('an open channel', () => page.evaluate(() => window.channel.readyState === 'open'));
      return page;
    };
    const early = await Promise.all([1, 2, 3].map(() => open('/whep/live/data', false, 'own')));
    const publisher = await open('/whip/live/data', true, 'chat');
    const late = await open('/whep/live/data', false, 'own');
    const viewers = [...early, late];
    // A viewer has the channel a round trip after its own: what is said before that is not for it.
    await until('everybody hears', async () => {
      await publisher.evaluate(() => window.channel.send('ready?'));
      const heard = await Promise.all(viewers.map((page) => page.evaluate(() => window.heard.chat?.length)));
      return heard.every(Boolean);
    });
    await publisher.evaluate(() => {
      for (let n = 0; n < 50; n += 1) window.channel.send(`line ${n}`);
      window.channel.send(new Uint8Array(65536));
      window.channel.send('');
      window.channel.send('end');
    });
    const expected = [...Array.from({ length: 50 }, (_, n) => `line ${n}`), 65536, '', 'end'];
    for (const page of viewers) {
      await until('the end', () => page.evaluate(() => window.heard.chat.includes('end')));
      const heard = await page.evaluate(() => window.heard.chat);
      assert.deepEqual(heard.filter((message) => message !== 'ready?'), expected);
    }
    await publisher.evaluate(() => window.channel.close());
    for (const page of [publisher, ...viewers]) {
      await page.evaluate(() => window.pc.close());
      await page.close();
    }
  });
});
