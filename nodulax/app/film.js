'use strict';

// Draws a radiograph on a canvas of its size: u16 pixels, `level` and `width` of the window in per cent.
function drawFilm(canvas, shown, level, width) {
  [canvas.width, canvas.height] = [shown.width, shown.height];
  const context = canvas.getContext('2d');
  const grey = context.createImageData(shown.width, shown.height);
  const span = Math.max(1, width * 655.35);
  const black = level * 655.35 - span / 2;
  const target = new Uint32Array(grey.data.buffer);
  for (let i = 0; i < target.length; i++) {
    const value = Math.max(0, Math.min(255, (shown.pixels[i] - black) / span * 255)) | 0;
    target[i] = 0xff000000 | value << 16 | value << 8 | value;
  }
  context.putImageData(grey, 0, 0);
  return context;
}

// The pixels that the server sends, u16 in base64.
function unpacked(pixels) {
  return new Uint16Array(Uint8Array.from(atob(pixels), (letter) => letter.charCodeAt(0)).buffer);
}

// The usual window of a radiograph, [level, width] in per cent.
function usualWindow(shown) {
  return [100 * (shown.black + shown.white) / 2 / 65535, 100 * (shown.white - shown.black) / 65535];
}

// A PNG file in base64 as a picture.
async function pictureOf(png) {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  return image;
}
