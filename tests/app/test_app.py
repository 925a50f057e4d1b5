"""The page, as a user starts it, asked by hand and by a real browser without a window."""

import http.client
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import types

import cv2
import jsonschema
import numpy as np
import pydicom
import pytest

pytest.importorskip('starlette', reason='the extra `app` is not installed')
pytest.importorskip('uvicorn', reason='the extra `app` is not installed')

from nodulax import predict
from nodulax.app import server
from nodulax.checkpoints import evaluations, shipped
from nodulax.radiograph import pictures
from nodulax.radiograph.reading import encode_png, read_radiograph
from tests.app import browser as browsers
from tests.prediction.test_predict import images_in

ROOT = pathlib.Path(__file__).parents[2]
OCTETS = {'Content-Type': 'application/octet-stream'}


@pytest.fixture(scope='module')
def page(trained_run, tmp_path_factory):
  """The page's port, and a folder with all that its process could have kept."""
  folder = tmp_path_factory.mktemp('page')
  process = subprocess.Popen(
    [sys.executable, '-m', 'nodulax.app', f'--checkpoint={trained_run}', '--port=0',
     '--largest_mb=2'],
    cwd=folder,
    env={**os.environ, 'TMPDIR': str(folder), 'PYTHONPATH': str(ROOT), 'HOME': str(folder),
         'PYTHONDONTWRITEBYTECODE': '1'},
    stdout=subprocess.PIPE,
    text=True,
  )  # fmt: skip
  address = process.stdout.readline().split()[0]
  assert address.startswith('http://127.0.0.1:')
  assert 'not a medical device' in process.stdout.readline().lower()
  yield int(address.rsplit(':', 1)[1]), folder
  process.terminate()
  process.wait(30)
  process.stdout.close()


def ask(port: int, method: str, path: str, body=None, headers=None):
  connection = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
  try:
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    return response, response.read()
  finally:
    connection.close()


def test_it_says_what_prediction_says_and_keeps_nothing(page, trained_run, hospital, tmp_path):
  port, folder = page
  before = sorted(folder.rglob('*'))
  images = images_in(hospital)[:3]
  files = predict.radiographs_in([str(path) for path in images])
  predict.predict(trained_run, files, tmp_path, 4)
  written = json.loads((tmp_path / 'findings.json').read_text())['radiographs']
  for expected in written:
    data = files[expected['image']].read_bytes()
    response, answer = ask(port, 'POST', '/read', data, OCTETS)
    said = json.loads(answer)['radiograph']
    assert response.status == 200 and response.headers['Cache-Control'] == 'no-store'
    assert said['probability'] == pytest.approx(expected['probability'], abs=1e-5)
    assert said['positive'] == expected['positive'] and said['crop'] == expected['crop']
    assert len(said['findings']) == len(expected['findings'])
  assert sorted(folder.rglob('*')) == before


def test_a_second_image_needs_no_new_compilation(page, hospital):
  port, _ = page
  data = images_in(hospital)[0].read_bytes()
  ask(port, 'POST', '/read', data, OCTETS)
  begun = time.monotonic()
  ask(port, 'POST', '/read', data, OCTETS)
  assert time.monotonic() - begun < 5  # compiling alone takes longer; a busy machine is slow


@pytest.mark.parametrize(
  ('body', 'headers', 'status', 'message'),
  [
    (bytes(3 * 2**20), OCTETS, 413, 'larger than 2 MB'),
    (b'not an image', OCTETS, 422, 'not a DICOM, PNG, JPEG, TIFF, BMP or MetaImage (.mha) file'),
    (b'', OCTETS, 422, 'empty'),
    (b'x', {'Content-Type': 'multipart/form-data'}, 415, 'octet-stream'),
  ],
)
def test_what_is_no_radiograph_gets_a_clear_answer(page, body, headers, status, message):
  response, answer = ask(page[0], 'POST', '/read', body, headers)
  assert response.status == status and message in json.loads(answer)['error']


def test_it_answers_this_machine_alone(page):
  response, _ = ask(page[0], 'GET', '/', headers={'Host': 'attacker.example'})
  assert response.status == 400
  response, _ = ask(page[0], 'GET', '/../server.py')
  assert response.status == 404
  sockets = pathlib.Path('/proc/net/tcp')
  if sockets.exists():
    mine = [line for line in sockets.read_text().splitlines() if f':{page[0]:04X} 0000' in line]
    assert mine and all('0100007F:' in line for line in mine)  # 127.0.0.1


def test_the_heat_layer_over_a_radiograph_is_the_overlay():
  rng = np.random.default_rng(0)
  image, heat = rng.integers(0, 256, (20, 30), np.uint8), rng.random((20, 30), np.float32)
  layer = pictures.heat_layer(heat).astype(float)
  weight = 0.5 * layer[..., 3:] / 255
  blended = (1 - weight) * image[..., None] + weight * layer[..., :3]
  np.testing.assert_allclose(blended, pictures.overlay(image, heat), atol=1.01)
  read = cv2.imdecode(np.frombuffer(pictures.png(layer.astype(np.uint8)), np.uint8), -1)
  np.testing.assert_array_equal(read[..., [2, 1, 0, 3]], layer)


def test_the_heat_layer_is_transparent_below_the_threshold():
  heat = np.array([[0.1, 0.49, 0.5, 0.9]], np.float32)
  assert pictures.heat_layer(heat, 0.5)[..., 3].tolist() == [[0, 0, 128, 230]]


@pytest.fixture(scope='module')
def browser(page, tmp_path_factory):
  path = browsers.find()
  if path is None:
    pytest.skip(f'no browser: none of {", ".join(browsers.NAMES)} is installed')
  opened = browsers.Browser(path, tmp_path_factory.mktemp('profile'), (1280, 900))
  opened.call('Page.navigate', url=f'http://127.0.0.1:{page[0]}/')
  opened.wait("document.querySelector('#model')?.textContent.includes('small')")
  yield opened
  opened.close()


def picture(browser) -> str:
  """What the canvas shows."""
  return browser.run("document.querySelector('#picture').toDataURL()")


def assert_nothing_is_shown(browser) -> None:
  for name in ('result', 'view'):
    assert browser.run(f"document.querySelector('#{name}').hidden")
  assert browser.run("document.querySelector('#probability').textContent") == ''
  assert browser.run("document.querySelectorAll('#findings tr').length") == 0


def test_a_radiograph_is_chosen_or_dropped_and_seen_by_keyboard(browser, page, hospital, tmp_path):
  assert 'Not a medical device' in browser.run('document.body.innerText')
  dicom = next(path for path in images_in(hospital) if path.suffix == '.dcm')
  browser.choose('#file', dicom)
  browser.wait("document.querySelector('#status').textContent.includes('read in')")
  width = read_radiograph(dicom).pixels.shape[1]
  assert browser.run("document.querySelector('#picture').width") == width
  assert 0 <= float(browser.run("document.querySelector('#probability').textContent")) <= 1
  rows = browser.run("document.querySelectorAll('#findings tr').length")
  assert rows >= 1
  whole = picture(browser)

  browser.run('document.activeElement.blur()')
  browser.press('h')  # heat map off
  assert browser.run("document.querySelector('#opacity').value") == '0'
  off = picture(browser)
  browser.press('h')
  assert picture(browser) == whole != off
  browser.press('1', release=False)  # a finding is pointed out as long as the key is held
  assert browser.run("document.querySelectorAll('#findings .pointed').length") == 1
  assert picture(browser) != whole
  browser.call('Input.dispatchKeyEvent', type='keyUp', key='1')
  assert picture(browser) == whole
  for name in ('opacity', 'level', 'width'):
    browser.run(f"document.querySelector('#{name}').focus()")
    before = picture(browser)
    for _ in range(5):
      browser.press('ArrowLeft')
    assert picture(browser) != before
  browser.press('r')
  assert picture(browser) == whole

  # Everything can be reached with the tab key.
  browser.run("document.querySelector('#file').focus()")
  reached = []
  for _ in range(11):
    browser.press('Tab')
    reached.append(browser.run('document.activeElement.id'))
  assert reached[-9:] == [
    *('opacity', 'level', 'width', 'zoom', 'boxes', 'reset'),
    *('save_overlay', 'save_findings', 'save_sr'),
  ]

  (tmp_path / 'broken.png').write_bytes(b'\x89PNG\r\n\x1a\n cut off')
  assert browser.faults == []  # a refusal is logged by the browser, as the next one is
  browser.choose('#file', tmp_path / 'broken.png')
  browser.wait("document.querySelector('#status').className === 'fault'")
  assert 'truncated or damaged' in browser.run("document.querySelector('#status').textContent")
  # Nothing of the patient before stays beside the name of this file.
  assert_nothing_is_shown(browser)

  png = next(path for path in images_in(hospital) if path.suffix == '.png')
  lying = np.ascontiguousarray(np.rot90(read_radiograph(png).pixels))
  (tmp_path / 'lying.png').write_bytes(encode_png(lying))
  browser.choose('#file', dicom)
  browser.wait("document.querySelector('#status').textContent.includes('read in')")
  assert picture(browser) == whole
  browser.choose('#file', tmp_path / 'lying.png')
  browser.wait("document.querySelector('#status').className === 'fault'")
  assert 'turn it by 90 degrees' in browser.run("document.querySelector('#status').textContent")
  assert_nothing_is_shown(browser)

  browser.drag('#drop', png, drop=False)
  assert browser.run("document.querySelector('#drop').className") == 'over'
  browser.drag('#drop', png)
  browser.wait("document.querySelector('#status').textContent.includes('read in')")
  assert browser.run("document.querySelector('#drop').className") == ''
  assert picture(browser) != whole
  own = f'http://127.0.0.1:{page[0]}/'
  assert all(url.startswith((own, 'data:')) for url in browser.requests)


def saved(browser, button: str) -> bytes:
  """What a button saves."""
  browser.run(
    'window.kept = new Promise((done) => { URL.createObjectURL = (blob) => {'
    " blob.arrayBuffer().then((data) => done([...new Uint8Array(data)])); return 'data:,'; }; });"
    f" document.querySelector('#{button}').click(); 0"
  )
  return bytes(browser.run('window.kept'))


def test_several_files_are_listed_and_saved(browser, page, hospital, tmp_path):
  dicom = next(path for path in images_in(hospital) if path.suffix == '.dcm')
  (tmp_path / 'broken.png').write_bytes(b'no image')
  browser.run("document.querySelector('#files').replaceChildren(); entries.length = 0")
  browser.choose('#file', dicom, tmp_path / 'broken.png')
  browser.wait("document.querySelector('#status').textContent.includes('read in')")
  browser.wait("document.querySelectorAll('#files .fault').length === 1")
  names = browser.run("[...document.querySelectorAll('#files button')].map((b) => b.textContent)")
  assert [name.split(': ')[0] for name in names] == [dicom.name, 'broken.png']
  assert browser.run("document.querySelector('#files .current').textContent") == names[0]
  probability = float(browser.run("document.querySelector('#probability').textContent"))

  schema = json.loads((ROOT / 'nodulax' / 'prediction' / 'findings.schema.json').read_text())
  written = json.loads(saved(browser, 'save_findings'))
  jsonschema.validate(written, schema)
  (radiograph,) = written['radiographs']
  assert radiograph['image'] == dicom.name
  assert radiograph['probability'] == pytest.approx(probability, abs=6e-4)
  overlay = cv2.imdecode(np.frombuffer(saved(browser, 'save_overlay'), np.uint8), cv2.IMREAD_COLOR)
  height, width = read_radiograph(dicom).pixels.shape
  assert overlay.shape[1] == width and overlay.shape[0] > height  # with the notice below
  report = pydicom.dcmread(io.BytesIO(saved(browser, 'save_sr')))
  assert report.SOPClassUID.keyword == 'ComprehensiveSRStorage'
  assert report.StudyInstanceUID == pydicom.dcmread(dicom).StudyInstanceUID

  browser.run("document.querySelectorAll('#files button')[1].click()")
  assert browser.run("document.querySelector('#status').className") == 'fault'
  assert_nothing_is_shown(browser)
  browser.run("document.querySelectorAll('#files button')[0].click()")
  assert float(browser.run("document.querySelector('#probability').textContent")) == probability


def test_a_finding_outside_the_lungs_is_named_so(browser):
  assert browser.run("where({zone: 'outside', laterality: 'left'})") == 'left, outside the lungs'
  assert browser.run("where({zone: 'upper', laterality: 'right'})") == 'right upper'


def test_the_example_is_read_and_can_be_enlarged_and_moved(browser):
  browser.run("document.querySelector('#example').click()")
  browser.wait("document.querySelector('#status').textContent.startsWith('simulated.png: ')")
  assert browser.run("document.querySelector('#save_sr').disabled")  # no DICOM
  shown = browser.run("document.querySelector('#scale').innerText")
  assert re.search(r'probability of a nodule\s+transparent below 0\.\d\d\s+1', shown)
  colours = browser.run("document.querySelector('#colours').style.background")
  assert colours.startswith('linear-gradient(to right, rgb(0, 0, 4)')  # where inferno begins
  frame = browser.run("document.querySelector('#view').getBoundingClientRect().toJSON()")
  middle = {'x': frame['x'] + frame['width'] / 2, 'y': frame['y'] + frame['height'] / 2}
  browser.call('Input.dispatchMouseEvent', type='mouseWheel', deltaX=0, deltaY=-400, **middle)
  browser.wait("+document.querySelector('#zoom').value > 150")
  browser.call('Input.dispatchMouseEvent', type='mousePressed', button='left', **middle)
  moved = {'x': middle['x'] + 30, 'y': middle['y']}
  browser.call('Input.dispatchMouseEvent', type='mouseMoved', button='left', buttons=1, **moved)
  browser.call('Input.dispatchMouseEvent', type='mouseReleased', button='left', **moved)
  assert browser.run('moved[0]') > 0
  browser.press('r')
  assert browser.run("[document.querySelector('#zoom').value, ...moved]") == ['100', 0, 0]


@pytest.mark.parametrize('width', [390, 1366])
def test_nothing_overflows(browser, width):
  browser.call(
    'Emulation.setDeviceMetricsOverride', width=width, height=800, deviceScaleFactor=1, mobile=False
  )
  browser.run("document.querySelector('#example').click()")
  browser.wait("document.querySelector('#status').textContent.startsWith('simulated.png: ')")
  assert browser.run('document.documentElement.scrollWidth') <= width
  browser.call('Emulation.clearDeviceMetricsOverride')


@pytest.mark.parametrize(
  ('measured', 'told'),
  [
    (None, None),
    ({}, []),
    (
      {'JSRT': {'auc': {'value': 0.661, 'low': 0.56, 'high': 0.75}}},
      ['JSRT: AUC 0.66 (0.56 to 0.75)'],
    ),
  ],
)
def test_the_header_has_what_is_known_of_the_network(measured, told):
  reader = types.SimpleNamespace(description=shipped.description())
  routes = server.create(reader, 1, measured).routes
  model = next(route.endpoint for route in routes if route.path == '/model')
  answer = json.loads(model(None).body)
  assert answer['measured'] == told and answer['name'] == 'nodulax'


def test_the_shipped_network_is_introduced_by_its_figures_on_real_radiographs():
  card = (ROOT / 'docs' / 'network.md').read_text()
  told = evaluations.evaluations('nodulax')
  assert len(told) == 3
  for metrics in told.values():
    assert evaluations.shown(metrics['auc']) in card
