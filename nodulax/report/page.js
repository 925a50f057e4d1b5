'use strict';
// The page is complete without this script, which adds searching, sorting and enlarging.

for (const block of document.querySelectorAll('div.table')) {
  const input = block.querySelector('input[type=search]');
  const rows = [...block.querySelectorAll('tbody tr')];
  if (!input) continue;
  const output = block.querySelector('output');
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    output.textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
  };
  input.addEventListener('input', show);
  show();
}

// '<0.001' and '1,234' are numbers, '0.91 (0.88–0.93)' is 0.91; other text is not a number.
const number = (text) => {
  const found = text.replace(/,/g, '').replace('−', '-').match(/^\s*<?\s*(-?\d+(\.\d+)?)/);
  return found ? parseFloat(found[1]) : NaN;
};
const compare = (a, b) => {
  const [x, y] = [number(a), number(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) return a.localeCompare(b, 'en', { numeric: true });
  return x - y || a.localeCompare(b, 'en', { numeric: true });
};

for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.querySelectorAll('thead th')];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    head.querySelector('button').addEventListener('click', () => {
      const rising = head.getAttribute('aria-sort') !== 'ascending';
      for (const other of heads) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', rising ? 'ascending' : 'descending');
      const cell = (row) => row.cells[column].textContent.trim();
      const missing = (row) => ['–', ''].includes(cell(row));
      const rows = [...body.rows].sort((a, b) =>
        missing(a) - missing(b) || (rising ? 1 : -1) * compare(cell(a), cell(b)));
      body.append(...rows);
    });
  });
}

const filters = [...document.querySelectorAll('[data-filter]')];
const choose = () => {
  for (const gallery of document.querySelectorAll('#failures .gallery')) {
    const films = [...gallery.querySelectorAll('.film')];
    for (const film of films) {
      film.hidden = !filters.every((filter) => !filter.value || film.dataset[filter.dataset.filter] === filter.value);
    }
    gallery.hidden = films.every((film) => film.hidden);
  }
};
for (const filter of filters) filter.addEventListener('change', choose);
for (const layer of ['heat', 'truth']) {
  const box = document.getElementById(layer);
  if (box) box.addEventListener('change', () => document.body.classList.toggle(`no-${layer}`, !box.checked));
}

const dialog = document.getElementById('enlarged');
let current = null;
const enlarge = (film) => {
  current = film;
  dialog.querySelector('.stage').replaceChildren(film.querySelector('.layers').cloneNode(true));
  dialog.querySelector('.about').replaceChildren(
    film.querySelector('img').alt, document.createElement('br'),
    ...film.querySelector('figcaption').cloneNode(true).childNodes);
  if (!dialog.open) dialog.showModal();
};
const step = (by) => {
  const films = [...document.querySelectorAll('.film')].filter((film) => film.offsetParent);
  const next = films[films.indexOf(current) + by];
  if (next) enlarge(next);
};
for (const film of document.querySelectorAll('.film')) {
  film.querySelector('button').addEventListener('click', () => enlarge(film));
}
document.getElementById('previous').addEventListener('click', () => step(-1));
document.getElementById('next').addEventListener('click', () => step(1));
dialog.addEventListener('keydown', (event) => {
  if (event.key === 'ArrowLeft') step(-1);
  if (event.key === 'ArrowRight') step(1);
});
dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
