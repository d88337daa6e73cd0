// The echo page: sends camera and microphone to the server, and shows what comes back.
import { EchoSession } from './client.js';
import { byId, showState, showError, showFigures, connectionFailure, patience, Figures } from './page.js';

let session;
let media;
let timer;
let calm = () => {};

async function start() {
  showError();
  setRunning(true);
  showState('asking for devices', 'busy');
  let mine;
  try {
    media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    mine = new EchoSession('/echo');
    session = mine;
    window.oneport = mine;
    for (const track of media.getTracks()) mine.add(track, media);
    byId('video').srcObject = mine.stream;
    mine.pc.addEventListener('connectionstatechange', follow);
    showState('connecting', 'busy');
    await mine.connect();
    calm = patience(mine, failed);
    await byId('video').play().catch(() => {});
  } catch (error) {
    stop();
    showState('stopped', 'bad');
    showError(error.message);
  }
}

function follow() {
  const state = session?.pc.connectionState;
  if (state === 'connected') {
    showState('connected', 'good');
    const figures = new Figures(session.pc, 'inbound-rtp');
    clearInterval(timer);
    timer = setInterval(async () => showFigures((await figures.read()).shown), 1000);
  } else if (state === 'disconnected') {
    showState('connection interrupted', 'busy');
  } else if (state === 'failed' || state === 'closed') {
    failed();
  }
}

async function failed() {
  const words = await connectionFailure(session);
  stop();
  showState('connection failed', 'bad');
  showError(words);
}

function stop() {
  clearInterval(timer);
  calm();
  session?.end();
  session = undefined;
  media?.getTracks().forEach((track) => track.stop());
  byId('video').srcObject = null;
  setRunning(false);
  showState('stopped');
}

function setRunning(running) {
  byId('start').hidden = running;
  byId('stop').hidden = !running;
}

byId('start').addEventListener('click', start);
byId('stop').addEventListener('click', stop);
