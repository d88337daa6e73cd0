// Browser libraries written by others, unmodified: whip-whep of Medooze, and Eyevinn's WHIP client and player.
import { test, before, after, describe } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, until } from './server.mjs';
import { startBrowser, watch } from './browser.mjs';
import { serveLibraries } from './libraries.mjs';

describe('libraries written by others', () => {
  let server;
  let browser;
  let site;
  before(async () => {
    site = await serveLibraries();
    server = await startServer({ shards: 2 });
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    site?.close();
  });

  const open = (script, url) => browser.open(site.origin).then(async (page) => {
    page.answers = [];
    page.on('response', (response) => {
      if (response.url().startsWith(server.origin)) page.answers.push(`${response.request().method()} ${response.status()}`);
    });
    await page.evaluate(script, url);
    return page;
  });

  const medoozePublish = (stream) => open(async (url) => {
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    const pc = new RTCPeerConnection();
    for (const track of media.getTracks()) pc.addTransceiver(track, { direction: 'sendonly', streams: [media] });
    window.client = new libraries.medoozeWhip.WHIPClient();
    await window.client.publish(pc, url);
  }, `${server.origin}/whip/live/${stream}`);

  const medoozePlay = (stream) => open(async (url) => {
    const pc = new RTCPeerConnection();
    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.addTransceiver('video', { direction: 'recvonly' });
    pc.addEventListener('track', ({ streams: [media] }) => { document.getElementById('video').srcObject = media; });
    window.client = new libraries.medoozeWhep.WHEPClient();
    await window.client.view(pc, url);
  }, `${server.origin}/whep/live/${stream}`);

  test('whip-whep publishes and plays, trickles, restarts ICE and stops', async () => {
    const publisher = await medoozePublish('medooze');
    const viewer = await medoozePlay('medooze');
    await watch(viewer);
    await until('a trickle', () => publisher.answers.includes('PATCH 204'));
    for (const page of [publisher, viewer]) {
      await page.evaluate(() => window.client.restart());
      await until('a restart', () => page.answers.includes('PATCH 200'));
      await until('the connection is whole', () => page.evaluate(() => window.oneport.pc.connectionState === 'connected'));
    }
    await watch(viewer);
    for (const page of [publisher, viewer]) {
      await page.evaluate(() => window.client.stop());
      await until('a DELETE', () => page.answers.includes('DELETE 200'));
      // Its player, other than its publisher, keeps no ETag before the first restart, and is told 428 as RFC 9725 wants it.
      const refused = page.answers.filter((answer) => / [45]\d\d$/.test(answer) && answer !== 'PATCH 428');
      assert.deepEqual(refused, []);
      await page.close();
    }
  });

  test("Eyevinn's client publishes, and Eyevinn's player plays", async () => {
    const publisher = await open(async (endpoint) => {
      const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
      window.client = new libraries.EyevinnPublisher({ endpoint, opts: { iceServers: [] } });
      await window.client.setIceServersFromEndpoint();
      await window.client.ingest(media);
    }, `${server.origin}/whip/live/eyevinn`);
    await until('publishing', () => /publisher of live\/eyevinn: connected/.test(server.log()));
    const viewer = await open(async (url) => {
      const video = document.getElementById('video');
      window.player = new libraries.EyevinnPlayer({ video, type: 'whep', iceServers: [] });
      await window.player.load(new URL(url));
    }, `${server.origin}/whep/live/eyevinn`);
    await watch(viewer);
    await publisher.evaluate(() => window.client.destroy());
    await until('a DELETE', () => publisher.answers.includes('DELETE 200'));
    for (const page of [publisher, viewer]) await page.close();
  });
});
