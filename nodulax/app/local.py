"""Code that the pages on this machine share: files, protective headers, and pixels to show."""

import base64
import pathlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nodulax.errors import NodulaxError

LARGEST_PICTURE = 1024  # pixels along the longer side
_FOLDER = pathlib.Path(__file__).parent
_TYPES = {'.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript'}
_HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}


class Refusal(Exception):
  """A request that is not answered, with its HTTP status."""

  def __init__(self, status: int, message: str):
    super().__init__(message)
    self.status = status


def page(files: Mapping[str, str], routes: Sequence[Route]) -> Starlette:
  """A page's server, which answers only this machine; errors become JSON with `error`.

  Args:
    files: the page's own files by path.
    routes: other routes.
  """

  def file(name: str) -> Callable[[Request], Response]:
    content, kind = (_FOLDER / name).read_bytes(), _TYPES[pathlib.Path(name).suffix]
    return lambda request: Response(content, media_type=kind)

  return Starlette(
    exception_handlers={
      Refusal: lambda _, refusal: _error(refusal.status, str(refusal)),
      NodulaxError: lambda _, error: _error(422, str(error)),
      OSError: lambda _, error: _error(500, error.strerror or str(error)),
    },
    routes=[*(Route(path, file(name)) for path, name in files.items()), *routes],
    middleware=[
      Middleware(BaseHTTPMiddleware, dispatch=_with_headers),
      # A foreign name that leads to this machine (DNS rebinding) is not answered.
      Middleware(TrustedHostMiddleware, allowed_hosts=['localhost', '127.0.0.1']),
    ],
  )


async def body(request: Request, kind: str, largest: int) -> bytes:
  """Reads the body of a request.

  Args:
    kind: content type that it must have; one that a page of another site cannot send without a
      preflight request, which is not answered.
    largest: largest size in bytes.

  Raises:
    Refusal: it is of another type, too large or incomplete.
  """
  if request.headers.get('content-type') != kind:
    raise Refusal(415, f'send {kind}')
  data = bytearray()
  try:
    async for part in request.stream():
      data += part
      if len(data) > largest:
        raise Refusal(413, f'the file is larger than {largest / 2**20:.0f} MB')
  except ClientDisconnect:
    raise Refusal(400, 'the file arrived incomplete; send it again') from None
  return bytes(data)


def _error(status: int, message: str) -> JSONResponse:
  return JSONResponse({'error': message}, status_code=status)


def size(pixels: np.ndarray) -> tuple[int, int]:
  """(height, width) of the picture that a page draws of a radiograph."""
  scale = min(1, LARGEST_PICTURE / max(pixels.shape))
  height, width = (max(1, round(side * scale)) for side in pixels.shape)
  return height, width


def display(pixels: np.ndarray) -> dict[str, Any]:
  """A radiograph as JSON for a page to draw.

  Args:
    pixels: u8 or u16[H, W].

  Returns:
    `pixels`, u16 little endian in base64, of a picture `width` x `height`, spread over the 16 bits;
    `black` and `white`, its usual window.
  """
  height, width = size(pixels)
  small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.float64)
  small = (small - small.min()) * 65535 / max(np.ptp(small), 1)
  black, white = np.percentile(small, (0.5, 99.5))
  return {
    'width': width,
    'height': height,
    'pixels': base64.b64encode(small.round().astype('<u2').tobytes()).decode(),
    'black': float(black),
    'white': float(max(white, black + 1)),
  }


async def _with_headers(
  request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
  response = await call_next(request)
  response.headers.update(_HEADERS)
  return response
