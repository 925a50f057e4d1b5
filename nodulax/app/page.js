'use strict';
// Asks the server what the network says, and draws it. The window and the opacity are worked out
// here, so that a slider answers at once.

const $ = (id) => document.getElementById(id);
const FINDING = '#40c8ff';
let shown = null;  // the server's answer for the radiograph, with its pixels unpacked
let asked = 0;
let pointed = 0;  // the finding that is pointed out, from 1

fetch('model').then((response) => response.json()).then((model) => {
  $('model').textContent = `${model.name}, ${model.step} steps; threshold frozen on ` +
    `${model.tune_images} tune images; probability ${model.calibrated ? '' : 'not '}calibrated`;
});

async function read(file) {
  const mine = ++asked;
  forget();
  say(`Reading ${file.name} …`);
  const begun = performance.now();
  try {
    const response = await fetch('read', {
      method: 'POST', body: file, headers: {'Content-Type': 'application/octet-stream'},
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    const bytes = Uint8Array.from(atob(answer.pixels), (letter) => letter.charCodeAt(0));
    answer.pixels = new Uint16Array(bytes.buffer);
    const heat = new Image();
    heat.src = `data:image/png;base64,${answer.heat_map}`;
    await heat.decode();
    answer.heat = heat;
    if (mine !== asked) return;  // another file was chosen meanwhile
    shown = answer;
    tell(answer.radiograph);
    reset();
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    const lungs = answer.radiograph.lung_box ? '' : ' The lungs were not found; the whole image was used.';
    say(`${file.name}: ${answer.radiograph.width} x ${answer.radiograph.height} pixels, read in ${seconds} s.${lungs}`);
  } catch (error) {
    if (mine !== asked) return;
    forget();  // nothing of one patient may stay beside the name of another
    say(`${file.name}: ${error.message || 'no answer'}`, true);
  }
}

function forget() {
  shown = null;
  document.body.classList.remove('shown');
  $('result').hidden = $('picture').hidden = true;
  $('controls').disabled = true;
  $('picture').width = 0;
  $('probability').textContent = $('verdict').textContent = '';
  $('findings').replaceChildren();
}

function say(text, fault = false) {
  $('status').textContent = text;
  $('status').classList.toggle('fault', fault);
}

function tell(radiograph) {
  document.body.classList.add('shown');
  $('result').hidden = $('picture').hidden = false;
  $('controls').disabled = false;
  $('probability').textContent = radiograph.probability.toFixed(3);
  $('verdict').textContent = radiograph.positive ? 'at or above the threshold' : 'below the threshold';
  $('fill').style.width = `${100 * radiograph.probability}%`;
  $('tick').style.left = `${100 * radiograph.threshold}%`;
  $('threshold').textContent = `Probability of a nodule or mass; threshold ${radiograph.threshold.toFixed(3)}`;
  const mm = radiograph.spacing_mm !== null;
  $('size_head').textContent = mm ? 'Size, mm' : 'Size, pixels';
  const rows = radiograph.findings.map((finding, index) => {
    const size = mm ? [finding.width_mm, finding.height_mm] : [finding.width, finding.height];
    const row = document.createElement('tr');
    row.classList.toggle('marked', finding.marked);
    for (const text of [
      `${index + 1}${finding.marked ? ' marked' : ''}`, finding.score.toFixed(2),
      finding.zone === 'unknown' ? 'unknown' : `${finding.laterality} ${finding.zone}`,
      `${finding.x.toFixed(0)}, ${finding.y.toFixed(0)}`, size.map((side) => side.toFixed(0)).join(' x '),
    ]) row.insertCell().textContent = text;
    return row;
  });
  $('findings').replaceChildren(...rows);
  $('none').hidden = rows.length > 0;
}

function reset() {
  pointed = 0;
  $('opacity').value = 50;
  $('level').value = 100 * (shown.black + shown.white) / 2 / 65535;
  $('width').value = 100 * (shown.white - shown.black) / 65535;
  $('boxes').checked = true;
  draw();
}

function draw() {
  if (!shown) return;
  for (const name of ['opacity', 'level', 'width']) $(`${name}_value`).textContent = `${(+$(name).value).toFixed(0)} %`;
  const canvas = $('picture');
  canvas.width = shown.width;
  canvas.height = shown.height;
  const context = canvas.getContext('2d');
  const grey = context.createImageData(shown.width, shown.height);
  const width = Math.max(1, $('width').value * 655.35);
  const black = $('level').value * 655.35 - width / 2;
  const target = new Uint32Array(grey.data.buffer);
  for (let i = 0; i < target.length; i++) {
    const value = Math.max(0, Math.min(255, (shown.pixels[i] - black) / width * 255)) | 0;
    target[i] = 0xff000000 | value << 16 | value << 8 | value;
  }
  context.putImageData(grey, 0, 0);
  context.globalAlpha = $('opacity').value / 100;
  context.drawImage(shown.heat, 0, 0);
  context.globalAlpha = 1;
  const [across, down] = [shown.width / shown.radiograph.width, shown.height / shown.radiograph.height];
  shown.radiograph.findings.forEach((finding, index) => {
    const here = index + 1 === pointed;
    if (!here && !(finding.marked && $('boxes').checked)) return;
    const [left, top, right, bottom] = finding.box;
    context.lineWidth = Math.max(2, shown.width / 400) * (here ? 2 : 1);
    context.strokeStyle = here ? '#ffcf8f' : FINDING;
    context.strokeRect(left * across, top * down, (right - left) * across, (bottom - top) * down);
    context.fillStyle = context.strokeStyle;
    context.font = `bold ${Math.round(Math.max(14, shown.width / 40))}px sans-serif`;
    context.fillText(index + 1, left * across + 4, Math.max(top * down - 5, shown.width / 40));
  });
  [...$('findings').rows].forEach((row, index) => row.classList.toggle('pointed', index + 1 === pointed));
}

$('file').addEventListener('change', () => { if ($('file').files[0]) read($('file').files[0]); });
for (const name of ['opacity', 'level', 'width', 'boxes']) $(name).addEventListener('input', draw);
$('reset').addEventListener('click', reset);

addEventListener('dragover', (event) => { event.preventDefault(); $('drop').classList.add('over'); });
addEventListener('dragleave', () => $('drop').classList.remove('over'));
addEventListener('drop', (event) => {
  event.preventDefault();
  $('drop').classList.remove('over');
  if (event.dataTransfer.files[0]) read(event.dataTransfer.files[0]);
});

let opacity = 50;
addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const key = event.key.toLowerCase();
  if (key === 'o') $('file').click();
  if (!shown || event.repeat) return;
  if (key === 'r') reset();
  if (key === 'b') $('boxes').checked = !$('boxes').checked;
  if (key === 'h') {
    if (+$('opacity').value) [opacity, $('opacity').value] = [$('opacity').value, 0];
    else $('opacity').value = opacity;
  }
  if (key >= '1' && key <= '9') pointed = +key;
  if ('bh123456789'.includes(key)) draw();
});
addEventListener('keyup', (event) => { if (+event.key === pointed) { pointed = 0; draw(); } });
