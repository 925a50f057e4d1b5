"""The re-reading page, as readers use it in a real browser, and what it refuses."""

import json
import pathlib
import socket
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest

pytest.importorskip('starlette', reason='the extra `app` is not installed')
pytest.importorskip('uvicorn', reason='the extra `app` is not installed')

import uvicorn

from nodulax.app import rereading as app
from nodulax.app import server
from nodulax.input.shards import Shards
from nodulax.labels import rereading
from nodulax.labels.queue import write_queue
from nodulax.labels.rereading import Answer
from nodulax.prediction.reader import Reader
from tests.app import browser as browsers
from tests.app.test_app import ask

ROOT = pathlib.Path(__file__).parents[2]
JSON = {'Content-Type': 'application/json'}


@pytest.fixture(scope='module')
def reader(trained_run):
  loaded = Reader(str(trained_run), 1, jax.local_devices()[:1])
  server.warm_up(loaded)
  return loaded


@pytest.fixture
def start(reader, shards, tmp_path):
  """`start()` serves a queue of four radiographs and gives the port; all end with the test."""
  running = []
  split = Shards(shards, 'train')

  def serve() -> int:
    queue = app.Queue(split, split.column('image_id')[:4], tmp_path / 'reading.csv')
    config = uvicorn.Config(app.create(queue, reader), log_level='warning', access_log=False)
    listening = socket.create_server(('127.0.0.1', 0))
    served = uvicorn.Server(config)
    thread = threading.Thread(target=served.run, args=([listening],))
    thread.start()
    running.append((served, thread, listening))
    return listening.getsockname()[1]

  yield serve
  for served, thread, listening in running:
    served.should_exit = True
    thread.join(30)
    listening.close()


def give(port, **changes):
  given = {'reader': 'Kim', 'place': 0, 'answer': 'normal', 'boxes': [], 'seconds': 1, **changes}
  response, answer = ask(port, 'POST', '/answer', json.dumps(given), JSON)
  return response.status, json.loads(answer)


def test_the_networks_opinion_comes_after_the_readers(start, tmp_path, shards):
  port = start()
  status, answer = ask(port, 'GET', '/radiograph/0')
  case, pixels, _ = Shards(shards, 'train')[0]
  assert json.loads(answer)['stored'] == [pixels.shape[1], pixels.shape[0]]
  assert 'heat' not in answer.decode() and case.image_id not in answer.decode()
  response, _ = ask(port, 'GET', '/heat/0?reader=Kim')
  assert response.status == 403
  assert give(port) == (200, {'saved': True})
  response, answer = ask(port, 'GET', '/heat/0?reader=Kim')
  assert response.status == 200 and 0 <= json.loads(answer)['probability'] <= 1
  for other in ('/heat/0?reader=Lee', '/heat/1?reader=Kim'):
    assert ask(port, 'GET', other)[0].status == 403
  (kept,) = rereading.read_answers(tmp_path / 'reading.csv')
  assert (kept.image_id, kept.reader, kept.answer) == (case.image_id, 'Kim', 'normal')


def test_what_is_no_answer_is_refused_and_not_kept(start, tmp_path):
  port = start()
  for changes, word in (
    ({'reader': ' '}, 'give your name'),
    ({'reader': '=SUM(A1)'}, 'give your name'),
    ({'place': 4}, 'not an answer'),
    ({'place': 'x'}, 'not an answer'),
    ({'answer': 'maybe'}, "answer is 'maybe'"),
    ({'boxes': [[0, 0, 9, 9]]}, 'boxes go with the answer nodule'),
    ({'answer': 'nodule', 'boxes': [[0, 0, 9]]}, 'not an answer'),
    ({'answer': 'nodule', 'boxes': [[0, 0, 9, 1e9]]}, 'a box must lie within'),
    ({'answer': 'nodule', 'boxes': [[9, 9, 0, 0]]}, 'a box must lie within'),
    ({'answer': 'nodule', 'boxes': [[1, 1, 1.00001, 9]]}, 'be at least one wide and high'),
    ({'answer': 'nodule', 'boxes': [[0, 0, float('nan'), 9]]}, 'a box must lie within'),
  ):
    status, answer = give(port, **changes)
    assert status == 422 and word in answer['error'], changes
  assert not (tmp_path / 'reading.csv').exists()


def test_other_sites_are_not_answered(start):
  port = start()
  response, _ = ask(port, 'POST', '/answer', b'{}', {'Content-Type': 'text/plain'})
  assert response.status == 415
  assert ask(port, 'GET', '/queue?reader=Kim', headers={'Host': 'evil.example'})[0].status == 400


def test_a_queue_of_other_radiographs_is_refused(trained_run, shards, tmp_path):
  write_queue(tmp_path / 'queue.csv', ['elsewhere'])
  ended = subprocess.run(
    [sys.executable, '-m', 'nodulax.app', f'--checkpoint={trained_run}', '--port=0',
     f'--dataset={shards}', f'--queue={tmp_path / "queue.csv"}', f'--reading={tmp_path / "r.csv"}'],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )  # fmt: skip
  assert ended.returncode == 1
  assert "not in the split train of gmc_nodule, the first is 'elsewhere'" in ended.stderr


@pytest.fixture
def browser(tmp_path):
  path = browsers.find()
  if path is None:
    pytest.skip(f'no browser: none of {", ".join(browsers.NAMES)}')
  opened = browsers.Browser(path, tmp_path / 'profile', (1366, 900))
  yield opened
  opened.close()


def enter(browser, port, name):
  browser.run('window.left = true')
  browser.call('Page.navigate', url=f'http://127.0.0.1:{port}/')
  browser.wait("!window.left && document.readyState === 'complete'")
  browser.run(f"document.getElementById('reader').value = '{name}'")
  browser.run("document.querySelector('#start button').click()")
  browser.wait(f"document.getElementById('progress').textContent.startsWith('{name}')")
  browser.wait("document.getElementById('picture').width > 0")


def drag(browser, begin, end):
  """Draws a box from one point to another, in shares of the picture."""
  frame = browser.run("document.getElementById('picture').getBoundingClientRect().toJSON()")
  for kind, (x, y) in (('mousePressed', begin), ('mouseMoved', end), ('mouseReleased', end)):
    browser.call(
      'Input.dispatchMouseEvent', type=kind, button='left', buttons=1, clickCount=1,
      x=frame['x'] + x * frame['width'], y=frame['y'] + y * frame['height'],
    )  # fmt: skip


def text(browser, name):
  return browser.run(f"document.getElementById('{name}').textContent")


def test_a_reader_works_through_the_queue_and_resumes(browser, start, shards, tmp_path):
  port = start()
  enter(browser, port, 'Kim')
  assert text(browser, 'progress') == 'Kim: radiograph 1 of 4, 0 answered'
  assert browser.run("document.getElementById('opinion').hidden")
  drag(browser, (0.25, 0.25), (0.5, 0.75))
  assert text(browser, 'boxes') == 'One box.'
  drag(browser, (0.1, 0.1), (0.2, 0.2))
  browser.press('u')
  browser.press('1')
  browser.wait("document.getElementById('status').textContent.startsWith('Saved: nodule')")
  browser.wait("!document.getElementById('opinion').hidden")
  browser.press('n')
  browser.wait("document.getElementById('progress').textContent.includes('radiograph 2 of 4')")
  browser.wait("document.getElementById('picture').width > 0")
  assert browser.run("document.getElementById('opinion').hidden")
  browser.run("document.querySelector('[data-answer=normal]').click()")
  browser.wait("document.getElementById('status').textContent.startsWith('Saved: normal')")
  _, pixels, _ = Shards(shards, 'train')[0]
  height, width = pixels.shape
  first, second = rereading.read_answers(tmp_path / 'reading.csv')
  (box,) = first.boxes
  share = np.array(box) / [width, height, width, height]
  np.testing.assert_allclose(share, [0.25, 0.25, 0.5, 0.75], atol=0.02)
  assert second.answer == 'normal' and not second.boxes and second.time and second.seconds >= 0
  # The page is closed and served again: it resumes at the third, and shows the first as it was.
  port = start()
  enter(browser, port, 'Kim')
  assert text(browser, 'progress') == 'Kim: radiograph 3 of 4, 2 answered'
  browser.press('p')
  browser.press('p')
  browser.wait("document.getElementById('status').textContent === 'Your answer: nodule'")
  assert text(browser, 'boxes') == 'One box.'
  # Another reader starts at the first, and sees nothing of it.
  enter(browser, port, 'Lee')
  assert text(browser, 'progress') == 'Lee: radiograph 1 of 4, 0 answered'
  assert text(browser, 'boxes') == 'No box.'
  assert browser.run("document.getElementById('opinion').hidden")
  browser.press('3')
  browser.wait("document.getElementById('status').textContent.startsWith('Saved: unsure')")
  assert not browser.faults
  assert all(url.startswith(('http://127.0.0.1:', 'data:')) for url in browser.requests)


def test_an_answer_that_cannot_be_kept_is_said_so(browser, start, tmp_path):
  port = start()
  enter(browser, port, 'Kim')
  (tmp_path / 'reading.csv').mkdir()
  browser.press('2')
  browser.wait("document.getElementById('status').textContent.startsWith('Not saved')")
  assert text(browser, 'progress') == 'Kim: radiograph 1 of 4, 0 answered'


def test_answers_of_another_file_are_not_lost(start, shards, tmp_path):
  image_ids = Shards(shards, 'train').column('image_id')
  reading = tmp_path / 'reading.csv'
  rereading.append_answer(reading, Answer(image_ids[10], 'Lee', 'nodule'))
  give(start())
  assert [answer.reader for answer in rereading.read_answers(reading)] == ['Lee', 'Kim']
