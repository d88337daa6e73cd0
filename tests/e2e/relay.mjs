// A UDP relay in front of the media port that loses, delays and reorders by a seed, and pages whose answers point at it.
import dgram from 'node:dgram';

/** Numbers from 0 to 1 (mulberry32). */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Relays to `port` of 127.0.0.1. `conditions` may be changed at any time: `loss` (0 to 1, each way), `delay` and `jitter` in ms. */
export async function startRelay(port, seed) {
  const chance = random(seed);
  const conditions = { loss: 0, delay: 0, jitter: 0 };
  const clients = new Map();
  const front = dgram.createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
  const pass = (send) => {
    if (chance() < conditions.loss) return;
    const wait = conditions.delay + conditions.jitter * chance();
    if (wait > 0) setTimeout(send, wait); else send();
  };
  let closed = false;
  front.on('message', (datagram, { address, port: from }) => {
    const key = `${address}:${from}`;
    let back = clients.get(key);
    if (!back) {
      back = dgram.createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
      back.on('message', (answer) => pass(() => closed || front.send(answer, from, address)));
      clients.set(key, back);
    }
    pass(() => closed || back.send(datagram, port, '127.0.0.1'));
  });
  await new Promise((resolve) => front.bind(0, '127.0.0.1', resolve));
  return {
    conditions,
    port: front.address().port,
    close() {
      closed = true;
      front.close();
      for (const back of clients.values()) back.close();
    },
  };
}

/** Has the pages of a browser send to the relay instead of the server. */
export async function sendOver(context, relay, serverPort) {
  await context.route(/\/(whip|whep)\//, async (route) => {
    if (route.request().method() !== 'POST') return route.continue();
    const response = await route.fetch();
    const body = (await response.text()).replaceAll(`127.0.0.1 ${serverPort} typ`, `127.0.0.1 ${relay.port} typ`);
    return route.fulfill({ response, body });
  });
}
