// The player's page: plays by WHEP, waits for a publisher that is not there yet, and goes on when one comes back.
import { WhepSession, RefusedError } from './client.js';
import { byId, say, query, streamPath, showState, showError, showFigures, connectionFailure, patience, Figures } from './page.js';

/** Seconds between attempts where the server does not say. */
const RETRY_S = 2;
/** Seconds without a packet after which the publisher is said to be away. */
const SILENCE_S = 2;
const NOBODY = 'Nobody publishes here yet. This page starts by itself when somebody does.';

const path = streamPath();
const video = byId('video');
let session;
let timer;
let retry;
let calm = () => {};

function start() {
  stop();
  showError();
  setRunning(true);
  showState('connecting', 'busy');
  attempt();
}

/** One request to play. Repeated while nobody publishes, without a word that the page does not say already. */
async function attempt() {
  const kinds = ['audio', 'video'].filter((kind) => query.get(kind) !== '0');
  const mine = new WhepSession(`/whep/${path}`, kinds, query.get('codec') ?? undefined);
  session = mine;
  window.oneport = session;
  video.srcObject = session.stream;
  session.pc.addEventListener('connectionstatechange', follow);
  video.requestVideoFrameCallback?.((now) => { mine.firstFrameMs ??= now - mine.offeredAt; });
  try {
    await mine.connect();
    if (session !== mine) return;
    calm = patience(mine, failed);
    // Another codec is published than this session has: only another offer brings it.
    mine.listen({ reconnect: () => { if (session === mine) start(); } }).catch(() => {});
    await playAloud();
  } catch (error) {
    // An answer to a request that Stop has called off is nobody's any more.
    if (session === mine) refused(error);
  }
}

/** Browsers may refuse sound before the first click on a page: then it starts without, and one click brings it. */
async function playAloud() {
  try {
    await video.play();
  } catch (error) {
    if (error.name !== 'NotAllowedError') return;
    setMuted(true);
    byId('unmute').hidden = false;
    await video.play().catch(() => {});
  }
}

function refused(error) {
  const absent = error instanceof RefusedError && error.status === 409;
  if (absent) {
    session?.end();
    showState('waiting for the publisher', 'busy');
    showHint(NOBODY);
    retry = setTimeout(attempt, (error.retryAfter ?? RETRY_S) * 1000);
    return;
  }
  stop();
  showState('stopped', 'bad');
  const unreachable = error instanceof TypeError && /fetch/i.test(error.message);
  showError(unreachable ? 'The server does not answer. Is it running?' : error.message);
}

function follow() {
  const state = session?.pc.connectionState;
  if (state === 'connected') {
    showHint('');
    watch(new Figures(session.pc, 'inbound-rtp'));
  } else if (state === 'disconnected') {
    showState('connection interrupted', 'busy');
  } else if (state === 'failed' || state === 'closed') {
    failed();
  }
}

async function failed() {
  const mine = session;
  const words = await connectionFailure(mine);
  if (session !== mine) return;
  stop();
  showState('connection failed', 'bad');
  showError(words);
}

/** Shows figures each second, and says so when nothing comes any more. */
function watch(figures) {
  let silent = 0;
  let played = false;
  const mine = session;
  showState('connected', 'good');
  clearInterval(timer);
  timer = setInterval(async () => {
    const { shown, packets } = await figures.read();
    if (session !== mine) return;
    showFigures({ ...shown, start: mine.firstFrameMs && `${Math.round(mine.firstFrameMs)} ms` });
    silent = packets > 0 ? 0 : silent + 1;
    played ||= packets > 0;
    const away = silent >= SILENCE_S;
    if (mine.pc.connectionState === 'connected') {
      showState(away ? 'waiting for the publisher' : 'playing', away ? 'busy' : 'good');
    }
    const absence = played ? 'The publisher has paused or left. This page goes on by itself.' : NOBODY;
    showHint(away ? absence : '');
  }, 1000);
}

function stop() {
  clearInterval(timer);
  clearTimeout(retry);
  calm();
  session?.end();
  session = undefined;
  video.srcObject = null;
  showHint('');
  byId('unmute').hidden = true;
  setRunning(false);
  showState('stopped');
}

function showHint(text) {
  byId('hint').hidden = !text;
  say(byId('hint'), text);
}

function setRunning(running) {
  byId('start').hidden = running;
  byId('stop').hidden = !running;
}

function setMuted(muted) {
  video.muted = muted;
  byId('mute').setAttribute('aria-pressed', String(muted));
  byId('mute').textContent = muted ? 'Unmute' : 'Mute';
  if (!muted) byId('unmute').hidden = true;
}

byId('name').textContent = decodeURIComponent(path);
byId('start').addEventListener('click', start);
byId('stop').addEventListener('click', stop);
byId('mute').addEventListener('click', () => setMuted(!video.muted));
byId('unmute').addEventListener('click', () => setMuted(false));
byId('volume').addEventListener('input', () => { video.volume = Number(byId('volume').value); });
byId('fullscreen').addEventListener('click', () => byId('screen').requestFullscreen?.());
showFigures({ bitrate: undefined, fps: undefined, resolution: undefined, rtt: undefined, loss: undefined });
// Not before: a video element that waits for its stream holds up the page's load event, and the browser's busy sign with it.
if (document.readyState === 'complete') start();
else addEventListener('load', start);
