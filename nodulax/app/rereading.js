'use strict';
// Shows the queue one radiograph after the other. An answer is on disk before the page says so.

const $ = (id) => document.getElementById(id);
const BOX = '#40e060';
let reader = '';
let answers = [];  // of this reader, by place: {answer, boxes} or null
let place = 0;
let shown = null;  // the radiograph: pixels, width, height, black, white, stored
let boxes = [];  // [x_min, y_min, x_max, y_max] in pixels of the stored radiograph
let corner = null;  // where a box begins, and where the mouse is now
let heat = null;
let since = 0;
let saving = false;

async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

const asReader = (path) => `${path}?reader=${encodeURIComponent(reader)}`;

$('start').addEventListener('submit', async (event) => {
  event.preventDefault();
  reader = $('reader').value.trim();
  try {
    ({answers} = await ask(asReader('queue')));
  } catch (error) {
    $('refused').textContent = error.message;
    $('refused').hidden = false;
    return;
  }
  $('start').hidden = true;
  document.querySelector('main').hidden = false;
  document.activeElement.blur();
  const first = answers.indexOf(null);
  await show(first < 0 ? answers.length - 1 : first);
});

async function show(at) {
  place = at;
  shown = heat = null;
  const given = answers[place];
  boxes = given ? given.boxes.map((box) => [...box]) : [];
  $('opinion').hidden = true;
  $('picture').width = 0;
  say('Loading …');
  tell();
  try {
    const answer = await ask(`radiograph/${at}`);
    if (at !== place) return;
    answer.pixels = unpacked(answer.pixels);
    shown = answer;
    [$('level').value, $('width').value] = usualWindow(shown);
    since = performance.now();
    say(given ? `Your answer: ${given.answer}` : '');
    tell();
    draw();
    if (given) await opinion(at);
  } catch (error) {
    say(error.message, true);
  }
}

async function opinion(at) {
  const answer = await ask(asReader(`heat/${at}`));
  const image = await pictureOf(answer.heat_map);
  if (at !== place) return;
  heat = image;
  $('probability').textContent = `Probability of a nodule or mass: ${answer.probability.toFixed(2)}`;
  $('opinion').hidden = false;
  draw();
}

async function give(answer) {
  if (!shown || saving) return;
  const at = place, drawn = answer === 'nodule' ? boxes : [];
  saving = true;
  try {
    await ask('answer', {
      method: 'POST', headers: {'Content-Type': 'application/json'},
      body: JSON.stringify({reader, place: at, answer, boxes: drawn, seconds: (performance.now() - since) / 1000}),
    });
    answers[at] = {answer, boxes: drawn};
    boxes = drawn.map((box) => [...box]);
    say(`Saved: ${answer}. N shows the next one.`);
    tell();
    draw();
    await opinion(at);
  } catch (error) {
    say(`Not saved: ${error.message}`, true);
  } finally {
    saving = false;
  }
}

function say(text, fault = false) {
  $('status').textContent = text;
  $('status').classList.toggle('fault', fault);
}

function tell() {
  const read = answers.filter(Boolean).length;
  $('progress').textContent = `${reader}: radiograph ${place + 1} of ${answers.length}, ${read} answered` +
    (read === answers.length ? '. All are answered; you may close the page.' : '');
  const given = answers[place];
  for (const button of document.querySelectorAll('[data-answer]')) {
    button.classList.toggle('given', Boolean(given && given.answer === button.dataset.answer));
    button.disabled = !shown;
  }
  $('boxes').textContent = boxes.length === 1 ? 'One box.' : boxes.length ? `${boxes.length} boxes.` : 'No box.';
  $('undo').disabled = !boxes.length;
  $('previous').disabled = place === 0;
  $('next').disabled = place === answers.length - 1;
}

function draw() {
  if (!shown) return;
  const context = drawFilm($('picture'), shown, $('level').value, $('width').value);
  if (heat) {
    context.globalAlpha = $('opacity').value / 100;
    context.drawImage(heat, 0, 0);
    context.globalAlpha = 1;
  }
  context.strokeStyle = BOX;
  context.lineWidth = Math.max(2, shown.width / 400);
  const scale = shown.width / shown.stored[0];
  const open = corner ? [between(corner.from, corner.to)] : [];
  for (const [left, top, right, bottom] of [...boxes, ...open]) {
    context.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
  }
}

function between([x, y], [u, v]) {
  return [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
}

function at(event) {
  const frame = $('picture').getBoundingClientRect();
  return [
    [event.clientX - frame.x, frame.width, shown.stored[0]],
    [event.clientY - frame.y, frame.height, shown.stored[1]],
  ].map(([offset, side, pixels]) => Math.round(Math.max(0, Math.min(1, offset / side)) * pixels));
}

$('picture').addEventListener('pointerdown', (event) => {
  if (!shown || event.button) return;
  $('picture').setPointerCapture(event.pointerId);
  corner = {from: at(event), to: at(event)};
});
$('picture').addEventListener('pointermove', (event) => {
  if (!corner) return;
  corner.to = at(event);
  draw();
});
$('picture').addEventListener('pointerup', () => {
  if (!corner) return;
  const box = between(corner.from, corner.to);
  corner = null;
  const least = shown.stored[0] / 200;  // a click is not a box
  if (box[2] - box[0] > least && box[3] - box[1] > least) boxes.push(box);
  tell();
  draw();
});

function undo() {
  boxes.pop();
  tell();
  draw();
}

function step(by) {
  const to = place + by;
  if (to >= 0 && to < answers.length) show(to);
}

for (const button of document.querySelectorAll('[data-answer]')) {
  button.addEventListener('click', () => give(button.dataset.answer));
}
$('undo').addEventListener('click', undo);
$('previous').addEventListener('click', () => step(-1));
$('next').addEventListener('click', () => step(1));
for (const name of ['opacity', 'level', 'width']) $(name).addEventListener('input', draw);
addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || !answers.length) return;
  const key = event.key.toLowerCase();
  const answer = {1: 'nodule', 2: 'normal', 3: 'unsure'}[key];
  if (answer) give(answer);
  if (key === 'u') undo();
  if (key === 'n') step(1);
  if (key === 'p') step(-1);
});
