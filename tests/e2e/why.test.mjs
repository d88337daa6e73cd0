// Five ways of breaking a connection, and what the server and its pages say of each.
import { test, before, after, describe } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, until } from './server.mjs';
import { startBrowser, state } from './browser.mjs';
import { secondHost, asRoot, SERVER } from './host.mjs';

/** The server gives up after ten seconds, the page two later. */
const PATIENCE_S = 30;

describe('a connection that fails is explained', () => {
  let browser;
  let host;
  before(async () => {
    host = secondHost();
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    host?.remove();
  });

  /** Opens a page whose `script` runs before its own. */
  const open = async (url, script = () => {}) => {
    const page = await browser.context.newPage();
    await page.addInitScript(script);
    // The page forgets its session with the failure; what came last is asked for its account.
    page.on('response', (response) => {
      if (response.status() === 201 && /\/whep\//.test(response.url())) page.session = response.headers().location;
    });
    await page.goto(url);
    return page;
  };

  const fails = async (page, words) => {
    await until('the failure', async () => (await state(page)) === 'connection failed', PATIENCE_S);
    assert.match(await page.getByTestId('error').innerText(), words);
  };

  const account = async (server, page) => (await fetch(`${server.origin}${page.session}/why`)).json();

  async function withServer(options, body) {
    const server = await startServer(options);
    try {
      await body(server);
    } finally {
      await server.stop();
    }
  }

  test('a wrong announced address', () => withServer(
    { mediaAddress: SERVER, args: ['--public-address', '198.51.100.1'] },
    async (server) => {
      const page = await open(`${server.origin}/play/live/announced`);
      await fails(page, /No UDP packet from you arrived at 198\.51\.100\.1:\d+/);
      const { verdict, state: reached } = await account(server, page);
      assert.equal(verdict.code, 'no-udp');
      assert.equal(reached, 'ended');
      await until('a line in the log', () => /No UDP packet/.test(server.log()));
      await page.close();
    },
  ));

  test('UDP that a firewall blocks', () => withServer({ address: '127.0.0.1', mediaAddress: SERVER }, async (server) => {
    const table = `oneport_e2e_${process.pid}`;
    const nft = (...words) => asRoot('nft', ...words);
    nft('add', 'table', 'inet', table);
    try {
      nft('add', 'chain', 'inet', table, 'input', '{ type filter hook input priority 0 ; }');
      nft('add', 'rule', 'inet', table, 'input', 'udp', 'dport', String(server.media), 'drop');
      const page = await open(`${server.origin}/play/live/blocked`);
      await fails(page, new RegExp(`No UDP packet from you arrived at ${SERVER.replaceAll('.', '\\.')}:${server.media}: .*firewall`));
      assert.equal((await account(server, page)).verdict.code, 'no-udp');
      await page.close();
    } finally {
      nft('delete', 'table', 'inet', table);
    }
  }));

  test('a wrong password', () => withServer({}, async (server) => {
    const page = await open(`${server.origin}/play/live/password`, () => {
      const set = RTCPeerConnection.prototype.setRemoteDescription;
      RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
        return set.call(this, { type, sdp: sdp.replace(/^(a=ice-pwd:)..../gm, '$1AAAA') });
      };
    });
    await fails(page, /password/);
    assert.match((await account(server, page)).verdict.text, /password/);
    await page.close();
  }));

  test('a certificate that does not match its fingerprint', () => withServer({}, async (server) => {
    const page = await open(`${server.origin}/play/live/fingerprint`, () => {
      const ask = window.fetch;
      window.fetch = (url, options) => {
        const body = options?.body?.replace?.(/^(a=fingerprint:sha-256 )..:..:/gm, '$100:11:');
        return ask(url, body ? { ...options, body } : options);
      };
    });
    await fails(page, /fingerprint/);
    assert.match((await account(server, page)).verdict.text, /certificate/);
    await page.close();
  }));

  test('no common codec', () => withServer({}, async (server) => {
    const publisher = await open(`${server.origin}/publish/live/codec?codec=VP8&autostart=1`);
    await until('live', async () => (await state(publisher)) === 'live');
    const page = await open(`${server.origin}/play/live/codec?codec=VP9`);
    await until('the refusal', async () => /VP8/.test(await page.getByTestId('error').innerText()));
    assert.match(await page.getByTestId('error').innerText(), /VP9/);
    await publisher.close();
    await page.close();
  }));
});
