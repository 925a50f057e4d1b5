"""Chromium without a window, driven through its debugging pipe."""

import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import time
from typing import Any

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
FLAGS = (
  *('--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'),
  *('--disable-background-networking', '--disable-component-update', '--disable-sync'),
  *('--hide-scrollbars', '--remote-debugging-pipe'),
)
# The browser reads commands from file 3 and answers on file 4.
START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find() -> str | None:
  """The path of an installed browser."""
  return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
  """One page in a browser; `requests` and `faults` say what it asked for and what went wrong."""

  def __init__(self, path: str, profile: pathlib.Path, size: tuple[int, int]):
    commands, self._send = os.pipe()
    self._receive, answers = os.pipe()
    flags = [*FLAGS, f'--user-data-dir={profile}', f'--window-size={size[0]},{size[1]}']
    # Numbers above 9, which the copies to 3 and 4 cannot overwrite.
    high = [os.dup(file) for file in [commands] * 6 + [answers] * 6]
    given = high[5], high[-1]
    self._process = subprocess.Popen(
      [sys.executable, '-c', START, *map(str, given), path, *flags, 'about:blank'],
      pass_fds=given,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )
    for file in (commands, answers, *high):
      os.close(file)
    self._buffer, self._number, self._session = b'', 0, {}
    self.requests: list[str] = []
    self.faults: list[str] = []
    targets = self.call('Target.getTargets')['targetInfos']
    page = next(target['targetId'] for target in targets if target['type'] == 'page')
    attached = self.call('Target.attachToTarget', targetId=page, flatten=True)
    self._session = {'sessionId': attached['sessionId']}
    for domain in ('Page', 'Runtime', 'Network', 'Log', 'DOM'):
      self.call(f'{domain}.enable')

  def call(self, method: str, **parameters: Any) -> dict[str, Any]:
    """One command of the DevTools protocol, and its result."""
    self._number += 1
    message = {'id': self._number, 'method': method, 'params': parameters, **self._session}
    os.write(self._send, json.dumps(message).encode() + b'\0')
    while True:
      answer = self._message()
      if answer.get('id') == self._number:
        assert 'error' not in answer, answer
        return answer['result']

  def run(self, script: str) -> Any:
    """The value of a JavaScript expression."""
    result = self.call('Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True)
    assert 'exceptionDetails' not in result, result
    return result['result'].get('value')

  def wait(self, script: str, seconds: float = 60) -> None:
    """Waits until an expression is true."""
    end = time.monotonic() + seconds
    while not self.run(script):
      assert time.monotonic() < end, f'never true: {script}; {self.run("document.body.innerText")}'
      time.sleep(0.1)

  def choose(self, selector: str, *files: pathlib.Path) -> None:
    """Chooses files in a file input."""
    root = self.call('DOM.getDocument')['root']['nodeId']
    node = self.call('DOM.querySelector', nodeId=root, selector=selector)['nodeId']
    self.call('DOM.setFileInputFiles', nodeId=node, files=[str(file) for file in files])

  def drag(self, selector: str, file: pathlib.Path, drop: bool = True) -> None:
    """Drags a file from outside the browser over an element, and lets it go there."""
    box = self.run(f"document.querySelector('{selector}').getBoundingClientRect().toJSON()")
    middle = {'x': box['x'] + box['width'] / 2, 'y': box['y'] + box['height'] / 2}
    data = {'items': [], 'files': [str(file)], 'dragOperationsMask': 1}
    for kind in ('dragEnter', 'dragOver', *(['drop'] if drop else [])):
      self.call('Input.dispatchDragEvent', type=kind, data=data, **middle)

  def press(self, key: str, release: bool = True) -> None:
    """Presses a key, and lets it go."""
    codes = {'Tab': 9, 'ArrowRight': 39, 'ArrowLeft': 37, 'Home': 36}
    code = codes.get(key) or ord(key.upper())
    text = {} if key in codes else {'text': key}
    named = {'key': key, 'windowsVirtualKeyCode': code}
    kind = 'keyDown' if text else 'rawKeyDown'
    self.call('Input.dispatchKeyEvent', type=kind, **named, **text)
    if release:
      self.call('Input.dispatchKeyEvent', type='keyUp', **named)

  def screenshot(self, path: pathlib.Path) -> None:
    picture = self.call('Page.captureScreenshot', format='png')
    path.write_bytes(base64.b64decode(picture['data']))

  def close(self) -> None:
    self._process.terminate()
    self._process.wait(30)
    os.close(self._send)
    os.close(self._receive)

  def _message(self) -> dict[str, Any]:
    while b'\0' not in self._buffer:
      ready, _, _ = select.select([self._receive], [], [], 120)
      part = os.read(self._receive, 1 << 20) if ready else b''
      assert part, 'the browser does not answer'
      self._buffer += part
    line, self._buffer = self._buffer.split(b'\0', 1)
    message = json.loads(line)
    match message.get('method'):
      case 'Network.requestWillBeSent':
        self.requests.append(message['params']['request']['url'])
      case 'Runtime.exceptionThrown':
        self.faults.append(str(message['params']['exceptionDetails']))
      case 'Log.entryAdded':
        self.faults.append(str(message['params']['entry']))
    return message
