"""The page in a real browser without a window: searching, sorting, enlarging, phone and paper.

A script is added to a copy of the page; what it finds stands in the document that the browser
prints in the end.
"""

import html
import json
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
FLAGS = (
  *('--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-sync'),
  *('--disable-background-networking', '--disable-component-update', '--hide-scrollbars'),
)
WATCH = """<script>const faults = [];
addEventListener('error', (event) => faults.push(String(event.message)));
addEventListener('securitypolicyviolation', (event) => faults.push(event.blockedURI));</script>"""
TELL = """<script>(async () => {
  const text = (element) => element.textContent.trim();
  const rows = (table) => [...table.tBodies[0].rows].filter((row) => !row.hidden);
  const column = (table, number) => rows(table).map((row) => text(row.cells[number]));
  const outcome = {};
  try { %s } catch (error) { faults.push(String(error)); }
  const pre = document.createElement('pre');
  pre.id = 'outcome';
  pre.textContent = JSON.stringify({ ...outcome, faults });
  document.body.append(pre);
})();</script></body>"""


@pytest.fixture(scope='module')
def browse(report, tmp_path_factory):
  """Runs the browser on the page, with a script that fills `outcome`."""
  browser = next(filter(None, map(shutil.which, NAMES)), None)
  if browser is None:
    pytest.skip(f'no browser: none of {", ".join(NAMES)} is installed')

  def browse(script='', flags=('--dump-dom',)):
    folder = tmp_path_factory.mktemp('browser')
    text = (report / 'index.html').read_text()
    text = text.replace('<head>', f'<head>{WATCH}', 1).replace('</body>', TELL % script)
    page = folder / 'page.html'
    page.write_text(text)
    size = '--window-size=1280,900'
    profile = f'--user-data-dir={folder / "profile"}'
    finished = subprocess.run(
      [browser, *FLAGS, profile, size, *flags, page.as_uri()],
      capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    found = re.search('<pre id="outcome">(.*?)</pre>', finished.stdout, re.DOTALL)
    return json.loads(html.unescape(found[1])) if found else {}

  return browse


@pytest.fixture(scope='module')
def outcome(browse):
  """What a visitor finds who searches, sorts and clicks."""
  return browse("""
    const table = document.getElementById('table_nodule_groups');
    const input = table.closest('.table').querySelector('input');
    const search = (words) => { input.value = words; input.dispatchEvent(new Event('input')); };
    outcome.all = rows(table).length;
    search('GMC zone APEX');
    outcome.found = rows(table).map(text);
    outcome.counted = text(table.closest('.table').querySelector('output'));
    search('no such thing');
    outcome.none = rows(table).length;
    search('');

    const head = table.tHead.rows[0].cells[4];
    head.querySelector('button').click();
    outcome.rising = column(table, 4);
    outcome.order = head.getAttribute('aria-sort');
    head.querySelector('button').click();
    outcome.falling = column(table, 4);
    outcome.ordered = head.getAttribute('aria-sort');

    const films = [...document.querySelectorAll('#failures .film')];
    const dialog = document.getElementById('enlarged');
    films[1].querySelector('button').click();
    outcome.open = dialog.open;
    outcome.about = text(dialog.querySelector('.about'));
    outcome.alternative = films[1].querySelector('img').alt;
    const width = () => dialog.querySelector('.stage img').getBoundingClientRect().width;
    outcome.fits = dialog.scrollHeight <= dialog.clientHeight;
    outcome.enlarged = width() / films[1].querySelector('img').getBoundingClientRect().width;
    document.getElementById('next').click();
    const second = films[2].querySelector('img').alt;
    outcome.next = text(dialog.querySelector('.about')).startsWith(second);
    dialog.querySelector('form button').click();
    outcome.closed = !dialog.open;

    const choose = (name, value) => {
      const select = document.querySelector(`[data-filter=${name}]`);
      select.value = value;
      select.dispatchEvent(new Event('change'));
    };
    choose('set', 'gmc');
    choose('kind', 'miss');
    const shown = films.filter((film) => film.offsetParent);
    outcome.shown = [...new Set(shown.map((film) => film.dataset.set + ', ' + film.dataset.kind))];
    outcome.hidden = films.length - shown.length;
    document.getElementById('heat').click();
    outcome.heat = getComputedStyle(shown[0].querySelector('.heat')).display;
  """)


def test_nothing_fails_and_nothing_is_asked_for(outcome):
  assert outcome['faults'] == []


def test_searching_leaves_the_rows_that_hold_every_word(outcome):
  assert outcome['found'] and outcome['none'] == 0
  assert all('GMC' in row and 'Zone' in row and 'apex' in row for row in outcome['found'])
  assert outcome['counted'] == f'{len(outcome["found"])} of {outcome["all"]} rows'


def test_sorting_is_by_number_and_leaves_the_unknown_last(outcome):
  assert (outcome['order'], outcome['ordered']) == ('ascending', 'descending')
  for cells, sign in ((outcome['rising'], 1), (outcome['falling'], -1)):
    known = [cell for cell in cells if cell != '–']
    assert cells == known + ['–'] * (len(cells) - len(known))
    values = sign * np.array([float(cell.split(' ')[0]) for cell in known])
    assert len(set(values)) > 5 and (np.diff(values) >= 0).all()


def test_a_click_enlarges_a_radiograph(outcome):
  assert outcome['open'] and outcome['closed'] and outcome['next']
  assert outcome['about'].startswith(outcome['alternative'])
  assert outcome['enlarged'] > 2 and outcome['fits']


def test_the_gallery_can_be_narrowed(outcome):
  assert outcome['shown'] == ['gmc, miss'] and outcome['hidden'] > 0
  assert outcome['heat'] == 'none'


def test_text_stands_out_from_its_ground(browse):
  """WCAG 2.1, 1.4.3: a contrast of at least 4.5."""
  found = browse("""
    const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const luminance = (colour) => numbers(colour).slice(0, 3).map((value) => value / 255)
      .map((value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
      .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
    const ground = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (numbers(colour)[3] !== 0) return colour;
      }
      return 'rgb(255, 255, 255)';
    };
    outcome.texts = 0;
    outcome.faint = [];
    for (const element of document.body.querySelectorAll('*')) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      if (!own || !element.offsetParent || element.matches('script, style, option')) continue;
      const pair = [getComputedStyle(element).color, ground(element)].map(luminance);
      const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
      outcome.texts += 1;
      if (contrast < 4.5) outcome.faint.push([element.tagName, element.className, contrast]);
    }
  """)
  assert found['faults'] == [] and found['texts'] > 500
  assert found['faint'] == []


def test_a_screen_reader_finds_its_way(browse):
  found = browse("""
    const all = (selector) => [...document.querySelectorAll(selector)];
    outcome.tables = all('table:not(.model-card table)').filter((table) => !table.caption).length;
    outcome.heads = all('th').filter((head) => !head.scope).length;
    outcome.fields = all('input, select').filter((field) => !field.labels.length).length;
    outcome.buttons = all('button').filter((it) => !(it.ariaLabel || text(it))).length;
    const by = (it) => document.getElementById(it.getAttribute('aria-labelledby'));
    outcome.regions = all('[role=region]').filter((it) => !(it.ariaLabel || by(it))).length;
    outcome.levels = all('h1, h2, h3, h4').map((head) => Number(head.tagName[1]));
    outcome.twice = all('[id]').length - new Set(all('[id]').map((it) => it.id)).size;
    outcome.language = document.documentElement.lang;
  """)
  levels = found.pop('levels')
  assert levels[0] == 1 and levels.count(1) == 1
  assert max(np.diff(levels)) <= 1  # no level is left out
  assert found.pop('language') == 'en'
  assert found == dict.fromkeys(found, 0) | {'faults': []}


def test_nothing_sticks_out_sideways(browse):
  found = browse("""
    const page = document.documentElement.cloneNode(true);
    page.querySelectorAll('script').forEach((script) => script.remove());
    outcome.sizes = [];
    for (const width of [320, 390, 768]) {
      const frame = document.createElement('iframe');
      frame.style.cssText = `width: ${width}px; height: 800px; border: 0`;
      frame.srcdoc = '<!doctype html>' + page.outerHTML;
      document.body.append(frame);
      await new Promise((resolve) => frame.addEventListener('load', resolve));
      const content = frame.contentDocument.documentElement.scrollWidth;
      outcome.sizes.push([frame.contentWindow.innerWidth, content]);
    }
  """)
  assert found['faults'] == [] and [inner for inner, _ in found['sizes']] == [320, 390, 768]
  assert all(content <= inner for inner, content in found['sizes'])


def test_it_can_be_looked_at_and_printed(browse, tmp_path):
  picture, paper = tmp_path / 'page.png', tmp_path / 'page.pdf'
  browse(flags=(f'--screenshot={picture}',))
  assert np.std(cv2.imread(str(picture))) > 10
  browse(flags=(f'--print-to-pdf={paper}',))
  assert paper.read_bytes().startswith(b'%PDF') and paper.stat().st_size > 100_000


def test_on_paper_it_takes_fewer_than_twenty_pages(browse, tmp_path):
  paper = tmp_path / 'page.pdf'
  browse(flags=(f'--print-to-pdf={paper}',))
  assert 1 < len(re.findall(rb'/Type\s*/Page[^s]', paper.read_bytes())) < 20


def test_numbers_are_aligned_at_the_right(browse):
  found = browse("""
    const cells = [...document.querySelectorAll('#table_performance td, #table_pairs td')];
    outcome.numbers = cells.filter((cell) => /^[<−]?[0-9]/.test(text(cell)))
      .map((cell) => getComputedStyle(cell).textAlign);
  """)
  assert set(found['numbers']) == {'right'}


def test_wide_figures_and_tables_scroll_in_their_own_box_on_a_phone(browse):
  found = browse("""
    const page = document.documentElement.cloneNode(true);
    page.querySelectorAll('script').forEach((script) => script.remove());
    const frame = document.createElement('iframe');
    frame.style.cssText = 'width: 390px; height: 800px; border: 0';
    frame.srcdoc = '<!doctype html>' + page.outerHTML;
    document.body.append(frame);
    await new Promise((resolve) => frame.addEventListener('load', resolve));
    const inside = frame.contentDocument;
    const scrolls = (it) => getComputedStyle(it).overflowX === 'auto'
      && it.scrollWidth > it.clientWidth;
    outcome.tables = scrolls(inside.getElementById('table_performance').closest('.scroll'));
    outcome.figures = scrolls(inside.querySelector('#figure_roc .pan'));
    outcome.overflow = inside.documentElement.scrollWidth - frame.contentWindow.innerWidth;
  """)
  assert found == {'tables': True, 'figures': True, 'overflow': 0, 'faults': []}
