// WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) in the browser: an offer by POST, the session's end by DELETE.

/** How long candidates are waited for: a lite server needs none of them, so a slow STUN server must not hold up the start. */
const GATHERING_MS = 500;

/** A connection that is interrupted for so long is looked for on other ways: networks change. */
const RESTART_MS = 2000;

const FRAGMENT = 'application/trickle-ice-sdpfrag';
const EVENTS = 'urn:ietf:params:whep:ext:core:server-sent-events';

/** A refusal of the server's, in its words. */
export class RefusedError extends Error {
  constructor(status, detail, retryAfter, instance) {
    super(detail);
    /** Where the server tells more of it, if it does. */
    this.instance = instance;
    this.name = 'RefusedError';
    this.status = status;
    /** Seconds after which the server wants to be asked again, if it said so. */
    this.retryAfter = retryAfter;
  }
}

async function refusal(response) {
  const retryAfter = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
  let problem = {};
  if (response.headers.get('Content-Type')?.startsWith('application/problem+json')) {
    problem = await response.json().catch(() => ({}));
  }
  const detail = problem.detail ?? `The server answered ${response.status} ${response.statusText}.`;
  return new RefusedError(response.status, detail, Number.isNaN(retryAfter) ? undefined : retryAfter, problem.instance);
}

/** The URL of a relation out of `Link` (RFC 8288), if there is one. */
function linked(response, relation) {
  const links = (response.headers.get('Link') ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+=(?:"[^"]*"|[^",;\s]*))*)/g);
  const found = [...links].find(([, , parameters]) => parameters.includes(`rel="${relation}"`));
  return found && new URL(found[1], response.url);
}

const attribute = (sdp, name) => sdp.match(new RegExp(`^a=${name}:(.*?)\r?$`, 'm'))?.[1];

function gathered(pc) {
  if (pc.iceGatheringState === 'complete') return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHERING_MS);
    pc.addEventListener('icegatheringstatechange', () => {
      if (pc.iceGatheringState !== 'complete') return;
      clearTimeout(timer);
      resolve();
    });
  });
}

/** One session: a peer connection and its URL on the server. */
class Session {
  /** @param {string} endpoint the URL that takes the offer */
  constructor(endpoint) {
    this.endpoint = new URL(endpoint, location.href);
    this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.end = this.end.bind(this);
    addEventListener('pagehide', this.end);
    this.pc.addEventListener('iceconnectionstatechange', () => this.#watchConnection());
  }

  /** Offers, and takes the answer. Throws a {@link RefusedError} when the server refuses. */
  async connect() {
    await this.pc.setLocalDescription(await this.pc.createOffer());
    await gathered(this.pc);
    if (this.pc.signalingState === 'closed') return;
    /** When the offer went out, as `performance.now()` counts. */
    this.offeredAt = performance.now();
    const response = await fetch(this.endpoint, {
      method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: this.pc.localDescription.sdp,
    });
    if (response.status !== 201) throw await refusal(response);
    this.url = new URL(response.headers.get('Location'), response.url);
    this.etag = response.headers.get('ETag');
    this.eventsUrl = linked(response, EVENTS);
    this.answer = await response.text();
    if (this.pc.signalingState === 'closed') return this.end();
    await this.pc.setRemoteDescription({ type: 'answer', sdp: this.answer });
  }

  /**
   * Restarts ICE (RFC 9725 §4.3.3): other credentials, and new checks from wherever this device is now. Media goes on. Throws when
   * the server refuses, and the connection is as it was.
   */
  async restart() {
    const offer = await this.pc.createOffer({ iceRestart: true });
    await this.pc.setLocalDescription(offer);
    await gathered(this.pc);
    const local = this.pc.localDescription.sdp;
    const response = await fetch(this.url, {
      method: 'PATCH', headers: { 'Content-Type': FRAGMENT, 'If-Match': '*' }, body: fragmentOf(local),
    });
    if (response.status !== 200) {
      await this.pc.setLocalDescription({ type: 'rollback' });
      throw await refusal(response);
    }
    this.etag = response.headers.get('ETag');
    this.answer = restarted(this.answer, await response.text());
    await this.pc.setRemoteDescription({ type: 'answer', sdp: this.answer });
  }

  /** What the server has to say of this session: its state, a verdict in words, and the steps that led there. */
  async why() {
    if (!this.url) return undefined;
    const response = await fetch(`${this.url}/why`).catch(() => undefined);
    return response?.ok ? response.json() : undefined;
  }

  /** Calls `handlers[name]` with the data of the server's events, as far as it has any. */
  async listen(handlers) {
    if (!this.eventsUrl) return;
    const response = await fetch(this.eventsUrl, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(Object.keys(handlers)),
    });
    if (response.status !== 201 || this.pc.signalingState === 'closed') return;
    this.events = new EventSource(new URL(response.headers.get('Location'), response.url));
    for (const [name, handler] of Object.entries(handlers)) {
      this.events.addEventListener(name, ({ data }) => handler(JSON.parse(data)));
    }
  }

  /** Restarts ICE when the connection is interrupted, once for each interruption. */
  #watchConnection() {
    clearTimeout(this.interrupted);
    const state = this.pc.iceConnectionState;
    if (!this.url || (state !== 'disconnected' && state !== 'failed')) return;
    this.interrupted = setTimeout(() => this.restart().catch(() => {}), state === 'failed' ? 0 : RESTART_MS);
  }

  /** Where the server wants media: the address and port of each candidate of its answer. */
  get servers() {
    const lines = this.answer?.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) /gim) ?? [];
    return [...new Set([...lines].map(([, ip, port]) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)))];
  }

  /** Ends the session on both sides. */
  end() {
    removeEventListener('pagehide', this.end);
    clearTimeout(this.interrupted);
    this.events?.close();
    this.pc.close();
    if (!this.url) return;
    // keepalive, as the page may be going away.
    fetch(this.url, { method: 'DELETE', keepalive: true }).catch(() => {});
    this.url = undefined;
  }
}

/** Publishes by WHIP. */
export class WhipSession extends Session {
  /** Adds a track to be sent, `codec` (a name such as `VP8`) as the only one. */
  add(track, stream, { codec, maxBitrate } = {}) {
    const transceiver = this.pc.addTransceiver(track, {
      direction: 'sendonly', streams: [stream], sendEncodings: maxBitrate ? [{ maxBitrate }] : [],
    });
    if (codec) offerOnly(transceiver, track.kind, codec);
  }
}

/** Plays by WHEP. */
export class WhepSession extends Session {
  constructor(endpoint, kinds = ['audio', 'video'], codec = undefined) {
    super(endpoint);
    this.stream = new MediaStream();
    this.pc.addEventListener('track', ({ track }) => this.stream.addTrack(track));
    for (const kind of kinds) {
      const transceiver = this.pc.addTransceiver(kind, { direction: 'recvonly' });
      if (kind === 'audio') stereo(this.pc);
      if (kind === 'video' && codec) only(transceiver, codec);
    }
  }
}

/** Sends to an endpoint that returns everything. */
export class EchoSession extends Session {
  constructor(endpoint) {
    super(endpoint);
    this.stream = new MediaStream();
    this.pc.addEventListener('track', ({ track }) => this.stream.addTrack(track));
  }

  /** Adds a track to be sent, and to come back. */
  add(track, stream) {
    this.pc.addTransceiver(track, { direction: 'sendrecv', streams: [stream] });
  }
}

/** The fragment (RFC 8840 §4.4) of a description's first section. */
function fragmentOf(sdp) {
  const lines = [`a=ice-ufrag:${attribute(sdp, 'ice-ufrag')}`, `a=ice-pwd:${attribute(sdp, 'ice-pwd')}`];
  const options = attribute(sdp, 'ice-options');
  if (options) lines.push(`a=ice-options:${options}`);
  const section = sdp.slice(sdp.indexOf('\nm=') + 1).split(/\r?\nm=/)[0];
  lines.push(section.match(/^m=.*$/m)[0].trim(), `a=mid:${attribute(section, 'mid')}`);
  lines.push(...[...section.matchAll(/^a=(?:candidate:.*|end-of-candidates)$/gm)].map(([line]) => line.trim()));
  return `${lines.join('\r\n')}\r\n`;
}

/** An answer with the credentials and candidates of a fragment instead of its own. */
function restarted(answer, fragment) {
  const candidates = [...fragment.matchAll(/^a=candidate:.*$/gm)].map(([line]) => line.trim());
  return answer
    .replace(/^a=candidate:.*\r?\n/gm, '')
    .replace(/^a=end-of-candidates/gm, [...candidates, 'a=end-of-candidates'].join('\r\n'))
    .replace(/^a=ice-ufrag:.*?(\r?)$/gm, `a=ice-ufrag:${attribute(fragment, 'ice-ufrag')}$1`)
    .replace(/^a=ice-pwd:.*?(\r?)$/gm, `a=ice-pwd:${attribute(fragment, 'ice-pwd')}$1`);
}

const isCodec = (name) => (codec) => codec.mimeType.toLowerCase().endsWith(`/${name.toLowerCase()}`);

// The server chooses by its own order among the codecs of an offer: one that is wanted is the only one that is offered.
function offerOnly(transceiver, kind, name) {
  const all = RTCRtpSender.getCapabilities(kind)?.codecs ?? [];
  const wanted = all.filter(isCodec(name));
  if (wanted.length === 0) throw new Error(`This browser cannot send ${name}.`);
  transceiver.setCodecPreferences?.([...wanted, ...all.filter(isCodec('rtx'))]);
}

function only(transceiver, name) {
  transceiver.setCodecPreferences(RTCRtpReceiver.getCapabilities('video').codecs.filter(isCodec(name)));
}

// Chromium plays Opus in mono unless the offer's fmtp asks for stereo, and has no other way to ask.
function stereo(pc) {
  const createOffer = pc.createOffer.bind(pc);
  pc.createOffer = async (options) => {
    const { type, sdp } = await createOffer(options);
    return { type, sdp: sdp.replace(/^(a=fmtp:\d+ minptime=10;useinbandfec=1)\r$/gm, '$1;stereo=1\r') };
  };
}

/** The names of the codecs that this browser can send as video, each once. */
export function videoCodecs() {
  const auxiliary = /^(rtx|red|ulpfec|flexfec.*)$/i;
  const names = (RTCRtpSender.getCapabilities?.('video')?.codecs ?? []).map((codec) => codec.mimeType.split('/')[1]);
  return [...new Set(names)].filter((name) => !auxiliary.test(name));
}
