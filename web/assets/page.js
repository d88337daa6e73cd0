// What the publisher's and the player's page have in common: the stream's name, the state, errors in words, live figures.

export const byId = (id) => document.getElementById(id);
export const query = new URLSearchParams(location.search);

/** App and stream of the page's path, `/publish/{app}/{stream}` or `/publish/{stream}`; without any, `live/test`. */
export function streamPath() {
  const names = location.pathname.split('/').filter(Boolean).slice(1);
  if (names.length === 0) return 'live/test';
  return names.length === 1 ? `live/${names[0]}` : `${names[0]}/${names[1]}`;
}

/** Sets an element's text if it says something else: what is set again, a screen reader may read out again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows where things stand. `mood`: good, busy, bad, or nothing. */
export function showState(text, mood = '') {
  say(byId('state'), text);
  byId('state').dataset.mood = mood;
}

/** Shows an error in words, or with nothing takes it away. */
export function showError(text) {
  byId('error').hidden = !text;
  byId('error').textContent = text ?? '';
}

/** How long a page waits for its connection before it asks the server why there is none. The server gives up after 10 s. */
const PATIENCE_MS = 12_000;

/** Calls `failed` when a session that was begun now is not connected in time. Gives what calls that off. */
export function patience(session, failed) {
  const timer = setTimeout(() => { if (session.pc.connectionState !== 'connected') failed(); }, PATIENCE_MS);
  return () => clearTimeout(timer);
}

/** What a connection's failure means to whoever sits before the page: the server's verdict, or our own guess without it. */
export async function connectionFailure(session) {
  const guess = guessFailure(session);
  const account = await session.why();
  return account?.verdict?.text ?? guess;
}

function guessFailure(session) {
  const where = session.servers.join(', ') || 'the announced address';
  return `No connection to the server for media: it waits for UDP at ${where}. A firewall between here and there may block that port, ` +
    'or the server announces an address that cannot be reached from here (its --public-address).';
}

// Leaving the page ended its session; a page that the browser brings back as it was would show one that is not there.
addEventListener('pageshow', ({ persisted }) => { if (persisted) location.reload(); });

const LABELS = {
  bitrate: 'Bitrate', fps: 'Frame rate', resolution: 'Resolution', rtt: 'Round trip', loss: 'Loss', jitter: 'Jitter', frames: 'Frames', start: 'First frame',
};

/** Shows live figures, all of them or those that are known. */
export function showFigures(figures) {
  byId('figures').replaceChildren(...Object.entries(figures).map(([name, value]) => {
    const box = document.createElement('div');
    const term = document.createElement('dt');
    const figure = document.createElement('dd');
    term.textContent = LABELS[name];
    figure.textContent = value ?? '–';
    figure.dataset.testid = `figure-${name}`;
    box.append(term, figure);
    return box;
  }));
}

const bitrate = (bits) => (bits >= 1e6 ? `${(bits / 1e6).toFixed(2)} Mbit/s` : `${Math.round(bits / 1e3)} kbit/s`);
const milliseconds = (seconds) => (seconds === undefined ? undefined : `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`);

/** Figures from getStats, call by call: what is counted is shown per second since the last call. */
export class Figures {
  #last;

  /** @param {'inbound-rtp'|'outbound-rtp'} direction */
  constructor(pc, direction) {
    this.pc = pc;
    this.direction = direction;
  }

  /** The figures now, ready to be shown, and `packets`, received or sent since the last call. */
  async read() {
    const stats = [...(await this.pc.getStats()).values()];
    const streams = stats.filter((entry) => entry.type === this.direction);
    const video = streams.find((entry) => entry.kind === 'video');
    const now = this.#count(stats, streams, video);
    const last = this.#last ?? now;
    this.#last = now;
    const seconds = Math.max((now.time - last.time) / 1000, 0.001);
    const expected = now.packets - last.packets + now.lost - last.lost;
    const loss = expected > 0 ? Math.max(0, (now.lost - last.lost) / expected) : 0;
    const shown = {
      bitrate: bitrate(((now.bytes - last.bytes) * 8) / seconds),
      fps: video && `${((now.frames - last.frames) / seconds).toFixed(0)} fps`,
      resolution: video?.frameWidth && `${video.frameWidth} × ${video.frameHeight}`,
      rtt: milliseconds(now.rtt),
      loss: `${(loss * 100).toFixed(1)} %`,
    };
    if (this.direction === 'inbound-rtp') {
      shown.jitter = milliseconds(video?.jitter ?? streams[0]?.jitter);
      shown.frames = video && String(now.frames);
    }
    return { shown, packets: now.packets - last.packets };
  }

  #count(stats, streams, video) {
    const incoming = this.direction === 'inbound-rtp';
    const sum = (entries, name) => entries.reduce((total, entry) => total + (entry[name] ?? 0), 0);
    const remote = stats.filter((entry) => entry.type === 'remote-inbound-rtp');
    const pair = stats.find((entry) => entry.type === 'candidate-pair' && entry.nominated && entry.state === 'succeeded');
    return {
      time: streams[0]?.timestamp ?? 0,
      bytes: sum(streams, incoming ? 'bytesReceived' : 'bytesSent'),
      packets: sum(streams, incoming ? 'packetsReceived' : 'packetsSent'),
      lost: sum(incoming ? streams : remote, 'packetsLost'),
      frames: (incoming ? video?.framesDecoded : video?.framesEncoded) ?? 0,
      rtt: pair?.currentRoundTripTime ?? remote[0]?.roundTripTime,
    };
  }
}
