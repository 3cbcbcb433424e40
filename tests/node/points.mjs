// The curve (RFC 8032, section 5.1), only as far as judging points needs it: which keys may be enrolled.
const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const mod = (value) => ((value % P) + P) % P;
const little = (bytes) => bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);

function power(base, exponent) {
  let result = 1n;
  for (base = mod(base); exponent > 0n; exponent >>= 1n, base = (base * base) % P) {
    if (exponent & 1n) result = (result * base) % P;
  }
  return result;
}

const D = mod(-121665n * power(121666n, P - 2n));
const ROOT_OF_MINUS_1 = power(2n, (P - 1n) / 4n);
const NEUTRAL = [0n, 1n, 1n, 0n];

/** The point of an encoding in extended coordinates; null where there is none or it is not canonical. */
function decodePoint(bytes) {
  const number = little(bytes);
  const sign = number >> 255n;
  const y = number & (2n ** 255n - 1n);
  if (y >= P) return null;
  const ratio = mod((y * y - 1n) * power(D * y * y + 1n, P - 2n));
  let x = power(ratio, (P + 3n) / 8n);
  if (mod(x * x) !== ratio) x = mod(x * ROOT_OF_MINUS_1);
  if (mod(x * x) !== ratio || (x === 0n && sign === 1n)) return null;
  if ((x & 1n) !== sign) x = P - x;
  return [x, y, 1n, mod(x * y)];
}

function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = mod((y1 - x1) * (y2 - x2));
  const b = mod((y1 + x1) * (y2 + x2));
  const c = mod(2n * t1 * t2 * D);
  const d = mod(2n * z1 * z2);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

function multiply(point, scalar) {
  let result = NEUTRAL;
  for (; scalar > 0n; scalar >>= 1n, point = add(point, point)) {
    if (scalar & 1n) result = add(result, point);
  }
  return result;
}

const isNeutral = ([x, y, z]) => x === 0n && y === z;

/** Whether a key may be enrolled: canonical, and in the group of prime order. */
export function isEnrollable(raw) {
  const point = decodePoint(raw);
  return point !== null && !isNeutral(multiply(point, 8n)) && isNeutral(multiply(point, L));
}

/** Whether some point has this `y`, and an order that divides 8. */
export function isSmallOrderY(y) {
  const bytes = Uint8Array.from({ length: 32 }, (_, index) => Number((y >> BigInt(8 * index)) & 255n));
  const point = decodePoint(bytes);
  return point !== null && isNeutral(multiply(point, 8n));
}
