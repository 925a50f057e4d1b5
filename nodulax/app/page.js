'use strict';
// Asks the server for the network's reading, and draws it. The window, the opacity and the zoom are
// worked out here, so that a slider answers at once.

const $ = (id) => document.getElementById(id);
const FINDING = '#40c8ff';
const NOTICE = 'For research. Not a medical device.';
const SEEN = 20;  // answers that are kept; older files of the list are read again when chosen
const entries = [];  // the files of this visit: {file, answer, fault, item}
let current = null;  // the entry whose name the page shows
let shown = null;  // its answer, with its pixels unpacked; null while it is read or if that failed
let pointed = 0;  // number of the highlighted finding, from 1
let moved = [0, 0];  // from the centre of the frame to the picture's, in pixels of the screen
let queue = Promise.resolve();  // files are read one after the other

fetch('model').then((response) => response.json()).then((model) => {
  $('model').textContent = `${model.name}, ${model.step} steps; threshold frozen on ` +
    `${model.tune_images} tune images; probability ${model.calibrated ? '' : 'not '}calibrated`;
  $('measured').textContent = !model.measured ? 'An exported network: its figures are in its model card.' :
    model.measured.length ? `Measured: ${model.measured.join('; ')}` : 'Not evaluated yet.';
  $('colours').style.background = `linear-gradient(to right, ${model.colours.join(',')})`;
});

function add(files) {
  for (const file of files) {
    const item = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    item.append(button);
    const entry = {file, answer: null, fault: '', item, button};
    button.addEventListener('click', () => show(entry));
    entries.push(entry);
    $('files').append(item);
    label(entry);
  }
  if (files.length) show(entries[entries.length - files.length]);
  for (const entry of entries.slice(entries.length - files.length)) queue = queue.then(() => read(entry));
}

function label(entry) {
  const {answer, fault} = entry;
  const outcome = fault ? 'refused' : answer ? answer.radiograph.probability.toFixed(3) : 'waiting';
  entry.button.textContent = `${entry.file.name}: ${outcome}`;
  entry.item.classList.toggle('fault', Boolean(fault));
  entry.item.classList.toggle('positive', Boolean(answer && answer.radiograph.positive));
  entry.item.classList.toggle('current', entry === current);
}

async function read(entry) {
  if (entry.answer || entry.fault) return;
  if (entry === current) say(`Reading ${entry.file.name} …`);
  const begun = performance.now();
  try {
    const answer = await ask('read', entry.file).then((response) => response.json());
    answer.pixels = unpacked(answer.pixels);
    answer.heat = await pictureOf(answer.heat_map);
    answer.findings.radiographs[0].image = entry.file.name;
    answer.seconds = (performance.now() - begun) / 1000;
    entry.answer = answer;
    const kept = entries.filter((other) => other.answer && other !== current && other !== entry);
    for (const old of kept.slice(0, -SEEN)) old.answer = null;
  } catch (error) {
    entry.fault = (error.message || 'no answer').replace(/^this file: /, '');
  }
  label(entry);
  if (entry === current) show(entry);
}

async function ask(path, file) {
  const response = await fetch(path, {
    method: 'POST', body: file, headers: {'Content-Type': 'application/octet-stream'},
  });
  if (!response.ok) throw new Error((await response.json()).error);
  return response;
}

function show(entry) {
  current = entry;
  forget();  // nothing of one patient may stay beside the name of another
  entries.forEach(label);
  if (entry.fault) {
    say(`${entry.file.name}: ${entry.fault}`, true);
  } else if (entry.answer) {
    shown = entry.answer;
    const {radiograph, seconds} = shown;
    tell(radiograph);
    reset();
    const lungs = radiograph.lung_box ? '' : ' The lungs were not found; the whole image was used.';
    say(`${entry.file.name}: ${radiograph.width} x ${radiograph.height} pixels, read in ${seconds.toFixed(1)} s.${lungs}`);
  } else {
    say(`Reading ${entry.file.name} …`);
    queue = queue.then(() => read(entry));
  }
}

function forget() {
  shown = null;
  document.body.classList.remove('shown');
  for (const name of ['result', 'view', 'scale']) $(name).hidden = true;
  for (const name of ['controls', 'saving']) $(name).disabled = true;
  $('picture').width = 0;
  $('probability').textContent = $('verdict').textContent = '';
  $('findings').replaceChildren();
}

function say(text, fault = false) {
  $('status').textContent = text;
  $('status').classList.toggle('fault', fault);
}

function where(finding) {
  if (finding.zone === 'unknown') return 'unknown';
  return finding.zone === 'outside' ? `${finding.laterality}, outside the lungs` : `${finding.laterality} ${finding.zone}`;
}

function tell(radiograph) {
  document.body.classList.add('shown');
  for (const name of ['result', 'view', 'scale']) $(name).hidden = false;
  for (const name of ['controls', 'saving']) $(name).disabled = false;
  $('save_sr').disabled = !shown.dicom;
  $('save_sr').title = shown.dicom ? '' : 'only for DICOM files: it refers to the radiograph in its study';
  $('lowest').textContent = `transparent below ${shown.heat_threshold.toFixed(2)}`;
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
      `${index + 1}${finding.marked ? ' marked' : ''}`, finding.score.toFixed(2), where(finding),
      `${finding.x.toFixed(0)}, ${finding.y.toFixed(0)}`, size.map((side) => side.toFixed(0)).join(' x '),
    ]) row.insertCell().textContent = text;
    return row;
  });
  $('findings').replaceChildren(...rows);
  $('none').hidden = rows.length > 0;
}

function reset() {
  pointed = 0;
  moved = [0, 0];
  $('opacity').value = 50;
  [$('level').value, $('width').value] = usualWindow(shown);
  $('zoom').value = 100;
  $('boxes').checked = true;
  draw();
}

function draw() {
  if (!shown) return;
  for (const name of ['opacity', 'level', 'width', 'zoom']) $(`${name}_value`).textContent = `${(+$(name).value).toFixed(0)} %`;
  const context = drawFilm($('picture'), shown, $('level').value, $('width').value);
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
  place();
}

function place() {
  const zoom = $('zoom').value / 100;
  const frame = $('view').getBoundingClientRect();
  moved = moved.map((by, axis) => {
    const most = (zoom - 1) / 2 * (axis ? frame.height : frame.width);
    return Math.max(-most, Math.min(most, by));
  });
  $('picture').style.transform = `translate(${moved[0]}px, ${moved[1]}px) scale(${zoom})`;
}

function save(blob, ending) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${current.file.name.replace(/\.[^.]*$/, '')}${ending}`;
  link.click();
  URL.revokeObjectURL(link.href);
}

$('save_overlay').addEventListener('click', () => {
  const picture = $('picture'), whole = document.createElement('canvas');
  const line = Math.round(Math.max(16, picture.width / 30));
  [whole.width, whole.height] = [picture.width, picture.height + 2 * line];
  const context = whole.getContext('2d');
  context.drawImage(picture, 0, 0);
  context.fillStyle = '#fff';
  context.font = `${Math.round(line * .7)}px sans-serif`;
  const {probability, threshold} = shown.radiograph;
  context.fillText(`probability ${probability.toFixed(3)}, threshold ${threshold.toFixed(3)}`, 4, picture.height + line * .8, picture.width - 8);
  context.fillText(NOTICE, 4, picture.height + line * 1.8, picture.width - 8);
  whole.toBlob((blob) => save(blob, '_overlay.png'));
});
$('save_findings').addEventListener('click', () => {
  save(new Blob([JSON.stringify(shown.findings, null, 1)], {type: 'application/json'}), '_findings.json');
});
$('save_sr').addEventListener('click', async () => {
  const entry = current;
  try {
    const blob = await ask('sr', entry.file).then((response) => response.blob());
    if (entry === current) save(blob, '_sr.dcm');
  } catch (error) {
    if (entry === current) say(`${entry.file.name}: ${error.message}`, true);
  }
});

$('file').addEventListener('change', () => { add([...$('file').files]); $('file').value = ''; });
$('example').addEventListener('click', async () => {
  const blob = await fetch('example').then((response) => response.blob());
  add([new File([blob], 'simulated.png')]);
});
for (const name of ['opacity', 'level', 'width', 'boxes']) $(name).addEventListener('input', draw);
$('zoom').addEventListener('input', draw);
$('reset').addEventListener('click', reset);

$('view').addEventListener('wheel', (event) => {
  event.preventDefault();
  const before = $('zoom').value, frame = $('view').getBoundingClientRect();
  $('zoom').value = before * Math.exp(-event.deltaY / 500);
  const grown = $('zoom').value / before;  // the point under the mouse stays where it is
  const at = [event.clientX - frame.x - frame.width / 2, event.clientY - frame.y - frame.height / 2];
  moved = moved.map((by, axis) => at[axis] + (by - at[axis]) * grown);
  draw();
}, {passive: false});
$('view').addEventListener('pointermove', (event) => {
  if (!event.buttons) return;
  moved = [moved[0] + event.movementX, moved[1] + event.movementY];
  place();
});

addEventListener('dragover', (event) => { event.preventDefault(); $('drop').classList.add('over'); });
addEventListener('dragleave', () => $('drop').classList.remove('over'));
addEventListener('drop', (event) => {
  event.preventDefault();
  $('drop').classList.remove('over');
  add([...event.dataTransfer.files]);
});
addEventListener('resize', () => { if (shown) place(); });

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
