// WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) in the browser: an offer by POST, the session's end by DELETE.

/** How long candidates are waited for: a lite server needs none of them, so a slow STUN server must not hold up the start. */
const GATHERING_MS = 500;

/** A refusal of the server's, in its words. */
export class RefusedError extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.name = 'RefusedError';
    this.status = status;
    /** Seconds after which the server wants to be asked again, if it said so. */
    this.retryAfter = retryAfter;
  }
}

async function refusal(response) {
  const retryAfter = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
  let detail = `The server answered ${response.status} ${response.statusText}.`;
  if (response.headers.get('Content-Type')?.startsWith('application/problem+json')) {
    detail = (await response.json().catch(() => ({}))).detail ?? detail;
  }
  return new RefusedError(response.status, detail, Number.isNaN(retryAfter) ? undefined : retryAfter);
}

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
  }

  /** Offers, and takes the answer. Throws a {@link RefusedError} when the server refuses. */
  async connect() {
    await this.pc.setLocalDescription(await this.pc.createOffer());
    await gathered(this.pc);
    if (this.pc.signalingState === 'closed') return;
    const response = await fetch(this.endpoint, {
      method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: this.pc.localDescription.sdp,
    });
    if (response.status !== 201) throw await refusal(response);
    this.url = new URL(response.headers.get('Location'), response.url);
    this.answer = await response.text();
    if (this.pc.signalingState === 'closed') return this.end();
    await this.pc.setRemoteDescription({ type: 'answer', sdp: this.answer });
  }

  /** Where the server wants media: the address and port of each candidate of its answer. */
  get servers() {
    const lines = this.answer?.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) /gim) ?? [];
    return [...new Set([...lines].map(([, ip, port]) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)))];
  }

  /** Ends the session on both sides. */
  end() {
    removeEventListener('pagehide', this.end);
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
