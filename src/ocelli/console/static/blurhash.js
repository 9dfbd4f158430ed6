// Paints a BlurHash (https://github.com/woltapp/blurhash) on a canvas.
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";

const decode83 = (text) => [...text].reduce((value, digit) => value * 83 + DIGITS.indexOf(digit), 0);
const toLinear = (value) => (value <= 10.31475 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4);
const toSrgb = (value) => {
  const bounded = Math.min(1, Math.max(0, value));
  return bounded <= 0.0031308 ? bounded * 3294.6 : (1.055 * bounded ** (1 / 2.4) - 0.055) * 255;
};
const squared = (value) => Math.sign(value) * value * value;

function components(hash) {
  const size = decode83(hash[0]);
  const columns = (size % 9) + 1;
  const rows = Math.floor(size / 9) + 1;
  if (hash.length !== 4 + 2 * columns * rows) return null;
  const greatest = (decode83(hash[1]) + 1) / 166;
  const average = decode83(hash.slice(2, 6));
  const colours = [[average >> 16, (average >> 8) & 255, average & 255].map(toLinear)];
  for (let index = 1; index < columns * rows; index++) {
    const value = decode83(hash.slice(4 + 2 * index, 6 + 2 * index));
    const parts = [Math.floor(value / 361), Math.floor(value / 19) % 19, value % 19];
    colours.push(parts.map((part) => squared((part - 9) / 9) * greatest));
  }
  return { columns, rows, colours };
}

// Returns whether the hash could be read.
export function paint(canvas, hash) {
  const found = hash && hash.length >= 6 ? components(hash) : null;
  if (!found) return false;
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const sum = [0, 0, 0];
      found.colours.forEach((colour, index) => {
        const column = index % found.columns;
        const row = Math.floor(index / found.columns);
        const basis =
          Math.cos((Math.PI * x * column) / width) * Math.cos((Math.PI * y * row) / height);
        colour.forEach((part, channel) => (sum[channel] += part * basis));
      });
      image.data.set([...sum.map(toSrgb), 255], 4 * (y * width + x));
    }
  }
  context.putImageData(image, 0, 0);
  return true;
}
